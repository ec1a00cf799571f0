//! The event, without awaiting.

use std::cell::Cell;

use crate::locks::line::{Line, Ticket, Waiter};

/// An event's state (asyncio's `Event`).
#[derive(Debug)]
pub struct EventState<W> {
    set: Cell<bool>,
    line: Line<W>,
}

impl<W> EventState<W> {
    /// An event that is set or not.
    pub const fn new(set: bool) -> EventState<W> {
        EventState {
            set: Cell::new(set),
            line: Line::new(),
        }
    }

    /// Whether it is set. If so, there is nothing to wait for.
    #[inline]
    pub fn is_set(&self) -> bool {
        self.set.get()
    }

    /// Sets whether it is set, and wakes nobody; for who knows better.
    pub fn assign(&self, set: bool) {
        self.set.set(set);
    }

    /// Unsets it. Who was woken before does not mind.
    #[inline]
    pub fn clear(&self) {
        self.set.set(false);
    }

    /// Those who wait.
    #[inline]
    pub fn line(&self) -> &Line<W> {
        &self.line
    }

    /// Queues up, if the event is not set.
    #[inline]
    pub fn join(&self, waiter: W) -> Ticket {
        self.line.join(waiter)
    }

    /// The waiter leaves the line, because it was woken or because it gives up.
    #[inline]
    pub fn left(&self, ticket: Ticket) {
        drop(self.line.leave(ticket));
    }
}

impl<W: Waiter> EventState<W> {
    /// Sets it and wakes all in the line, in order.
    ///
    /// # Errors
    ///
    /// A waiter's; those behind it are not woken.
    #[inline]
    pub fn set(&self) -> Result<(), W::Error> {
        if !self.set.replace(true) && !self.line.is_empty() {
            self.line.wake(usize::MAX)?;
        }
        Ok(())
    }
}

impl<W> Default for EventState<W> {
    fn default() -> EventState<W> {
        EventState::new(false)
    }
}
