//! Waiting for the end of a task whose output is somebody else's.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::AnyTask;
use super::waiters::{Key, Waiter};
use crate::exceptions::Cancelled;
use crate::scope;

/// Waits until a task has ended. As when a task is awaited, a cancellation of this wait goes to
/// the task, and comes back if the task ends by it.
pub(crate) struct Ended {
    task: AnyTask,
    waiting: Option<Waiting>,
}

struct Waiting {
    key: Key,
    /// How many requests there were before.
    requests_before: u32,
}

impl Ended {
    pub(crate) fn new(task: AnyTask) -> Ended {
        Ended {
            task,
            waiting: None,
        }
    }
}

impl Future for Ended {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let requests_before = match &this.waiting {
            Some(waiting) => waiting.requests_before,
            None => scope::cancelling(),
        };
        if this.task.done() {
            if this.waiting.is_some() {
                return Poll::Ready(came_back(&this.task, requests_before));
            }
            return Poll::Ready(Ok(()));
        }
        if let Some(waiting) = &this.waiting {
            if let Some(cancelled) = scope::take_refused() {
                return Poll::Ready(Err(cancelled));
            }
            this.task.remove_waiter(waiting.key);
        }
        this.waiting = Some(Waiting {
            key: this.task.add_waiter(Waiter::Waker(cx.waker().clone())),
            requests_before,
        });
        scope::suspend_on_task(&this.task);
        Poll::Pending
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(waiting) = &self.waiting {
            scope::leave_task(&self.task);
            self.task.remove_waiter(waiting.key);
        }
    }
}

/// What becomes of the requests that were made while one has waited for a task, which has ended:
/// those that it has taken have ended it, and are delivered here as well.
pub(crate) fn came_back(task: &AnyTask, requests_before: u32) -> Result<(), Cancelled> {
    if let Some(cancelled) = scope::take_cancellation() {
        return Err(cancelled);
    }
    if task.cancelled() && scope::cancelling() > requests_before {
        let cancelled = Cancelled::new();
        scope::delivered(&cancelled);
        return Err(cancelled);
    }
    Ok(())
}
