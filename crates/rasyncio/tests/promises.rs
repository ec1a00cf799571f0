//! Futures whose result somebody brings.

mod common;

use common::{Dropped, Log};
use rasyncio::futures::{FutureError, InvalidStateError, create_future};
use rasyncio::{Cancelled, create_task, current_task, gather_iter, yield_now};

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

#[rasyncio::test]
async fn who_awaits_is_told_in_the_order_in_which_all_came() {
    let log = Log::default();
    let (promise, future) = create_future::<_, ()>();
    promise.add_done_callback(log.call("first"));
    let waiting = create_task({
        let log = log.clone();
        async move {
            future.await.unwrap();
            log.note("awaited");
        }
    });
    yield_now().await.unwrap();
    promise.add_done_callback(log.call("second"));
    promise.set_result(()).unwrap();
    waiting.await.unwrap();
    assert_eq!(log.take(), ["first", "awaited", "second"]);
}

#[rasyncio::test]
async fn a_callback_may_be_taken_back_until_the_end() {
    let log = Log::default();
    let (promise, future) = create_future::<_, ()>();
    let first = promise.add_done_callback(log.call("first"));
    let second = future.add_done_callback(log.call("second"));
    assert!(first.remove());
    promise.set_result(()).unwrap();
    assert!(!second.remove());
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["second"]);
}

#[rasyncio::test]
async fn a_result_may_be_asked_for_before_it_is_taken() {
    let (promise, future) = create_future::<_, ()>();
    assert_eq!(future.result(), None);
    promise.set_result("fine").unwrap();
    assert_eq!(future.result(), Some(Ok("fine")));
    assert_eq!(future.await, Ok("fine"));
}

#[rasyncio::test]
async fn all_who_await_a_shared_future_get_the_result_in_the_order_in_which_they_came() {
    let log = Log::default();
    let (promise, future) = create_future::<_, ()>();
    let future = future.shared();
    let wait = |name: &'static str| {
        let (log, future) = (log.clone(), future.clone());
        create_task(async move { log.note(format!("{name} {:?}", future.await)) })
    };
    let tasks = [wait("a"), wait("b")];
    yield_now().await.unwrap();
    future.add_done_callback({
        let log = log.clone();
        move |future| log.note(format!("callback {:?}", future.result()))
    });
    let late = wait("c");
    yield_now().await.unwrap();
    promise.set_result(1).unwrap();
    assert!(log.take().is_empty());
    gather_iter(tasks).await.unwrap();
    late.await.unwrap();
    assert_eq!(
        log.take(),
        ["a Ok(1)", "b Ok(1)", "callback Some(Ok(1))", "c Ok(1)"]
    );
    assert_eq!(future.clone().await, Ok(1));
}

#[rasyncio::test]
async fn cancelling_one_who_awaits_a_shared_future_cancels_it_for_all() {
    let (promise, future) = create_future::<(), ()>();
    let future = future.shared();
    let tasks = [create_task(future.clone()), create_task(future)];
    yield_now().await.unwrap();
    tasks[0].cancel_with("changed my mind");
    assert!(promise.cancelled());
    let [asked, other] = tasks;
    assert!(asked.await.unwrap_err().cancelled().is_some());
    let Err(FutureError::Cancelled(cancelled)) = other.await.unwrap() else {
        panic!("it was cancelled as well")
    };
    assert_eq!(cancelled.message(), Some("changed my mind"));
}

#[rasyncio::test]
async fn the_last_share_that_is_dropped_cancels() {
    let (promise, future) = create_future::<(), ()>();
    let one = future.shared();
    let other = one.clone();
    let mut waiting = Box::pin(one);
    std::future::poll_fn(|cx| {
        assert!(waiting.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    drop(waiting);
    assert!(!promise.done());
    drop(other);
    assert!(promise.cancelled());
}

#[rasyncio::test]
async fn a_share_that_is_polled_by_another_task_wakes_that_one() {
    let (promise, future) = create_future::<_, ()>();
    let mut share = Box::pin(future.shared());
    std::future::poll_fn(|cx| {
        assert!(share.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    let task = create_task(share);
    yield_now().await.unwrap();
    promise.set_result(1).unwrap();
    assert_eq!(task.await.unwrap(), Ok(1));
}

#[rasyncio::test]
async fn a_future_that_was_awaited_may_be_shared() {
    let (promise, mut future) = create_future::<_, ()>();
    std::future::poll_fn(|cx| {
        assert!(std::pin::Pin::new(&mut future).poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    let shared = future.shared();
    // The task does not wait for it any more, so it is the task that is cancelled.
    current_task().unwrap().cancel();
    assert!(yield_now().await.is_err());
    current_task().unwrap().uncancel();
    promise.set_result(1).unwrap();
    assert_eq!(shared.await, Ok(1));
}
