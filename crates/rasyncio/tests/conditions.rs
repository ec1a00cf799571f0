//! Condition and barrier.

mod common;

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use common::Log;
use rasyncio::locks::{BarrierError, NotAcquired};
use rasyncio::{
    Barrier, Cancelled, Condition, Lock, Task, TaskError, create_task, current_task, yield_now,
};

async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await.unwrap();
    }
}

fn is_cancelled<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Cancelled(_)))
}

/// Tasks that wait for a notification and note their name.
fn waiters<const N: usize>(
    condition: &Rc<Condition>,
    log: &Log,
    names: [&'static str; N],
) -> [Task<Result<(), Cancelled>>; N] {
    names.map(|name| {
        let (condition, log) = (condition.clone(), log.clone());
        create_task(async move {
            let mut guard = condition.acquire().await?;
            let result = condition.wait(&mut guard).await;
            assert!(condition.locked() && guard.is_held());
            result?;
            log.note(name);
            Ok(())
        })
    })
}

#[rasyncio::test]
async fn notifications_go_to_those_who_came_first() {
    let (condition, log) = (Rc::new(Condition::new()), Log::default());
    let tasks = waiters(&condition, &log, ["a", "b", "c", "d"]);
    turns(1).await;
    for expected in [&["a"][..], &["b", "c"], &["d"]] {
        let guard = condition.acquire().await.unwrap();
        condition.notify(expected.len()).unwrap();
        drop(guard);
        turns(2).await;
        assert_eq!(log.take(), expected);
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[rasyncio::test]
async fn all_who_wait_are_notified_and_go_on_one_by_one() {
    let (condition, log) = (Rc::new(Condition::new()), Log::default());
    let tasks = waiters(&condition, &log, ["a", "b"]);
    turns(1).await;
    let guard = condition.acquire().await.unwrap();
    condition.notify_all().unwrap();
    turns(2).await;
    // The lock is held.
    assert!(log.take().is_empty());
    drop(guard);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(log.take(), ["a", "b"]);
}

#[rasyncio::test]
async fn one_notifies_with_the_lock_only() {
    let condition = Condition::new();
    assert_eq!(condition.notify(1), Err(NotAcquired));
    assert_eq!(condition.notify_all(), Err(NotAcquired));
    assert_eq!(condition.release(), Err(NotAcquired));
    let _guard = condition.acquire().await.unwrap();
    assert_eq!(condition.notify_all(), Ok(()));
}

#[rasyncio::test]
async fn wait_for_asks_after_every_notification() {
    let shared = Rc::new((Condition::new(), Cell::new(0), Cell::new(0)));
    let task = create_task({
        let shared = shared.clone();
        async move {
            let (condition, count, asked) = &*shared;
            let mut guard = condition.acquire().await?;
            let enough = || {
                asked.set(asked.get() + 1);
                count.get() == 2
            };
            condition.wait_for(&mut guard, enough).await
        }
    });
    turns(1).await;
    let (condition, count, asked) = &*shared;
    for _ in 0..2 {
        let guard = condition.acquire().await.unwrap();
        count.set(count.get() + 1);
        condition.notify(1).unwrap();
        drop(guard);
        turns(1).await;
    }
    task.await.unwrap().unwrap();
    assert_eq!(asked.get(), 3);
}

#[rasyncio::test]
async fn a_cancelled_wait_has_the_lock_again_before_it_answers() {
    let (condition, log) = (Rc::new(Condition::new()), Log::default());
    let [task] = waiters(&condition, &log, ["never"]);
    turns(1).await;
    let guard = condition.acquire().await.unwrap();
    task.cancel_with("first");
    turns(3).await;
    assert!(!task.done());
    task.cancel_with("second");
    turns(3).await;
    assert!(!task.done());
    drop(guard);
    let error = task.await.unwrap_err();
    assert_eq!(error.cancelled().unwrap().message(), Some("second"));
    assert!(log.take().is_empty() && !condition.locked());
}

#[rasyncio::test]
async fn a_notification_of_a_cancelled_wait_goes_to_the_next() {
    let (condition, log) = (Rc::new(Condition::new()), Log::default());
    let [first, second] = waiters(&condition, &log, ["first", "second"]);
    turns(1).await;
    let guard = condition.acquire().await.unwrap();
    condition.notify(1).unwrap();
    first.cancel();
    drop(guard);
    assert!(is_cancelled(&first.await));
    second.await.unwrap().unwrap();
}

#[rasyncio::test]
async fn a_cancelled_wait_that_was_not_notified_wakes_nobody() {
    let (condition, log) = (Rc::new(Condition::new()), Log::default());
    let [first, second] = waiters(&condition, &log, ["first", "second"]);
    turns(1).await;
    first.cancel();
    assert!(is_cancelled(&first.await));
    turns(3).await;
    assert!(!second.done());
    second.cancel();
    assert!(is_cancelled(&second.await));
}

#[rasyncio::test]
async fn a_wait_that_is_dropped_leaves_the_lock_released() {
    let condition = Condition::new();
    let mut guard = condition.acquire().await.unwrap();
    {
        let mut wait = pin!(condition.wait(&mut guard));
        poll_fn(|cx| {
            assert!(wait.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    assert!(!guard.is_held() && !condition.locked());
    let other = condition.acquire().await.unwrap();
    // This does not take it away from the other.
    drop(guard);
    assert!(condition.locked());
    drop(other);
}

#[rasyncio::test]
#[should_panic(expected = "cannot wait on un-acquired lock")]
async fn one_waits_with_the_condition_s_own_lock_only() {
    let (condition, other) = (Condition::new(), Lock::new());
    let mut guard = other.acquire().await.unwrap();
    let _ = condition.wait(&mut guard).await;
}

#[rasyncio::test]
async fn conditions_can_share_a_lock() {
    let lock = Rc::new(Lock::new());
    let conditions = Rc::new([(); 2].map(|()| Condition::with_lock(lock.clone())));
    let waiter = create_task({
        let conditions = conditions.clone();
        async move {
            let mut guard = conditions[0].acquire().await?;
            conditions[0].wait(&mut guard).await?;
            conditions[1].notify(1).unwrap();
            Ok::<_, Cancelled>(())
        }
    });
    turns(1).await;
    let mut guard = lock.acquire().await.unwrap();
    conditions[0].notify(1).unwrap();
    conditions[1].wait(&mut guard).await.unwrap();
    waiter.await.unwrap().unwrap();
}

/// Tasks that wait at a barrier.
fn parties<const N: usize>(barrier: &Rc<Barrier>) -> [Task<Result<usize, BarrierError>>; N] {
    [(); N].map(|()| {
        let barrier = barrier.clone();
        create_task(async move { barrier.wait().await })
    })
}

#[rasyncio::test]
async fn a_barrier_lets_all_go_when_the_last_has_come() {
    let barrier = Rc::new(Barrier::new(3));
    for _ in 0..2 {
        let [first, second] = parties(&barrier);
        turns(1).await;
        assert_eq!(barrier.n_waiting(), 2);
        assert_eq!(barrier.wait().await, Ok(2));
        assert_eq!(first.await.unwrap(), Ok(0));
        assert_eq!(second.await.unwrap(), Ok(1));
        assert_eq!(barrier.n_waiting(), 0);
    }
}

#[rasyncio::test]
async fn who_comes_early_waits_for_the_round_before_to_go() {
    let barrier = Rc::new(Barrier::new(2));
    let tasks: [_; 6] = parties(&barrier);
    let mut indexes = Vec::new();
    for task in tasks {
        indexes.push(task.await.unwrap().unwrap());
    }
    indexes.sort_unstable();
    assert_eq!(indexes, [0, 0, 0, 1, 1, 1]);
}

#[rasyncio::test]
async fn who_is_cancelled_at_a_barrier_does_not_count() {
    let barrier = Rc::new(Barrier::new(2));
    let [first] = parties(&barrier);
    turns(1).await;
    first.cancel();
    assert!(is_cancelled(&first.await));
    assert_eq!(barrier.n_waiting(), 0);
    let [second] = parties(&barrier);
    turns(1).await;
    assert!(!second.done());
    assert_eq!(barrier.wait().await, Ok(1));
    assert_eq!(second.await.unwrap(), Ok(0));
}

#[rasyncio::test]
async fn who_is_dropped_at_a_barrier_does_not_count() {
    let barrier = Barrier::new(2);
    {
        let mut wait = pin!(barrier.wait());
        poll_fn(|cx| {
            assert!(wait.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        assert_eq!(barrier.n_waiting(), 1);
    }
    assert_eq!(barrier.n_waiting(), 0);
}

#[rasyncio::test]
async fn a_reset_fails_those_who_wait_and_no_others() {
    let barrier = Rc::new(Barrier::new(3));
    let [first, second] = parties(&barrier);
    turns(1).await;
    barrier.reset();
    // This one has to wait until they are gone.
    let [third] = parties(&barrier);
    assert_eq!(first.await.unwrap(), Err(BarrierError::BrokenBarrier));
    assert_eq!(second.await.unwrap(), Err(BarrierError::BrokenBarrier));
    turns(2).await;
    assert!(!third.done() && !barrier.broken() && barrier.n_waiting() == 1);
    third.cancel();
    assert!(is_cancelled(&third.await));
}

#[rasyncio::test]
async fn an_abort_fails_those_who_come_too() {
    let barrier = Rc::new(Barrier::new(2));
    let [first] = parties(&barrier);
    turns(1).await;
    barrier.abort();
    assert_eq!(first.await.unwrap(), Err(BarrierError::BrokenBarrier));
    assert_eq!(barrier.wait().await, Err(BarrierError::BrokenBarrier));
    barrier.reset();
    assert!(!barrier.broken());
}

#[rasyncio::test]
async fn a_task_that_refuses_to_end_can_wait_at_the_barrier_again() {
    let barrier = Rc::new(Barrier::new(2));
    let stubborn = create_task({
        let barrier = barrier.clone();
        async move {
            assert!(barrier.wait().await.unwrap_err().cancelled().is_some());
            current_task().unwrap().uncancel();
            barrier.wait().await
        }
    });
    turns(1).await;
    stubborn.cancel();
    turns(1).await;
    assert_eq!(barrier.wait().await, Ok(1));
    assert_eq!(stubborn.await.unwrap(), Ok(0));
}
