//! Background jobs under control (the package aiojobs).
//!
//! A [`Scheduler`] runs futures in the background, up to a limit at the same time; more are
//! pending until one ends, and if too many are, [`spawn`](Scheduler::spawn) waits. Closing it
//! ends them all. A [`Job`] is awaited for its output, or closed; what a job panics with, and
//! nobody asks for, is told to the scheduler's exception handler.
//!
//! ```
//! use std::time::Duration;
//! use rasyncio::{Cancelled, scheduler::Scheduler, sleep};
//!
//! async fn answer(after: Duration) -> Result<u32, Cancelled> {
//!     sleep(after).await?;
//!     Ok(42)
//! }
//!
//! #[rasyncio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let scheduler = Scheduler::new();
//!     let mut job = scheduler.spawn(answer(Duration::from_millis(1))).await?;
//!     scheduler.spawn(answer(Duration::from_secs(3600))).await?;
//!     assert_eq!(job.wait(None).await??, 42);
//!     assert_eq!(scheduler.active_count(), 1);
//!     scheduler.close().await?;
//!     assert!(scheduler.is_empty());
//!     Ok(())
//! }
//! ```
//!
//! The algorithm is in [`state`], without awaiting, for whoever gives it another face.

mod closing;
mod errors;
mod job;
mod member;
mod report;
mod shields;
mod spawn;
pub mod state;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

pub use errors::{JobError, SpawnError};
pub use job::{AnyJob, Job};
pub use report::JobContext;

use crate::locks::line::Line;
use crate::locks::sleeper::Sleeper;
use crate::tasks::AnyTask;
use report::Handler;
use state::SchedulerState;

/// Runs jobs, up to a limit at the same time (aiojobs' `Scheduler`). Clones are the same
/// scheduler.
///
/// Dropping it closes nothing: active jobs run on, and so do pending ones, as the others end.
/// Use [`close`](Scheduler::close), [`wait_and_close`](Scheduler::wait_and_close) or
/// [`within`](Scheduler::within).
///
/// ```
/// use rasyncio::scheduler::Scheduler;
///
/// rasyncio::run(async {
///     let scheduler = Scheduler::new();
///     let mut job = scheduler.spawn(async { 42 }).await?;
///     assert_eq!(job.wait(None).await?, 42);
///     scheduler.close().await?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone)]
pub struct Scheduler {
    shared: Rc<Shared>,
}

struct Shared {
    state: SchedulerState<AnyJob, Sleeper>,
    /// Shielded tasks that have not ended.
    shields: Line<AnyTask>,
    /// Those who wait until there are neither jobs nor shielded tasks.
    waiting: Line<Sleeper>,
    close_timeout: Option<Duration>,
    wait_timeout: Option<Duration>,
    handler: Option<Handler>,
}

/// How to make a scheduler: what the keywords of aiojobs' `Scheduler` say.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::scheduler::Builder;
///
/// let scheduler = Builder::new().limit(10).close_timeout(Duration::from_secs(1)).build();
/// assert_eq!(scheduler.limit(), Some(10));
/// assert_eq!(scheduler.pending_limit(), 10_000);
/// ```
#[must_use]
pub struct Builder {
    limit: Option<usize>,
    pending_limit: usize,
    close_timeout: Option<Duration>,
    wait_timeout: Option<Duration>,
    handler: Option<Handler>,
}

impl Builder {
    /// As [`Scheduler::new`] makes one.
    ///
    /// ```
    /// use rasyncio::scheduler::Builder;
    ///
    /// assert_eq!(Builder::new().build().limit(), Some(100));
    /// ```
    pub fn new() -> Builder {
        Builder {
            limit: Some(100),
            pending_limit: 10_000,
            close_timeout: Some(Duration::from_millis(100)),
            wait_timeout: Some(Duration::from_secs(60)),
            handler: None,
        }
    }

    /// How many jobs may be active at the same time; `None` is any number. 100, if nothing is
    /// said.
    ///
    /// ```
    /// use rasyncio::scheduler::Builder;
    ///
    /// assert_eq!(Builder::new().limit(2).build().limit(), Some(2));
    /// assert_eq!(Builder::new().limit(None).build().limit(), None);
    /// ```
    pub fn limit(mut self, limit: impl Into<Option<usize>>) -> Builder {
        self.limit = limit.into();
        self
    }

    /// How many jobs may be pending; zero is any number. 10,000, if nothing is said.
    ///
    /// ```
    /// use rasyncio::scheduler::Builder;
    ///
    /// assert_eq!(Builder::new().pending_limit(5).build().pending_limit(), 5);
    /// ```
    pub fn pending_limit(mut self, pending_limit: usize) -> Builder {
        self.pending_limit = pending_limit;
        self
    }

    /// How long a job that is closed may take to end, before it is asked again and a complaint
    /// is made; `None` is for ever. 0.1 seconds, if nothing is said.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::scheduler::Builder;
    ///
    /// let second = Duration::from_secs(1);
    /// assert_eq!(Builder::new().close_timeout(second).build().close_timeout(), Some(second));
    /// ```
    pub fn close_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Builder {
        self.close_timeout = timeout.into();
        self
    }

    /// How long [`wait_and_close`](Scheduler::wait_and_close) waits; `None` is for ever. 60
    /// seconds, if nothing is said.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::scheduler::Builder;
    ///
    /// let _scheduler = Builder::new().wait_timeout(Duration::from_secs(1)).build();
    /// ```
    pub fn wait_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Builder {
        self.wait_timeout = timeout.into();
        self
    }

    /// What is to be called in place of the loop's [exception
    /// handler](crate::events::set_exception_handler) for what goes wrong in jobs that nobody
    /// waits for.
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use rasyncio::scheduler::{Builder, SpawnError};
    ///
    /// rasyncio::run(async {
    ///     let seen = Rc::new(RefCell::new(String::new()));
    ///     let scheduler = Builder::new()
    ///         .exception_handler({
    ///             let seen = seen.clone();
    ///             move |_, context| *seen.borrow_mut() = context.to_string()
    ///         })
    ///         .build();
    ///     scheduler.spawn_named("bad", async { panic!("oops") }).await?;
    ///     scheduler.wait_and_close(None).await?;
    ///     assert_eq!(*seen.borrow(), "Job processing failed: job \"bad\": panicked: oops");
    ///     Ok::<_, SpawnError>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn exception_handler(
        mut self,
        handler: impl Fn(&Scheduler, &JobContext<'_>) + 'static,
    ) -> Builder {
        self.handler = Some(Rc::new(handler));
        self
    }

    /// Makes the scheduler. No loop need be running.
    ///
    /// ```
    /// use rasyncio::scheduler::Builder;
    ///
    /// assert!(Builder::new().build().is_empty());
    /// ```
    pub fn build(self) -> Scheduler {
        Scheduler {
            shared: Rc::new(Shared {
                state: SchedulerState::new(self.limit, self.pending_limit),
                shields: Line::new(),
                waiting: Line::new(),
                close_timeout: self.close_timeout,
                wait_timeout: self.wait_timeout,
                handler: self.handler,
            }),
        }
    }
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("limit", &self.limit)
            .field("pending_limit", &self.pending_limit)
            .field("close_timeout", &self.close_timeout)
            .field("wait_timeout", &self.wait_timeout)
            .finish_non_exhaustive()
    }
}

impl Scheduler {
    /// A scheduler for up to 100 active and 10,000 pending jobs; see [`Builder`] for others. No
    /// loop need be running.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    ///
    /// assert!(Scheduler::new().is_empty());
    /// ```
    pub fn new() -> Scheduler {
        Builder::new().build()
    }

    /// How many jobs may be active at the same time; `None` is any number.
    ///
    /// ```
    /// assert_eq!(rasyncio::scheduler::Scheduler::new().limit(), Some(100));
    /// ```
    pub fn limit(&self) -> Option<usize> {
        self.shared.state.limit()
    }

    /// How many jobs may be pending; zero is any number.
    ///
    /// ```
    /// assert_eq!(rasyncio::scheduler::Scheduler::new().pending_limit(), 10_000);
    /// ```
    pub fn pending_limit(&self) -> usize {
        self.shared.state.pending_limit()
    }

    /// How long a job that is closed may take to end.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::scheduler::Scheduler;
    ///
    /// assert_eq!(Scheduler::new().close_timeout(), Some(Duration::from_millis(100)));
    /// ```
    pub fn close_timeout(&self) -> Option<Duration> {
        self.shared.close_timeout
    }

    /// How many jobs are active.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    /// use rasyncio::yield_now;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     scheduler.spawn(yield_now()).await?;
    ///     assert_eq!(scheduler.active_count(), 1);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn active_count(&self) -> usize {
        self.shared.state.active_count()
    }

    /// How many jobs are pending.
    ///
    /// ```
    /// use rasyncio::scheduler::Builder;
    /// use rasyncio::yield_now;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Builder::new().limit(1).build();
    ///     scheduler.spawn(yield_now()).await?;
    ///     scheduler.spawn(yield_now()).await?;
    ///     assert_eq!(scheduler.pending_count(), 1);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn pending_count(&self) -> usize {
        self.shared.state.pending_count()
    }

    /// How many jobs there are, active and pending.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    /// use rasyncio::yield_now;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     scheduler.spawn(yield_now()).await?;
    ///     assert_eq!(scheduler.len(), 1);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn len(&self) -> usize {
        self.shared.state.len()
    }

    /// Whether there are no jobs.
    ///
    /// ```
    /// assert!(rasyncio::scheduler::Scheduler::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.shared.state.is_empty()
    }

    /// Whether the scheduler was closed, or is about to be.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     scheduler.close().await?;
    ///     assert!(scheduler.closed());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn closed(&self) -> bool {
        self.shared.state.is_closed()
    }

    /// The jobs that have not ended, oldest first.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::scheduler::{Scheduler, SpawnError};
    /// use rasyncio::sleep;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let job = scheduler.spawn(sleep(Duration::from_secs(60))).await?;
    ///     assert_eq!(scheduler.jobs(), [(*job).clone()]);
    ///     assert!(scheduler.contains(&job));
    ///     scheduler.close().await?;
    ///     assert!(!scheduler.contains(&job));
    ///     Ok::<_, SpawnError>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn jobs(&self) -> Vec<AnyJob> {
        self.shared.state.jobs()
    }

    /// Whether a job is one of those that have not ended.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    /// use rasyncio::yield_now;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let job = scheduler.spawn(yield_now()).await?;
    ///     assert!(scheduler.contains(&job));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn contains(&self, job: &AnyJob) -> bool {
        job.is_of(&self.shared) && self.shared.state.contains(job)
    }
}

impl Default for Scheduler {
    fn default() -> Scheduler {
        Scheduler::new()
    }
}

impl PartialEq for Scheduler {
    fn eq(&self, other: &Scheduler) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Scheduler {}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = if self.closed() { "closed " } else { "" };
        write!(f, "<Scheduler {closed}jobs={}>", self.len())
    }
}
