//! What runs when: the order that asyncio guarantees, turn by turn.

mod common;

use std::rc::Rc;
use std::time::Duration;

use common::Log;
use rasyncio::{Event, TaskError, create_task, events, gather, sleep, yield_now};

#[rasyncio::test]
async fn a_task_starts_in_the_next_turn_and_not_at_once() {
    let log = Log::default();
    let task = create_task(log.noting("task"));
    log.note("creator");
    task.await.unwrap();
    assert_eq!(log.take(), ["creator", "task"]);
}

#[rasyncio::test]
async fn tasks_run_in_the_order_in_which_they_were_created() {
    let log = Log::default();
    let tasks: Vec<_> = ["a", "b", "c"]
        .map(|name| create_task(log.noting(name)))
        .into();
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["a", "b", "c"]);
    assert!(tasks.iter().all(|task| task.done()));
}

#[rasyncio::test]
async fn yielding_tasks_take_turns() {
    let log = Log::default();
    let worker = |name: &'static str| {
        let log = log.clone();
        async move {
            for _ in 0..3 {
                log.note(name);
                yield_now().await.unwrap();
            }
        }
    };
    gather((worker("a"), worker("b"))).await.unwrap();
    assert_eq!(log.take(), ["a", "b", "a", "b", "a", "b"]);
}

#[rasyncio::test]
async fn sleepers_wake_by_deadline_and_then_by_age() {
    let log = Log::default();
    let sleeper = |name: &'static str, milliseconds| {
        let log = log.clone();
        async move {
            sleep(Duration::from_millis(milliseconds)).await.unwrap();
            log.note(name);
        }
    };
    gather((
        sleeper("late", 20),
        sleeper("early, older", 10),
        sleeper("early, younger", 10),
    ))
    .await
    .unwrap();
    assert_eq!(log.take(), ["early, older", "early, younger", "late"]);
}

#[rasyncio::test]
async fn who_awaits_a_task_runs_one_turn_after_its_end() {
    let log = Log::default();
    let child = create_task(log.noting("child"));
    events::call_soon(log.call("same turn as the child"));
    let counter = create_task(log.counting_turns(3));
    child.await.unwrap();
    log.note("awaiter");
    counter.await.unwrap();
    assert_eq!(
        log.take(),
        [
            "child",
            "same turn as the child",
            "turn 1",
            "awaiter",
            "turn 2",
            "turn 3"
        ]
    );
}

#[rasyncio::test]
async fn who_awaits_a_gathering_runs_two_turns_after_the_last_task() {
    let log = Log::default();
    let counter = create_task(log.counting_turns(4));
    let children = gather((log.noting("a"), log.noting("b")));
    children.await.unwrap();
    log.note("awaiter");
    counter.await.unwrap();
    assert_eq!(
        log.take(),
        ["turn 1", "a", "b", "turn 2", "turn 3", "awaiter", "turn 4"]
    );
}

#[rasyncio::test]
async fn awaiting_a_task_that_has_ended_does_not_suspend() {
    let log = Log::default();
    let task = create_task(async { 1 });
    yield_now().await.unwrap();
    events::call_soon(log.call("next turn"));
    assert_eq!(task.await.unwrap(), 1);
    assert!(log.take().is_empty());
}

#[rasyncio::test]
async fn awaiting_a_gathering_of_nothing_or_of_ended_tasks_does_not_suspend() {
    let log = Log::default();
    let task = create_task(async { 1 });
    yield_now().await.unwrap();
    events::call_soon(log.call("next turn"));
    assert_eq!(gather([task]).await.unwrap(), [1]);
    let nothing = gather(Vec::<std::future::Ready<()>>::new()).await.unwrap();
    assert!(nothing.is_empty());
    assert!(log.take().is_empty());
}

#[rasyncio::test]
async fn setting_an_event_wakes_all_in_the_order_in_which_they_came() {
    let log = Log::default();
    let event = Rc::new(Event::new());
    let waiters = ["a", "b", "c"].map(|name| {
        let (log, event) = (log.clone(), event.clone());
        create_task(async move {
            event.wait().await.unwrap();
            log.note(name);
        })
    });
    yield_now().await.unwrap();
    event.set();
    event.clear();
    gather(waiters).await.unwrap();
    assert_eq!(log.take(), ["a", "b", "c"]);
}

#[rasyncio::test]
async fn callbacks_and_tasks_share_one_queue() -> Result<(), TaskError> {
    let log = Log::default();
    events::call_soon(log.call("1"));
    let two = create_task(log.noting("2"));
    events::call_soon(log.call("3"));
    two.await?;
    assert_eq!(log.take(), ["1", "2", "3"]);
    Ok(())
}

#[rasyncio::test]
async fn a_cancelled_task_runs_in_the_next_turn() {
    let log = Log::default();
    let sleeper = create_task({
        let log = log.clone();
        async move {
            let _ = sleep(Duration::from_secs(1)).await;
            log.note("cancelled");
        }
    });
    yield_now().await.unwrap();
    events::call_soon(log.call("before"));
    sleeper.cancel();
    events::call_soon(log.call("after"));
    log.note("canceller");
    assert!(sleeper.await.is_err());
    assert_eq!(log.take(), ["canceller", "before", "cancelled", "after"]);
}

#[rasyncio::test]
async fn a_cancellation_reaches_the_innermost_task_in_the_same_instant() {
    let log = Log::default();
    let inner = create_task({
        let log = log.clone();
        async move {
            let _ = sleep(Duration::from_secs(1)).await;
            log.note("innermost");
        }
    });
    let outer = create_task(async { create_task(async { inner.await }).await });
    for _ in 0..3 {
        yield_now().await.unwrap();
    }
    outer.cancel();
    events::call_soon(log.call("scheduled later"));
    assert!(outer.await.is_err());
    assert_eq!(log.take(), ["innermost", "scheduled later"]);
}
