//! What a task is at, and who waits for it.

use std::panic::Location;

use super::state::{DONE, RUNNING, SCHEDULED, STARTED};
use super::waiters::Waiter;
use super::{AnyTask, waker};

/// For people who look what goes on.
impl AnyTask {
    /// The tasks that wait for this one, in the order in which they came (asyncio's
    /// `future_add_to_awaited_by`, asked). Tasks only: what else waits is not named.
    ///
    /// ```
    /// use rasyncio::{create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let inner = create_task(async { yield_now().await?; yield_now().await });
    ///     let watched = (*inner).clone();
    ///     let outer = create_task(inner.into_future());
    ///     yield_now().await?;
    ///     assert_eq!(watched.awaited_by(), [(*outer).clone()]);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn awaited_by(&self) -> Vec<AnyTask> {
        let mut tasks = Vec::new();
        self.header().waiters.for_each(|waiter| {
            let task = match waiter {
                Waiter::Waker(waker) => waker::task_of(waker),
                Waiter::Callback(listener) => listener.awaiter(),
            };
            tasks.extend(task.filter(|task| !tasks.contains(task)));
        });
        tasks
    }

    /// What the task is at.
    ///
    /// ```
    /// use rasyncio::create_task;
    /// use rasyncio::tasks::Activity;
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(async {});
    ///     assert_eq!(task.activity(), Activity::NotStarted);
    /// });
    /// ```
    pub fn activity(&self) -> Activity {
        let header = self.header();
        match () {
            () if header.state.has(DONE) => Activity::Ended,
            () if header.state.has(RUNNING) => Activity::Running,
            () if !header.state.has(STARTED) => Activity::NotStarted,
            () if header.state.has(SCHEDULED) => Activity::Ready,
            () => Activity::Waiting(header.scope.leaf()),
        }
    }
}

/// What a task is at.
///
/// ```
/// use rasyncio::tasks::Activity;
/// use rasyncio::{Event, create_task, yield_now};
///
/// rasyncio::run(async {
///     let task = create_task(async { Event::new().wait().await });
///     yield_now().await?;
///     match task.activity() {
///         Activity::Waiting(Some(place)) => assert!(place.file().ends_with(".rs")),
///         other => unreachable!("{other:?}"),
///     }
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It has its first turn before it.
    NotStarted,
    /// It is being polled just now.
    Running,
    /// It was woken, and has its next turn before it.
    Ready,
    /// It waits. Where the awaited future of this crate (or of another one that calls
    /// [`suspend`](crate::scope::suspend)) is in the source; `None` for a future that knows nothing of
    /// this crate.
    Waiting(Option<&'static Location<'static>>),
    /// It has ended.
    Ended,
}
