//! A job, as who spawned it sees it.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::errors::JobError;
use super::member::{Member, Typed};
use super::state::{self, Seat};
use super::{Scheduler, Shared};
use crate::exceptions::Cancelled;
use crate::locks::line::Ticket;
use crate::scope;
use crate::tasks::{AnyTask, came_back};
use crate::timeouts::wait_for;

/// A job, and the right to its output (aiojobs' `Job`).
///
/// Dropping it leaves the job alone. What can be done without knowing the type of the output is
/// [`AnyJob`]'s.
///
/// ```
/// use rasyncio::scheduler::{Job, Scheduler};
///
/// rasyncio::run(async {
///     let mut job: Job<i32> = Scheduler::new().spawn(async { 42 }).await?;
///     assert_eq!(job.wait(None).await?, 42);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct Job<T> {
    any: AnyJob,
    typed: Rc<Typed<T>>,
}

/// A job of whatever output: to look at and to close it. Clones are the same job.
///
/// ```
/// use rasyncio::scheduler::{AnyJob, Scheduler};
///
/// rasyncio::run(async {
///     let scheduler = Scheduler::new();
///     scheduler.spawn(rasyncio::yield_now()).await?;
///     let jobs: Vec<AnyJob> = scheduler.jobs();
///     assert!(jobs[0].active());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone)]
pub struct AnyJob {
    member: Rc<dyn Member>,
}

impl From<Rc<dyn Member>> for AnyJob {
    fn from(member: Rc<dyn Member>) -> AnyJob {
        AnyJob { member }
    }
}

impl<T: 'static> Job<T> {
    pub(super) fn new(typed: Rc<Typed<T>>) -> Job<T> {
        let member: Rc<dyn Member> = typed.clone();
        Job {
            any: AnyJob { member },
            typed,
        }
    }

    pub(super) fn typed(&self) -> &Rc<Typed<T>> {
        &self.typed
    }

    /// Waits for the job and gives its output (aiojobs' `Job.wait`).
    ///
    /// With a `timeout`, a job that takes longer is closed, as by [`close`](AnyJob::close). That
    /// the awaiting task is cancelled does not concern the job.
    ///
    /// # Errors
    ///
    /// - [`TimedOut`](JobError::TimedOut), if the time was over and the job then ended without
    ///   an output.
    /// - [`Panicked`](JobError::Panicked), if the job did. The exception handler does not hear
    ///   of it, for you do.
    /// - [`Cancelled`](JobError::Cancelled), if the job was closed, or who waits for it was
    ///   cancelled.
    ///
    /// # Panics
    ///
    /// If the output was taken before.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{scheduler::{JobError, Scheduler}, sleep};
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let mut job = scheduler.spawn(sleep(Duration::from_secs(3600))).await.unwrap();
    ///     let waited = job.wait(Duration::from_millis(1)).await;
    ///     assert!(matches!(waited, Err(JobError::TimedOut)));
    ///     assert!(job.closed());
    /// });
    /// ```
    pub async fn wait(&mut self, timeout: impl Into<Option<Duration>>) -> Result<T, JobError> {
        self.any.core().explicit.set(true);
        match wait_for(self.any.over(), timeout).await {
            Ok(over) => over?,
            Err(_) => {
                let timeout = self.any.close_timeout();
                let closed = self.any.close_within(timeout).await;
                // In closing it may have ended well.
                if let Some(outcome) = self.typed.outcome.take() {
                    return match outcome {
                        Ok(output) => Ok(output),
                        Err(_) => {
                            closed?;
                            Err(JobError::TimedOut)
                        }
                    };
                }
            }
        }
        match self.typed.outcome.take() {
            Some(outcome) => Ok(outcome?),
            None => panic!("a job was waited for again after it had given its output"),
        }
    }
}

impl AnyJob {
    pub(super) fn core(&self) -> &super::member::Core {
        self.member.core()
    }

    pub(super) fn start(self) {
        self.member.start();
    }

    pub(super) fn abandon(&self) {
        self.member.abandon();
    }

    pub(super) fn is_of(&self, shared: &Rc<Shared>) -> bool {
        std::ptr::eq(self.core().scheduler.as_ptr(), Rc::as_ptr(shared))
    }

    pub(super) fn scheduler(&self) -> Option<Scheduler> {
        let shared = self.core().scheduler.upgrade()?;
        Some(Scheduler { shared })
    }

    fn close_timeout(&self) -> Option<Duration> {
        self.scheduler()?.close_timeout()
    }

    /// The job's task, if it was started.
    pub(super) fn task(&self) -> Option<AnyTask> {
        self.core().task.borrow().clone()
    }

    /// Whether the job was started, and neither has ended nor is being closed.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    /// use rasyncio::yield_now;
    ///
    /// rasyncio::run(async {
    ///     let job = Scheduler::new().spawn(yield_now()).await?;
    ///     assert!(job.active());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn active(&self) -> bool {
        !self.closed() && self.core().task.borrow().is_some()
    }

    /// Whether the job is still to be started.
    ///
    /// ```
    /// use rasyncio::scheduler::Builder;
    /// use rasyncio::yield_now;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Builder::new().limit(1).build();
    ///     let first = scheduler.spawn(yield_now()).await?;
    ///     let second = scheduler.spawn(yield_now()).await?;
    ///     assert!(!first.pending() && second.pending());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn pending(&self) -> bool {
        !self.closed() && self.core().task.borrow().is_none()
    }

    /// Whether the job has ended, or is being closed.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let job = scheduler.spawn(async {}).await?;
    ///     scheduler.wait_and_close(None).await?;
    ///     assert!(job.closed());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn closed(&self) -> bool {
        self.core().closed.get()
    }

    /// What the job is called (aiojobs' `Job.get_name`): as its task is, and before it has one,
    /// what it was called when it was spawned.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    ///
    /// rasyncio::run(async {
    ///     let job = Scheduler::new().spawn_named("sweeper", async {}).await?;
    ///     assert_eq!(job.name().as_deref(), Some("sweeper"));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn name(&self) -> Option<String> {
        match &*self.core().task.borrow() {
            Some(task) => Some(task.name()),
            None => self.core().name.borrow().as_deref().map(String::from),
        }
    }

    /// Names the job (aiojobs' `Job.set_name`).
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    /// use rasyncio::yield_now;
    ///
    /// rasyncio::run(async {
    ///     let job = Scheduler::new().spawn(yield_now()).await?;
    ///     job.set_name("sweeper");
    ///     assert_eq!(job.name().as_deref(), Some("sweeper"));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn set_name(&self, name: impl Into<Box<str>>) {
        let name = name.into();
        if let Some(task) = &*self.core().task.borrow() {
            task.set_name(name.clone());
        }
        self.core().name.replace(Some(name));
    }

    /// Ends the job (aiojobs' `Job.close`): asks it to, as a task is that is cancelled, and waits
    /// until it has. After `timeout`, or the scheduler's
    /// [`close_timeout`](super::Builder::close_timeout) if that is `None`, it is asked once more.
    /// A pending job never starts.
    ///
    /// Does nothing if the job is closed.
    ///
    /// # Errors
    ///
    /// - [`TimedOut`](JobError::TimedOut), if the job has ended only after it was asked again.
    /// - [`Panicked`](JobError::Panicked), if it did in closing.
    /// - [`Cancelled`](JobError::Cancelled), if who closes it was cancelled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::scheduler::Scheduler;
    /// use rasyncio::sleep;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let job = scheduler.spawn(sleep(Duration::from_secs(3600))).await?;
    ///     job.close(None).await?;
    ///     assert!(job.closed());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn close(&self, timeout: impl Into<Option<Duration>>) -> Result<(), JobError> {
        if self.closed() {
            return Ok(());
        }
        self.core().explicit.set(true);
        let timeout = timeout.into().or_else(|| self.close_timeout());
        self.close_within(timeout).await
    }

    /// Closes the job, `None` being for ever.
    pub(super) async fn close_within(&self, timeout: Option<Duration>) -> Result<(), JobError> {
        self.core().closed.set(true);
        let Some(task) = self.task() else {
            if let Some(scheduler) = self.scheduler() {
                scheduler.withdraw(self);
            }
            self.abandon();
            return Ok(());
        };
        task.cancel();
        let over = wait_for(self.over().of(task), timeout).await;
        let panic = match self.core().explicit.get() {
            true => self.member.take_panic(),
            false => None,
        };
        match (over, panic) {
            (_, Some(panic)) => Err(JobError::Panicked(panic)),
            (Err(_), None) => Err(JobError::TimedOut),
            (Ok(over), None) => Ok(over?),
        }
    }

    /// Waits until the job is over.
    fn over(&self) -> Over<'_> {
        Over {
            job: self,
            ticket: None,
            task: None,
            requests_before: 0,
        }
    }
}

impl state::Member for AnyJob {
    fn seat(&self) -> &Seat {
        &self.core().seat
    }
}

impl<T> Deref for Job<T> {
    type Target = AnyJob;

    fn deref(&self) -> &AnyJob {
        &self.any
    }
}

impl PartialEq for AnyJob {
    fn eq(&self, other: &AnyJob) -> bool {
        Rc::ptr_eq(&self.member, &other.member)
    }
}

impl Eq for AnyJob {}

impl fmt::Debug for AnyJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match () {
            () if self.closed() => "closed",
            () if self.pending() => "pending",
            () => "active",
        };
        write!(f, "<Job {state}")?;
        if let Some(name) = self.name() {
            write!(f, " name={name:?}")?;
        }
        f.write_str(">")
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.any.fmt(f)
    }
}

/// Waits until a job is over.
struct Over<'a> {
    job: &'a AnyJob,
    ticket: Option<Ticket>,
    /// Where cancellations of this wait go: who closes a job asks it again.
    task: Option<AnyTask>,
    /// How many requests there were before.
    requests_before: u32,
}

impl Over<'_> {
    fn of(mut self, task: AnyTask) -> Self {
        self.task = Some(task);
        self
    }
}

impl Future for Over<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let core = this.job.core();
        match (this.ticket, &this.task) {
            (None, _) if core.over.get() => return Poll::Ready(Ok(())),
            (None, _) => this.requests_before = scope::cancelling(),
            (Some(ticket), None) => {
                return Poll::Ready(ready!(core.waiters.poll_woken(ticket, cx)));
            }
            (Some(ticket), Some(task)) => {
                if core.waiters.is_woken(ticket) {
                    return Poll::Ready(came_back(task, this.requests_before));
                }
                if let Some(cancelled) = scope::take_refused() {
                    return Poll::Ready(Err(cancelled));
                }
                drop(core.waiters.leave(ticket));
            }
        }
        this.ticket = Some(core.waiters.suspend(cx));
        if let Some(task) = &this.task {
            scope::suspend_on_task(task);
        }
        Poll::Pending
    }
}

impl Drop for Over<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            drop(self.job.core().waiters.leave(ticket));
            if let Some(task) = &self.task {
                scope::leave_task(task);
            }
        }
    }
}
