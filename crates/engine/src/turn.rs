//! A turn of the loop: asyncio's `_run_once`.
//!
//! What is due (I/O, then timers) goes to the end of the ready queue, and then the jobs
//! that are in it at this moment run, once each, in order. What they schedule waits for
//! the next turn.
//!
//! asyncio polls on every turn. That costs a system call (100 to 200 ns), often for the
//! sake of a single job that takes no longer. So while work is ready, I/O is looked at only
//! every [`JOBS_PER_POLL`] jobs, which makes it 3 ns for each, or once the kernel's clock has
//! ticked (every 4 ms, mostly). The turn after events does not look: those whom they have woken may be
//! about to read, and until then the same events would come again.
//!
//! A program can see that: it writes, makes two turns, and expects the other end to have read. Where
//! programs are asyncio's ([`Driver::EVERY_TURN`]) each turn looks, if there is somebody to watch and
//! nothing was [left unread](EventLoop::has_left_unread).
//!
//! To ask for the tick costs 5 ns, which is as much as a job. So while the jobs of a whole tick
//! are more than [`JOBS_PER_POLL`], the clock is looked at only every [`JOBS_PER_LOOK`] jobs. What waits
//! for a poll waits for 61 jobs at most (and those that were in the last turn besides); and if jobs
//! that were short become long, for a tick and as long as 16 of them take.
//!
//! Timers are not put off, for their order among the jobs can be seen. As long as there are any, the
//! coarse clock tells in each turn that none can be due; where it cannot tell, the precise one is asked
//! (20 to 30 ns).

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::time::Duration;

use crate::clock::{Clock, monotonic_coarse};
use crate::driver::Driver;
use crate::event_loop::EventLoop;
use crate::inbox::Taken;
use crate::job::Flow;
use crate::poller::Events;
use crate::remote::RemoteJob;

/// How many jobs may run between two polls while work is ready. (A prime, as tokio's, so
/// that it does not beat in time with what the jobs do.)
const JOBS_PER_POLL: usize = 61;

/// How many jobs may run between two looks at the clock, if the last [`JOBS_PER_POLL`] have taken less
/// than a tick.
const JOBS_PER_LOOK: usize = 16;

/// The coarse clock may be this much behind the precise one: the longest tick that Linux
/// is built with, 10 ms, and as much again.
const COARSE_LAG: u64 = 20_000_000;

/// When the loop polled last.
#[derive(Default)]
pub(crate) struct Polled {
    /// Jobs that have run since.
    jobs: Cell<usize>,
    /// The coarse clock then.
    at: Cell<u64>,
    /// After how many of these jobs the clock is to be looked at.
    look: Cell<usize>,
    /// How many more jobs from each look to the next.
    stride: Cell<usize>,
    /// It has brought events, and no turn has passed since.
    fresh: Cell<bool>,
    /// What they have brought was left to somebody whose turn comes next.
    unread: Cell<bool>,
    /// It has brought events, or there are known ones.
    pub(crate) news: Cell<bool>,
}

impl Polled {
    /// The clock has been looked at.
    #[inline]
    fn look_later(&self) {
        let next = self.jobs.get().saturating_add(self.stride.get());
        self.look.set(next.min(JOBS_PER_POLL));
    }
}

impl EventLoop {
    /// Makes one turn. Waits for something to do if there is nothing, unless
    /// [`EventLoop::stop`] was called.
    ///
    /// # Errors
    ///
    /// Those of the driver. No job and no event is lost then.
    pub fn turn<D: Driver>(&self, driver: &mut D) -> Result<Flow, D::Error> {
        self.shared.bind_thread();
        self.turn_here(driver)
    }

    /// Turns until [`EventLoop::stop`] was called (`Continue`), a job answers [`Flow::Stop`]
    /// (`Stop`), or the driver errs. Each of these uses the call to `stop` up. The first turn
    /// always polls.
    ///
    /// # Errors
    ///
    /// Those of the driver.
    pub fn run<D: Driver>(&self, driver: &mut D) -> Result<Flow, D::Error> {
        self.shared.bind_thread();
        self.polled.jobs.set(JOBS_PER_POLL);
        self.polled.fresh.set(false);
        self.polled.unread.set(false);
        let result = loop {
            match self.turn_here(driver) {
                Ok(Flow::Continue) if !self.stopping.get() && !self.is_closed() => {}
                result => break result,
            }
        };
        self.stopping.set(false);
        result
    }

    /// Turns until `done` answers true, which is asked before each turn (asyncio's `run_until_complete`,
    /// of whatever completes).
    ///
    /// # Errors
    ///
    /// Those of the driver.
    pub fn run_until<D: Driver>(
        &self,
        driver: &mut D,
        mut done: impl FnMut() -> bool,
    ) -> Result<(), D::Error> {
        self.shared.bind_thread();
        while !done() {
            self.turn_here(driver)?;
        }
        Ok(())
    }

    // Each of its three callers has it inside: it is shorter than what a call saves and restores.
    #[inline(always)]
    fn turn_here<D: Driver>(&self, driver: &mut D) -> Result<Flow, D::Error> {
        if self.shared.inbox.has_values() {
            self.empty_inbox();
        }
        self.collect(driver)?;

        let end = self.ready.end();
        let mut jobs = 0;
        let mut flow = Flow::Continue;
        while let Some(job) = self.ready.pop_before(end) {
            jobs += 1;
            if driver.run(job) == Flow::Stop {
                flow = Flow::Stop;
                break;
            }
        }
        let before = self.polled.jobs.get();
        self.polled.jobs.set(before + jobs);
        Ok(flow)
    }

    /// Moves what is due to the ready queue, and waits for it if there is nothing else to do.
    #[inline]
    fn collect<D: Driver>(&self, driver: &mut D) -> Result<(), D::Error> {
        // Mostly there is only what is ready.
        if !self.polled.news.get()
            && !self.ready.is_empty()
            && self.deadline.get() == u64::MAX
            && self.polled.jobs.get() < self.polled.look.get()
            && !(D::EVERY_TURN && (!self.watchers.is_empty() || driver.selects()))
        {
            return Ok(());
        }
        self.collect_all(driver)
    }

    #[inline(never)]
    fn collect_all<D: Driver>(&self, driver: &mut D) -> Result<(), D::Error> {
        self.polled.news.set(false);
        self.take_known_events();
        let fresh = self.polled.fresh.replace(false);
        let unread = self.polled.unread.replace(false);
        let later = if D::EVERY_TURN { unread } else { fresh };
        let due = self.polled.jobs.get() >= JOBS_PER_POLL || D::EVERY_TURN && driver.selects();
        if self.ready.is_empty() || !later && due {
            self.polled.stride.set(JOBS_PER_LOOK);
            // A loop that waits at the poller looks at the clock afterwards.
            if !self.ready.is_empty() {
                self.polled.at.set(monotonic_coarse());
            }
            return self.poll(driver);
        }
        let deadline = self.deadline.get();
        if deadline == u64::MAX && (later || self.polled.jobs.get() < self.polled.look.get()) {
            return self.look_too(driver, later);
        }
        let coarse = monotonic_coarse();
        if !later && coarse != self.polled.at.get() {
            self.polled.stride.set(1);
            self.polled.at.set(coarse);
            return self.poll(driver);
        }
        self.polled.look_later();
        self.look_too(driver, later)?;
        if deadline != u64::MAX {
            match driver.time()? {
                Some(time) => self.fire_timers(time.due),
                None if self.may_be_due(deadline, coarse) => self.fire_timers(self.now()),
                None => {}
            }
        }
        Ok(())
    }

    /// As asyncio, looks what is ready in a turn that does not have to poll, unless that is for `later`.
    #[inline]
    fn look_too<D: Driver>(&self, driver: &mut D, later: bool) -> Result<(), D::Error> {
        if !D::EVERY_TURN || later || self.watchers.is_empty() {
            return Ok(());
        }
        let looked = self.look();
        self.polled(driver, looked)
    }

    /// Tells the driver of a poll that has failed.
    #[inline]
    fn polled<D: Driver>(&self, driver: &mut D, result: io::Result<usize>) -> Result<(), D::Error> {
        match result {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => driver.interrupted(),
            Err(error) => Err(driver.poll_failed(error)),
        }
    }

    /// Tells the loop that what an event has brought was left where it is, to somebody who was woken
    /// and whose job is in the queue: if the next turn looked, the same event would come again.
    #[inline]
    pub fn has_left_unread(&self) {
        self.polled.unread.set(true);
    }

    #[inline]
    fn may_be_due(&self, deadline: u64, coarse: u64) -> bool {
        match self.clock {
            Clock::Monotonic => deadline <= coarse.saturating_add(COARSE_LAG),
            Clock::Virtual(_) => true,
        }
    }

    /// Polls.
    fn poll<D: Driver>(&self, driver: &mut D) -> Result<(), D::Error> {
        self.polled.jobs.set(0);
        self.polled.look_later();
        // Before anything is decided: it may run signal handlers, which schedule and stop.
        driver.tick()?;
        let patience = self.patience(driver)?;
        if !driver.select(patience)? {
            let waited = self.wait(driver, patience);
            self.polled(driver, waited)?;
        }
        if self.deadline.get() != u64::MAX {
            let due = match driver.time()? {
                Some(time) => time.due,
                None => self.now(),
            };
            self.fire_timers(due);
        }
        Ok(())
    }

    /// Waits until a descriptor is ready, another thread calls, or `patience` is over (`None`: for
    /// ever), and schedules what that asks for. Answers how many events there were. Part of every
    /// turn; to be called by itself from [`Driver::select`] only.
    ///
    /// # Errors
    ///
    /// The poller's: `Interrupted` after a signal.
    pub fn wait<D: Driver>(&self, driver: &mut D, patience: Option<Duration>) -> io::Result<usize> {
        match patience {
            // With nobody to watch, there is nothing to see.
            Some(Duration::ZERO) if self.watchers.is_empty() => Ok(0),
            Some(Duration::ZERO) => self.look(),
            patience => {
                self.ready.shrink();
                let result = self.sleep(driver, patience);
                self.enqueue(self.shared.inbox.wake_up());
                result
            }
        }
    }

    /// How long the loop may wait; `None` is for ever.
    fn patience<D: Driver>(&self, driver: &mut D) -> Result<Option<Duration>, D::Error> {
        if !self.ready.is_empty() || self.stopping.get() || self.is_closed() {
            return Ok(Some(Duration::ZERO));
        }
        if self.deadline.get() == u64::MAX {
            return Ok(None);
        }
        match self.next_timer() {
            None | Some(u64::MAX) => Ok(None),
            Some(when) => {
                let now = match driver.time()? {
                    Some(time) => time.now,
                    None => self.now(),
                };
                Ok(Some(Duration::from_nanos(when.saturating_sub(now))))
            }
        }
    }

    /// Looks what is ready, without waiting.
    fn look(&self) -> io::Result<usize> {
        let mut events = self.events.take();
        let result = self
            .poller
            .waiter()
            .and_then(|it| it.wait(&mut events, self.batch.next(), Some(Duration::ZERO)));
        self.finish(events, result)
    }

    /// Waits, in the arms of the driver, until something is ready.
    fn sleep<D: Driver>(&self, driver: &mut D, patience: Option<Duration>) -> io::Result<usize> {
        #[cfg(all(target_os = "linux", not(feature = "portable-poller")))]
        if D::ALONE && self.watchers.is_empty() {
            return self.nap(driver, patience);
        }
        let waiter = self.poller.waiter();
        if !self.shared.inbox.fall_asleep() {
            return self.look();
        }
        let patience = self.clock.patience(patience);
        let mut events = self.events.take();
        // The wait holds nothing of the loop: other threads may use it meanwhile, if the
        // driver gives up the lock that covers it.
        let most = self.batch.next();
        let result = waiter.and_then(|it| driver.park(|| it.wait(&mut events, most, patience)));
        // The clock has moved on meanwhile.
        self.polled.at.set(monotonic_coarse());
        let count = self.finish(events, result)?;
        self.jump();
        Ok(count)
    }

    /// Waits with no descriptor to watch, so without the poller: for other threads and for signals. When
    /// that was is not noted, for a poll that is due too early costs no system call then.
    #[cfg(all(target_os = "linux", not(feature = "portable-poller")))]
    fn nap<D: Driver>(&self, driver: &mut D, patience: Option<Duration>) -> io::Result<usize> {
        let patience = self.clock.patience(patience);
        driver.park(|| self.shared.inbox.park(patience))?;
        self.jump();
        Ok(0)
    }

    /// Lets virtual time pass, if there is still nothing to do.
    fn jump(&self) {
        let Clock::Virtual(clock) = &self.clock else {
            return;
        };
        let idle = self.ready.is_empty() && !self.shared.inbox.is_woken() && !clock.is_held();
        if idle && let Some(when) = self.next_timer().filter(|&when| when != u64::MAX) {
            clock.advance_to(when);
        }
    }

    /// Schedules what the events ask for, and puts their memory back.
    fn finish(&self, events: Events, result: io::Result<()>) -> io::Result<usize> {
        let count = events.len();
        if result.is_ok() {
            self.batch.came(events.len());
            let fresh = events.len() > 0;
            self.polled.fresh.set(fresh);
            self.polled.news.set(self.polled.news.get() || fresh);
            self.watchers
                .dispatch(&self.poller, &events, |job| self.schedule(job));
        }
        self.events.set(events);
        result.map(|()| count)
    }

    /// Moves the timers up to the deadline `due` to the ready queue.
    fn fire_timers(&self, due: u64) {
        if due < self.deadline.get() {
            return;
        }
        loop {
            let job = self.timers.borrow_mut().pop_due(due);
            match job {
                Some(job) => self.schedule(job),
                None => break,
            }
        }
        self.next_timer();
    }

    #[cold]
    #[inline(never)]
    fn empty_inbox(&self) {
        self.enqueue(self.shared.inbox.take());
    }

    fn enqueue(&self, jobs: Taken<'_, RemoteJob>) {
        for RemoteJob(job) in jobs {
            self.schedule(job);
        }
    }
}
