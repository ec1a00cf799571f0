//! The condition, without awaiting.

use crate::locks::line::{Line, Ticket, Waiter};

/// A condition's state (asyncio's `Condition`): those who wait for a notification. Its lock is a
/// [`LockState`](super::LockState) beside it, or whatever the face takes for one.
///
/// To wait is to release the lock, to `join`, to wait, to leave (`left`), and to acquire the
/// lock again, in the end even if cancelled: then that is tried until it succeeds, and the last
/// cancellation is the one to report. If any of this fails the notification, for there may have
/// been one, is passed on: `notify(1)`.
#[derive(Debug)]
pub struct ConditionState<W> {
    line: Line<W>,
}

impl<W> ConditionState<W> {
    /// A condition that nobody waits for.
    pub const fn new() -> ConditionState<W> {
        ConditionState { line: Line::new() }
    }

    /// Those who wait.
    #[inline]
    pub fn line(&self) -> &Line<W> {
        &self.line
    }

    /// Queues up, when the lock has been released.
    #[inline]
    pub fn join(&self, waiter: W) -> Ticket {
        self.line.join(waiter)
    }

    /// The waiter leaves the line, because it was woken or because it gives up; in either case
    /// it acquires the lock next.
    #[inline]
    pub fn left(&self, ticket: Ticket) {
        drop(self.line.leave(ticket));
    }
}

impl<W: Waiter> ConditionState<W> {
    /// Wakes up to `count` of those in the line who are not done, in order.
    ///
    /// # Errors
    ///
    /// A waiter's; those behind it are not woken.
    #[inline]
    pub fn notify(&self, count: usize) -> Result<(), W::Error> {
        self.line.wake(count)
    }
}

impl<W> Default for ConditionState<W> {
    fn default() -> ConditionState<W> {
        ConditionState::new()
    }
}
