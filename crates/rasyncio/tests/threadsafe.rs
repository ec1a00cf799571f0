//! Callbacks with handles, and the loop for other threads.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use common::{Dropped, Log};
use rasyncio::events::{self, LoopClosed, call_at, call_later, call_soon, get_running_loop};
use rasyncio::{TaskError, all_tasks, run, sleep, to_thread, yield_now};

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[rasyncio::test]
async fn callbacks_run_in_the_order_of_their_times() {
    let log = Log::default();
    call_later(milliseconds(3), log.call("three"));
    call_at(milliseconds(1), log.call("one"));
    call_later(milliseconds(3), log.call("three again"));
    call_soon(log.call("soon"));
    sleep(milliseconds(4)).await.unwrap();
    assert_eq!(log.take(), ["soon", "one", "three", "three again"]);
}

#[rasyncio::test]
async fn a_callback_that_is_taken_back_is_dropped_at_once() {
    let log = Log::default();
    let callback = |log: &Log| {
        let guard = Dropped(log.clone(), "dropped");
        move || drop(guard)
    };
    let soon = call_soon(callback(&log));
    soon.cancel();
    assert_eq!(log.take(), ["dropped"]);
    let later = call_later(milliseconds(1), callback(&log));
    later.cancel();
    assert_eq!(log.take(), ["dropped"]);
    sleep(milliseconds(2)).await.unwrap();
    assert!(soon.cancelled() && later.cancelled());
    assert!(log.take().is_empty());
}

#[rasyncio::test]
async fn taking_back_what_was_called_changes_nothing() {
    let log = Log::default();
    let timer = call_later(milliseconds(1), log.call("called"));
    sleep(milliseconds(2)).await.unwrap();
    assert!(!timer.cancelled());
    timer.cancel();
    assert!(timer.cancelled());
    assert_eq!(log.take(), ["called"]);
}

#[rasyncio::test]
async fn a_callback_may_take_another_back() {
    let log = Log::default();
    let second = Rc::new(Cell::new(None));
    let first = second.clone();
    call_soon(move || {
        let handle: events::Handle = first.take().unwrap();
        handle.cancel();
    });
    second.set(Some(call_soon(log.call("second"))));
    yield_now().await.unwrap();
    assert!(log.take().is_empty());
}

#[rasyncio::test]
async fn a_panic_in_a_callback_goes_to_the_exception_handler() {
    let log = Log::default();
    events::set_exception_handler({
        let log = log.clone();
        move |context| log.note(context.panic.message())
    });
    call_soon(|| panic!("soon"));
    call_later(milliseconds(1), || panic!("later"));
    sleep(milliseconds(2)).await.unwrap();
    assert_eq!(log.take(), ["soon", "later"]);
}

#[test]
fn another_thread_wakes_the_loop() {
    run(async {
        let here = get_running_loop();
        let (promise, future) = rasyncio::futures::create_future::<_, ()>();
        // What is not `Send` stays here; the callback finds it by its own means.
        thread_local! {
            static PROMISE: Cell<Option<rasyncio::futures::Promise<u32, ()>>> = const { Cell::new(None) };
        }
        PROMISE.set(Some(promise));
        thread::spawn(move || {
            thread::sleep(milliseconds(2));
            here.call_soon_threadsafe(|| PROMISE.take().unwrap().set_result(7).unwrap())
                .unwrap();
        });
        assert_eq!(future.await, Ok(7));
    });
}

#[test]
fn a_callback_on_its_way_can_be_taken_back_by_another_thread() {
    run(async {
        let here = get_running_loop();
        let handle = here.call_soon_threadsafe(|| unreachable!("it is taken back"));
        let handle = handle.unwrap();
        let taken = thread::spawn(move || (handle.cancel(), handle.cancel()));
        assert_eq!(taken.join().unwrap(), (true, false));
        yield_now().await.unwrap();
    });
}

#[test]
fn a_closed_loop_takes_no_callbacks() {
    let closed = run(async { get_running_loop() });
    assert_eq!(closed.call_soon_threadsafe(|| ()).unwrap_err(), LoopClosed);
    let error = closed.run_coroutine_threadsafe(|| async {}).result();
    assert!(matches!(error, Err(TaskError::Cancelled(_))));
}

#[test]
fn loops_are_equal_to_themselves() {
    let first = run(async {
        assert_eq!(get_running_loop(), get_running_loop());
        get_running_loop()
    });
    assert_ne!(first, run(async { get_running_loop() }));
}

#[test]
fn another_thread_waits_for_a_task_of_the_loop() {
    run(async {
        let here = get_running_loop();
        let waiting = to_thread(move || {
            let answer = here.run_coroutine_threadsafe(|| async {
                // Not `Send`.
                let number = Rc::new(42);
                sleep(milliseconds(1)).await.unwrap();
                *number
            });
            assert!(!answer.done());
            answer.result()
        });
        assert_eq!(waiting.await.unwrap().unwrap(), 42);
    });
}

#[test]
fn another_thread_cancels_a_task_of_the_loop() {
    let (sender, receiver) = mpsc::channel();
    run(async {
        let here = get_running_loop();
        let waiting = to_thread(move || {
            let (begun, has_begun) = mpsc::channel();
            let task = here.run_coroutine_threadsafe(move || async move {
                begun.send(()).unwrap();
                let slept = sleep(Duration::from_secs(3600)).await;
                sender.send(slept.is_err()).unwrap();
            });
            has_begun.recv().unwrap();
            assert!(task.cancel());
            task.result()
        });
        let error = waiting.await.unwrap().unwrap_err();
        assert!(error.cancelled().is_some());
        assert_eq!(all_tasks().len(), 1);
    });
    assert!(receiver.recv().unwrap());
}

#[test]
fn cancelled_before_it_starts_it_never_does() {
    run(async {
        let here = get_running_loop();
        let task = here.run_coroutine_threadsafe(|| async { unreachable!("cancelled") });
        assert!(task.cancel());
        let error: Result<(), _> = task.await;
        assert!(error.unwrap_err().cancelled().is_some());
    });
}

#[test]
fn a_panic_of_the_task_is_told() {
    run(async {
        let here = get_running_loop();
        let task = here.run_coroutine_threadsafe(|| async { panic!("oops") });
        let error: TaskError = task.await.map(|(): ()| ()).unwrap_err();
        assert_eq!(error.panicked().unwrap().message(), "oops");
    });
}

#[test]
fn a_panic_that_nobody_waits_for_is_reported() {
    run(async {
        let log = Log::default();
        events::set_exception_handler({
            let log = log.clone();
            move |context| log.note(context.panic.message())
        });
        drop(get_running_loop().run_coroutine_threadsafe(|| async { panic!("oops") }));
        for _ in 0..3 {
            yield_now().await.unwrap();
        }
        assert_eq!(log.take(), ["oops"]);
    });
}

#[test]
fn waiting_for_a_time_gives_the_future_back() {
    run(async {
        let task = get_running_loop().run_coroutine_threadsafe(|| async { 1 });
        // The loop does not turn meanwhile.
        let task = task.result_within(milliseconds(1)).unwrap_err();
        assert_eq!(task.await.unwrap(), 1);
    });
}

#[test]
fn a_loop_that_ends_ends_those_who_wait() {
    let mut task = None;
    run(async {
        task = Some(get_running_loop().run_coroutine_threadsafe(|| async {
            let _ = sleep(Duration::from_secs(3600)).await;
        }));
    });
    let error = task.unwrap().result().unwrap_err();
    assert!(error.cancelled().is_some());
}

#[test]
fn it_is_a_future_without_any_loop() {
    let mut task = None;
    run(async {
        task = Some(get_running_loop().run_coroutine_threadsafe(|| async { 1 }));
    });
    let mut task = task.unwrap();
    let cx = &mut Context::from_waker(Waker::noop());
    let polled = std::pin::Pin::new(&mut task).poll(cx);
    assert!(matches!(polled, Poll::Ready(_)));
}
