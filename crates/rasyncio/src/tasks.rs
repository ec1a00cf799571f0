//! Tasks (asyncio's `tasks`).
//!
//! [`create_task`] gives a future to the loop, which runs it beside all others, in the same
//! thread. The [`Task`] that it answers is awaited for the output. Dropping it detaches the
//! task, which runs on, for the loop owns it: unlike in asyncio there is no need to keep a
//! reference. A task is ended early by [`cancel`](AnyTask::cancel) only.
//!
//! # Cancellation
//!
//! `cancel` is a request, delivered at the await where the task is suspended, which then
//! resolves to [`Cancelled`]. The task may await its clean-up, and may refuse:
//!
//! - A task that was asked to end, and has ended without taking that back, counts as
//!   cancelled whatever its future resolved to: its output is dropped, and who awaits it gets
//!   [`TaskError::Cancelled`].
//! - To go on instead, or to end with an output nevertheless, take the request back with
//!   [`uncancel`](AnyTask::uncancel).
//!
//! asyncio tells the two apart by the exception that leaves the coroutine, but a future may
//! resolve to anything, so here the count decides that asyncio keeps as well
//! ([`cancelling`](AnyTask::cancelling)). Everything else is as there: a task that has not
//! started never does, cancelling a task that awaits another cancels that one, and the
//! awaiting one only if the other gives in.

mod activity;
mod any;
mod as_completed;
mod builder;
mod callbacks;
mod cell;
mod deaf;
mod ended;
mod fallible;
mod gather;
mod join;
mod list;
mod refs;
mod reported;
mod results;
mod sent;
mod shield;
mod sleep;
mod spare;
mod spawn;
mod stage;
mod state;
mod step;
mod task;
mod wait;
mod waiters;
mod waker;

pub use activity::Activity;
pub use any::AnyTask;
pub use as_completed::{AsCompleted, AsCompletedError, Next, as_completed};
pub use builder::{Builder, create_task};
pub use callbacks::DoneCallback;
pub(crate) use ended::{Ended, came_back};
pub use fallible::Fallible;
#[doc(hidden)]
pub use fallible::kinds;
pub(crate) use fallible::{cancellation_in, known_as_cancellation};
pub use gather::{
    FallibleGroup, GatherFirst, GatherResults, Gatherable, Gathered, Gathering, IntoTask, gather,
    gather_iter,
};
pub use join::{Join, JoinMut};
pub(crate) use list::TaskList;
pub use shield::{Shield, Shieldable, shield};
pub use sleep::{Sleep, YieldNow, sleep, sleep_until, yield_now};
pub(crate) use spare::Spare;
#[cfg(feature = "tracing")]
pub(crate) use spawn::Origin;
pub(crate) use spawn::run_main;
pub(crate) use step::{current_address, current_context, set_current_context};
pub use task::Task;
pub use wait::{ReturnWhen, Wait, wait};
pub(crate) use waiters::{OnDone, Told, Waiter};
pub(crate) use waker::{into_job, waiting};

use crate::events;
#[cfg(doc)]
use crate::exceptions::{Cancelled, TaskError};

/// The task that is running (asyncio's `current_task`); `None` outside of tasks.
///
/// ```
/// assert!(rasyncio::current_task().is_none());
/// rasyncio::run(async { assert_eq!(rasyncio::current_task().unwrap().name(), "Task-1") });
/// ```
pub fn current_task() -> Option<AnyTask> {
    step::current()
}

/// The running loop's unfinished tasks, oldest first (asyncio's `all_tasks`).
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::{all_tasks, create_task};
///
/// rasyncio::run(async {
///     let task = create_task(async {});
///     assert_eq!(all_tasks().len(), 2);
///     task.await.unwrap();
///     assert_eq!(all_tasks().len(), 1);
/// });
/// ```
#[track_caller]
pub fn all_tasks() -> Vec<AnyTask> {
    events::with_running(|owner, _| owner.tasks.handles())
}
