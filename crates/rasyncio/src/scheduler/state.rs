//! The scheduler, without awaiting: which jobs are active and which are pending, who may start,
//! and who must wait. A state machine that is generic over jobs and over who waits; what a face
//! does with it is what [`locks::states`](crate::locks::states) says.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use crate::locks::line::{Line, Ticket, Waiter};
use crate::queues::Store;
use crate::queues::state::{GetError, PutError, QueueState};

/// What a job notes of its place in a [`SchedulerState`].
#[derive(Debug, Default)]
pub struct Seat {
    listed: Cell<Option<Ticket>>,
    pending: Cell<Option<Ticket>>,
}

impl Seat {
    /// The place of a job that is in no scheduler.
    pub const fn new() -> Seat {
        Seat {
            listed: Cell::new(None),
            pending: Cell::new(None),
        }
    }
}

/// A job, as the state sees it. Clones are the same job.
pub trait Member: Clone {
    /// Its place. Each job has its own.
    fn seat(&self) -> &Seat;
}

/// A scheduler's state (aiojobs' `Scheduler`).
///
/// To spawn: [`admit`](Self::admit) the job; if the answer is [`Start`](Admission::Start), start
/// it and then [`list`](Self::list) it; if it is [`Wait`](Admission::Wait), wait in
/// [`spawners`](Self::spawners) and begin again; one who gives up calls
/// [`spawner_gave_up`](Self::spawner_gave_up).
///
/// When a job has ended, [`remove`](Self::remove) it and start whom
/// [`next`](Self::next_to_start) names, until that is nobody. A job that is to be closed before it
/// has started is [withdrawn](Self::withdraw) first: it frees no place among the active ones.
pub struct SchedulerState<J, W: Waiter> {
    /// How many may be active.
    limit: Option<usize>,
    /// All jobs that have not ended, in the order in which they were admitted.
    jobs: Line<J>,
    pending: QueueState<Pending<J, W::Error>, W>,
}

/// What is to be done with a job that is to be spawned.
#[derive(Debug)]
pub enum Admission<J> {
    /// It can start.
    Start(J),
    /// It is pending, and was listed.
    Pending(J),
    /// Too many are pending.
    Wait(J),
}

/// Why a job was not admitted.
#[derive(Debug)]
pub enum AdmitError<J, E> {
    /// The scheduler is closed.
    Closed(J),
    /// Somebody who waits has failed to be woken.
    Failed(E),
}

impl<J, W: Waiter> SchedulerState<J, W> {
    /// An empty state. Up to `limit` jobs are active at a time, and up to `pending_limit` are
    /// pending; zero is any number of the latter.
    pub const fn new(limit: Option<usize>, pending_limit: usize) -> SchedulerState<J, W> {
        SchedulerState {
            limit,
            jobs: Line::new(),
            pending: QueueState::new(Pending {
                jobs: Line::new(),
                limit: pending_limit,
                error: PhantomData,
            }),
        }
    }

    /// How many jobs may be active.
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// How many jobs may be pending; zero is any number.
    pub fn pending_limit(&self) -> usize {
        self.pending.store().limit
    }

    /// How many jobs there are, active and pending.
    #[inline]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there are no jobs.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many jobs are active.
    #[inline]
    pub fn active_count(&self) -> usize {
        self.jobs.len().saturating_sub(self.pending_count())
    }

    /// How many jobs are pending.
    #[inline]
    pub fn pending_count(&self) -> usize {
        self.pending.store().jobs.len()
    }

    /// Whether the scheduler is closed.
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.pending.is_shutdown()
    }

    /// Those who wait until fewer are pending.
    #[inline]
    pub fn spawners(&self) -> &Line<W> {
        self.pending.putters()
    }

    /// Shows all jobs, for a garbage collector: a pending one twice. No foreign code may run
    /// in `f`.
    pub fn visit(&self, f: &mut dyn FnMut(&J)) {
        self.jobs.visit(f);
        self.pending.store().jobs.visit(f);
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.active_count() < limit)
    }
}

impl<J: Member, W: Waiter> SchedulerState<J, W> {
    /// Decides what is to be done with a job that is to be spawned, and has `waited` for that or
    /// not.
    ///
    /// # Errors
    ///
    /// See [`AdmitError`].
    #[inline]
    pub fn admit(&self, job: J, waited: bool) -> Result<Admission<J>, AdmitError<J, W::Error>> {
        if self.is_closed() {
            return Err(AdmitError::Closed(job));
        }
        if self.has_room() {
            if waited {
                self.pass_on().map_err(AdmitError::Failed)?;
            }
            return Ok(Admission::Start(job));
        }
        match self.pending.put(job.clone()) {
            Ok(()) => {
                self.list(job.clone());
                Ok(Admission::Pending(job))
            }
            Err(PutError::Full(job)) => Ok(Admission::Wait(job)),
            Err(PutError::ShutDown(job)) => Err(AdmitError::Closed(job)),
            Err(PutError::Failed(error)) => Err(AdmitError::Failed(error)),
        }
    }

    /// A job that has waited for a place among the pending ones, and needs none because it can
    /// start: the place goes to the next.
    fn pass_on(&self) -> Result<(), W::Error> {
        if !self.pending.store().is_full()? {
            self.spawners().pop_and_wake()?;
        }
        Ok(())
    }

    /// Lists a job that was started.
    #[inline]
    pub fn list(&self, job: J) {
        let ticket = self.jobs.join(job.clone());
        job.seat().listed.set(Some(ticket));
    }

    /// Whether a job is among those that have not ended.
    pub fn contains(&self, job: &J) -> bool {
        let ticket = job.seat().listed.get();
        ticket.is_some_and(|ticket| self.jobs.contains(ticket))
    }

    /// All jobs that have not ended, in the order in which they were admitted.
    pub fn jobs(&self) -> Vec<J> {
        let mut jobs = Vec::with_capacity(self.len());
        for place in self.jobs.places() {
            jobs.push(place.get());
        }
        jobs
    }

    /// A spawner gives up, `woken` or not. If it was, and there is room, another one is woken.
    ///
    /// # Errors
    ///
    /// That of the one to be woken.
    pub fn spawner_gave_up(&self, ticket: Ticket, woken: bool) -> Result<(), W::Error> {
        self.pending.putter_gave_up(ticket, woken)
    }

    /// A pending job is to be closed, and will not be started from here any more. A spawner is
    /// woken. False if the job is not pending.
    ///
    /// # Errors
    ///
    /// The spawner's.
    pub fn withdraw(&self, job: &J) -> Result<bool, W::Error> {
        let Some(ticket) = job.seat().pending.take() else {
            return Ok(false);
        };
        drop(self.pending.store().jobs.leave(ticket));
        self.pending.putters().pop_and_wake()?;
        Ok(true)
    }

    /// A job has ended.
    #[inline]
    pub fn remove(&self, job: &J) {
        if let Some(ticket) = job.seat().listed.take() {
            drop(self.jobs.leave(ticket));
        }
    }

    /// Takes all jobs out, for the caller to drop. They have no place here any more.
    pub fn take(&self) -> impl Iterator<Item = J> + use<J, W> {
        let pending = self.pending.store().jobs.take();
        self.jobs.take().chain(pending).inspect(|job| {
            job.seat().listed.set(None);
            job.seat().pending.set(None);
        })
    }

    /// The pending job that is to be started now, if one can; it is active from here on. A
    /// spawner is woken.
    ///
    /// # Errors
    ///
    /// The spawner's.
    pub fn next_to_start(&self) -> Result<Option<J>, W::Error> {
        if self.pending_count() == 0 || !self.has_room() {
            return Ok(None);
        }
        match self.pending.get() {
            Ok(job) => Ok(Some(job)),
            Err(GetError::Empty | GetError::ShutDown) => Ok(None),
            Err(GetError::Failed(error)) => Err(error),
        }
    }

    /// Admits nobody any more, starts no pending jobs, and wakes all spawners. The jobs are
    /// for the caller to close.
    ///
    /// # Errors
    ///
    /// The spawners'.
    pub fn close(&self) -> Result<(), W::Error> {
        self.pending.shutdown(true)
    }
}

impl<J, W: Waiter> fmt::Debug for SchedulerState<J, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerState")
            .field("limit", &self.limit)
            .field("active", &self.active_count())
            .field("pending", &self.pending_count())
            .field("spawners", &self.spawners().len())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// The pending jobs: a line, because one may be withdrawn from the middle.
struct Pending<J, E> {
    jobs: Line<J>,
    limit: usize,
    error: PhantomData<fn() -> E>,
}

impl<J: Member, E> Store for Pending<J, E> {
    type Item = J;
    type Error = E;

    #[inline]
    fn is_empty(&self) -> Result<bool, E> {
        Ok(self.jobs.is_empty())
    }

    #[inline]
    fn is_full(&self) -> Result<bool, E> {
        Ok(self.limit > 0 && self.jobs.len() >= self.limit)
    }

    #[inline]
    fn put(&self, job: J) -> Result<(), E> {
        let ticket = self.jobs.join(job.clone());
        job.seat().pending.set(Some(ticket));
        Ok(())
    }

    #[inline]
    fn get(&self) -> Result<Option<J>, E> {
        let job = self.jobs.pop_first();
        if let Some(job) = &job {
            job.seat().pending.set(None);
        }
        Ok(job)
    }
}
