//! The semaphore, without awaiting.

use std::cell::Cell;

use crate::locks::line::{Line, Ticket, Waiter};

/// A semaphore's state (asyncio's `Semaphore`).
///
/// Who is woken has its permit already: the value is lowered when it is woken, not when it goes
/// on. Should it give up instead, the permit comes back and goes to the next.
#[derive(Debug)]
pub struct SemaphoreState<W> {
    value: Cell<i64>,
    line: Line<W>,
}

impl<W> SemaphoreState<W> {
    /// A semaphore with `value` permits.
    pub const fn new(value: i64) -> SemaphoreState<W> {
        SemaphoreState {
            value: Cell::new(value),
            line: Line::new(),
        }
    }

    /// How many permits there are.
    #[inline]
    pub fn value(&self) -> i64 {
        self.value.get()
    }

    /// Sets how many permits there are, and wakes nobody; for who knows better.
    pub fn set_value(&self, value: i64) {
        self.value.set(value);
    }

    /// Those who wait.
    #[inline]
    pub fn line(&self) -> &Line<W> {
        &self.line
    }

    /// Queues up, after `try_acquire` has failed.
    #[inline]
    pub fn join(&self, waiter: W) -> Ticket {
        self.line.join(waiter)
    }
}

impl<W: Waiter> SemaphoreState<W> {
    /// Whether a permit cannot be had at once: there is none, or others came before.
    ///
    /// # Errors
    ///
    /// A waiter's that could not be asked.
    #[inline]
    pub fn is_locked(&self) -> Result<bool, W::Error> {
        Ok(self.value() == 0 || !self.line.is_all_cancelled()?)
    }

    /// Takes a permit, if one can be had at once.
    ///
    /// # Errors
    ///
    /// A waiter's that could not be asked.
    #[inline]
    pub fn try_acquire(&self) -> Result<bool, W::Error> {
        if self.is_locked()? {
            return Ok(false);
        }
        self.value.set(self.value() - 1);
        Ok(true)
    }

    /// The waiter was woken and goes on: it leaves the line and has its permit. Others, who had
    /// to stay behind it though there were permits, are woken.
    ///
    /// # Errors
    ///
    /// That of one to be woken.
    #[inline]
    pub fn resumed(&self, ticket: Ticket) -> Result<(), W::Error> {
        drop(self.line.leave(ticket));
        self.wake_all_allowed()
    }

    /// The waiter gives up and leaves the line. If it was `woken`, its permit goes back.
    ///
    /// # Errors
    ///
    /// That of one to be woken.
    pub fn gave_up(&self, ticket: Ticket, woken: bool) -> Result<(), W::Error> {
        drop(self.line.leave(ticket));
        if woken {
            self.value.set(self.value().saturating_add(1));
        }
        self.wake_all_allowed()
    }

    /// Gives a permit back, or a new one, and wakes the next. A bounded semaphore looks at
    /// [`value`](Self::value) first.
    ///
    /// # Errors
    ///
    /// That of the one to be woken.
    #[inline]
    pub fn release(&self) -> Result<(), W::Error> {
        self.value.set(self.value().saturating_add(1));
        self.wake_next().map(drop)
    }

    fn wake_all_allowed(&self) -> Result<(), W::Error> {
        while self.value() > 0 && self.wake_next()? {}
        Ok(())
    }

    /// Wakes the first who is not done, with a permit.
    #[inline]
    fn wake_next(&self) -> Result<bool, W::Error> {
        let lower = || self.value.set(self.value() - 1);
        Ok(self.line.wake_with(1, lower)? > 0)
    }
}
