//! Awaiting a task.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Task;
use super::waiters::Waiter;
use crate::exceptions::TaskError;
use crate::scope;

/// Awaits a task, and owns it: made by `task.await` or `task.into_future()`. Dropped before, it
/// detaches the task.
#[must_use = "futures do nothing unless awaited"]
pub struct Join<T> {
    task: Task<T>,
    suspended: bool,
}

/// Awaits a task that somebody else owns: made by `(&mut task).await`.
#[must_use = "futures do nothing unless awaited"]
pub struct JoinMut<'a, T> {
    task: &'a mut Task<T>,
    suspended: bool,
}

impl<T> IntoFuture for Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = Join<T>;

    fn into_future(self) -> Join<T> {
        Join {
            task: self,
            suspended: false,
        }
    }
}

impl<'a, T> IntoFuture for &'a mut Task<T> {
    type Output = Result<T, TaskError>;
    type IntoFuture = JoinMut<'a, T>;

    fn into_future(self) -> JoinMut<'a, T> {
        JoinMut {
            task: self,
            suspended: false,
        }
    }
}

impl<T> Future for Join<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        poll(&this.task, &mut this.suspended, cx)
    }
}

impl<T> Future for JoinMut<'_, T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        poll(this.task, &mut this.suspended, cx)
    }
}

#[track_caller]
fn poll<T>(
    task: &Task<T>,
    suspended: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<T, TaskError>> {
    if !task.done() {
        if *suspended && let Some(cancelled) = scope::take_refused() {
            return Poll::Ready(Err(cancelled.into()));
        }
        *suspended = true;
        task.set_owner(Waiter::Waker(cx.waker().clone()));
        scope::suspend_on_task(task);
        return Poll::Pending;
    }
    if *suspended && let Some(cancelled) = scope::take_cancellation() {
        return Poll::Ready(Err(cancelled.into()));
    }
    let output = task
        .take()
        .expect("a task was awaited again after it had given its output");
    if let Err(TaskError::Cancelled(cancelled)) = &output {
        scope::delivered(cancelled);
    }
    Poll::Ready(output)
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        if self.suspended {
            scope::leave_task(&self.task);
        }
    }
}

impl<T> Drop for JoinMut<'_, T> {
    fn drop(&mut self) {
        if self.suspended {
            scope::leave_task(self.task);
            self.task.clear_owner();
        }
    }
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Join").field(&self.task).finish()
    }
}

impl<T> fmt::Debug for JoinMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JoinMut").field(&self.task).finish()
    }
}
