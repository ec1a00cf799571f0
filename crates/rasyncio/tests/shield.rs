//! `shield`: awaiting without passing cancellations on.

mod common;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use common::Log;
use rasyncio::{TaskError, create_task, events, shield, sleep, yield_now};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_secs(1);

fn is_cancelled<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Cancelled(_)))
}

#[rasyncio::test]
async fn the_output_comes_through() {
    assert_eq!(shield(async { 5 }).await.unwrap(), 5);
    let mut task = create_task(async { 6 });
    assert_eq!(shield(&mut task).await.unwrap(), 6);
    let done = create_task(async { 7 });
    yield_now().await.unwrap();
    assert_eq!(shield(done).await.unwrap(), 7);
}

#[rasyncio::test]
async fn a_cancellation_stops_at_it() {
    let log = Log::default();
    let outer = create_task({
        let log = log.clone();
        async move {
            let inner = {
                let log = log.clone();
                async move {
                    sleep(SHORT).await.unwrap();
                    log.note("inner ended");
                }
            };
            let result = shield(inner).await;
            log.note(format!("outer cancelled: {}", is_cancelled(&result)));
        }
    });
    yield_now().await.unwrap();
    outer.cancel();
    assert!(is_cancelled(&outer.await));
    assert_eq!(log.take(), ["outer cancelled: true"]);
    sleep(LONG).await.unwrap();
    assert_eq!(log.take(), ["inner ended"]);
}

#[rasyncio::test]
async fn a_borrowed_task_is_there_afterwards() {
    let outer = create_task(async {
        let mut inner = create_task(async {
            sleep(SHORT).await.unwrap();
            5
        });
        assert!(is_cancelled(&shield(&mut inner).await));
        assert_eq!(inner.cancelling(), 0);
        rasyncio::current_task().unwrap().uncancel();
        inner.await.unwrap()
    });
    yield_now().await.unwrap();
    outer.cancel();
    assert_eq!(outer.await.unwrap(), 5);
}

#[rasyncio::test]
async fn the_end_of_the_inner_task_by_cancellation_does_not_cancel_the_outer() {
    let inner = create_task(sleep(LONG));
    let inner_any = (*inner).clone();
    let outer = create_task(async move { is_cancelled(&shield(inner).await) });
    yield_now().await.unwrap();
    inner_any.cancel();
    assert!(outer.await.unwrap());
}

#[rasyncio::test]
async fn a_cancellation_that_comes_with_the_output_wins() {
    let log = Log::default();
    let mut inner = create_task(async {
        yield_now().await.unwrap();
        5
    });
    let inner_any = (*inner).clone();
    let outer = create_task({
        let log = log.clone();
        async move {
            let shielded = is_cancelled(&shield(&mut inner).await);
            log.note(format!("{shielded} {}", inner.await.unwrap()));
        }
    });
    while !inner_any.done() {
        yield_now().await.unwrap();
    }
    outer.cancel();
    assert!(is_cancelled(&outer.await));
    assert_eq!(log.take(), ["true 5"]);
}

#[rasyncio::test]
async fn one_turn_passes_between_the_inner_end_and_the_note_of_it() {
    let log = Log::default();
    create_task({
        let log = log.clone();
        async move {
            let _ = shield(log.noting("inner")).await;
            log.note("outer");
        }
    });
    log.counting_turns(6).await;
    // asyncio's order: the shield's callback, and then the wake-up of who awaits it.
    assert_eq!(
        log.take(),
        [
            "turn 1", "turn 2", "inner", "turn 3", "turn 4", "outer", "turn 5", "turn 6"
        ]
    );
}

#[rasyncio::test]
async fn a_panic_after_the_outer_was_cancelled_is_reported() {
    let seen = Rc::new(RefCell::new(String::new()));
    events::set_exception_handler({
        let seen = seen.clone();
        move |context| *seen.borrow_mut() = context.to_string()
    });
    let outer = create_task(async {
        let inner = rasyncio::tasks::Builder::new()
            .name("inner")
            .create_task(async {
                sleep(SHORT).await.unwrap();
                panic!("unseen");
            });
        let _: Result<(), _> = shield(inner).await;
    });
    yield_now().await.unwrap();
    outer.cancel();
    let _ = outer.await;
    sleep(LONG).await.unwrap();
    assert_eq!(
        *seen.borrow(),
        "Task panic was never retrieved: task \"inner\": panicked: unseen"
    );
}
