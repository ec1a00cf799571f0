//! The tasks of a group.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::exceptions::{Cancelled, TaskError};
use crate::tasks::{AnyTask, Join, JoinMut, Task};

/// A task of a group, and the right to its output.
///
/// Awaiting it gives the output, or [`Cancelled`] if there is none: the task was cancelled, or it
/// has failed, and then its error is the group's, which will cancel whoever awaits. Awaiting
/// `&mut child` does too. Dropping it leaves the task in its group.
///
/// ```
/// use rasyncio::taskgroups::Child;
/// use rasyncio::{Cancelled, TaskGroup};
///
/// rasyncio::run(async {
///     let group = TaskGroup::<Cancelled>::new();
///     let body = async {
///         let child: Child<i32> = group.create_task(async { Ok(42) });
///         Ok(child.await)
///     };
///     assert_eq!(group.run(body).await??, 42);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct Child<T> {
    task: Task<Option<T>>,
}

/// What awaits a [`Child`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct JoinChild<J> {
    join: J,
}

impl<T> Child<T> {
    pub(super) fn new(task: Task<Option<T>>) -> Child<T> {
        Child { task }
    }
}

impl<T> IntoFuture for Child<T> {
    type Output = Result<T, Cancelled>;
    type IntoFuture = JoinChild<Join<Option<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        JoinChild {
            join: self.task.into_future(),
        }
    }
}

impl<'a, T> IntoFuture for &'a mut Child<T> {
    type Output = Result<T, Cancelled>;
    type IntoFuture = JoinChild<JoinMut<'a, Option<T>>>;

    fn into_future(self) -> Self::IntoFuture {
        JoinChild {
            join: (&mut self.task).into_future(),
        }
    }
}

impl<J, T> Future for JoinChild<J>
where
    J: Future<Output = Result<Option<T>, TaskError>> + Unpin,
{
    type Output = Result<T, Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.join)
            .poll(cx)
            .map(|joined| match joined {
                Ok(Some(output)) => Ok(output),
                Ok(None) => Err(Cancelled::with_message("the task has failed")),
                Err(TaskError::Cancelled(cancelled)) => Err(cancelled),
                // Its future panicked when it was dropped, before it had started.
                Err(TaskError::Panicked(panic)) => panic.resume(),
            })
    }
}

impl<T> Deref for Child<T> {
    type Target = AnyTask;

    fn deref(&self) -> &AnyTask {
        &self.task
    }
}

impl<T> AsRef<AnyTask> for Child<T> {
    fn as_ref(&self) -> &AnyTask {
        &self.task
    }
}

impl<T> fmt::Debug for Child<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}
