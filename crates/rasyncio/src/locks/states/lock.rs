//! The lock, without awaiting.

use std::cell::Cell;

use crate::locks::line::{Line, Ticket, Waiter};

/// A lock's state (asyncio's `Lock`).
///
/// A release unlocks and wakes the first who waits; until that one goes on the lock is free, but
/// nobody else gets it. Should it give up instead, the next is woken.
#[derive(Debug)]
pub struct LockState<W> {
    locked: Cell<bool>,
    line: Line<W>,
}

/// Why a lock was not released, or nobody woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseError<E> {
    /// It was not locked.
    NotAcquired,
    /// The lock is free, but who waits could not be woken.
    Waiter(E),
}

impl<W> LockState<W> {
    /// A lock that is free.
    pub const fn new() -> LockState<W> {
        LockState {
            locked: Cell::new(false),
            line: Line::new(),
        }
    }

    /// Whether it is locked.
    #[inline]
    pub fn is_locked(&self) -> bool {
        self.locked.get()
    }

    /// Sets whether it is locked, and wakes nobody; for who knows better.
    pub fn set_locked(&self, locked: bool) {
        self.locked.set(locked);
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

    /// The waiter was woken and goes on: it leaves the line and has the lock.
    #[inline]
    pub fn resumed(&self, ticket: Ticket) {
        let left = self.line.leave(ticket);
        self.locked.set(true);
        drop(left);
    }
}

impl<W: Waiter> LockState<W> {
    /// Takes the lock if it is free and nobody waits for it, or only such as are cancelled.
    ///
    /// # Errors
    ///
    /// A waiter's that could not be asked.
    #[inline]
    pub fn try_acquire(&self) -> Result<bool, W::Error> {
        if self.is_locked() || !self.line.is_all_cancelled()? {
            return Ok(false);
        }
        self.locked.set(true);
        Ok(true)
    }

    /// The waiter, woken or not, gives up: it leaves the line, and if the lock is free, the first
    /// in the line is woken.
    ///
    /// # Errors
    ///
    /// That of the one to be woken.
    pub fn gave_up(&self, ticket: Ticket) -> Result<(), W::Error> {
        drop(self.line.leave(ticket));
        if self.is_locked() {
            return Ok(());
        }
        self.line.wake_first()
    }

    /// Unlocks, and wakes the first in the line.
    ///
    /// # Errors
    ///
    /// If it is not locked, or who is to be woken fails.
    #[inline]
    pub fn release(&self) -> Result<(), ReleaseError<W::Error>> {
        if !self.locked.replace(false) {
            return Err(ReleaseError::NotAcquired);
        }
        self.line.wake_first().map_err(ReleaseError::Waiter)
    }
}

impl<W> Default for LockState<W> {
    fn default() -> LockState<W> {
        LockState::new()
    }
}
