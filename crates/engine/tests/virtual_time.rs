//! The clock that jumps.

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use common::Bench;

const HOUR: u64 = 3_600_000_000_000;

#[test]
fn an_hour_passes_at_once() {
    let bench = Bench::virtual_time();
    bench.event_loop.set_timer(HOUR, bench.says("late"));
    bench.turn();
    assert_eq!(bench.log(), "late");
    assert_eq!(bench.event_loop.now(), HOUR);
}

#[test]
fn time_stands_still_while_there_is_work() {
    let bench = Bench::virtual_time();
    bench.event_loop.set_timer(HOUR, bench.says("late"));
    bench.event_loop.schedule(bench.says("work"));
    bench.turn();
    assert_eq!(bench.log(), "work");
    assert_eq!(bench.event_loop.now(), 0);
}

#[test]
fn descriptors_that_are_ready_come_before_the_jump() {
    let bench = Bench::virtual_time();
    let (near, _far) = UnixStream::pair().unwrap();
    bench.event_loop.set_timer(HOUR, bench.says("late"));
    bench
        .event_loop
        .set_writer(near.as_raw_fd(), bench.says("w"))
        .unwrap();
    bench.turn();
    assert_eq!(bench.log(), "w");
    assert_eq!(bench.event_loop.now(), 0);
}

#[test]
fn what_other_threads_send_comes_before_the_jump() {
    let bench = Bench::virtual_time();
    bench.event_loop.set_timer(HOUR, bench.says("late"));
    // SAFETY: this is the loop's thread.
    unsafe { bench.event_loop.remote().schedule(bench.says("sent")) }.unwrap();
    bench.turn();
    assert_eq!(bench.log(), "sent");
    assert_eq!(bench.event_loop.now(), 0);
}

#[test]
fn the_clock_can_be_moved_by_hand_but_not_back() {
    let bench = Bench::virtual_time();
    bench.clock.advance(5);
    bench.clock.advance_to(3);
    assert_eq!(bench.event_loop.now(), 5);
}

#[test]
fn a_held_clock_waits_for_other_threads() {
    let bench = Bench::virtual_time();
    bench.event_loop.set_timer(HOUR, bench.says("late"));
    let hold = bench.clock.hold();
    let remote = bench.event_loop.remote();
    let waker = std::thread::spawn(move || remote.wake());
    bench.turn();
    waker.join().unwrap();
    assert_eq!(bench.event_loop.now(), 0);
    drop(hold);
    bench.turn();
    assert_eq!(bench.event_loop.now(), HOUR);
    assert_eq!(bench.log(), "late");
}
