//! Wakers go to other threads, and live before, during and after the loop's life.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

use rasyncio::runners::Host;
use rasyncio::{all_tasks, create_task, run, yield_now};
use rasyncio_engine::{EventLoop, PlainDriver};

/// A flag that another thread may set: the smallest thing that keeps a waker elsewhere.
#[derive(Default)]
struct Flag {
    is_set: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Flag {
    fn set(&self) {
        self.is_set.store(true, Ordering::Release);
        if let Some(waker) = self.waker.lock().unwrap().take() {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            if self.is_set.load(Ordering::Acquire) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The waker of the task that asks.
async fn my_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

#[test]
fn another_thread_wakes_a_sleeping_loop() {
    let flag = Arc::new(Flag::default());
    run(async {
        let thread = {
            let flag = flag.clone();
            thread::spawn(move || flag.set())
        };
        flag.wait().await;
        thread.join().unwrap();
    });
}

#[test]
fn many_wakes_from_many_threads_reach_their_tasks() {
    const TASKS: usize = 50;
    run(async {
        let flags: Arc<Vec<Flag>> = Arc::new((0..TASKS).map(|_| Flag::default()).collect());
        let tasks: Vec<_> = (0..TASKS)
            .map(|which| {
                let flags = flags.clone();
                create_task(async move { flags[which].wait().await })
            })
            .collect();
        yield_now().await.unwrap();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let flags = flags.clone();
                thread::spawn(move || {
                    for flag in flags.iter().skip(thread).step_by(4) {
                        flag.set();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn two_threads_hand_a_baton_to_and_fro() {
    // Each side is a loop of its own; what wakes one is the other.
    const ROUNDS: usize = 1000;
    let flags: Arc<[Vec<Flag>; 2]> =
        Arc::new([(); 2].map(|()| (0..ROUNDS).map(|_| Flag::default()).collect()));
    let side = |mine: usize| {
        let flags = flags.clone();
        move || {
            run(async {
                for round in 0..ROUNDS {
                    if mine == 0 {
                        flags[1][round].set();
                        flags[0][round].wait().await;
                    } else {
                        flags[1][round].wait().await;
                        flags[0][round].set();
                    }
                }
            });
        }
    };
    let other = thread::spawn(side(1));
    side(0)();
    other.join().unwrap();
}

#[test]
fn a_waker_outlives_its_loop() {
    let waker = run(my_waker());
    waker.wake_by_ref();
    let clone = waker.clone();
    thread::spawn(move || clone.wake()).join().unwrap();
    run(async move { waker.wake() });
}

#[test]
fn a_task_that_wakes_itself_and_turns_its_loop_is_polled_once_more() {
    let engine = Rc::new(EventLoop::new().unwrap());
    let host = Host::new(&engine);
    let polls = Rc::new(Cell::new(0));
    let task = host.enter(&engine, || {
        let (engine, polls) = (engine.clone(), polls.clone());
        create_task(poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            if polls.get() == 3 {
                // The last step leaves a job behind.
                cx.waker().wake_by_ref();
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            if polls.get() == 1 {
                let Ok(_) = engine.turn(&mut PlainDriver);
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }))
    });
    for turn in 1..=4 {
        host.enter(&engine, || {
            let Ok(_) = engine.turn(&mut PlainDriver);
        });
        assert_eq!(polls.get(), turn.min(3));
    }
    assert!(task.done());
}

#[test]
fn a_task_that_wakes_itself_and_clears_its_loop_can_be_woken_again() {
    let engine = Rc::new(EventLoop::new().unwrap());
    let host = Host::new(&engine);
    let polls = Rc::new(Cell::new(0));
    let kept = Rc::new(Cell::new(None));
    let task = host.enter(&engine, || {
        let (engine, polls, kept) = (engine.clone(), polls.clone(), kept.clone());
        create_task(poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            cx.waker().wake_by_ref();
            engine.clear();
            kept.set(Some(cx.waker().clone()));
            match polls.get() {
                2 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        }))
    });
    for polled in 1..=2 {
        host.enter(&engine, || {
            let Ok(_) = engine.turn(&mut PlainDriver);
            assert_eq!(polls.get(), polled);
            engine.stop();
            let Ok(_) = engine.run(&mut PlainDriver);
            assert_eq!(polls.get(), polled);
            kept.take().unwrap().wake();
        });
    }
    assert!(task.done());
}

#[test]
fn a_waker_of_an_ended_task_does_nothing() {
    run(async {
        let waker = create_task(my_waker()).await.unwrap();
        let clone = waker.clone();
        thread::spawn(move || {
            clone.wake_by_ref();
            drop(clone.clone());
            clone.wake();
        })
        .join()
        .unwrap();
        waker.wake();
        yield_now().await.unwrap();
    });
}

#[test]
fn wakers_cloned_and_dropped_on_other_threads_race_with_the_end_of_the_task() {
    for _ in 0..200 {
        run(async {
            let (sender, receiver) = mpsc::channel::<Waker>();
            let thread = thread::spawn(move || {
                for waker in receiver {
                    let clones = [waker.clone(), waker.clone()];
                    drop(waker);
                    clones[0].wake_by_ref();
                    drop(clones);
                }
            });
            for _ in 0..3 {
                let sender = sender.clone();
                drop(create_task(async move {
                    sender.send(my_waker().await).unwrap();
                    yield_now().await.unwrap();
                }));
            }
            drop(sender);
            yield_now().await.unwrap();
            yield_now().await.unwrap();
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_borrowed_waker_works_on_a_scoped_thread() {
    run(async {
        let mut polled = false;
        poll_fn(|cx| {
            if polled {
                return Poll::Ready(());
            }
            polled = true;
            let waker = cx.waker();
            thread::scope(|scope| {
                scope.spawn(|| waker.wake_by_ref());
                scope.spawn(|| drop(waker.clone()));
            });
            Poll::Pending
        })
        .await;
    });
}

#[test]
fn a_waker_wakes_its_task_from_the_loop_of_another_thread() {
    let flag = Arc::new(Flag::default());
    run(async {
        let thread = {
            let flag = flag.clone();
            thread::spawn(move || run(async move { flag.set() }))
        };
        flag.wait().await;
        thread.join().unwrap();
    });
}

#[test]
fn a_task_woken_many_times_runs_once() {
    run(async {
        let polls = Rc::new(std::cell::Cell::new(0));
        let task = create_task({
            let polls = polls.clone();
            async move {
                poll_fn(|cx| {
                    polls.set(polls.get() + 1);
                    if polls.get() == 2 {
                        return Poll::Ready(());
                    }
                    for _ in 0..5 {
                        let owned = cx.waker().clone();
                        cx.waker().wake_by_ref();
                        owned.wake();
                    }
                    Poll::Pending
                })
                .await;
            }
        });
        task.await.unwrap();
        assert_eq!(polls.get(), 2);
        assert_eq!(all_tasks().len(), 1);
    });
}

#[test]
fn a_million_tasks_sleep_at_once() {
    use rasyncio::{gather_iter, runners::run_virtual, sleep};
    use std::time::Duration;
    run_virtual(async {
        let tasks = (0..1_000_000_u64).map(|n| async move {
            sleep(Duration::from_micros(n % 1000)).await.unwrap();
            n
        });
        let sum: u64 = gather_iter(tasks).await.unwrap().iter().sum();
        assert_eq!(sum, 499_999_500_000);
        assert_eq!(all_tasks().len(), 1);
    });
}
