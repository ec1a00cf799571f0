//! Worker threads.

use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use rasyncio_engine::{EventLoop, Job, PlainDriver, SpawnError, WorkerPool};

#[test]
fn work_is_done_on_named_threads() {
    let pool = WorkerPool::new("blocking", 2);
    assert_eq!(pool.threads(), 0);
    let (sender, receiver) = mpsc::channel();
    pool.spawn(move || {
        sender
            .send(thread::current().name().map(str::to_owned))
            .unwrap()
    })
    .unwrap();
    assert_eq!(receiver.recv().unwrap().as_deref(), Some("blocking-0"));
}

#[test]
fn as_many_threads_work_at_once_as_are_allowed() {
    let pool = WorkerPool::new("blocking", 3);
    let barrier = Arc::new(Barrier::new(4));
    for _ in 0..3 {
        let barrier = Arc::clone(&barrier);
        pool.spawn(move || {
            barrier.wait();
        })
        .unwrap();
    }
    // Returns only once all three are at it.
    barrier.wait();
    assert_eq!(pool.threads(), 3);
}

#[test]
fn no_more_threads_than_allowed_are_started() {
    let pool = WorkerPool::new("blocking", 2);
    let (sender, receiver) = mpsc::channel();
    for number in 0..50 {
        let sender = sender.clone();
        pool.spawn(move || sender.send(number).unwrap()).unwrap();
    }
    let mut done: Vec<_> = receiver.iter().take(50).collect();
    done.sort_unstable();
    assert_eq!(done, Vec::from_iter(0..50));
    assert_eq!(pool.threads(), 2);
}

#[test]
fn a_single_thread_works_in_order() {
    let pool = WorkerPool::new("blocking", 1);
    let log = Arc::new(Mutex::new(Vec::new()));
    for number in 0..100 {
        let log = Arc::clone(&log);
        pool.spawn(move || log.lock().unwrap().push(number))
            .unwrap();
    }
    pool.shutdown(true);
    assert_eq!(*log.lock().unwrap(), Vec::from_iter(0..100));
}

#[test]
fn a_panic_takes_no_thread_with_it() {
    let pool = WorkerPool::new("quiet", 1);
    let (sender, receiver) = mpsc::channel();
    // Unwinds without calling the panic hook, for the sake of the output.
    pool.spawn(|| std::panic::resume_unwind(Box::new("contained")))
        .unwrap();
    pool.spawn(move || sender.send(()).unwrap()).unwrap();
    receiver.recv().unwrap();
    assert_eq!(pool.threads(), 1);
}

#[test]
fn shutdown_finishes_what_was_put_in_and_takes_no_more() {
    let pool = WorkerPool::new("blocking", 1);
    let (release, gate) = mpsc::channel::<()>();
    let (sender, receiver) = mpsc::channel();
    pool.spawn(move || gate.recv().unwrap()).unwrap();
    pool.spawn(move || sender.send("done").unwrap()).unwrap();
    pool.shutdown(false);
    assert!(matches!(pool.spawn(|| ()), Err(SpawnError::Closed)));
    release.send(()).unwrap();
    pool.shutdown(true);
    assert_eq!(receiver.recv().unwrap(), "done");
}

#[test]
fn cancel_drops_what_has_not_begun() {
    let pool = WorkerPool::new("blocking", 1);
    let (release, gate) = mpsc::channel::<()>();
    let (sender, receiver) = mpsc::channel::<()>();
    let (begun_sender, begun) = mpsc::channel();
    pool.spawn(move || {
        begun_sender.send(()).unwrap();
        gate.recv().unwrap();
    })
    .unwrap();
    begun.recv().unwrap();
    pool.spawn(move || sender.send(()).unwrap()).unwrap();
    pool.cancel(false);
    assert!(receiver.recv().is_err());
    release.send(()).unwrap();
    pool.shutdown(true);
}

#[test]
fn a_worker_may_shut_its_own_pool_down() {
    let pool = Arc::new(WorkerPool::new("blocking", 1));
    let (sender, receiver) = mpsc::channel();
    let own = Arc::clone(&pool);
    pool.spawn(move || {
        own.shutdown(true);
        sender.send(()).unwrap();
    })
    .unwrap();
    receiver.recv().unwrap();
}

#[test]
fn a_result_comes_back_through_the_loop_s_inbox() {
    let event_loop = EventLoop::new().unwrap();
    let pool = WorkerPool::new("blocking", 1);
    let (remote, result) = (event_loop.remote(), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&result);
    pool.spawn(move || {
        let answer = 6 * 7;
        let job = Job::from_fn(move || *slot.lock().unwrap() = Some(answer));
        // SAFETY: the closure may go to any thread.
        unsafe { remote.schedule(job) }.unwrap();
    })
    .unwrap();
    while result.lock().unwrap().is_none() {
        event_loop.turn(&mut PlainDriver).unwrap();
    }
    assert_eq!(*result.lock().unwrap(), Some(42));
}
