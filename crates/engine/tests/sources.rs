//! Descriptors watched edge-triggered for their whole life.

mod common;

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use common::{Bench, tracked};
use rasyncio_engine::{Direction, Source};

/// One end, which does not block, the other, and a source for the first.
fn pair() -> (UnixStream, UnixStream, Rc<Source>) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let source = Rc::new(Source::new(near.as_raw_fd()));
    (near, far, source)
}

fn fill(mut stream: &UnixStream) {
    while stream.write(&[0; 65536]).is_ok() {}
}

impl Bench {
    fn wait(&self, source: &Rc<Source>, direction: Direction, word: &str) {
        self.event_loop
            .wait_ready(source, direction, self.says(word))
            .unwrap();
    }
}

#[test]
fn a_job_that_waits_runs_once() {
    let bench = Bench::new();
    let (_near, mut far, source) = pair();
    bench.wait(&source, Direction::Read, "r");
    bench.poll();
    assert_eq!(bench.log(), "");
    far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "r");
    assert!(source.is_ready(Direction::Read));
    far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "");
}

#[test]
fn what_is_there_before_anybody_waits_is_told() {
    let bench = Bench::new();
    let (_near, mut far, source) = pair();
    far.write_all(b"x").unwrap();
    assert!(source.is_ready(Direction::Read), "nobody has asked");
    bench.wait(&source, Direction::Read, "r");
    assert!(!source.is_ready(Direction::Read));
    bench.poll();
    assert_eq!(bench.log(), "r");
    assert!(source.is_ready(Direction::Read));
}

#[test]
fn one_registration_serves_many_waits() {
    let bench = Bench::new();
    let (mut near, mut far, source) = pair();
    for _ in 0..3 {
        bench.wait(&source, Direction::Read, "r");
        far.write_all(b"x").unwrap();
        bench.poll();
        assert_eq!(bench.log(), "r");
        assert_eq!(near.read(&mut [0; 8]).unwrap(), 1);
        source.drained(Direction::Read);
        // The portable poller cannot tell the end from data.
        let maybe = cfg!(feature = "portable-poller");
        assert_eq!(source.is_ready(Direction::Read), maybe);
        source.blocked(Direction::Read);
    }
}

#[test]
fn the_end_outlasts_a_short_reading() {
    let bench = Bench::new();
    let (mut near, mut far, source) = pair();
    bench.wait(&source, Direction::Read, "r");
    far.write_all(b"x").unwrap();
    drop(far);
    bench.poll();
    assert_eq!(near.read(&mut [0; 8]).unwrap(), 1);
    source.drained(Direction::Read);
    assert!(
        source.is_ready(Direction::Read),
        "the end is still to be read"
    );
    source.blocked(Direction::Read);
    assert!(!source.is_ready(Direction::Read));
}

#[test]
fn the_end_alone_is_an_edge() {
    let bench = Bench::new();
    let (mut near, mut far, source) = pair();
    far.write_all(b"x").unwrap();
    bench.wait(&source, Direction::Read, "r");
    bench.poll();
    assert_eq!(near.read(&mut [0; 8]).unwrap(), 1);
    source.blocked(Direction::Read);
    bench.wait(&source, Direction::Read, "end");
    drop(far);
    bench.poll();
    assert_eq!(bench.log(), "r end");
}

#[test]
fn room_to_write_is_told_when_there_is_some_again() {
    let bench = Bench::new();
    let (near, mut far, source) = pair();
    fill(&near);
    bench.wait(&source, Direction::Read, "r");
    bench.wait(&source, Direction::Write, "w");
    bench.poll();
    assert_eq!(bench.log(), "");
    far.set_nonblocking(true).unwrap();
    while far.read(&mut [0; 65536]).is_ok() {}
    bench.poll();
    assert_eq!(bench.log(), "w");
    assert!(source.is_ready(Direction::Write));
}

#[test]
fn all_who_wait_are_told_in_their_order() {
    let bench = Bench::new();
    let (_near, mut far, source) = pair();
    for word in ["a", "b", "c", "d"] {
        bench.wait(&source, Direction::Read, word);
    }
    far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "a b c d");
}

#[test]
fn a_job_that_watches_is_told_every_time() {
    let bench = Bench::new();
    let (_near, mut far, source) = pair();
    let watch = |job| bench.event_loop.watch_ready(&source, Direction::Read, job);
    assert!(watch(bench.says("old")).unwrap().is_none());
    assert!(watch(bench.says("new")).unwrap().is_some());
    for _ in 0..2 {
        far.write_all(b"x").unwrap();
        bench.poll();
    }
    bench.poll();
    assert_eq!(bench.log(), "new new");
    source.watcher(Direction::Read).unwrap().run();
    assert_eq!(bench.log(), "new");
    assert!(source.watcher(Direction::Write).is_none());
    bench.event_loop.forget_source(&source, false);
    assert!(source.watcher(Direction::Read).is_none());
}

#[test]
fn who_leaves_is_not_told() {
    let bench = Bench::new();
    let (_near, mut far, source) = pair();
    let wait = |word| {
        let job = bench.says(word);
        bench
            .event_loop
            .wait_ready(&source, Direction::Read, job)
            .unwrap()
    };
    let keys = ["a", "b", "c"].map(wait);
    assert!(source.leave(Direction::Read, keys[0]).is_some());
    assert!(source.leave(Direction::Read, keys[0]).is_none());
    assert!(source.leave(Direction::Read, keys[1]).is_some());
    far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "c");
    assert!(source.leave(Direction::Read, keys[2]).is_none());
}

#[test]
fn a_forgotten_source_drops_its_jobs_and_can_wait_again() {
    let bench = Bench::new();
    let (_near, mut far, source) = pair();
    let (token, job) = tracked();
    for direction in [Direction::Read, Direction::Read, Direction::Write] {
        fill(&_near);
        bench
            .event_loop
            .wait_ready(&source, direction, job())
            .unwrap();
    }
    drop(job);
    bench.event_loop.forget_source(&source, false);
    assert_eq!(Rc::strong_count(&token), 1);
    far.write_all(b"x").unwrap();
    bench.poll();
    bench.wait(&source, Direction::Read, "again");
    bench.poll();
    assert_eq!(bench.log(), "again");
}

#[test]
fn a_source_and_a_reader_do_not_mix() {
    let bench = Bench::new();
    let (near, _far, source) = pair();
    let fd = near.as_raw_fd();
    let exists = |error: io::Error| error.raw_os_error() == Some(libc::EEXIST);
    bench.wait(&source, Direction::Read, "r");
    assert!(exists(
        bench
            .event_loop
            .set_reader(fd, bench.says("x"))
            .unwrap_err()
    ));
    let other = Rc::new(Source::new(fd));
    let wait = |source| {
        bench
            .event_loop
            .wait_ready(source, Direction::Read, bench.says("x"))
    };
    assert!(exists(wait(&other).unwrap_err()));
    bench.event_loop.forget_source(&source, false);
    bench.event_loop.set_reader(fd, bench.says("x")).unwrap();
    assert!(exists(wait(&other).unwrap_err()));
    bench.event_loop.remove_reader(fd);
    assert!(wait(&other).is_ok());
}

/// Gives `file` the number `fd`: a high one, that no test beside this gets meanwhile.
fn renumber(file: UnixStream, fd: RawFd) -> UnixStream {
    // SAFETY: two numbers.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), fd) }, fd);
    // SAFETY: just made, and nobody else's.
    let file = unsafe { OwnedFd::from_raw_fd(fd) };
    file.into()
}

#[test]
fn a_source_whose_owner_could_not_tell_is_no_obstacle() {
    let bench = Bench::new();
    let fd = 4801;
    let (near, _far) = UnixStream::pair().unwrap();
    let near = renumber(near, fd);
    let source = Rc::new(Source::new(fd));
    bench.wait(&source, Direction::Read, "old");
    drop((source, near));

    let (near, mut far) = UnixStream::pair().unwrap();
    let _near = renumber(near, fd);
    let source = Rc::new(Source::new(fd));
    bench.wait(&source, Direction::Read, "new");
    far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "new");
    drop((source, _near));

    let (near, mut far) = UnixStream::pair().unwrap();
    let _near = renumber(near, fd);
    bench
        .event_loop
        .set_reader(fd, bench.says("reader"))
        .unwrap();
    far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "reader");
}

#[test]
fn events_of_a_closed_source_that_lives_on_in_a_duplicate_are_not_taken_for_anothers() {
    let bench = Bench::new();
    let fd = 4802;
    let (near, mut old_far) = UnixStream::pair().unwrap();
    let near = renumber(near, fd);
    let _duplicate = near.try_clone().unwrap();
    let source = Rc::new(Source::new(fd));
    bench.wait(&source, Direction::Read, "old");
    bench.event_loop.forget_source(&source, true);
    drop(near);

    let (near, mut far) = UnixStream::pair().unwrap();
    let _near = renumber(near, fd);
    let source = Rc::new(Source::new(fd));
    bench.wait(&source, Direction::Read, "new");
    old_far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "");
    far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "new");
}

#[test]
fn a_closed_loop_drops_the_jobs_and_takes_no_more() {
    let bench = Bench::new();
    let (_near, _far, source) = pair();
    let (token, job) = tracked();
    bench
        .event_loop
        .wait_ready(&source, Direction::Read, job())
        .unwrap();
    let mut seen = 0;
    bench.event_loop.for_each_job(&mut |_| seen += 1);
    assert_eq!(seen, 1);
    bench.event_loop.close();
    assert!(
        bench
            .event_loop
            .wait_ready(&source, Direction::Read, job())
            .is_err()
    );
    drop(job);
    assert_eq!(Rc::strong_count(&token), 1);
}

#[test]
fn dropping_a_job_may_come_back() {
    let bench = Bench::new();
    let (_near, _far, source) = pair();
    let again = Rc::clone(&source);
    let job = bench.when_dropped(move |event_loop| event_loop.forget_source(&again, false));
    bench
        .event_loop
        .wait_ready(&source, Direction::Read, job)
        .unwrap();
    bench.event_loop.forget_source(&source, false);
    assert_eq!(bench.event_loop.watched(source.fd()), (false, false));
}

#[test]
fn what_cannot_be_watched_is_an_error() {
    let bench = Bench::new();
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let source = Rc::new(Source::new(file.as_raw_fd()));
    let (token, job) = tracked();
    let error = bench.event_loop.wait_ready(&source, Direction::Read, job());
    assert_eq!(error.unwrap_err().raw_os_error(), Some(libc::EPERM));
    drop(job);
    assert_eq!(Rc::strong_count(&token), 1);
}
