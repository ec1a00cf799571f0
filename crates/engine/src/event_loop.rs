//! The loop itself: its parts, and what can be asked of it.
//!
//! Every method takes `&self` and may be called from inside a running job. So no part
//! stays borrowed while foreign code runs, and foreign code is everything that runs or
//! drops a job.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::RawFd;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use crate::batch::Batch;
use crate::clock::{Clock, ClockHold};
use crate::job::Job;
use crate::poller::{Events, Poller};
use crate::ready::ReadyQueue;
use crate::remote::{Remote, Shared};
use crate::sources::{Direction, Source, WaitKey};
use crate::timers::{TimerKey, Timers};
use crate::turn::Polled;
use crate::watchers::{Firing, Side, Watchers};

/// An event loop.
///
/// A loop belongs to one thread at a time and has no locks of its own; other threads go
/// through [`EventLoop::remote`]. A floor with a lock of its own that covers every call (such
/// as Python's GIL) may move a loop between threads under that lock.
pub struct EventLoop {
    pub(crate) ready: ReadyQueue,
    /// What [`EventLoop::schedule_as_event`] was given since the turn began.
    pub(crate) known_events: RefCell<Vec<Job>>,
    pub(crate) timers: RefCell<Timers>,
    /// No timer is due before this. May be too early (after a cancellation), never too late.
    pub(crate) deadline: Cell<u64>,
    pub(crate) watchers: Watchers,
    pub(crate) poller: Poller,
    /// Taken out while in use, so that a turn inside a turn finds an empty one.
    pub(crate) events: Cell<Events>,
    pub(crate) batch: Batch,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stopping: Cell<bool>,
    pub(crate) polled: Polled,
    current_task: Cell<*mut ()>,
    closed: Cell<bool>,
    _thread: PhantomData<*mut ()>,
}

impl EventLoop {
    /// A loop on real time.
    pub fn new() -> io::Result<EventLoop> {
        EventLoop::with_clock(Clock::Monotonic)
    }

    /// A loop on a clock of your choice.
    pub fn with_clock(clock: Clock) -> io::Result<EventLoop> {
        let (poller, waker) = Poller::new()?;
        Ok(EventLoop {
            ready: ReadyQueue::new(),
            known_events: RefCell::default(),
            timers: RefCell::new(Timers::new()),
            deadline: Cell::new(u64::MAX),
            watchers: Watchers::new(),
            poller,
            events: Cell::default(),
            batch: Batch::default(),
            clock,
            shared: Arc::new(Shared::new(waker)),
            stopping: Cell::new(false),
            polled: Polled::default(),
            current_task: Cell::new(ptr::null_mut()),
            closed: Cell::new(false),
            _thread: PhantomData,
        })
    }

    /// Puts a job at the end of the ready queue (asyncio's `call_soon`). A closed loop drops it.
    #[inline]
    pub fn schedule(&self, job: Job) {
        // What comes back from a closed loop is dropped here, where nothing is borrowed.
        let _ = self.ready.push(job);
    }

    /// Puts a job where the events of the next turn go: behind all that is scheduled until then. For
    /// whoever knows without a poll that a descriptor is ready. A closed loop drops it.
    pub fn schedule_as_event(&self, job: Job) {
        if !self.is_closed() {
            self.known_events.borrow_mut().push(job);
            self.polled.news.set(true);
        }
    }

    /// Moves what is in [`EventLoop::known_events`] to the ready queue.
    #[inline]
    pub(crate) fn take_known_events(&self) {
        if !self.known_events.borrow().is_empty() {
            for job in self.known_events.take() {
                self.schedule(job);
            }
        }
    }

    /// How many jobs are in the ready queue.
    pub fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Whether a turn that began now would do no more than look for events: nothing is ready but one job
    /// with this [data](Job::data) perhaps, nobody has called from another thread, or to stop. (Timers are
    /// not looked at.)
    pub fn is_idle_but_for(&self, data: *mut ()) -> bool {
        let mut is_idle = self.ready.len() <= 1;
        if is_idle {
            self.ready.for_each(&mut |job| is_idle = job.data() == data);
        }
        is_idle
            && !self.stopping.get()
            && !self.shared.inbox.has_values()
            && self.known_events.borrow().is_empty()
    }

    /// The loop's time in nanoseconds (asyncio's `time`).
    #[inline]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Keeps the loop's clock from jumping, if it is a virtual one
    /// ([`VirtualClock::hold`](crate::VirtualClock::hold)).
    pub fn hold_clock(&self) -> Option<ClockHold> {
        match &self.clock {
            Clock::Monotonic => None,
            Clock::Virtual(clock) => Some(clock.hold()),
        }
    }

    /// Schedules `job` once the loop's time has reached `when` (asyncio's `call_at`);
    /// `u64::MAX` is never. A closed loop drops the job, and the key names nothing.
    pub fn set_timer(&self, when: u64, job: Job) -> TimerKey {
        if self.closed.get() {
            drop(job);
            return TimerKey::from_raw(0);
        }
        if when < self.deadline.get() {
            self.deadline.set(when);
        }
        self.timers.borrow_mut().insert(when, job)
    }

    /// Takes a timer back. `None` when it has fired or was cancelled before.
    pub fn cancel_timer(&self, key: TimerKey) -> Option<Job> {
        self.timers.borrow_mut().cancel(key)
    }

    /// When the next timer is due.
    pub fn next_timer(&self) -> Option<u64> {
        let next = self.timers.borrow_mut().next();
        self.deadline.set(next.unwrap_or(u64::MAX));
        next
    }

    /// Schedules a clone of `job` whenever `fd` is readable (asyncio's `add_reader`), at every
    /// poll for as long as it is. Answers the job that it replaces.
    ///
    /// # Errors
    ///
    /// What the system says: `EBADF` for no descriptor, `EPERM` for one that cannot be waited
    /// for, such as a regular file. The job is dropped then, and one set before stays.
    pub fn set_reader(&self, fd: RawFd, job: Job) -> io::Result<Option<Job>> {
        self.watchers
            .set(&self.poller, fd, Side::Read, Firing::Always, job)
    }

    /// Schedules `job` itself the first time that `fd` is readable, and stops watching then.
    /// Otherwise as [`EventLoop::set_reader`].
    pub fn set_reader_once(&self, fd: RawFd, job: Job) -> io::Result<Option<Job>> {
        self.watchers
            .set(&self.poller, fd, Side::Read, Firing::Once, job)
    }

    /// Schedules a clone of `job` whenever `fd` is writable. Otherwise as
    /// [`EventLoop::set_reader`].
    pub fn set_writer(&self, fd: RawFd, job: Job) -> io::Result<Option<Job>> {
        self.watchers
            .set(&self.poller, fd, Side::Write, Firing::Always, job)
    }

    /// Stops watching `fd` for reading. The descriptor may be closed already.
    pub fn remove_reader(&self, fd: RawFd) -> Option<Job> {
        self.watchers.remove(&self.poller, fd, Side::Read)
    }

    /// Stops watching `fd` for writing. The descriptor may be closed already.
    pub fn remove_writer(&self, fd: RawFd) -> Option<Job> {
        self.watchers.remove(&self.poller, fd, Side::Write)
    }

    /// Schedules `job` itself the next time that the kernel says that `direction` is ready: at
    /// once, if it has been since nobody has waited for that, but not if that was said before
    /// ([`Source::is_ready`]).
    ///
    /// # Errors
    ///
    /// As [`EventLoop::set_reader`]; `EEXIST` if the descriptor has a reader, a writer or another
    /// source. The job is dropped then.
    pub fn wait_ready(
        &self,
        source: &Rc<Source>,
        direction: Direction,
        job: Job,
    ) -> io::Result<WaitKey> {
        self.watchers.wait(&self.poller, source, direction, job)
    }

    /// Schedules a clone of `job` every time that the kernel says that `direction` is ready, until
    /// the source is forgotten. Answers the job that it replaces.
    ///
    /// # Errors
    ///
    /// As [`EventLoop::wait_ready`].
    pub fn watch_ready(
        &self,
        source: &Rc<Source>,
        direction: Direction,
        job: Job,
    ) -> io::Result<Option<Job>> {
        self.watchers.watch(&self.poller, source, direction, job)
    }

    /// Stops watching a source, and drops the jobs that wait. With `closing`, the caller promises
    /// to close the descriptor at once, which spares a system call.
    pub fn forget_source(&self, source: &Source, closing: bool) {
        let mut jobs = Vec::new();
        self.watchers
            .forget(&self.poller, source, closing, |job| jobs.push(job));
    }

    /// Calls `look` with the job that [`EventLoop::set_reader`] has set for `fd`, if there is one.
    /// `look` must not call back into the loop.
    pub fn with_reader<R>(&self, fd: RawFd, look: impl FnOnce(&Job) -> R) -> Option<R> {
        self.watchers.with_reader(fd, look)
    }

    /// Whether `fd` is watched for reading, and whether for writing.
    pub fn watched(&self, fd: RawFd) -> (bool, bool) {
        let interest = self.watchers.interest(fd);
        (interest.read, interest.write)
    }

    /// The handle by which other threads reach this loop.
    pub fn remote(&self) -> Remote {
        Remote::new(Arc::clone(&self.shared))
    }

    /// What [`EventLoop::set_current_task`] was told last; null at first.
    #[inline]
    pub fn current_task(&self) -> *mut () {
        self.current_task.get()
    }

    /// Notes what is being run just now, and answers what was before. The loop only keeps the
    /// pointer, for those who share the loop; what it means is their agreement.
    #[inline]
    pub fn set_current_task(&self, task: *mut ()) -> *mut () {
        self.current_task.replace(task)
    }

    /// Makes [`EventLoop::run`] return after the current turn. When it is not running, the
    /// next one makes one turn without blocking.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// Shows every job that the loop owns, except what is still in the inbox: for a garbage
    /// collector's traversal. Allocates nothing; `f` must not call back into the loop.
    pub fn for_each_job(&self, f: &mut dyn FnMut(&Job)) {
        self.ready.for_each(f);
        self.known_events.borrow().iter().for_each(&mut *f);
        self.timers.borrow().for_each(f);
        self.watchers.for_each(f);
    }

    /// Drops all jobs: ready, timers, readers, writers, those of sources, and those in the inbox. What their drop
    /// adds meanwhile may stay.
    pub fn clear(&self) {
        drop(self.shared.inbox.take());
        drop(self.ready.take());
        let known = self.known_events.take();
        drop(known);
        let timers = self.timers.borrow().len();
        for _ in 0..timers {
            let timer = self.timers.borrow_mut().pop_any();
            drop(timer);
        }
        for fd in 0..self.watchers.end() {
            drop(self.remove_reader(fd));
            drop(self.remove_writer(fd));
            if let Some(source) = self.watchers.source(fd) {
                self.forget_source(&source, false);
            }
        }
    }

    /// Clears the loop and refuses everything from now on: [`EventLoop::schedule`] and timers
    /// drop their job, readers and writers fail, and [`Remote::schedule`] hands the job back.
    /// [`EventLoop::run`] returns.
    pub fn close(&self) {
        self.closed.set(true);
        self.poller.close();
        drop(self.shared.inbox.close());
        drop(self.ready.close());
        self.clear();
    }

    /// Whether [`EventLoop::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("ready", &self.ready.len())
            .field("closed", &self.closed.get())
            .finish_non_exhaustive()
    }
}
