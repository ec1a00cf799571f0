//! Cancellation as asyncio's: a request, delivered at an await, that can be answered.

mod common;

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use common::{Dropped, Log};
use rasyncio::{
    Cancelled, Event, Task, TaskError, all_tasks, cancellable, create_task, current_task, gather,
    sleep, yield_now,
};

const LONG: Duration = Duration::from_secs(3600);

fn is_cancelled<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Cancelled(_)))
}

#[rasyncio::test]
async fn it_is_delivered_where_the_task_sleeps() {
    let task = create_task(async {
        let result = sleep(LONG).await;
        assert_eq!(result, Err(Cancelled::with_message("enough")));
        result
    });
    yield_now().await.unwrap();
    assert!(task.cancel_with("enough"));
    assert_eq!(task.cancelling(), 1);
    let any = (*task).clone();
    let error = task.await.unwrap_err();
    assert_eq!(error.cancelled().unwrap().message(), Some("enough"));
    assert!(any.done() && any.cancelled());
}

#[rasyncio::test]
async fn it_is_delivered_where_the_task_yields() {
    let task = create_task(async {
        loop {
            yield_now().await?;
        }
        #[allow(unreachable_code)]
        Ok::<(), Cancelled>(())
    });
    yield_now().await.unwrap();
    task.cancel();
    assert!(is_cancelled(&task.await));
}

#[rasyncio::test]
async fn it_is_delivered_where_the_task_waits_for_an_event() {
    let event = Rc::new(Event::new());
    let task = create_task({
        let event = event.clone();
        async move { event.wait().await }
    });
    yield_now().await.unwrap();
    task.cancel();
    assert!(is_cancelled(&task.await));
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: 0 }");
}

#[rasyncio::test]
async fn it_is_delivered_at_a_cancellable_future_which_is_dropped() {
    let log = Log::default();
    let task = create_task({
        let log = log.clone();
        async move {
            let guard = Dropped(log.clone(), "future dropped");
            let result = cancellable(async move {
                let _guard = guard;
                pending::<()>().await;
            })
            .await;
            log.note("delivered");
            result
        }
    });
    yield_now().await.unwrap();
    task.cancel();
    assert!(is_cancelled(&task.await));
    assert_eq!(log.take(), ["future dropped", "delivered"]);
}

#[rasyncio::test]
async fn a_task_cancelled_before_it_starts_never_does() {
    let log = Log::default();
    let task = create_task({
        let guard = Dropped(log.clone(), "dropped");
        let log = log.clone();
        async move {
            let _guard = guard;
            log.note("started");
        }
    });
    task.cancel();
    assert!(is_cancelled(&task.await));
    assert_eq!(log.take(), ["dropped"]);
}

#[rasyncio::test]
async fn a_task_may_await_its_clean_up() {
    let log = Log::default();
    let task = create_task({
        let log = log.clone();
        async move {
            let result = sleep(LONG).await;
            log.note("cleaning up");
            sleep(Duration::from_secs(1)).await.unwrap();
            log.note("clean");
            result
        }
    });
    yield_now().await.unwrap();
    task.cancel();
    assert!(is_cancelled(&task.await));
    assert_eq!(log.take(), ["cleaning up", "clean"]);
}

#[rasyncio::test]
async fn a_clean_up_can_be_cancelled_as_well() {
    let log = Log::default();
    let task = create_task({
        let log = log.clone();
        async move {
            assert!(sleep(LONG).await.is_err());
            let again = sleep(LONG).await.unwrap_err();
            log.note(again.message().unwrap_or_default());
        }
    });
    yield_now().await.unwrap();
    task.cancel_with("first");
    yield_now().await.unwrap();
    task.cancel_with("second");
    assert_eq!(task.cancelling(), 2);
    assert!(is_cancelled(&task.await));
    assert_eq!(log.take(), ["second"]);
}

#[rasyncio::test]
async fn a_task_that_takes_the_request_back_ends_with_its_output() {
    let task = create_task(async {
        assert!(sleep(LONG).await.is_err());
        assert_eq!(current_task().unwrap().uncancel(), 0);
        sleep(Duration::from_secs(1)).await.unwrap();
        5
    });
    yield_now().await.unwrap();
    task.cancel();
    yield_now().await.unwrap();
    assert_eq!(task.cancelling(), 0);
    assert_eq!(task.await.unwrap(), 5);
}

#[rasyncio::test]
async fn one_of_two_requests_taken_back_is_not_enough() {
    let task = create_task(async {
        assert!(sleep(LONG).await.is_err());
        current_task().unwrap().uncancel();
        5
    });
    yield_now().await.unwrap();
    task.cancel();
    task.cancel();
    assert!(is_cancelled(&task.await));
}

#[rasyncio::test]
async fn a_request_taken_back_before_it_is_delivered_never_is() {
    let task = create_task(async {
        let me = current_task().unwrap();
        me.cancel();
        me.uncancel();
        yield_now().await
    });
    assert_eq!(task.await.unwrap(), Ok(()));
}

#[rasyncio::test]
async fn a_task_that_cancels_itself_hears_of_it_at_the_next_await_that_suspends() {
    let log = Log::default();
    let task = create_task({
        let log = log.clone();
        async move {
            let event = Event::new();
            event.set();
            current_task().unwrap().cancel();
            event.wait().await.unwrap();
            log.note("did not suspend");
            sleep(LONG).await.unwrap_err();
            log.note("suspended");
        }
    });
    assert!(is_cancelled(&task.await));
    assert_eq!(log.take(), ["did not suspend", "suspended"]);
}

#[rasyncio::test]
async fn a_task_that_ends_before_it_hears_of_a_request_was_cancelled() {
    let task = create_task(async {
        current_task().unwrap().cancel();
        5
    });
    assert!(is_cancelled(&task.await));
}

#[rasyncio::test]
async fn it_wins_over_what_happened_in_the_same_turn() {
    let event = Rc::new(Event::new());
    let task = create_task({
        let event = event.clone();
        async move { event.wait().await.is_err() }
    });
    yield_now().await.unwrap();
    event.set();
    task.cancel();
    let any = (*task).clone();
    assert!(is_cancelled(&task.await));
    assert!(any.cancelled());
}

#[rasyncio::test]
async fn cancelling_what_has_ended_does_nothing() {
    let task = create_task(async { 1 });
    yield_now().await.unwrap();
    assert!(!task.cancel());
    assert_eq!(task.cancelling(), 0);
    assert_eq!(task.await.unwrap(), 1);
}

#[rasyncio::test]
async fn it_goes_to_the_task_that_is_awaited() {
    let inner = create_task(sleep(LONG));
    let inner_any = (*inner).clone();
    let outer = create_task(inner.into_future());
    yield_now().await.unwrap();
    outer.cancel();
    assert!(is_cancelled(&outer.await));
    assert!(inner_any.cancelled());
}

#[rasyncio::test]
async fn if_the_awaited_task_refuses_the_awaiting_one_goes_on() {
    let inner = create_task(async {
        assert!(sleep(LONG).await.is_err());
        current_task().unwrap().uncancel();
        "refused"
    });
    let outer = create_task(async { inner.await.unwrap() });
    yield_now().await.unwrap();
    outer.cancel();
    assert_eq!(outer.await.unwrap(), "refused");
}

#[rasyncio::test]
async fn who_awaits_a_cancelled_task_need_not_end() {
    let inner = create_task(sleep(LONG));
    let inner_any = (*inner).clone();
    let outer = create_task(async move { is_cancelled(&inner.await) });
    yield_now().await.unwrap();
    inner_any.cancel();
    assert!(outer.await.unwrap());
}

#[rasyncio::test]
async fn it_waits_while_a_foreign_future_runs() {
    let is_open = Rc::new(Cell::new(false));
    let task = create_task({
        let is_open = is_open.clone();
        async move {
            poll_fn(|_| match is_open.get() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            sleep(LONG).await
        }
    });
    yield_now().await.unwrap();
    task.cancel();
    yield_now().await.unwrap();
    assert!(!task.done());
    is_open.set(true);
    // Another request, only so that the task is polled.
    task.cancel();
    assert!(is_cancelled(&task.await));
}

#[rasyncio::test]
async fn a_mutable_join_that_is_given_up_leaves_the_task_alone() {
    let mut task = create_task(async {
        sleep(Duration::from_secs(2)).await.unwrap();
        7
    });
    {
        let mut join = std::pin::pin!((&mut task).into_future());
        poll_fn(|cx| {
            assert!(join.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
    }
    assert_eq!((&mut task).await.unwrap(), 7);
}

#[rasyncio::test]
async fn tasks_that_await_each_other_in_a_ring_can_be_cancelled() {
    let slot: Rc<Cell<Option<Task<()>>>> = Rc::default();
    let a = create_task({
        let slot = slot.clone();
        async move {
            if let Some(task) = slot.take() {
                let _ = task.await;
            }
        }
    });
    let any = (*a).clone();
    let b = create_task(async move {
        let _ = a.await;
    });
    slot.set(Some(b));
    yield_now().await.unwrap();
    any.cancel();
    for _ in 0..5 {
        yield_now().await.unwrap();
    }
    assert!(any.done());
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn a_gathering_that_is_cancelled_cancels_all_its_tasks() {
    let log = Log::default();
    let child = |name: &'static str| {
        let log = log.clone();
        async move {
            if sleep(LONG).await.is_err() {
                log.note(name);
            }
        }
    };
    let outer = create_task(gather((child("a"), child("b"))));
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    outer.cancel();
    assert!(is_cancelled(&outer.await));
    assert_eq!(log.take(), ["a", "b"]);
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn a_cancelled_gathering_whose_tasks_refuse_is_cancelled_when_they_end() {
    let refuse = || async {
        assert!(sleep(LONG).await.is_err());
        current_task().unwrap().uncancel();
        sleep(Duration::from_secs(1)).await.unwrap();
    };
    let outer = create_task(gather([refuse(), refuse()]));
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    outer.cancel();
    assert!(is_cancelled(&outer.await));
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn it_does_not_go_to_a_task_that_is_awaited_no_more() {
    let mut inner = create_task(async {
        sleep(Duration::from_secs(1)).await.unwrap();
        1
    });
    let outer = create_task(async move {
        {
            let mut join = std::pin::pin!((&mut inner).into_future());
            poll_fn(|cx| {
                assert!(join.as_mut().poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        let _ = cancellable(pending::<()>()).await;
        current_task().unwrap().uncancel();
        inner.await.unwrap()
    });
    yield_now().await.unwrap();
    outer.cancel();
    assert_eq!(outer.await.unwrap(), 1);
}

#[rasyncio::test]
async fn a_chain_of_tasks_that_is_cancelled_may_be_longer_than_the_stack_is_deep() {
    fn chain(length: u32) -> Task<bool> {
        create_task(async move {
            match length {
                0 => sleep(Duration::from_secs(3600)).await.is_err(),
                _ => chain(length - 1).await.is_err(),
            }
        })
    }
    let first = chain(50_000);
    sleep(Duration::from_secs(1)).await.unwrap();
    assert_eq!(all_tasks().len(), 50_002);
    first.cancel();
    assert!(first.await.unwrap_err().cancelled().is_some());
    assert_eq!(all_tasks().len(), 1);
}
