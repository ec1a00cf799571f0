//! Time limits: `timeout`, `timeout_at`, `wait_for` and `Timeout`.

mod common;

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use common::{Dropped, Log};
use rasyncio::timeouts::{RescheduleError, Timeout};
use rasyncio::{
    Cancelled, TaskError, TimeoutError, cancellable, create_task, current_task, events, sleep,
    timeout, timeout_at, wait_for, yield_now,
};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_secs(1);

fn is_cancelled<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Cancelled(_)))
}

#[rasyncio::test]
async fn what_ends_in_time_gives_its_output() {
    assert_eq!(timeout(LONG, async { 5 }).await, Ok(5));
    assert_eq!(timeout(LONG, sleep(SHORT)).await, Ok(Ok(())));
    assert_eq!(wait_for(sleep(SHORT), LONG).await, Ok(Ok(())));
}

#[rasyncio::test]
async fn what_takes_too_long_is_cancelled() {
    let start = events::time();
    let log = Log::default();
    let outcome = timeout(SHORT, {
        let log = log.clone();
        async move {
            assert_eq!(sleep(LONG).await, Err(Cancelled::new()));
            log.note("cleaning up");
            sleep(SHORT).await.unwrap();
            log.note("clean");
        }
    })
    .await;
    assert_eq!(outcome, Err(TimeoutError));
    assert_eq!(events::time() - start, 2 * SHORT);
    assert_eq!(log.take(), ["cleaning up", "clean"]);
    assert_eq!(current_task().unwrap().cancelling(), 0);
}

#[rasyncio::test]
async fn without_a_limit_it_takes_what_it_takes() {
    assert_eq!(timeout(None, sleep(LONG)).await, Ok(Ok(())));
    assert_eq!(timeout_at(None, sleep(LONG)).await, Ok(Ok(())));
    assert_eq!(wait_for(sleep(LONG), None).await, Ok(Ok(())));
}

#[rasyncio::test]
async fn a_moment_that_has_passed_is_over_at_the_first_await() {
    sleep(LONG).await.unwrap();
    assert_eq!(timeout_at(SHORT, async { 5 }).await, Ok(5));
    assert_eq!(timeout_at(SHORT, sleep(LONG)).await, Err(TimeoutError));
}

#[rasyncio::test]
async fn a_task_is_cancelled_and_awaited() {
    let log = Log::default();
    let mut task = create_task({
        let log = log.clone();
        async move {
            let slept = sleep(LONG).await;
            sleep(SHORT).await.unwrap();
            log.note("clean");
            slept
        }
    });
    assert!(matches!(
        wait_for(&mut task, SHORT).await,
        Err(TimeoutError)
    ));
    assert_eq!(log.take(), ["clean"]);
    assert!(task.cancelled());
}

#[rasyncio::test]
async fn a_task_that_refuses_gives_its_value() {
    let task = create_task(async {
        assert!(sleep(LONG).await.is_err());
        current_task().unwrap().uncancel();
        sleep(SHORT).await.unwrap();
        "refused"
    });
    let limit = Timeout::new(SHORT);
    assert_eq!(limit.run(task).await.unwrap().unwrap(), "refused");
    assert!(limit.expired());
}

#[rasyncio::test]
async fn no_time_at_all_is_enough_for_what_is_done() {
    let done = create_task(async { 5 });
    let late = create_task(async { 5 });
    yield_now().await.unwrap();
    let late_any = (*late).clone();
    assert_eq!(wait_for(done, Duration::ZERO).await.unwrap().unwrap(), 5);
    drop(late);
    assert!(late_any.done());
    let log = Log::default();
    let never = create_task(log.noting("started"));
    assert!(wait_for(never, Duration::ZERO).await.is_err());
    assert_eq!(log.take(), [""; 0]);
}

#[rasyncio::test]
async fn a_cancellation_from_outside_is_no_timeout() {
    let log = Log::default();
    let task = create_task({
        let log = log.clone();
        async move {
            let outcome = timeout(LONG, sleep(LONG)).await;
            log.note(format!("{outcome:?}"));
        }
    });
    yield_now().await.unwrap();
    task.cancel();
    let any = (*task).clone();
    assert!(is_cancelled(&task.await));
    assert!(any.cancelled());
    assert_eq!(log.take(), ["Ok(Err(Cancelled { message: None }))"]);
}

#[rasyncio::test]
async fn a_cancellation_that_comes_with_the_deadline_wins() {
    let task = create_task(async { timeout(SHORT, sleep(LONG)).await });
    let any = (*task).clone();
    let seen = create_task(async move { is_cancelled(&task.await) });
    sleep(SHORT).await.unwrap();
    any.cancel();
    assert!(seen.await.unwrap());
}

#[rasyncio::test]
async fn a_cancellation_that_was_taken_back_leaves_the_limit() {
    let task = create_task(async {
        timeout(SHORT, async {
            assert!(sleep(LONG).await.is_err());
            current_task().unwrap().uncancel();
            sleep(LONG).await
        })
        .await
    });
    yield_now().await.unwrap();
    task.cancel();
    assert_eq!(task.await.unwrap(), Err(TimeoutError));
}

#[rasyncio::test]
async fn it_goes_through_to_the_awaited_task_at_once() {
    let inner = create_task(sleep(LONG));
    let inner_any = (*inner).clone();
    let outer = create_task(async move { timeout(LONG, inner).await });
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    outer.cancel();
    assert_eq!(inner_any.cancelling(), 1);
    assert!(is_cancelled(&outer.await));
}

#[rasyncio::test]
async fn a_task_that_cancels_itself_inside_hears_of_it_inside() {
    let task = create_task(async {
        timeout(LONG, async {
            current_task().unwrap().cancel();
            let heard = sleep(LONG).await.is_err();
            current_task().unwrap().uncancel();
            heard
        })
        .await
    });
    assert_eq!(task.await.unwrap(), Ok(true));
}

#[rasyncio::test]
async fn the_inner_of_two_limits_ends_the_inner_only() {
    let outcome = timeout(2 * SHORT, async {
        let inner = timeout(SHORT, sleep(LONG)).await;
        assert_eq!(inner, Err(TimeoutError));
        sleep(LONG).await
    })
    .await;
    assert_eq!(outcome, Err(TimeoutError));
}

#[rasyncio::test]
async fn the_outer_of_two_limits_ends_both() {
    let log = Log::default();
    let outcome = timeout(SHORT, {
        let log = log.clone();
        async move {
            let inner = timeout(LONG, sleep(LONG)).await;
            log.note(format!("{inner:?}"));
        }
    })
    .await;
    assert_eq!(outcome, Err(TimeoutError));
    assert_eq!(log.take(), ["Ok(Err(Cancelled { message: None }))"]);
}

#[rasyncio::test]
async fn of_two_limits_that_end_together_the_outer_one_counts() {
    let log = Log::default();
    let outcome = timeout(SHORT, {
        let log = log.clone();
        async move {
            let inner = timeout(SHORT, sleep(LONG)).await;
            log.note(format!("{inner:?}"));
            sleep(LONG).await
        }
    });
    // As in asyncio: the inner one is not the only one that asks for an end.
    let start = events::time();
    assert_eq!(outcome.await, Err(TimeoutError));
    assert_eq!(log.take(), ["Ok(Err(Cancelled { message: None }))"]);
    assert_eq!(events::time() - start, LONG + SHORT);
}

#[rasyncio::test]
async fn only_the_limited_one_of_two_that_run_in_one_task_is_cancelled() {
    let mut limited = pin!(timeout(SHORT, sleep(LONG)));
    let mut other = pin!(sleep(2 * SHORT));
    let (mut first, mut second) = (None, None);
    poll_fn(|cx| {
        // The other one first, which must not take what is not its own.
        if second.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(cx)
        {
            second = Some(output);
        }
        if first.is_none()
            && let Poll::Ready(output) = limited.as_mut().poll(cx)
        {
            first = Some(output);
        }
        match first.is_some() && second.is_some() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    assert_eq!(first, Some(Err(TimeoutError)));
    assert_eq!(second, Some(Ok(())));
}

#[rasyncio::test]
async fn a_request_that_nobody_took_inside_is_taken_after() {
    let is_open = Rc::new(Cell::new(false));
    let task = create_task({
        let is_open = is_open.clone();
        async move {
            let foreign = poll_fn(|_| match is_open.get() {
                true => Poll::Ready("foreign"),
                false => Poll::Pending,
            });
            assert_eq!(timeout(LONG, foreign).await, Ok("foreign"));
            sleep(LONG).await
        }
    });
    yield_now().await.unwrap();
    is_open.set(true);
    task.cancel();
    let start = events::time();
    assert!(is_cancelled(&task.await));
    assert_eq!(events::time(), start);
}

#[rasyncio::test]
async fn a_future_that_does_not_hear_of_the_limit_ends_in_time() {
    let mut polls = 0;
    let foreign = poll_fn(|cx| {
        polls += 1;
        cx.waker().wake_by_ref();
        match polls {
            5 => Poll::Ready("foreign"),
            _ => Poll::Pending,
        }
    });
    assert_eq!(timeout(Duration::ZERO, foreign).await, Ok("foreign"));
}

#[rasyncio::test]
async fn the_limit_can_be_moved() {
    let limit = Timeout::new(SHORT);
    assert_eq!(limit.when(), Some(events::time() + SHORT));
    let outcome = limit
        .run(async {
            limit.reschedule(events::time() + 3 * SHORT).unwrap();
            sleep(2 * SHORT).await.unwrap();
            limit.reschedule(None).unwrap();
            sleep(LONG).await.unwrap();
            limit.reschedule(events::time()).unwrap();
            sleep(LONG).await
        })
        .await;
    assert_eq!(outcome, Err(TimeoutError));
    assert!(limit.expired());
    assert_eq!(limit.reschedule(None), Err(RescheduleError::Expired));
}

#[rasyncio::test]
async fn the_limit_of_what_has_ended_cannot_be_moved() {
    let limit = Timeout::new(SHORT);
    limit.run(async {}).await.unwrap();
    assert_eq!(limit.reschedule(None), Err(RescheduleError::Finished));
    assert!(!limit.expired());
}

#[rasyncio::test]
async fn nothing_is_run_twice_under_one_limit() {
    let task = create_task(async {
        let limit = Timeout::new(SHORT);
        limit.run(async {}).await.unwrap();
        let _ = limit.run(async {}).await;
    });
    match task.await {
        Err(TaskError::Panicked(panic)) => {
            assert_eq!(panic.message(), "Timeout has already been entered");
        }
        other => unreachable!("{other:?}"),
    }
}

#[rasyncio::test]
async fn one_that_is_dropped_takes_its_timer_along() {
    let log = Log::default();
    {
        let guard = Dropped(log.clone(), "dropped");
        let mut limited = pin!(timeout(SHORT, async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        poll_fn(|cx| {
            assert!(limited.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    assert_eq!(log.take(), ["dropped"]);
    sleep(LONG).await.unwrap();
    assert_eq!(current_task().unwrap().cancelling(), 0);
}

#[rasyncio::test]
async fn one_that_was_dropped_gets_no_cancellation() {
    let task = create_task(async {
        {
            let mut limited = pin!(timeout(LONG, pending::<()>()));
            poll_fn(|cx| {
                assert!(limited.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        cancellable(pending::<()>()).await
    });
    yield_now().await.unwrap();
    task.cancel();
    assert!(is_cancelled(&task.await));
}
