//! No panic is lost, and none stops the loop.

mod common;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::{Dropped, Log};
use rasyncio::{AnyTask, create_task, events, sleep, yield_now};

/// Collects what the exception handler is told.
fn reports() -> Rc<RefCell<Vec<String>>> {
    let reports: Rc<RefCell<Vec<String>>> = Rc::default();
    events::set_exception_handler({
        let reports = reports.clone();
        move |context| reports.borrow_mut().push(context.to_string())
    });
    reports
}

#[rasyncio::test]
async fn a_panic_is_the_error_of_its_task() {
    let reports = reports();
    let task = create_task(async { panic!("number {}", 7) });
    let error = task.await.unwrap_err();
    assert_eq!(error.to_string(), "panicked: number 7");
    assert!(reports.borrow().is_empty());
}

#[rasyncio::test]
async fn its_payload_can_be_taken_out() {
    let task = create_task(async { std::panic::panic_any(5_u8) });
    match task.await.unwrap_err() {
        rasyncio::TaskError::Panicked(panic) => {
            assert_eq!(*panic.into_payload().downcast::<u8>().unwrap(), 5);
        }
        rasyncio::TaskError::Cancelled(_) => unreachable!(),
    }
}

#[rasyncio::test]
async fn one_in_a_detached_task_is_reported_at_once() {
    let reports = reports();
    drop(create_task(async { panic!("oops") }));
    yield_now().await.unwrap();
    assert_eq!(
        reports.take(),
        [r#"Task panic was never retrieved: task "Task-2": panicked: oops"#]
    );
}

#[rasyncio::test]
async fn one_that_nobody_retrieved_is_reported_when_the_task_is_dropped() {
    let reports = reports();
    let task = create_task(async { panic!("oops") });
    yield_now().await.unwrap();
    assert!(task.done() && reports.borrow().is_empty());
    drop(task);
    assert_eq!(reports.borrow().len(), 1);
}

#[rasyncio::test]
async fn one_in_a_callback_is_reported_and_the_loop_goes_on() {
    let reports = reports();
    events::call_soon(|| panic!("oops"));
    yield_now().await.unwrap();
    assert_eq!(reports.take(), ["Panic in a callback: panicked: oops"]);
}

#[rasyncio::test]
async fn one_in_the_drop_of_a_future_is_the_error_of_its_task() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }
    let task = create_task({
        let bomb = Bomb;
        async move {
            let _bomb = bomb;
            sleep(Duration::from_secs(1)).await
        }
    });
    task.cancel();
    let error = task.await.unwrap_err();
    assert_eq!(error.panicked().unwrap().message(), "boom");
}

#[rasyncio::test]
async fn one_in_the_exception_handler_harms_nobody() {
    events::set_exception_handler(|_| panic!("the handler, too"));
    drop(create_task(async { panic!("oops") }));
    yield_now().await.unwrap();
}

#[test]
fn one_in_main_comes_out_of_run_after_the_others_have_cleaned_up() {
    let log = Log::default();
    let other = log.clone();
    let result = catch_unwind(AssertUnwindSafe(|| {
        rasyncio::run(async move {
            let _task = create_task(async move {
                let _ = sleep(Duration::from_secs(60)).await;
                yield_now().await.unwrap();
                other.note("cleaned up");
            });
            yield_now().await.unwrap();
            panic!("oops");
        })
    }));
    assert_eq!(
        result.unwrap_err().downcast_ref::<&str>().copied(),
        Some("oops")
    );
    assert_eq!(log.take(), ["cleaned up"]);
}

#[test]
fn one_that_unwinds_out_of_the_middle_of_a_run_drops_the_main_future() {
    let log = Log::default();
    let guard = Dropped(log.clone(), "main dropped");
    let mut task: Option<AnyTask> = None;
    let result = catch_unwind(AssertUnwindSafe(|| {
        rasyncio::run(async {
            let _guard = guard;
            task = rasyncio::current_task();
            panic!("oops");
        })
    }));
    assert!(result.is_err());
    assert!(task.unwrap().done());
    assert_eq!(log.take(), ["main dropped"]);
}

#[rasyncio::test]
async fn one_in_a_waker_does_not_keep_others_from_being_woken() {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Wake, Waker};

    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("in a waker");
        }
    }
    let reports = reports();
    let event = Rc::new(rasyncio::Event::new());
    let mut task = create_task(yield_now());
    let waker = Waker::from(Arc::new(Bomb));
    let mut join = IntoFuture::into_future(&mut task);
    assert!(
        Pin::new(&mut join)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    std::mem::forget(join);
    let other = create_task({
        let event = event.clone();
        async move { event.wait().await }
    });
    for _ in 0..3 {
        yield_now().await.unwrap();
    }
    assert_eq!(
        reports.take(),
        ["a task's waker panicked: panicked: in a waker"]
    );
    assert!(task.done());
    event.set();
    other.await.unwrap().unwrap();
}

#[rasyncio::test]
async fn one_in_the_drop_of_an_output_is_reported() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("boom");
        }
    }
    let reports = reports();
    drop(create_task(async { Bomb }));
    yield_now().await.unwrap();
    assert_eq!(
        reports.take(),
        ["a task's output could not be dropped: panicked: boom"]
    );
}

#[rasyncio::test]
async fn a_handler_may_be_told_by_hand() {
    let reports = reports();
    events::call_exception_handler("a backup was left out", "no disk");
    assert_eq!(reports.take(), ["a backup was left out: no disk"]);
}

#[rasyncio::test]
async fn a_handler_may_hand_on_to_the_one_before() {
    let reports = reports();
    let former = events::get_exception_handler().unwrap();
    events::set_exception_handler(move |context| {
        if context.message != "ignored" {
            former(context);
        }
    });
    events::call_exception_handler("ignored", "");
    events::call_exception_handler("told", "on");
    assert_eq!(reports.take(), ["told: on"]);
}

#[rasyncio::test]
async fn a_handler_that_was_taken_away_is_not_told() {
    let reports = reports();
    assert!(events::remove_exception_handler());
    assert!(events::get_exception_handler().is_none());
    assert!(!events::remove_exception_handler());
    events::call_exception_handler("a line on stderr", "and nobody else");
    assert!(reports.borrow().is_empty());
}
