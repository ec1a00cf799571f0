//! A scope inside of another one: for what makes requests of its own to the future that it polls
//! (a time limit, a task group).
//!
//! The future is polled in the inner scope. Requests that are made in the outer one, mostly a
//! task's, go on to the inner one in the same instant ([`Cancel`]), and what becomes of them is
//! told to the outer one.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::side::Target;
use super::{
    Cancel, Requested, Scope, cancelling, delivered, give_back, leave, suspend_at,
    take_cancellation,
};
use crate::exceptions::Cancelled;
use crate::tasks::{self, AnyTask};

/// The inner scope.
#[derive(Default)]
pub(crate) struct Nested {
    scope: Scope,
    /// Whoever polls the future, while it is suspended.
    waker: Cell<Option<Waker>>,
}

/// What has a scope for others to be polled in.
pub(crate) trait Inner: 'static {
    fn nested(&self) -> &Nested;
}

impl<I: Inner> Cancel for I {
    fn cancel(&self, cancelled: &Cancelled) -> bool {
        self.nested().request(cancelled.clone());
        true
    }
}

impl Nested {
    /// The task that polls the future, while it is suspended.
    pub(crate) fn task(&self) -> Option<AnyTask> {
        tasks::waiting(&self.waker)
    }

    /// Asks the future to end.
    pub(crate) fn request(&self, cancelled: Cancelled) {
        if let Requested::Waiting = self.scope.request(cancelled)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

/// The time that a future spends in an inner scope.
pub(crate) struct Visit<I: Inner> {
    inner: Rc<I>,
    /// How many requests the outer scope had on entry.
    requests_before: u32,
    suspended: bool,
    /// The outer scope knows that a request of its own was delivered.
    told: bool,
}

impl<I: Inner> Visit<I> {
    /// The future is about to be polled for the first time.
    pub(crate) fn enter(inner: Rc<I>) -> Visit<I> {
        Visit {
            requests_before: cancelling(),
            suspended: false,
            told: false,
            inner,
        }
    }

    pub(crate) fn inner(&self) -> &I {
        &self.inner
    }

    fn scope(&self) -> &Scope {
        &self.inner.nested().scope
    }

    /// Polls the future in the inner scope, and tells the outer one what it needs to know.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.suspended
            && let Some(cancelled) = take_cancellation()
        {
            // It could not be forwarded, because somebody beside us suspended later.
            let _ = self.scope().request(cancelled);
        }
        let polled = self.scope().enter(|| poll(cx));
        self.tell();
        if polled.is_pending() {
            self.suspended = true;
            drop(self.inner.nested().waker.replace(Some(cx.waker().clone())));
            suspend_at(Target::Other(self.inner.clone()), self.scope().leaf());
        }
        polled
    }

    /// Somebody else wants the task to end.
    fn others(&self) -> bool {
        cancelling() > self.requests_before
    }

    fn tell(&mut self) {
        let others = self.others();
        if self.told && !others {
            self.scope().forgive();
            self.told = false;
        } else if others
            && !self.told
            && let Some(cancelled) = self.scope().delivered()
        {
            delivered(&cancelled);
            self.told = true;
        }
    }

    /// Whether a request was delivered, and it was none of the outer scope's.
    pub(crate) fn was_ended_from_inside(&self) -> bool {
        self.scope().delivered().is_some() && !self.others()
    }
}

impl<I: Inner> Drop for Visit<I> {
    fn drop(&mut self) {
        drop(self.inner.nested().waker.take());
        if self.suspended {
            let target: Rc<dyn Cancel> = self.inner.clone();
            leave(&target);
        }
        let untaken = self.scope().take_untaken();
        if let Some(cancelled) = untaken
            && self.others()
        {
            give_back(cancelled);
        }
        self.scope().clear();
    }
}
