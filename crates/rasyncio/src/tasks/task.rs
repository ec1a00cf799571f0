//! A task, and the right to its output.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use super::AnyTask;
use super::waiters::Waiter;
#[cfg(doc)]
use crate::events;
#[cfg(doc)]
use crate::exceptions::TaskError;

/// A task, and the right to its output (asyncio's `Task`).
///
/// Awaiting it gives the output of its future, or a [`TaskError`]; awaiting `&mut task` does
/// too, and leaves the task in your hands if you stop awaiting. Dropping it detaches the task;
/// should that panic, the panic goes to the
/// [exception handler](events::set_exception_handler).
///
/// What can be done without knowing the type of the output is [`AnyTask`]'s.
///
/// ```
/// use rasyncio::{Task, create_task};
///
/// rasyncio::run(async {
///     let mut task: Task<i32> = create_task(async { 42 });
///     assert_eq!((&mut task).await?, 42);
///     assert!(task.done());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct Task<T> {
    pub(super) any: AnyTask,
    pub(super) output: PhantomData<fn() -> T>,
}

impl<T> Task<T> {
    pub(super) fn set_owner(&self, waiter: Waiter) {
        self.any.set_owner(waiter);
    }
}

impl<T> AsRef<AnyTask> for Task<T> {
    fn as_ref(&self) -> &AnyTask {
        &self.any
    }
}

impl<T> Deref for Task<T> {
    type Target = AnyTask;

    fn deref(&self) -> &AnyTask {
        &self.any
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.any.detach();
    }
}

/// Whether they are the same task.
impl<T> PartialEq for Task<T> {
    fn eq(&self, other: &Task<T>) -> bool {
        self.any == other.any
    }
}

impl<T> Eq for Task<T> {}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.any.fmt(f)
    }
}
