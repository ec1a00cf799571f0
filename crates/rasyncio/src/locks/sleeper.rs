//! The waiter of the Rust face: a task, by its waker.

use std::convert::Infallible;
use std::task::{Context, Poll, Waker};

use super::line::{Line, Place, Ticket, Waiter};
use crate::events;
use crate::exceptions::Cancelled;
use crate::scope;

/// Who waits in a line. Woken, there is no waker any more.
pub(crate) struct Sleeper(Option<Waker>);

impl Waiter for Sleeper {
    type Error = Infallible;

    #[inline]
    fn wake(at: Place<'_, Sleeper>, first: impl FnOnce()) -> Result<bool, Infallible> {
        let Some(waker) = at.with(|sleeper| sleeper.0.take()) else {
            return Ok(false);
        };
        first();
        wake(waker);
        Ok(true)
    }

    #[inline]
    fn wake_left(self) -> Result<bool, Infallible> {
        let waker = self.0;
        let is_asleep = waker.is_some();
        if let Some(waker) = waker {
            wake(waker);
        }
        Ok(is_asleep)
    }

    /// A cancellation waits in the task's scope, where nobody else sees it.
    #[inline]
    fn is_cancelled(_: Place<'_, Sleeper>) -> Result<bool, Infallible> {
        Ok(false)
    }
}

/// A panic would lose the turns of those behind, and abort where we are dropped.
#[inline]
fn wake(waker: Waker) {
    events::quietly("a waker panicked", || waker.wake());
}

/// How a leaf waits in a line. It is the leaf that leaves the line, however that ends.
impl Line<Sleeper> {
    /// Queues up and suspends.
    #[inline]
    #[track_caller]
    pub(crate) fn suspend(&self, cx: &mut Context<'_>) -> Ticket {
        let ticket = self.join(Sleeper(Some(cx.waker().clone())));
        scope::suspend(cx);
        ticket
    }

    /// Looks what has happened to one who is polled again: woken, or cancelled, which wins if
    /// it is both. Who is not in the line any more was woken.
    #[inline]
    #[track_caller]
    pub(crate) fn poll_woken(
        &self,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Cancelled>> {
        if let Some(cancelled) = scope::take_cancellation() {
            return Poll::Ready(Err(cancelled));
        }
        if self.is_woken(ticket) {
            return Poll::Ready(Ok(()));
        }
        self.stay(ticket, cx);
        Poll::Pending
    }

    /// Whether it was woken.
    #[inline]
    pub(crate) fn is_woken(&self, ticket: Ticket) -> bool {
        self.with(ticket, |sleeper| sleeper.0.is_some()) != Some(true)
    }

    /// Something else has woken us, perhaps with another waker.
    #[cold]
    #[track_caller]
    fn stay(&self, ticket: Ticket, cx: &mut Context<'_>) {
        let mut waker = Some(cx.waker().clone());
        self.with(ticket, |sleeper| std::mem::swap(&mut sleeper.0, &mut waker));
        // The old one goes here, where the line is not borrowed.
        drop(waker);
        scope::suspend(cx);
    }
}
