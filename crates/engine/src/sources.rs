//! Sources: descriptors watched edge-triggered, by one registration for as long as they live.
//!
//! A reader that waits level-triggered costs a system call when it starts waiting and another
//! when it stops. Here the loop notes what the kernel has said and the owner of the
//! descriptor what it has found since, so that waiting again costs neither. In return the owner
//! must say each time that it has found nothing left, or it waits for an edge that has passed:
//! [`Source::blocked`], [`Source::drained`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::os::fd::RawFd;

use crate::job::Job;
use crate::poller::{Event, Interest};

/// A descriptor that is waited for with [`EventLoop::wait_ready`](crate::EventLoop::wait_ready), or
/// watched with [`EventLoop::watch_ready`](crate::EventLoop::watch_ready).
///
/// It does not own the descriptor. Whoever does calls
/// [`EventLoop::forget_source`](crate::EventLoop::forget_source) before closing it. A loop has one
/// source for a descriptor at most, and no reader or writer besides.
pub struct Source {
    fd: RawFd,
    /// What the kernel has said and nobody has taken back since.
    ready: Cell<u8>,
    /// What the poller was told.
    pub(crate) interest: Cell<Interest>,
    /// Borrowed only while jobs are moved, never while they run or are dropped.
    readers: RefCell<Waiting>,
    writers: RefCell<Waiting>,
}

/// The half of a source that a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What comes in: data, a connection, the end.
    Read,
    /// Room for what goes out; for a socket that connects, the outcome.
    Write,
}

/// Names a job that waits in a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitKey(u64);

/// The jobs that wait for one direction. Mostly it is one, which needs no allocation.
#[derive(Default)]
struct Waiting {
    first: Option<(u64, Job)>,
    rest: Vec<(u64, Job)>,
    next: u64,
    /// Is told every time.
    watch: Option<Job>,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 2;
/// Nothing comes after what is there. The kernel says so once, perhaps along with the last data,
/// so this outlasts a reading that found less than it asked for.
const HANGUP: u8 = 4;

impl Source {
    /// A source for `fd`. Costs nothing until somebody waits.
    pub fn new(fd: RawFd) -> Source {
        Source {
            fd,
            ready: Cell::new(0),
            interest: Cell::new(Interest::NONE),
            readers: RefCell::default(),
            writers: RefCell::default(),
        }
    }

    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.fd
    }

    /// Whether trying makes sense: the kernel has said that `direction` is ready, and nobody has
    /// found otherwise since; or nobody has waited for that yet, so that the kernel was not asked.
    #[inline]
    pub fn is_ready(&self, direction: Direction) -> bool {
        let (mask, asked) = match direction {
            Direction::Read => (READABLE | HANGUP, self.interest.get().read),
            Direction::Write => (WRITABLE, self.interest.get().write),
        };
        !asked || self.ready.get() & mask != 0
    }

    /// Whether no loop watches this.
    pub fn is_idle(&self) -> bool {
        self.interest.get().is_none()
    }

    /// A call has found that it would block.
    #[inline]
    pub fn blocked(&self, direction: Direction) {
        let mask = match direction {
            Direction::Read => READABLE | HANGUP,
            Direction::Write => WRITABLE,
        };
        self.ready.set(self.ready.get() & !mask);
    }

    /// A call has moved fewer bytes than it was asked to, so that the next one would block (true of
    /// streams, not of datagrams). Unless the end is near, for that has no edge of its own.
    #[inline]
    pub fn drained(&self, direction: Direction) {
        let mask = match direction {
            Direction::Read => READABLE,
            Direction::Write => WRITABLE,
        };
        self.ready.set(self.ready.get() & !mask);
    }

    /// Gives up waiting. `None` if the job was scheduled.
    pub fn leave(&self, direction: Direction, key: WaitKey) -> Option<Job> {
        self.waiting(direction).borrow_mut().remove(key)
    }

    /// A clone of the job that watches a direction: for an owner who has left something there
    /// for later, and will hear of no edge.
    pub fn watcher(&self, direction: Direction) -> Option<Job> {
        self.waiting(direction).borrow().watch.clone()
    }

    pub(crate) fn watch(&self, direction: Direction, job: Job) -> Option<Job> {
        self.waiting(direction).borrow_mut().watch.replace(job)
    }

    pub(crate) fn join(&self, direction: Direction, job: Job) -> WaitKey {
        self.waiting(direction).borrow_mut().push(job)
    }

    /// Notes an event, and hands out the jobs that waited for it.
    pub(crate) fn notice(&self, event: &Event, mut schedule: impl FnMut(Job)) {
        let mut ready = self.ready.get();
        if event.readable {
            ready |= READABLE;
        }
        if event.writable {
            ready |= WRITABLE;
        }
        if event.hangup {
            ready |= HANGUP;
        }
        self.ready.set(ready);
        if event.readable {
            self.readers.borrow_mut().tell(&mut schedule);
        }
        if event.writable {
            self.writers.borrow_mut().tell(&mut schedule);
        }
    }

    pub(crate) fn for_each(&self, f: &mut dyn FnMut(&Job)) {
        for waiting in [&self.readers, &self.writers] {
            let waiting = waiting.borrow();
            waiting
                .first
                .iter()
                .chain(&waiting.rest)
                .map(|(_, job)| job)
                .chain(&waiting.watch)
                .for_each(&mut *f);
        }
    }

    /// The loop has forgotten this. Hands out the jobs, to be dropped where nothing is borrowed.
    pub(crate) fn reset(&self, mut job: impl FnMut(Job)) {
        self.ready.set(0);
        self.interest.set(Interest::NONE);
        for waiting in [&self.readers, &self.writers] {
            let mut waiting = waiting.borrow_mut();
            waiting.take_all(&mut job);
            waiting.watch.take().into_iter().for_each(&mut job);
        }
    }

    fn waiting(&self, direction: Direction) -> &RefCell<Waiting> {
        match direction {
            Direction::Read => &self.readers,
            Direction::Write => &self.writers,
        }
    }
}

impl Waiting {
    fn push(&mut self, job: Job) -> WaitKey {
        let key = self.next;
        self.next += 1;
        if self.first.is_none() && self.rest.is_empty() {
            self.first = Some((key, job));
        } else {
            self.rest.push((key, job));
        }
        WaitKey(key)
    }

    fn remove(&mut self, key: WaitKey) -> Option<Job> {
        if let Some((_, job)) = self.first.take_if(|first| first.0 == key.0) {
            return Some(job);
        }
        let place = self
            .rest
            .binary_search_by_key(&key.0, |entry| entry.0)
            .ok()?;
        Some(self.rest.remove(place).1)
    }

    fn tell(&mut self, schedule: &mut impl FnMut(Job)) {
        if let Some(job) = &self.watch {
            schedule(job.clone());
        }
        self.take_all(schedule);
    }

    fn take_all(&mut self, job: &mut impl FnMut(Job)) {
        if let Some((_, first)) = self.first.take() {
            job(first);
        }
        for (_, next) in self.rest.drain(..) {
            job(next);
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("fd", &self.fd)
            .field("readable", &self.is_ready(Direction::Read))
            .field("writable", &self.is_ready(Direction::Write))
            .finish_non_exhaustive()
    }
}
