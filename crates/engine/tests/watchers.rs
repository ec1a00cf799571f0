//! Readers and writers.

mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use common::{Bench, tracked};
use rasyncio_engine::Job;

/// A descriptor that can be read, one that feeds it, and the number of the first.
fn pair() -> (UnixStream, UnixStream, RawFd) {
    let (near, far) = UnixStream::pair().unwrap();
    let fd = near.as_raw_fd();
    (near, far, fd)
}

/// Gives `file` the number `fd`. Tests that close a watched descriptor take high numbers, each
/// its own, which no test beside them gets meanwhile.
fn renumber(file: impl Into<OwnedFd>, fd: RawFd) -> UnixStream {
    let file = file.into();
    // SAFETY: two numbers.
    assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), fd) }, fd);
    // SAFETY: just made, and nobody else's.
    unsafe { UnixStream::from_raw_fd(fd) }
}

#[test]
fn a_reader_fires_at_every_poll_while_there_is_something_to_read() {
    let bench = Bench::new();
    let (mut near, mut far, fd) = pair();
    bench.event_loop.set_reader(fd, bench.says("r")).unwrap();
    bench.poll();
    assert_eq!(bench.log(), "");
    far.write_all(b"x").unwrap();
    bench.turn();
    bench.turn();
    assert_eq!(bench.log(), "r r");
    near.read_exact(&mut [0]).unwrap();
    bench.poll();
    assert_eq!(bench.log(), "");
}

#[test]
fn a_writer_fires_while_there_is_room() {
    let bench = Bench::new();
    let (near, _far, fd) = pair();
    bench.event_loop.set_writer(fd, bench.says("w")).unwrap();
    bench.turn();
    assert_eq!(bench.log(), "w");
    near.set_nonblocking(true).unwrap();
    while (&near).write(&[0; 4096]).is_ok() {}
    bench.poll();
    assert_eq!(bench.log(), "");
}

#[test]
fn reader_and_writer_of_one_descriptor_come_and_go_apart() {
    let bench = Bench::new();
    let (_near, mut far, fd) = pair();
    far.write_all(b"x").unwrap();
    bench.event_loop.set_writer(fd, bench.says("w")).unwrap();
    bench.event_loop.set_reader(fd, bench.says("r")).unwrap();
    bench.poll();
    assert_eq!(bench.log(), "r w");
    assert!(bench.event_loop.remove_writer(fd).is_some());
    bench.poll();
    assert_eq!(bench.log(), "r");
    bench.event_loop.set_writer(fd, bench.says("w")).unwrap();
    assert!(bench.event_loop.remove_reader(fd).is_some());
    bench.poll();
    assert_eq!(bench.log(), "w");
    assert!(bench.event_loop.remove_reader(fd).is_none());
    assert!(bench.event_loop.remove_writer(fd).is_some());
    bench.poll();
    assert_eq!(bench.log(), "");
}

#[test]
fn setting_a_reader_again_replaces_it() {
    let bench = Bench::new();
    let (_near, mut far, fd) = pair();
    far.write_all(b"x").unwrap();
    assert!(
        bench
            .event_loop
            .set_reader(fd, bench.says("old"))
            .unwrap()
            .is_none()
    );
    let old = bench
        .event_loop
        .set_reader(fd, bench.says("new"))
        .unwrap()
        .unwrap();
    bench.poll();
    assert_eq!(bench.log(), "new");
    old.run();
    assert_eq!(bench.log(), "old");
}

#[test]
fn a_reader_for_once_fires_once() {
    let bench = Bench::new();
    let (_near, mut far, fd) = pair();
    far.write_all(b"x").unwrap();
    bench
        .event_loop
        .set_reader_once(fd, bench.says("once"))
        .unwrap();
    bench.event_loop.set_writer(fd, bench.says("w")).unwrap();
    bench.poll();
    bench.poll();
    assert_eq!(bench.log(), "once w w");
    assert!(bench.event_loop.remove_reader(fd).is_none());
}

#[test]
fn a_reader_set_after_one_for_once_fires_always() {
    let bench = Bench::new();
    let (_near, mut far, fd) = pair();
    far.write_all(b"x").unwrap();
    bench
        .event_loop
        .set_reader_once(fd, bench.says("once"))
        .unwrap();
    bench
        .event_loop
        .set_reader(fd, bench.says("always"))
        .unwrap();
    bench.poll();
    bench.poll();
    assert_eq!(bench.log(), "always always");
}

#[test]
fn a_hang_up_is_seen_by_reader_and_writer() {
    let bench = Bench::new();
    let (_near, far, fd) = pair();
    bench.event_loop.set_reader(fd, bench.says("r")).unwrap();
    bench.event_loop.set_writer(fd, bench.says("w")).unwrap();
    drop(far);
    bench.poll();
    assert_eq!(bench.log(), "r w");
}

#[test]
fn a_broken_pipe_is_seen_by_a_writer() {
    let bench = Bench::new();
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    bench
        .event_loop
        .set_writer(writer.as_raw_fd(), bench.says("w"))
        .unwrap();
    bench.poll();
    assert_eq!(bench.log(), "w");
}

#[test]
fn a_job_may_remove_its_own_reader() {
    let bench = Bench::new();
    let (_near, mut far, fd) = pair();
    far.write_all(b"x").unwrap();
    let job = bench.job(move |event_loop| {
        assert!(event_loop.remove_reader(fd).is_some());
        event_loop.stop();
    });
    bench.event_loop.set_reader(fd, job).unwrap();
    bench.run();
    bench.poll();
}

#[test]
fn a_regular_file_is_refused() {
    let bench = Bench::new();
    let (token, job) = tracked();
    let file = File::open(std::env::current_exe().unwrap()).unwrap();
    let error = bench
        .event_loop
        .set_reader(file.as_raw_fd(), job())
        .unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    assert_eq!(std::rc::Rc::strong_count(&token), 2);
    assert!(bench.event_loop.remove_reader(file.as_raw_fd()).is_none());
}

#[test]
fn what_is_no_descriptor_is_refused() {
    let bench = Bench::new();
    for fd in [-1, i32::MIN, i32::MAX] {
        let error = bench
            .event_loop
            .set_writer(fd, bench.says("never"))
            .unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        assert!(bench.event_loop.remove_writer(fd).is_none());
    }
}

#[test]
fn a_failure_to_set_leaves_what_was_set_before() {
    let bench = Bench::new();
    let (near, mut far, _) = pair();
    let fd = 600;
    let near = renumber(near, fd);
    bench
        .event_loop
        .set_reader(fd, bench.says("before"))
        .unwrap();
    // Another descriptor keeps the file alive, so that it is still watched by the poller.
    let alive = near.try_clone().unwrap();
    drop(near);
    assert!(
        bench
            .event_loop
            .set_reader(fd, bench.says("after"))
            .is_err()
    );
    far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "before");
    drop(alive);
}

#[test]
fn a_closed_descriptor_can_be_removed() {
    let bench = Bench::new();
    let (near, _far, _) = pair();
    let fd = 610;
    let near = renumber(near, fd);
    bench.event_loop.set_reader(fd, bench.says("r")).unwrap();
    bench.event_loop.set_writer(fd, bench.says("w")).unwrap();
    drop(near);
    bench.poll();
    assert_eq!(bench.log(), "");
    assert!(bench.event_loop.remove_reader(fd).is_some());
    assert!(bench.event_loop.remove_writer(fd).is_some());
}

#[test]
fn a_number_that_was_reused_can_be_watched_again() {
    let bench = Bench::new();
    let (near, _far, fd) = pair();
    let (other, mut other_far, _) = pair();
    bench.event_loop.set_reader(fd, bench.says("old")).unwrap();
    // Closes the old file without telling the loop.
    let _ = near.into_raw_fd();
    let _near = renumber(other, fd);
    assert!(
        bench
            .event_loop
            .set_reader(fd, bench.says("new"))
            .unwrap()
            .is_some()
    );
    other_far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "new");
}

#[test]
fn a_file_that_lives_on_after_its_number_is_closed_does_not_keep_the_loop_busy() {
    let bench = Bench::new();
    let (near, mut far, _) = pair();
    let fd = 620;
    let near = renumber(near, fd);
    let (other, mut other_far, other_fd) = pair();
    bench.event_loop.set_reader(fd, bench.says("gone")).unwrap();
    bench
        .event_loop
        .set_reader(other_fd, bench.says("other"))
        .unwrap();
    let alive = near.try_clone().unwrap();
    drop(near);
    bench.event_loop.remove_reader(fd).unwrap();
    // The poller still watches the file, and the kernel cannot be told by number.
    far.write_all(b"x").unwrap();
    bench.poll();
    // Now it has noticed: from here on, a wait lasts until the timer.
    let turns = std::rc::Rc::new(std::cell::Cell::new(0));
    bench.event_loop.set_timer(
        bench.event_loop.now() + 5_000_000,
        bench.job(|it| it.stop()),
    );
    let deadline = bench.event_loop.next_timer();
    while bench.event_loop.next_timer() == deadline {
        bench.turn();
        turns.set(turns.get() + 1);
    }
    assert!(turns.get() <= 3, "{} turns", turns.get());
    // And who was there before is still watched.
    other_far.write_all(b"x").unwrap();
    bench.poll();
    assert_eq!(bench.log(), "other");
    drop((alive, other));
}

#[test]
fn an_event_of_a_file_that_is_gone_does_not_fire_for_the_number_s_next_one() {
    let bench = Bench::new();
    let (near, mut far, fd) = pair();
    let (other, _other_far, _) = pair();
    bench.event_loop.set_reader(fd, bench.says("old")).unwrap();
    let _alive = near.try_clone().unwrap();
    let _ = near.into_raw_fd();
    let _near = renumber(other, fd);
    bench.event_loop.set_reader(fd, bench.says("new")).unwrap();
    far.write_all(b"x").unwrap();
    bench.poll();
    bench.poll();
    assert_eq!(bench.log(), "");
}

#[test]
fn many_descriptors_take_turns() {
    let bench = Bench::new();
    let pairs: Vec<_> = (0..200).map(|_| pair()).collect();
    for (_, far, fd) in &pairs {
        let says = bench.says(fd.to_string());
        bench.event_loop.set_reader(*fd, says).unwrap();
        (&mut &*far).write_all(b"x").unwrap();
    }
    // Nobody reads: each is ready all the time, and one poll does not bring them all.
    let mut fired = BTreeSet::new();
    for _ in 0..4 {
        bench.poll();
        fired.extend(bench.log().split(' ').map(str::to_owned));
    }
    assert_eq!(fired.len(), 200);
}

#[test]
fn those_woken_by_events_read_before_the_same_events_come_again() {
    const COUNT: usize = 100;
    let bench = Bench::new();
    let pairs: Vec<_> = (0..COUNT).map(|_| pair()).collect();
    for (near, far, fd) in &pairs {
        (&mut &*far).write_all(b"x").unwrap();
        let (reader, event) = (near.try_clone().unwrap(), bench.says("event"));
        let event_loop = Rc::clone(&bench.event_loop);
        let woken = Job::from_fn_mut(move || {
            let mut reader = reader.try_clone().unwrap();
            let read = Job::from_fn(move || reader.read_exact(&mut [0]).unwrap());
            event_loop.schedule(event.clone());
            event_loop.schedule(read);
        });
        bench.event_loop.set_reader(*fd, woken).unwrap();
    }
    for _ in 0..4 {
        bench.event_loop.schedule(bench.says(""));
        bench.turn();
    }
    assert_eq!(bench.log().matches("event").count(), COUNT);
    // The readers' jobs hold the loop.
    bench.event_loop.clear();
}
