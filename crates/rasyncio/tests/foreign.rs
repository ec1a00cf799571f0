//! Futures of other crates: awaited, woken from other threads, cancelled, dropped.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rasyncio::{
    Event, Queue, TaskGroup, cancellable, create_task, gather, run, sleep, timeout, wait_for,
    yield_now,
};

#[test]
fn a_tokio_channel_between_a_thread_and_a_task() {
    let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
    run(async {
        let thread =
            thread::spawn(move || (0..1000).for_each(|n| sender.blocking_send(n).unwrap()));
        let mut sum = 0;
        while let Some(number) = receiver.recv().await {
            sum += number;
        }
        assert_eq!(sum, 499_500);
        thread.join().unwrap();
    });
}

#[test]
fn an_async_channel_between_two_loops() {
    let (to, from) = async_channel::bounded(1);
    let (back, answers) = async_channel::bounded(1);
    let other = thread::spawn(move || {
        run(async {
            while let Ok(number) = from.recv().await {
                back.send(number * 2).await.unwrap();
            }
        });
    });
    run(async {
        for number in 0..500 {
            to.send(number).await.unwrap();
            assert_eq!(answers.recv().await.unwrap(), number * 2);
        }
        drop(to);
    });
    other.join().unwrap();
}

#[test]
fn a_futures_channel_between_tasks() {
    run(async {
        let (mut sender, receiver) = futures_channel::mpsc::channel(1);
        let sending = create_task(async move {
            for number in 0..100 {
                sender.send(number).await.unwrap();
            }
        });
        let numbers: Vec<i32> = receiver.collect().await;
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
        sending.await.unwrap();
    });
}

#[test]
fn a_tokio_mutex_and_semaphore_keep_their_order() {
    run(async {
        let mutex = Rc::new(tokio::sync::Mutex::new(Vec::new()));
        let one = tokio::sync::Semaphore::new(1);
        let tasks = (0..5).map(|number| {
            let mutex = mutex.clone();
            create_task(async move {
                let mut numbers = mutex.lock().await;
                yield_now().await.unwrap();
                numbers.push(number);
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        assert_eq!(*mutex.lock().await, [0, 1, 2, 3, 4]);
        let permit = one.acquire().await.unwrap();
        assert!(one.try_acquire().is_err());
        drop(permit);
    });
}

#[rasyncio::test]
async fn wrapped_it_is_cancelled_and_what_it_waited_for_goes_to_others() {
    let (sender, receiver) = async_channel::unbounded();
    let lost = create_task({
        let receiver = receiver.clone();
        async move {
            cancellable(receiver.recv())
                .await
                .map(|received| received.unwrap())
        }
    });
    let kept = create_task(async move { receiver.recv().await.unwrap() });
    yield_now().await.unwrap();
    lost.cancel();
    assert!(lost.await.unwrap_err().cancelled().is_some());
    sender.send(1).await.unwrap();
    assert_eq!(kept.await.unwrap(), 1);
}

#[rasyncio::test]
async fn a_time_limit_ends_a_wrapped_one_by_a_request_to_end() {
    let (_sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let limited = timeout(Duration::from_secs(1), cancellable(receiver)).await;
    assert!(limited.is_err());
    let (_sender, mut receiver) = tokio::sync::mpsc::unbounded_channel::<()>();
    let received = wait_for(cancellable(receiver.recv()), Duration::from_secs(1)).await;
    assert!(received.is_err());
}

#[rasyncio::test]
async fn dropped_it_leaves_nothing() {
    let semaphore = tokio::sync::Semaphore::new(0);
    let mut waiting = Box::pin(semaphore.acquire());
    let polled = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
    assert!(polled.await);
    drop(waiting);
    semaphore.add_permits(1);
    assert!(semaphore.try_acquire().is_ok());
}

#[rasyncio::test]
async fn select_drops_what_of_ours_has_lost_and_nothing_is_lost() {
    let queue = Queue::new(0);
    let event = Event::new();
    for number in 0..10 {
        tokio::select! {
            biased;
            item = queue.get() => unreachable!("{item:?}"),
            waited = event.wait() => unreachable!("{waited:?}"),
            slept = sleep(Duration::from_secs(1)) => slept.unwrap(),
        }
        queue.put_nowait(number).unwrap();
        assert_eq!(queue.get().await.unwrap(), number);
    }
}

#[rasyncio::test]
async fn a_task_of_ours_is_awaited_inside_of_a_foreign_combinator() {
    let tasks: futures_util::stream::FuturesUnordered<_> = [3, 1, 2]
        .map(|seconds| {
            IntoFuture::into_future(create_task(async move {
                sleep(Duration::from_secs(seconds)).await.unwrap();
                seconds
            }))
        })
        .into_iter()
        .collect();
    let order: Vec<u64> = tasks.map(Result::unwrap).collect().await;
    assert_eq!(order, [1, 2, 3]);
}

#[rasyncio::test]
async fn cancelling_reaches_ours_inside_of_a_foreign_combinator() {
    let task = create_task(async {
        let mut slept = pin!(sleep(Duration::from_secs(60)));
        let mut never = pin!(pending::<()>());
        tokio::select! {
            slept = &mut slept => slept,
            () = &mut never => unreachable!(),
        }
    });
    yield_now().await.unwrap();
    task.cancel();
    assert!(task.await.unwrap_err().cancelled().is_some());
}

#[rasyncio::test]
async fn a_group_waits_for_foreign_futures_as_for_others() {
    let (sender, receiver) = futures_channel::oneshot::channel();
    let group = TaskGroup::new();
    let ended = group.run(async {
        let got = group.create_task(async { receiver.await.map_err(|_| "dropped") });
        group.create_task(async {
            sleep(Duration::from_secs(1)).await.unwrap();
            sender.send(7).map_err(|_| "unwanted")
        });
        Ok(got)
    });
    ended.await.unwrap();
}

#[test]
fn what_never_wakes_ends_with_the_run() {
    use std::cell::Cell;
    struct Ended(Rc<Cell<u32>>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let ended = Rc::new(Cell::new(0));
    let guard = || Ended(ended.clone());
    run(async {
        let deaf = guard();
        let innermost = create_task(async move {
            let _guard = deaf;
            pending::<()>().await;
        });
        let outer = guard();
        create_task(async move {
            let _guard = outer;
            let _ = innermost.await;
        });
        let limited = guard();
        create_task(async move {
            let _guard = limited;
            let _ = timeout(Duration::from_secs(3600), pending::<()>()).await;
        });
        let gathered = guard();
        create_task(async move {
            let _guard = gathered;
            let _ = gather((pending::<()>(), sleep(Duration::from_secs(3600)))).await;
        });
        // A clean-up may await what it likes.
        let cleaning = guard();
        create_task(async move {
            let _ = sleep(Duration::from_secs(3600)).await;
            let (sender, receiver) = tokio::sync::oneshot::channel();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                sender.send(()).unwrap();
            });
            receiver.await.unwrap();
            drop(cleaning);
        });
        yield_now().await.unwrap();
        yield_now().await.unwrap();
    });
    assert_eq!(ended.get(), 5);
}
