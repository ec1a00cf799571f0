//! Other threads and the loop.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::{Bench, tracked};
use rasyncio_engine::{EventLoop, Job, PlainDriver, Remote};

/// Schedules a closure from any thread.
fn send(remote: &Remote, f: impl FnOnce() + Send + 'static) -> Result<(), Job> {
    // SAFETY: the closure may go to any thread.
    unsafe { remote.schedule(Job::from_fn(f)) }
}

#[test]
fn a_job_from_another_thread_ends_the_wait() {
    let bench = Bench::new();
    let remote = bench.event_loop.remote();
    let ran = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ran);
    let sender = thread::spawn(move || {
        send(&remote, move || {
            count.fetch_add(1, Ordering::Relaxed);
        })
        .unwrap();
    });
    bench.turn();
    sender.join().unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 1);
}

#[test]
fn wake_ends_the_wait() {
    let bench = Bench::new();
    let remote = bench.event_loop.remote();
    let waker = thread::spawn(move || remote.wake());
    bench.turn();
    waker.join().unwrap();
}

#[test]
fn wake_before_the_wait_counts() {
    let bench = Bench::new();
    bench.event_loop.remote().wake();
    bench.turn();
}

#[test]
fn nothing_is_lost_among_many_threads_and_order_is_kept_within_each() {
    const THREADS: usize = 4;
    const JOBS: usize = 5_000;
    let bench = Bench::new();
    let next: Arc<[AtomicUsize]> = (0..THREADS).map(|_| AtomicUsize::new(0)).collect();
    let senders: Vec<_> = (0..THREADS)
        .map(|number| {
            let (remote, next) = (bench.event_loop.remote(), Arc::clone(&next));
            thread::spawn(move || {
                for job in 0..JOBS {
                    let next = Arc::clone(&next);
                    send(&remote, move || {
                        assert_eq!(next[number].fetch_add(1, Ordering::Relaxed), job);
                    })
                    .unwrap();
                }
            })
        })
        .collect();
    while next.iter().any(|it| it.load(Ordering::Relaxed) < JOBS) {
        bench.turn();
    }
    for sender in senders {
        sender.join().unwrap();
    }
}

#[test]
fn jobs_from_outside_queue_up_behind_those_that_are_ready() {
    let bench = Bench::new();
    bench.event_loop.schedule(bench.says("ready"));
    // SAFETY: this is the loop's thread.
    unsafe { bench.event_loop.remote().schedule(bench.says("sent")) }.unwrap();
    bench.turn();
    assert_eq!(bench.log(), "ready sent");
}

#[test]
fn a_closed_loop_hands_the_job_back() {
    let bench = Bench::new();
    let remote = bench.event_loop.remote();
    bench.event_loop.close();
    let job = send(&remote, || ()).unwrap_err();
    job.run();
    remote.wake();
}

#[test]
fn jobs_that_nobody_ran_are_dropped_with_the_loop() {
    let (token, job) = tracked();
    let bench = Bench::new();
    // SAFETY: this is the loop's thread.
    unsafe { bench.event_loop.remote().schedule(job()) }.unwrap();
    drop(bench);
    assert_eq!(std::rc::Rc::strong_count(&token), 2);
}

#[test]
fn the_loop_s_thread_is_the_one_that_turns_it() {
    let remote = thread::spawn(|| {
        let event_loop = EventLoop::new().unwrap();
        let remote = event_loop.remote();
        assert!(remote.is_loop_thread());
        event_loop.stop();
        event_loop.run(&mut PlainDriver).unwrap();
        assert!(remote.is_loop_thread());
        remote
    })
    .join()
    .unwrap();
    assert!(!remote.is_loop_thread());
}
