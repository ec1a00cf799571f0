//! What a turn runs, and in which order.

mod common;

use std::cell::Cell;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use common::Bench;
use rasyncio_engine::{Driver, Flow, Job, JobVTable};

#[test]
fn jobs_run_in_order() {
    let bench = Bench::new();
    for word in ["a", "b", "c"] {
        bench.event_loop.schedule(bench.says(word));
    }
    assert_eq!(bench.event_loop.ready_len(), 3);
    bench.turn();
    assert_eq!(bench.log(), "a b c");
    assert_eq!(bench.event_loop.ready_len(), 0);
}

#[test]
fn what_a_job_schedules_waits_for_the_next_turn() {
    let bench = Bench::new();
    let later = bench.says("later");
    bench
        .event_loop
        .schedule(bench.job(|event_loop| event_loop.schedule(later)));
    bench.event_loop.schedule(bench.says("b"));
    bench.turn();
    assert_eq!(bench.log(), "b");
    bench.turn();
    assert_eq!(bench.log(), "later");
}

#[test]
fn a_known_event_comes_behind_all_that_its_turn_schedules() {
    let bench = Bench::new();
    let event = bench.says("event");
    let later = bench.says("later");
    bench
        .event_loop
        .schedule(bench.job(|event_loop| event_loop.schedule_as_event(event)));
    bench
        .event_loop
        .schedule(bench.job(|event_loop| event_loop.schedule(later)));
    bench.turn();
    assert_eq!(bench.log(), "");
    bench.turn();
    assert_eq!(bench.log(), "later event");
}

#[test]
fn a_known_event_keeps_the_loop_from_waiting_and_goes_when_it_is_cleared() {
    let bench = Bench::new();
    bench.event_loop.schedule_as_event(bench.says("event"));
    let mut seen = 0;
    bench.event_loop.for_each_job(&mut |_| seen += 1);
    assert_eq!(seen, 1);
    bench.turn();
    assert_eq!(bench.log(), "event");
    bench.event_loop.schedule_as_event(bench.says("dropped"));
    bench.event_loop.clear();
    bench.event_loop.schedule(bench.says("end"));
    bench.turn();
    assert_eq!(bench.log(), "end");
}

#[test]
fn order_survives_growth_in_the_midst_of_a_turn() {
    let bench = Bench::new();
    let mut words = Vec::new();
    for round in 0..3 {
        // Odd sizes, so that the ring is full at all sorts of positions.
        for number in 0..101 {
            let word = format!("{round}.{number}");
            let inner = bench.says(word.clone());
            bench
                .event_loop
                .schedule(bench.job(|event_loop| event_loop.schedule(inner)));
            words.push(word);
        }
        bench.turn();
        bench.event_loop.schedule(bench.says("end"));
        words.push("end".into());
        bench.turn();
    }
    assert_eq!(bench.log(), words.join(" "));
}

#[test]
fn many_jobs_come_and_go() {
    let bench = Bench::new();
    let count = Rc::new(Cell::new(0));
    for _ in 0..100_000 {
        let count = Rc::clone(&count);
        bench
            .event_loop
            .schedule(Job::from_fn(move || count.set(count.get() + 1)));
    }
    bench.turn();
    assert_eq!(count.get(), 100_000);
    bench.event_loop.schedule(bench.says("and goes on"));
    bench.poll();
    assert_eq!(bench.log(), "and goes on");
}

/// A job that answers `Flow::Stop`.
fn stopper() -> Job {
    unsafe extern "C" fn run(_: *mut ()) -> Flow {
        Flow::Stop
    }
    unsafe extern "C" fn nothing(_: *mut ()) {}
    static TABLE: JobVTable = JobVTable {
        run,
        drop: nothing,
        clone: nothing,
    };
    // SAFETY: the functions do not touch the data.
    unsafe { Job::new(std::ptr::null_mut(), &TABLE) }
}

#[test]
fn a_job_that_stops_leaves_the_rest_in_order() {
    let bench = Bench::new();
    let inner = bench.says("d");
    bench.event_loop.schedule(bench.says("a"));
    bench
        .event_loop
        .schedule(bench.job(|event_loop| event_loop.schedule(inner)));
    bench.event_loop.schedule(stopper());
    bench.event_loop.schedule(bench.says("c"));
    assert_eq!(bench.turn(), Flow::Stop);
    assert_eq!(bench.log(), "a");
    assert_eq!(bench.turn(), Flow::Continue);
    assert_eq!(bench.log(), "c d");
}

#[test]
fn run_answers_stop_for_a_job_that_stops() {
    let bench = Bench::new();
    bench.event_loop.schedule(stopper());
    assert_eq!(bench.run(), Flow::Stop);
}

#[test]
fn stop_lets_the_turn_finish() {
    let bench = Bench::new();
    let next = bench.says("next turn");
    bench.event_loop.schedule(bench.job(|event_loop| {
        event_loop.stop();
        event_loop.schedule(next);
    }));
    bench.event_loop.schedule(bench.says("same turn"));
    assert_eq!(bench.run(), Flow::Continue);
    assert_eq!(bench.log(), "same turn");
    bench.poll();
    assert_eq!(bench.log(), "next turn");
}

#[test]
fn stop_before_run_makes_one_turn_without_waiting() {
    let bench = Bench::new();
    bench.event_loop.stop();
    assert_eq!(bench.run(), Flow::Continue);
}

#[test]
fn a_turn_inside_a_turn_takes_over_the_queue() {
    let bench = Bench::new();
    let (before, inside) = (bench.says("before"), bench.says("inside"));
    bench.event_loop.schedule(bench.job(|event_loop| {
        event_loop.schedule(inside);
        event_loop.turn(&mut rasyncio_engine::PlainDriver).unwrap();
    }));
    bench.event_loop.schedule(before);
    bench.turn();
    assert_eq!(bench.log(), "before inside");
    bench.poll();
    assert_eq!(bench.log(), "");
}

#[test]
fn a_cleared_queue_ends_the_turn() {
    let bench = Bench::new();
    let next = bench.says("next");
    bench.event_loop.schedule(bench.job(|event_loop| {
        event_loop.clear();
        event_loop.schedule(next);
    }));
    bench.event_loop.schedule(bench.says("cleared"));
    bench.turn();
    assert_eq!(bench.log(), "");
    bench.turn();
    assert_eq!(bench.log(), "next");
}

/// Counts what the loop asks of it, and fails when told.
#[derive(Default)]
struct Counting {
    ticks: usize,
    parks: usize,
    fail_at_tick: Option<usize>,
}

impl Driver for Counting {
    type Error = &'static str;

    fn park<R>(&mut self, block: impl FnOnce() -> R) -> R {
        self.parks += 1;
        block()
    }

    fn interrupted(&mut self) -> Result<(), &'static str> {
        Err("interrupted")
    }

    fn poll_failed(&mut self, _: io::Error) -> &'static str {
        "poll failed"
    }

    fn tick(&mut self) -> Result<(), &'static str> {
        self.ticks += 1;
        if self.fail_at_tick == Some(self.ticks) {
            Err("tick")
        } else {
            Ok(())
        }
    }
}

#[test]
fn polls_are_bounded_by_jobs_and_never_park_while_work_is_ready() {
    fn chain(event_loop: &Rc<rasyncio_engine::EventLoop>, left: usize) {
        let again = Rc::clone(event_loop);
        event_loop.schedule(Job::from_fn(move || match left {
            0 => again.stop(),
            _ => chain(&again, left - 1),
        }));
    }
    let bench = Bench::new();
    let mut driver = Counting::default();
    chain(&bench.event_loop, 10_000);
    assert_eq!(bench.event_loop.run(&mut driver), Ok(Flow::Continue));
    assert!(driver.ticks >= 10_000 / 61, "{} polls", driver.ticks);
    assert_eq!(driver.parks, 0);
}

/// As asyncio: looks in every turn.
struct EveryTurn;

impl Driver for EveryTurn {
    type Error = &'static str;

    const EVERY_TURN: bool = true;

    fn park<R>(&mut self, block: impl FnOnce() -> R) -> R {
        block()
    }

    fn interrupted(&mut self) -> Result<(), &'static str> {
        Ok(())
    }

    fn poll_failed(&mut self, _: io::Error) -> &'static str {
        "poll failed"
    }
}

#[test]
fn a_driver_may_have_every_turn_look() {
    let bench = Bench::new();
    let (near, mut far) = UnixStream::pair().unwrap();
    bench
        .event_loop
        .set_reader(near.as_raw_fd(), bench.says("readable"))
        .unwrap();
    never_idle(&bench.event_loop);
    let turn = || bench.event_loop.turn(&mut EveryTurn).unwrap();
    turn();
    turn();
    assert_eq!(bench.log(), "");
    far.write_all(b"x").unwrap();
    turn();
    turn();
    assert_eq!(bench.log(), "readable readable");
    bench.event_loop.has_left_unread();
    turn();
    assert_eq!(bench.log(), "", "it would be the same event");
    turn();
    assert_eq!(bench.log(), "readable");
    bench.event_loop.clear();
}

#[test]
fn jobs_that_become_long_are_interrupted_by_a_poll_sooner() {
    const QUICK: usize = 1_000;
    const LONG: usize = 40;
    const TICK: Duration = Duration::from_millis(10);
    let bench = Bench::new();
    let mut driver = Counting::default();
    let mut turns = |count: usize, time: Duration| {
        // The most turns of a job each between two polls.
        let (mut most, mut last) = (0, 0);
        for turn in 1..=count {
            let before = driver.ticks;
            bench
                .event_loop
                .schedule(Job::from_fn(move || std::thread::sleep(time)));
            bench.event_loop.turn(&mut driver).unwrap();
            if driver.ticks > before {
                most = most.max(turn - last);
                last = turn;
            }
        }
        most.max(count - last)
    };
    assert!(turns(QUICK, Duration::ZERO) <= 61 + 1);
    let job = TICK / 5;
    // 16 until the clock is looked at, and a tick.
    assert!(turns(LONG, job) <= 16 + 5 + 2);
}

/// Keeps a job ready in every turn, for as long as the loop turns.
fn never_idle(event_loop: &Rc<rasyncio_engine::EventLoop>) {
    let again = Rc::clone(event_loop);
    event_loop.schedule(Job::from_fn(move || never_idle(&again)));
}

#[test]
fn descriptors_are_seen_while_work_never_ends() {
    let bench = Bench::new();
    let (near, _far) = UnixStream::pair().unwrap();
    never_idle(&bench.event_loop);
    let stop = bench.job(|event_loop| event_loop.stop());
    bench.event_loop.set_writer(near.as_raw_fd(), stop).unwrap();
    bench.run();
    bench.event_loop.clear();
}

#[test]
fn other_threads_are_heard_while_work_never_ends() {
    let bench = Bench::new();
    never_idle(&bench.event_loop);
    let remote = bench.event_loop.remote();
    let stop = bench.job(|event_loop| event_loop.stop());
    bench.event_loop.schedule(Job::from_fn(move || {
        // SAFETY: this is the loop's thread.
        unsafe { remote.schedule(stop) }.unwrap();
    }));
    bench.run();
    bench.event_loop.clear();
}

#[test]
fn an_error_of_the_driver_leaves_the_turn_and_loses_nothing() {
    let bench = Bench::new();
    bench.event_loop.schedule(bench.says("kept"));
    let mut driver = Counting {
        fail_at_tick: Some(1),
        ..Counting::default()
    };
    assert_eq!(bench.event_loop.run(&mut driver), Err("tick"));
    assert_eq!(bench.log(), "");
    bench.poll();
    assert_eq!(bench.log(), "kept");
}

#[test]
fn the_driver_parks_once_for_a_wait() {
    let bench = Bench::virtual_time();
    let mut driver = Counting::default();
    bench.event_loop.set_timer(1, bench.says("due"));
    bench.event_loop.turn(&mut driver).unwrap();
    assert_eq!(driver.parks, 1);
    assert_eq!(bench.log(), "due");
}

/// While the test waits, somebody sends a signal to its very thread.
#[cfg(all(feature = "signals", not(feature = "portable-poller")))]
#[test]
fn a_signal_ends_the_wait_and_is_told_to_the_driver() {
    let signals = rasyncio_engine::Signals::new().unwrap();
    signals.add(libc::SIGUSR2).unwrap();
    let bench = Bench::new();
    // SAFETY: no arguments.
    let waiting = unsafe { libc::pthread_self() } as usize;
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = std::sync::Arc::clone(&done);
    let sender = std::thread::spawn(move || {
        while !seen.load(std::sync::atomic::Ordering::Relaxed) {
            // SAFETY: the thread waits for this one at the end.
            unsafe { libc::pthread_kill(waiting as libc::pthread_t, libc::SIGUSR2) };
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    });
    let result = bench.event_loop.run(&mut Counting::default());
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    sender.join().unwrap();
    assert_eq!(result, Err("interrupted"));
}
