//! What tasks, timers, waits and wakers leave behind: nothing.
//!
//! One test in a process of its own, for it counts all that is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use rasyncio::{
    Condition, Event, Lock, Queue, Semaphore, all_tasks, cancellable, create_task, gather_iter,
    run, sleep, yield_now,
};

/// The system's allocator, with a count of the bytes in use.
struct Counting;

static IN_USE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is left to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MANY: usize = 10_000;
const LONG: Duration = Duration::from_secs(3600);

async fn my_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// Every way for a task to come and go.
async fn round(wakers: &mpsc::Sender<Option<Waker>>) {
    let event = Rc::new(Event::new());
    for _ in 0..MANY {
        create_task(async { 1 }).await.unwrap();
        create_task(yield_now());
    }
    yield_now().await.unwrap();

    let waiting = (0..MANY).map(|which| {
        let event = event.clone();
        create_task(async move {
            match which % 3 {
                0 => sleep(LONG).await,
                1 => event.wait().await,
                _ => cancellable(std::future::pending()).await,
            }
        })
    });
    let waiting: Vec<_> = waiting.collect();
    yield_now().await.unwrap();
    for task in &waiting {
        task.cancel();
    }
    for task in waiting {
        assert!(task.await.is_err());
    }

    gather_iter((0..MANY).map(|_| sleep(Duration::from_nanos(1))))
        .await
        .unwrap();
    drop(gather_iter((0..MANY).map(|_| sleep(Duration::ZERO))));

    for _ in 0..MANY / 10 {
        let wakers = wakers.clone();
        create_task(async move {
            wakers.send(Some(my_waker().await)).unwrap();
            drop(my_waker().await);
        });
    }
    while all_tasks().len() > 1 {
        yield_now().await.unwrap();
    }
}

/// Locks and queues that live on.
struct Shared {
    lock: Lock,
    condition: Condition,
    semaphore: Semaphore,
    queue: Queue<Box<usize>>,
    full: Queue<Box<usize>>,
}

/// Every way to wait for those: to get something, to be cancelled, to be dropped.
async fn waits(shared: &Rc<Shared>) {
    let guard = shared.lock.acquire().await.unwrap();
    let condition_guard = shared.condition.acquire().await.unwrap();
    let waiting = (0..MANY).map(|which| {
        let shared = shared.clone();
        create_task(async move {
            match which % 5 {
                0 => drop(shared.lock.acquire().await),
                1 => {
                    if let Ok(mut guard) = shared.condition.acquire().await {
                        let _ = shared.condition.wait(&mut guard).await;
                    }
                }
                2 => drop(shared.semaphore.acquire().await),
                3 => drop(shared.queue.get().await),
                _ => drop(shared.full.put(Box::new(which)).await),
            }
        })
    });
    let waiting: Vec<_> = waiting.collect();
    yield_now().await.unwrap();
    drop(condition_guard);
    // One after the other gets the condition's lock, and waits.
    for _ in 0..MANY {
        yield_now().await.unwrap();
    }
    for (which, task) in waiting.iter().enumerate() {
        if which % 7 < 4 {
            task.cancel();
        }
    }
    drop(guard);
    shared.condition.acquire().await.unwrap().forget();
    shared.condition.notify_all().unwrap();
    shared.condition.release().unwrap();
    for which in 0..MANY {
        shared.semaphore.release();
        shared.queue.put_nowait(Box::new(which)).unwrap();
        if let Ok(item) = shared.full.get_nowait() {
            drop(item);
        }
        yield_now().await.unwrap();
    }
    for task in waiting {
        let _ = task.await;
    }
    // As it was before.
    while let Some(permit) = shared.semaphore.try_acquire() {
        permit.forget();
    }
    while shared.queue.get_nowait().is_ok() {}
    while !shared.full.full() {
        let _ = shared.full.put_nowait(Box::new(0));
    }
}

#[test]
fn nothing_is_left_behind() {
    let (wakers, received) = mpsc::channel::<Option<Waker>>();
    let (done, all_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        for waker in received {
            match waker {
                Some(waker) => {
                    drop(waker.clone());
                    waker.wake();
                }
                None => done.send(()).unwrap(),
            }
        }
    });
    let shared = Rc::new(Shared {
        lock: Lock::new(),
        condition: Condition::new(),
        semaphore: Semaphore::new(0),
        queue: Queue::new(0),
        full: Queue::new(1),
    });
    shared.full.put_nowait(Box::new(0)).unwrap();
    run(async {
        let mut before = isize::MIN;
        // The first rounds find out how large queues have to be, and so may a later one, since threads
        // are fast or slow as they like. What leaks does so in every round.
        for _ in 0..12 {
            round(&wakers).await;
            waits(&shared).await;
            // The other thread is done with what it got once it answers to this.
            wakers.send(None).unwrap();
            all_done.recv().unwrap();
            yield_now().await.unwrap();
            let now = IN_USE.load(Ordering::Relaxed);
            if now.saturating_sub(before) < 16 * 1024 && before != isize::MIN {
                return;
            }
            before = now;
        }
        panic!("every round leaves something behind");
    });
    drop(wakers);
    thread.join().unwrap();
}
