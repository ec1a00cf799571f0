//! Futures whose result somebody brings.

mod common;

use common::{Dropped, Log};
use rasyncio::futures::{FutureError, InvalidStateError, create_future};
use rasyncio::{Cancelled, create_task, current_task, yield_now};

#[rasyncio::test]
async fn the_result_is_awaited() {
    let (promise, future) = create_future::<_, ()>();
    let waiting = create_task(future);
    yield_now().await.unwrap();
    assert!(!promise.done());
    promise.set_result("result").unwrap();
    assert!(promise.done() && !promise.cancelled());
    assert_eq!(waiting.await.unwrap(), Ok("result"));
}

#[rasyncio::test]
async fn it_ends_once() {
    let (promise, future) = create_future();
    promise.set_result(1).unwrap();
    assert_eq!(promise.set_result(2), Err(InvalidStateError(2)));
    assert_eq!(promise.set_exception("no"), Err(InvalidStateError("no")));
    assert!(!promise.cancel() && !future.cancel());
    assert_eq!(future.await, Ok(1));
}

#[rasyncio::test]
async fn cancelling_who_awaits_cancels_the_future() {
    let (promise, future) = create_future::<(), ()>();
    let waiting = create_task(async move {
        let error = future.await.unwrap_err();
        assert_eq!(error, FutureError::Cancelled(Cancelled::new()));
    });
    yield_now().await.unwrap();
    waiting.cancel();
    assert!(promise.cancelled());
    assert!(waiting.await.is_err());
    assert_eq!(promise.set_result(()), Err(InvalidStateError(())));
}

#[rasyncio::test]
async fn a_result_that_comes_in_the_turn_of_the_cancellation_loses() {
    let (promise, future) = create_future::<u32, ()>();
    let waiting = create_task(async move {
        let outcome = future.await;
        current_task().unwrap().uncancel();
        outcome
    });
    yield_now().await.unwrap();
    promise.set_result(1).unwrap();
    waiting.cancel();
    let outcome = waiting.await.unwrap();
    assert_eq!(outcome, Err(FutureError::Cancelled(Cancelled::new())));
}

#[rasyncio::test]
async fn a_cancelled_future_ends_who_awaits_it_as_cancelled() {
    let (promise, future) = create_future::<(), ()>();
    let waiting = create_task(future);
    yield_now().await.unwrap();
    assert!(promise.cancel());
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error, FutureError::Cancelled(Cancelled::new()));
}

#[rasyncio::test]
async fn a_promise_that_is_dropped_cancels() {
    let (promise, future) = create_future::<(), ()>();
    drop(promise);
    let FutureError::Cancelled(cancelled) = future.await.unwrap_err() else {
        panic!("it is no exception")
    };
    assert_eq!(cancelled.message(), Some("the promise was dropped"));
}

#[rasyncio::test]
async fn a_future_that_is_dropped_tells_the_promise_and_keeps_nothing() {
    let log = Log::default();
    let (promise, future) = create_future::<_, ()>();
    promise.add_done_callback(log.call("told"));
    drop(future);
    assert!(promise.cancelled());
    assert!(promise.set_result(Dropped(log.clone(), "result")).is_err());
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["result", "told"]);

    let (promise, future) = create_future::<_, ()>();
    let result = promise.set_result(Dropped(log.clone(), "result"));
    assert!(result.is_ok());
    drop(future);
    assert_eq!(log.take(), ["result"]);
}

#[rasyncio::test]
async fn callbacks_are_called_in_order_a_turn_later() {
    let log = Log::default();
    let (promise, future) = create_future::<_, ()>();
    future.add_done_callback(log.call("first"));
    future.add_done_callback(log.call("second"));
    promise.set_result(()).unwrap();
    future.add_done_callback(log.call("late"));
    assert!(log.take().is_empty());
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["first", "second", "late"]);
}
