//! Lock, event and semaphores: who gets what, when, and what cancelling and dropping do.

mod common;

use std::rc::Rc;

use common::Log;
use rasyncio::locks::{NotAcquired, ReleasedTooOften};
use rasyncio::{
    BoundedSemaphore, Cancelled, Event, Lock, Semaphore, Task, TaskError, create_task,
    current_task, events, yield_now,
};

async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await.unwrap();
    }
}

fn is_cancelled<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Cancelled(_)))
}

/// Tasks that acquire the lock, note their name, and release it a turn later.
fn contenders<const N: usize>(
    lock: &Rc<Lock>,
    log: &Log,
    names: [&'static str; N],
) -> [Task<Result<(), Cancelled>>; N] {
    names.map(|name| {
        let (lock, log) = (lock.clone(), log.clone());
        create_task(async move {
            let _guard = lock.acquire().await?;
            log.note(name);
            yield_now().await
        })
    })
}

#[rasyncio::test]
async fn a_lock_goes_from_one_to_the_next_in_the_order_in_which_they_came() {
    let (lock, log) = (Rc::new(Lock::new()), Log::default());
    let tasks = contenders(&lock, &log, ["a", "b", "c"]);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(log.take(), ["a", "b", "c"]);
    assert!(!lock.locked());
}

#[rasyncio::test]
async fn who_is_woken_has_the_lock_a_turn_later_and_nobody_gets_ahead() {
    let (lock, log) = (Rc::new(Lock::new()), Log::default());
    let guard = lock.acquire().await.unwrap();
    let [waiter] = contenders(&lock, &log, ["waiter"]);
    turns(1).await;
    guard.release();
    assert!(!lock.locked() && lock.try_acquire().is_none());
    events::call_soon(log.call("scheduled later"));
    let guard = lock.acquire().await.unwrap();
    assert_eq!(log.take(), ["waiter", "scheduled later"]);
    drop(guard);
    waiter.await.unwrap().unwrap();
}

#[rasyncio::test]
async fn acquiring_what_is_free_does_not_suspend_and_is_not_cancelled() {
    let task = create_task(async {
        let (lock, event, semaphore) = (Lock::new(), Event::new(), Semaphore::new(1));
        event.set();
        current_task().unwrap().cancel();
        assert!(lock.acquire().await.is_ok());
        assert!(event.wait().await.is_ok());
        assert!(semaphore.acquire().await.is_ok());
        // This suspends.
        assert_eq!(yield_now().await, Err(Cancelled::new()));
    });
    assert!(is_cancelled(&task.await));
}

#[rasyncio::test]
async fn a_waiter_that_is_cancelled_is_passed_over() {
    let (lock, log) = (Rc::new(Lock::new()), Log::default());
    let guard = lock.acquire().await.unwrap();
    let [first, second, third] = contenders(&lock, &log, ["first", "second", "third"]);
    turns(1).await;
    second.cancel();
    assert!(is_cancelled(&second.await));
    drop(guard);
    first.await.unwrap().unwrap();
    third.await.unwrap().unwrap();
    assert_eq!(log.take(), ["first", "third"]);
}

#[rasyncio::test]
async fn who_is_cancelled_after_it_was_woken_hands_the_lock_on() {
    let (lock, log) = (Rc::new(Lock::new()), Log::default());
    let guard = lock.acquire().await.unwrap();
    let [first, second] = contenders(&lock, &log, ["first", "second"]);
    turns(1).await;
    drop(guard);
    first.cancel();
    assert!(is_cancelled(&first.await));
    second.await.unwrap().unwrap();
    assert_eq!(log.take(), ["second"]);
}

#[rasyncio::test]
async fn an_acquire_that_is_dropped_after_it_was_woken_hands_the_lock_on() {
    let (lock, log) = (Rc::new(Lock::new()), Log::default());
    let guard = lock.acquire().await.unwrap();
    let mut acquire = Box::pin(lock.acquire());
    std::future::poll_fn(|cx| {
        assert!(acquire.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    let [second] = contenders(&lock, &log, ["second"]);
    turns(1).await;
    drop(guard);
    drop(acquire);
    second.await.unwrap().unwrap();
}

#[rasyncio::test]
async fn a_task_that_refuses_to_end_acquires_again() {
    let lock = Rc::new(Lock::new());
    let guard = lock.acquire().await.unwrap();
    let stubborn = create_task({
        let lock = lock.clone();
        async move {
            let mut refused = 0;
            loop {
                match lock.acquire().await {
                    Ok(_) => break refused,
                    Err(_) => {
                        current_task().unwrap().uncancel();
                        refused += 1;
                    }
                }
            }
        }
    });
    for _ in 0..3 {
        turns(1).await;
        stubborn.cancel();
    }
    turns(1).await;
    drop(guard);
    assert_eq!(stubborn.await.unwrap(), 3);
}

#[rasyncio::test]
async fn a_forgotten_guard_is_released_by_hand_and_once() {
    let lock = Lock::new();
    lock.acquire().await.unwrap().forget();
    assert!(lock.locked());
    assert_eq!(lock.release(), Ok(()));
    assert_eq!(lock.release(), Err(NotAcquired));
}

#[rasyncio::test]
async fn a_guard_is_released_by_a_panic() {
    let lock = Rc::new(Lock::new());
    let task = create_task({
        let lock = lock.clone();
        async move {
            let _guard = lock.acquire().await;
            panic!("oops");
        }
    });
    assert!(task.await.unwrap_err().panicked().is_some());
    assert!(!lock.locked());
}

#[rasyncio::test]
async fn an_event_wakes_those_who_waited_even_if_it_is_cleared_at_once() {
    let event = Rc::new(Event::new());
    let waiter = create_task({
        let event = event.clone();
        async move { event.wait().await }
    });
    turns(1).await;
    event.set();
    event.clear();
    waiter.await.unwrap().unwrap();
    assert!(!event.is_set());
}

#[rasyncio::test]
async fn who_is_cancelled_and_woken_in_one_turn_is_cancelled() {
    let event = Rc::new(Event::new());
    let waiter = create_task({
        let event = event.clone();
        async move { event.wait().await }
    });
    turns(1).await;
    waiter.cancel_with("why not");
    event.set();
    let error = waiter.await.unwrap_err();
    assert_eq!(error.cancelled().unwrap().message(), Some("why not"));
}

/// Tasks that take a permit, note their name, and keep it for a turn.
fn takers<const N: usize>(
    semaphore: &Rc<Semaphore>,
    log: &Log,
    names: [&'static str; N],
) -> [Task<Result<(), Cancelled>>; N] {
    names.map(|name| {
        let (semaphore, log) = (semaphore.clone(), log.clone());
        create_task(async move {
            let _permit = semaphore.acquire().await?;
            log.note(name);
            yield_now().await
        })
    })
}

#[rasyncio::test]
async fn permits_go_to_those_who_came_first() {
    let (semaphore, log) = (Rc::new(Semaphore::new(2)), Log::default());
    let tasks = takers(&semaphore, &log, ["a", "b", "c", "d", "e"]);
    turns(1).await;
    assert!(semaphore.locked() && semaphore.value() == 0);
    assert_eq!(log.take(), ["a", "b"]);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(log.take(), ["c", "d", "e"]);
    assert_eq!(semaphore.value(), 2);
}

#[rasyncio::test]
async fn who_is_cancelled_after_it_was_woken_hands_its_permit_on() {
    let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::default());
    let [first, second, third] = takers(&semaphore, &log, ["first", "second", "third"]);
    turns(1).await;
    semaphore.release();
    semaphore.release();
    first.cancel();
    second.cancel();
    assert!(is_cancelled(&first.await) && is_cancelled(&second.await));
    third.await.unwrap().unwrap();
    assert_eq!(semaphore.value(), 2);
}

#[rasyncio::test]
async fn a_permit_can_be_kept_for_good_or_made_by_hand() {
    let semaphore = Semaphore::new(1);
    semaphore.acquire().await.unwrap().forget();
    assert_eq!(semaphore.value(), 0);
    semaphore.release();
    semaphore.release();
    assert_eq!(semaphore.value(), 2);
    assert!(semaphore.try_acquire().is_some());
}

#[rasyncio::test]
async fn a_bounded_semaphore_is_not_released_too_often() {
    let semaphore = BoundedSemaphore::new(1);
    let permit = semaphore.acquire().await.unwrap();
    assert!(semaphore.locked() && semaphore.try_acquire().is_none());
    assert_eq!(semaphore.release(), Ok(()));
    assert_eq!(semaphore.release(), Err(ReleasedTooOften));
    // That of which the permit is dropped now was given back by hand.
    drop(permit);
    assert_eq!(semaphore.value(), 1);
}

#[test]
fn what_they_show() {
    let (lock, event, semaphore) = (Lock::new(), Event::new(), Semaphore::new(3));
    let _guard = lock.try_acquire();
    let shown = format!("{lock:?} {event:?} {semaphore:?}");
    assert_eq!(
        shown,
        "Lock { locked: true, waiters: 0 } Event { set: false, waiters: 0 } \
         Semaphore { value: 3, waiters: 0 }"
    );
}
