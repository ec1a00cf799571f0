//! What the loop owns, and how it lets go of it.

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use common::{Bench, tracked};
use rasyncio_engine::{EventLoop, Job, PlainDriver};

/// Puts a job everywhere a job can be.
fn fill(event_loop: &EventLoop, socket: &UnixStream, job: &dyn Fn() -> Job) {
    event_loop.schedule(job());
    event_loop.set_timer(event_loop.now() + 1_000_000_000, job());
    let cancelled = event_loop.set_timer(event_loop.now() + 1, job());
    event_loop.cancel_timer(cancelled);
    event_loop.set_reader(socket.as_raw_fd(), job()).unwrap();
    event_loop.set_writer(socket.as_raw_fd(), job()).unwrap();
}

#[test]
fn every_job_is_shown() {
    let bench = Bench::new();
    let (socket, _other) = UnixStream::pair().unwrap();
    let (_, job) = tracked();
    fill(&bench.event_loop, &socket, &job);
    let vtable = job().vtable();
    let mut count = 0;
    bench.event_loop.for_each_job(&mut |job| {
        assert!(std::ptr::eq(job.vtable(), vtable));
        assert!(!job.data().is_null());
        count += 1;
    });
    assert_eq!(count, 4);
}

#[test]
fn clear_drops_everything_and_the_loop_goes_on() {
    let bench = Bench::new();
    let (socket, _other) = UnixStream::pair().unwrap();
    let (token, job) = tracked();
    fill(&bench.event_loop, &socket, &job);
    // SAFETY: this is the loop's thread.
    unsafe { bench.event_loop.remote().schedule(job()) }.unwrap();
    bench.event_loop.clear();
    assert_eq!(Rc::strong_count(&token), 2);
    assert_eq!(bench.event_loop.next_timer(), None);
    bench
        .event_loop
        .set_writer(socket.as_raw_fd(), bench.says("on"))
        .unwrap();
    bench.turn();
    assert_eq!(bench.log(), "on");
}

#[test]
fn close_drops_everything_and_takes_nothing_more() {
    let bench = Bench::new();
    let (socket, _other) = UnixStream::pair().unwrap();
    let (token, job) = tracked();
    fill(&bench.event_loop, &socket, &job);
    bench.event_loop.close();
    bench.event_loop.schedule(job());
    let key = bench.event_loop.set_timer(0, job());
    assert!(bench.event_loop.cancel_timer(key).is_none());
    assert!(
        bench
            .event_loop
            .set_reader(socket.as_raw_fd(), job())
            .is_err()
    );
    assert!(bench.event_loop.remove_reader(socket.as_raw_fd()).is_none());
    assert_eq!(Rc::strong_count(&token), 2);
    assert_eq!(bench.event_loop.ready_len(), 0);
    assert!(bench.event_loop.is_closed());
    bench.event_loop.close();
}

#[test]
fn a_closed_loop_does_not_turn() {
    let bench = Bench::new();
    bench.event_loop.close();
    bench.turn();
    bench.run();
}

#[test]
fn a_job_may_close_the_loop() {
    let bench = Bench::new();
    bench
        .event_loop
        .schedule(bench.job(|event_loop| event_loop.close()));
    bench.event_loop.schedule(bench.says("dropped"));
    bench.run();
    assert_eq!(bench.log(), "");
}

#[test]
fn what_is_dropped_may_call_the_loop() {
    for close in [false, true] {
        let bench = Bench::new();
        let (socket, _other) = UnixStream::pair().unwrap();
        let fd = socket.as_raw_fd();
        let meddle = move |event_loop: &Rc<EventLoop>| {
            event_loop.schedule(Job::from_fn(|| ()));
            event_loop.set_timer(5, Job::from_fn(|| ()));
            event_loop.remove_writer(fd);
            event_loop.clear();
        };
        bench.event_loop.schedule(bench.when_dropped(meddle));
        bench
            .event_loop
            .set_timer(u64::MAX, bench.when_dropped(meddle));
        bench
            .event_loop
            .set_reader(fd, bench.when_dropped(meddle))
            .unwrap();
        bench
            .event_loop
            .set_writer(fd, bench.when_dropped(meddle))
            .unwrap();
        if close {
            bench.event_loop.close();
        } else {
            bench.event_loop.clear();
        }
    }
}

#[test]
fn a_dropped_loop_drops_its_jobs() {
    let (socket, _other) = UnixStream::pair().unwrap();
    let (token, job) = tracked();
    let event_loop = EventLoop::new().unwrap();
    fill(&event_loop, &socket, &job);
    drop(event_loop);
    assert_eq!(Rc::strong_count(&token), 2);
}

#[test]
fn a_closed_loop_has_given_its_poller_back() {
    let event_loop = EventLoop::new().unwrap();
    let (socket, _other) = UnixStream::pair().unwrap();
    let (token, job) = tracked();
    event_loop.set_reader(socket.as_raw_fd(), job()).unwrap();
    event_loop.close();
    event_loop.turn(&mut PlainDriver).unwrap();
    assert_eq!(Rc::strong_count(&token), 2);
}

#[test]
fn a_job_that_is_refused_may_call_the_loop_from_its_drop() {
    let bench = Bench::new();
    for closed in [false, true] {
        if closed {
            bench.event_loop.close();
        }
        let meddle = |event_loop: &Rc<EventLoop>| {
            event_loop.schedule(Job::from_fn(|| ()));
            event_loop.remove_reader(0);
            event_loop.clear();
        };
        let refused = bench.event_loop.set_reader(-1, bench.when_dropped(meddle));
        assert!(refused.is_err());
        drop(refused);
        bench.event_loop.schedule(bench.when_dropped(meddle));
        bench.event_loop.set_timer(1, bench.when_dropped(meddle));
        bench.event_loop.clear();
    }
}

#[test]
fn a_loop_that_is_closed_while_it_waits_stays_closed() {
    struct Closing(Rc<EventLoop>);
    impl rasyncio_engine::Driver for Closing {
        type Error = std::io::Error;
        fn park<R>(&mut self, block: impl FnOnce() -> R) -> R {
            let result = block();
            self.0.close();
            result
        }
        fn interrupted(&mut self) -> std::io::Result<()> {
            Ok(())
        }
        fn poll_failed(&mut self, error: std::io::Error) -> std::io::Error {
            error
        }
    }
    let bench = Bench::new();
    let (socket, _other) = UnixStream::pair().unwrap();
    bench
        .event_loop
        .set_writer(socket.as_raw_fd(), bench.says("never"))
        .unwrap();
    bench
        .event_loop
        .run(&mut Closing(Rc::clone(&bench.event_loop)))
        .unwrap();
    assert_eq!(bench.log(), "");
    assert!(
        bench
            .event_loop
            .set_writer(socket.as_raw_fd(), bench.says("never"))
            .is_err()
    );
}
