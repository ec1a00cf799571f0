//! A loop driven through its table alone, as another shared object would.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rasyncio_engine::{
    ABI_VERSION, AbiError, Clock, EventLoop, ForeignLoop, Job, PlainDriver, VirtualClock,
};

/// The owner's side, and its loop as a stranger sees it.
struct Pair {
    foreign: Rc<ForeignLoop>,
    owner: Box<EventLoop>,
    clock: VirtualClock,
}

impl Pair {
    fn new() -> Pair {
        let clock = VirtualClock::new();
        let owner = Box::new(EventLoop::with_clock(Clock::Virtual(clock.clone())).unwrap());
        let table = owner.abi();
        // SAFETY: the table is the loop's own; the loop stays in its box, which outlives every
        // use of the foreign one, for that belongs to the same struct.
        let foreign = unsafe { ForeignLoop::new(&table) }.unwrap();
        Pair {
            foreign: Rc::new(foreign),
            owner,
            clock,
        }
    }

    fn turn(&self) {
        self.owner.turn(&mut PlainDriver).unwrap();
    }
}

fn log() -> (Rc<RefCell<Vec<&'static str>>>, impl Fn(&'static str) -> Job) {
    let log: Rc<RefCell<Vec<&'static str>>> = Rc::default();
    let writer = Rc::clone(&log);
    (log, move |word| {
        let writer = Rc::clone(&writer);
        Job::from_fn_mut(move || writer.borrow_mut().push(word))
    })
}

#[test]
fn jobs_and_timers_go_through_the_table() {
    let pair = Pair::new();
    let (log, says) = log();
    pair.foreign.schedule(says("now"));
    pair.foreign
        .set_timer(pair.foreign.now() + 50, says("later"));
    let never = pair
        .foreign
        .set_timer(pair.foreign.now() + 20, says("never"));
    assert!(pair.foreign.cancel_timer(never).is_some());
    assert!(pair.foreign.cancel_timer(never).is_none());
    pair.turn();
    pair.turn();
    assert_eq!(log.take(), ["now", "later"]);
    assert_eq!(pair.clock.now(), 50);
}

#[test]
fn readers_and_writers_go_through_the_table() {
    let pair = Pair::new();
    let (log, says) = log();
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let fd = near.as_raw_fd();
    assert!(
        pair.foreign
            .set_reader(fd, says("replaced"))
            .unwrap()
            .is_none()
    );
    assert!(
        pair.foreign
            .set_reader(fd, says("readable"))
            .unwrap()
            .is_some()
    );
    assert!(
        pair.foreign
            .set_writer(fd, says("writable"))
            .unwrap()
            .is_none()
    );
    far.write_all(b"x").unwrap();
    pair.turn();
    assert_eq!(log.take(), ["readable", "writable"]);
    assert!(pair.foreign.remove_writer(fd).is_some());
    near.read_exact(&mut [0]).unwrap();
    assert!(pair.foreign.remove_reader(fd).is_some());
    assert!(pair.foreign.remove_reader(fd).is_none());
}

#[test]
fn errors_come_through_as_numbers() {
    let pair = Pair::new();
    let (_, says) = log();
    let error = pair.foreign.set_reader(-1, says("never")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    pair.owner.close();
    assert!(pair.foreign.set_reader(0, says("never")).is_err());
}

#[test]
fn other_threads_reach_the_loop_through_the_table() {
    let pair = Pair::new();
    let ran = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ran);
    let remote = pair.foreign.remote();
    assert!(remote.is_loop_thread());
    let thread = std::thread::spawn(move || {
        assert!(!remote.is_loop_thread());
        let job = Job::from_fn(move || flag.store(true, Ordering::Relaxed));
        // SAFETY: the closure holds nothing that is bound to a thread.
        unsafe { remote.clone().schedule(job) }.unwrap();
        remote.wake();
    });
    pair.turn();
    thread.join().unwrap();
    assert!(ran.load(Ordering::Relaxed));
}

#[test]
fn a_remote_outlives_the_loop_and_gives_jobs_back() {
    let pair = Pair::new();
    let remote = pair.foreign.remote();
    drop(pair);
    // SAFETY: the job comes right back.
    assert!(unsafe { remote.schedule(Job::from_fn(|| ())) }.is_err());
    remote.wake();
}

#[test]
fn the_current_task_is_seen_from_both_sides() {
    let pair = Pair::new();
    let mut task = 0;
    let task: *mut () = (&raw mut task).cast();
    assert!(pair.foreign.set_current_task(task).is_null());
    assert_eq!(pair.owner.current_task(), task);
    assert_eq!(pair.owner.set_current_task(std::ptr::null_mut()), task);
    assert!(pair.foreign.current_task().is_null());
}

#[test]
fn a_job_stops_the_loop_through_the_table() {
    let pair = Pair::new();
    let foreign = Rc::clone(&pair.foreign);
    pair.foreign.schedule(Job::from_fn(move || foreign.stop()));
    pair.owner.run(&mut PlainDriver).unwrap();
}

#[test]
fn a_table_of_another_version_is_refused() {
    let event_loop = EventLoop::new().unwrap();
    let mut table = event_loop.abi();
    table.version = ABI_VERSION + 1;
    // SAFETY: the loop outlives the call, and nothing comes of it.
    let refused = unsafe { ForeignLoop::new(&table) }.unwrap_err();
    assert_eq!(refused, AbiError::Version(ABI_VERSION + 1));
    let mut table = event_loop.abi();
    table.size -= 8;
    // SAFETY: as above.
    let refused = unsafe { ForeignLoop::new(&table) }.unwrap_err();
    assert_eq!(refused, AbiError::Size(table.size));
}
