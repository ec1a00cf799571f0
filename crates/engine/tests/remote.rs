//! Other threads and the loop.

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
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
fn threads_end_every_wait_whether_a_descriptor_is_watched_or_not() {
    const WAITS: usize = 2_000;
    let bench = Bench::new();
    let (near, _far) = UnixStream::pair().unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let (ask, asked) = mpsc::channel();
    let sender = {
        let (remote, ran) = (bench.event_loop.remote(), Arc::clone(&ran));
        thread::spawn(move || {
            for () in asked {
                let ran = Arc::clone(&ran);
                send(&remote, move || {
                    ran.fetch_add(1, Ordering::Relaxed);
                })
                .unwrap();
            }
        })
    };
    for wait in 0..WAITS {
        let fd = near.as_raw_fd();
        match wait % 3 {
            0 => drop(bench.event_loop.set_reader(fd, bench.says("r")).unwrap()),
            _ => drop(bench.event_loop.remove_reader(fd)),
        }
        // A wait that may end before it is asked to, so that the waker of it comes late.
        let moment = bench.event_loop.now() + 20_000;
        let timer = bench.event_loop.set_timer(moment, bench.says("t"));
        ask.send(()).unwrap();
        while ran.load(Ordering::Relaxed) == wait {
            bench.turn();
        }
        drop(bench.event_loop.cancel_timer(timer));
    }
    drop(ask);
    sender.join().unwrap();
}

#[test]
fn a_wait_without_descriptors_ends_with_its_timer() {
    let bench = Bench::new();
    let when = bench.event_loop.now() + 3_000_000;
    bench.event_loop.set_timer(when, bench.says("t"));
    bench.turn();
    assert!(bench.event_loop.now() >= when);
    assert_eq!(bench.log(), "t");
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
