//! Signals as events. One test, for a signal belongs to the whole process.
#![cfg(feature = "signals")]

mod common;

use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;

use common::Bench;
use rasyncio_engine::Signals;

fn raise(signal: i32) {
    // SAFETY: a number; the signals of this test are caught.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

#[test]
fn signals_arrive_once_each_and_wake_the_loop() {
    let bench = Bench::new();
    let signals = Rc::new(Signals::new().unwrap());
    signals.add(libc::SIGUSR1).unwrap();
    signals.add(libc::SIGUSR1).unwrap();
    signals.add(libc::SIGUSR2).unwrap();
    let taker = Rc::clone(&signals);
    let (one, two) = (bench.says("one"), bench.says("two"));
    let job = rasyncio_engine::Job::from_fn_mut(move || {
        for signal in taker.take() {
            match signal {
                libc::SIGUSR1 => one.clone().run(),
                libc::SIGUSR2 => two.clone().run(),
                _ => unreachable!(),
            };
        }
    });
    bench
        .event_loop
        .set_reader(signals.as_fd().as_raw_fd(), job)
        .unwrap();

    raise(libc::SIGUSR2);
    raise(libc::SIGUSR1);
    raise(libc::SIGUSR1);
    bench.turn();
    assert_eq!(bench.log(), "one two");
    bench.poll();
    assert_eq!(bench.log(), "");

    assert!(signals.remove(libc::SIGUSR1));
    assert!(!signals.remove(libc::SIGUSR1));
    // Ignored now, rather than deadly.
    raise(libc::SIGUSR1);
    bench.poll();
    assert_eq!(bench.log(), "");

    for forbidden in [0, -1, 65, libc::SIGKILL, libc::SIGSTOP] {
        let error = signals.add(forbidden).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
