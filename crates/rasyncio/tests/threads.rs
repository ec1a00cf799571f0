//! Work for threads: who waits for it, and what becomes of it.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use rasyncio::threads::{
    Executor, SpawnError, Work, WorkerPool, run_in_executor, set_default_executor,
    shutdown_default_executor,
};
use rasyncio::{Runner, TaskError, create_task, events, run, sleep, timeout, to_thread, yield_now};

#[rasyncio::test]
async fn a_function_is_called_by_another_thread() {
    let there = to_thread(|| thread::current().id()).await.unwrap();
    assert_ne!(there, thread::current().id());
}

#[rasyncio::test]
async fn to_thread_does_nothing_unless_awaited() {
    drop(to_thread(|| panic!("nobody awaits it")));
}

#[rasyncio::test]
async fn a_panic_there_is_an_error_here() {
    let error = to_thread(|| panic!("there")).await.unwrap_err();
    assert_eq!(error.panicked().unwrap().message(), "there");
}

#[rasyncio::test]
async fn virtual_time_stands_still_meanwhile() {
    let slow = to_thread(|| thread::sleep(Duration::from_millis(5)));
    timeout(Duration::from_nanos(1), slow)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(events::time(), Duration::ZERO);
    sleep(Duration::from_secs(3600)).await.unwrap();
}

#[test]
fn a_call_that_has_begun_goes_on_when_nobody_waits_any_more() {
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    let (ended, has_ended) = mpsc::channel();
    run(async move {
        let task = create_task(to_thread(move || {
            begun.send(()).unwrap();
            may_go_on.recv().unwrap();
            ended.send(()).unwrap();
        }));
        yield_now().await.unwrap();
        has_begun.recv().unwrap();
        task.cancel();
        assert!(task.await.unwrap_err().cancelled().is_some());
        go_on.send(()).unwrap();
    });
    // The end of the loop has waited for it.
    has_ended.try_recv().unwrap();
}

#[test]
fn a_call_that_has_not_begun_is_not_made_when_nobody_waits_any_more() {
    let pool = WorkerPool::new("one", 1);
    let (go_on, may_go_on) = mpsc::channel();
    run(async {
        let first = run_in_executor(Some(&pool), move || may_go_on.recv().unwrap());
        let second = run_in_executor(Some(&pool), || unreachable!("it was dropped"));
        drop::<rasyncio::threads::InExecutor<()>>(second);
        go_on.send(()).unwrap();
        first.await.unwrap();
        run_in_executor(Some(&pool), || ()).await.unwrap();
    });
}

#[test]
fn an_executor_that_drops_the_work_cancels_who_waits() {
    let dropping = |work: Work| drop(work);
    let error = run(async { run_in_executor(Some(&dropping), || ()).await.unwrap_err() });
    let cancelled = error.cancelled().unwrap();
    assert_eq!(
        cancelled.message(),
        Some("the executor has dropped the work")
    );
}

#[test]
fn an_executor_that_refuses_the_work_is_an_error() {
    struct Refusing;
    impl Executor for Refusing {
        fn spawn(&self, _: Work) -> Result<(), SpawnError> {
            Err(SpawnError::Closed)
        }
    }
    let error = run(async { run_in_executor(Some(&Refusing), || ()).await.unwrap_err() });
    assert!(matches!(error, TaskError::Panicked(_)));
}

#[test]
fn several_calls_are_made_at_once() {
    let barrier = Arc::new(Barrier::new(3));
    run(async {
        let calls = (0..3).map(|_| {
            let barrier = barrier.clone();
            to_thread(move || barrier.wait())
        });
        rasyncio::gather_iter(calls).await.unwrap();
    });
}

#[test]
fn the_loops_own_executor_can_be_another() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    run(async {
        set_default_executor(|work: Work| {
            CALLS.fetch_add(1, Ordering::Relaxed);
            work();
        });
        assert_eq!(to_thread(|| 1).await.unwrap(), 1);
    });
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
}

#[test]
fn after_its_end_the_loops_own_executor_takes_nothing() {
    run(async {
        to_thread(|| ()).await.unwrap();
        shutdown_default_executor().await.unwrap();
        assert!(to_thread(|| ()).await.is_err());
    });
}

#[test]
fn work_that_needs_the_loop_may_still_run_when_the_loop_ends() {
    let (begun, has_begun) = mpsc::channel();
    let (ended, has_ended) = mpsc::channel();
    let runner = Runner::new().unwrap();
    runner.run(async {
        let here = events::get_running_loop();
        let call = run_in_executor(None, move || {
            begun.send(()).unwrap();
            let task = here.run_coroutine_threadsafe(|| async { sleep(Duration::ZERO).await });
            // Cancelled or not: somebody has turned the loop for it.
            drop(task.result());
            ended.send(()).unwrap();
        });
        has_begun.recv().unwrap();
        drop(call);
    });
    drop(runner);
    has_ended.recv().unwrap();
}
