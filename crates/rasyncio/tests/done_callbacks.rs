//! Callbacks for the end of a task, and results that are asked for without being taken.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::{Dropped, Log};
use rasyncio::{
    ContextVar, Runner, TaskError, create_task, current_task, events, sleep, wait, yield_now,
};

#[rasyncio::test]
async fn they_are_called_in_order_and_among_those_who_wait() {
    let log = Log::default();
    let note = |what: &'static str| {
        let call = log.call(what);
        move |_: &rasyncio::AnyTask| call()
    };
    let task = create_task(async {
        yield_now().await.unwrap();
        yield_now().await.unwrap();
    });
    task.add_done_callback(note("first"));
    let watched = (*task).clone();
    let waiting = create_task({
        let log = log.clone();
        async move {
            task.await.unwrap();
            log.note("awaited");
        }
    });
    yield_now().await.unwrap();
    watched.add_done_callback(note("second"));
    waiting.await.unwrap();
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["first", "awaited", "second"]);
}

#[rasyncio::test]
async fn one_runs_in_the_turn_after_the_end() {
    let log = Log::default();
    let task = create_task(log.noting("ended"));
    task.add_done_callback({
        let log = log.clone();
        move |task| log.note(format!("called, {}", task.done()))
    });
    create_task(log.noting("another task of that turn"));
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    assert_eq!(
        log.take(),
        ["ended", "another task of that turn", "called, true"]
    );
}

#[rasyncio::test]
async fn one_that_is_added_too_late_runs_soon() {
    let log = Log::default();
    let task = create_task(async {});
    wait([&task]).await.unwrap();
    task.add_done_callback({
        let call = log.call("late");
        move |_| call()
    });
    assert!(log.take().is_empty());
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["late"]);
}

#[rasyncio::test]
async fn one_that_is_taken_back_is_dropped_and_the_others_are_called() {
    let log = Log::default();
    let task = create_task(async {});
    let callbacks = ["a", "b", "c"].map(|what| {
        let guard = Dropped(log.clone(), what);
        task.add_done_callback(move |_| guard.0.note(format!("called {}", guard.1)))
    });
    let [a, b, c] = callbacks;
    assert!(b.remove());
    assert_eq!(log.take(), ["b"]);
    yield_now().await.unwrap();
    // As in asyncio, it is too late once the task has ended.
    assert!(task.done() && !c.remove());
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["called a", "a", "called c", "c"]);
    assert!(!a.remove());
}

#[rasyncio::test]
async fn one_runs_in_the_context_in_which_it_was_added() {
    static USER: ContextVar<&str> = ContextVar::new("user");
    let seen = Rc::new(RefCell::new(None));
    let task = create_task(async {});
    let token = USER.set("Ada");
    task.add_done_callback({
        let seen = seen.clone();
        move |_| *seen.borrow_mut() = USER.get()
    });
    USER.reset(token).unwrap();
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    assert_eq!(seen.take(), Some("Ada"));
}

#[rasyncio::test]
async fn a_panic_in_one_is_reported_and_the_next_is_called() {
    let log = Log::default();
    events::set_exception_handler({
        let log = log.clone();
        move |context| log.note(context.to_string())
    });
    let task = create_task(async {});
    task.add_done_callback(|_| panic!("oops"));
    task.add_done_callback({
        let call = log.call("next");
        move |_| call()
    });
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["Panic in a callback: panicked: oops", "next"]);
}

#[test]
fn those_of_tasks_that_a_runner_cancels_at_its_end_are_called() {
    let log = Log::default();
    let runner = Runner::new().unwrap();
    runner.run(async {
        let task = create_task(sleep(Duration::from_secs(3600)));
        let log = log.clone();
        task.add_done_callback(move |task| log.note(format!("cancelled: {}", task.cancelled())));
    });
    assert!(log.take().is_empty());
    drop(runner);
    assert_eq!(log.take(), ["cancelled: true"]);
}

#[rasyncio::test]
async fn a_result_may_be_asked_for_before_it_is_taken() {
    let mut task = create_task(async { String::from("fine") });
    assert!(task.result().is_none());
    wait([&task]).await.unwrap();
    for _ in 0..2 {
        assert_eq!(task.result().unwrap().unwrap(), "fine");
    }
    assert_eq!((&mut task).await.unwrap(), "fine");
    assert!(task.result().is_none());
}

#[rasyncio::test]
async fn a_cancellation_is_a_result() {
    let task = create_task(sleep(Duration::from_secs(60)));
    yield_now().await.unwrap();
    task.cancel_with("no longer needed");
    wait([&task]).await.unwrap();
    let Some(Err(TaskError::Cancelled(cancelled))) = task.result() else {
        panic!("it was cancelled")
    };
    assert_eq!(cancelled.message(), Some("no longer needed"));
}

#[rasyncio::test]
async fn whoever_has_asked_has_seen_the_panic() {
    let log = Log::default();
    events::set_exception_handler({
        let log = log.clone();
        move |context| log.note(context.to_string())
    });
    let task = create_task(async { panic!("oops") });
    wait([&task]).await.unwrap();
    let error = task.result().unwrap().unwrap_err();
    assert_eq!(error.panicked().unwrap().message(), "oops");
    drop(task);
    assert!(log.take().is_empty());
}

#[rasyncio::test]
async fn a_callback_may_drop_the_task() {
    let task = Rc::new(RefCell::new(None));
    let new = create_task(async { String::from("output") });
    new.add_done_callback({
        let task = task.clone();
        move |_| drop(task.take())
    });
    task.replace(Some(new));
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    assert!(task.take().is_none() && current_task().is_some());
}
