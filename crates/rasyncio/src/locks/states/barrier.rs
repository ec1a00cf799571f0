//! The barrier, without awaiting.

use std::cell::Cell;

use crate::locks::line::{Line, Ticket, Waiter};

/// What a barrier is at (asyncio's `Barrier._state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarrierPhase {
    /// It waits for its parties.
    Filling,
    /// All have come, and not all have gone.
    Draining,
    /// It was reset, and not all who waited have gone.
    Resetting,
    /// It was aborted.
    Broken,
}

/// A barrier's state (asyncio's `Barrier`).
///
/// asyncio builds it on a condition. But that condition's lock is never held across a suspension,
/// so nobody ever waits for it, and there is none here.
///
/// To pass the barrier:
///
/// 1. While [`is_blocked`](Self::is_blocked): wait (`join`, wait, `left`).
/// 2. [`enter`](Self::enter), which gives the index, or fails as the barrier is broken. Now one
///    counts.
/// 3. While [`is_filling`](Self::is_filling): wait.
/// 4. [`exit`](Self::exit), however the wait has ended.
///
/// A wait that is cancelled or dropped calls [`gave_up`](Self::gave_up) instead of `left`.
#[derive(Debug)]
pub struct BarrierState<W> {
    parties: Cell<usize>,
    count: Cell<usize>,
    phase: Cell<BarrierPhase>,
    line: Line<W>,
}

impl<W> BarrierState<W> {
    /// A barrier for `parties`, at least one.
    pub const fn new(parties: usize) -> BarrierState<W> {
        BarrierState {
            parties: Cell::new(parties),
            count: Cell::new(0),
            phase: Cell::new(BarrierPhase::Filling),
            line: Line::new(),
        }
    }

    /// How many have to come.
    #[inline]
    pub fn parties(&self) -> usize {
        self.parties.get()
    }

    /// Sets how many have to come, and wakes nobody; for who knows better.
    pub fn set_parties(&self, parties: usize) {
        self.parties.set(parties);
    }

    /// How many have entered and not gone.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Sets how many have entered, and wakes nobody; for who knows better.
    pub fn set_count(&self, count: usize) {
        self.count.set(count);
    }

    /// What it is at.
    #[inline]
    pub fn phase(&self) -> BarrierPhase {
        self.phase.get()
    }

    /// Sets what it is at, and wakes nobody; for who knows better.
    pub fn set_phase(&self, phase: BarrierPhase) {
        self.phase.set(phase);
    }

    /// How many wait for the others.
    #[inline]
    pub fn waiting(&self) -> usize {
        if self.is_filling() { self.count() } else { 0 }
    }

    /// Whether it is broken.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.phase() == BarrierPhase::Broken
    }

    /// Whether who comes now has to wait until those before have gone.
    #[inline]
    pub fn is_blocked(&self) -> bool {
        matches!(
            self.phase(),
            BarrierPhase::Draining | BarrierPhase::Resetting
        )
    }

    /// Whether who has entered has to wait for the others.
    #[inline]
    pub fn is_filling(&self) -> bool {
        self.phase() == BarrierPhase::Filling
    }

    /// Whether who has entered, and need not wait any more, has failed to pass.
    #[inline]
    pub fn is_failed(&self) -> bool {
        matches!(self.phase(), BarrierPhase::Broken | BarrierPhase::Resetting)
    }

    /// Those who wait, for the others or to be let in.
    #[inline]
    pub fn line(&self) -> &Line<W> {
        &self.line
    }

    /// Queues up.
    #[inline]
    pub fn join(&self, waiter: W) -> Ticket {
        self.line.join(waiter)
    }

    /// The waiter was woken and leaves the line, to look what has changed.
    #[inline]
    pub fn left(&self, ticket: Ticket) {
        drop(self.line.leave(ticket));
    }
}

impl<W: Waiter> BarrierState<W> {
    /// Counts one more, who is not blocked, and answers its index. If it is the last, all who
    /// wait are woken. `None` if the barrier is broken.
    ///
    /// # Errors
    ///
    /// A waiter's. The caller has entered all the same.
    #[inline]
    pub fn enter(&self) -> Result<Option<usize>, W::Error> {
        if self.is_broken() {
            return Ok(None);
        }
        let index = self.count();
        self.count.set(index + 1);
        if index + 1 == self.parties() {
            self.phase.set(BarrierPhase::Draining);
            self.wake_all()?;
        }
        Ok(Some(index))
    }

    /// Counts one less. The last to go makes the barrier ready for the next round.
    ///
    /// # Errors
    ///
    /// A waiter's.
    #[inline]
    pub fn exit(&self) -> Result<(), W::Error> {
        let left = self.count().saturating_sub(1);
        self.count.set(left);
        if left > 0 {
            return Ok(());
        }
        if self.is_blocked() {
            self.phase.set(BarrierPhase::Filling);
        }
        self.wake_all()
    }

    /// The waiter gives up and leaves the line. As it may have been woken, another is.
    ///
    /// # Errors
    ///
    /// That of the one to be woken.
    pub fn gave_up(&self, ticket: Ticket) -> Result<(), W::Error> {
        drop(self.line.leave(ticket));
        self.line.wake(1)
    }

    /// Empties the barrier: those who wait for the others fail.
    ///
    /// # Errors
    ///
    /// A waiter's.
    pub fn reset(&self) -> Result<(), W::Error> {
        self.phase.set(if self.count() > 0 {
            BarrierPhase::Resetting
        } else {
            BarrierPhase::Filling
        });
        self.wake_all()
    }

    /// Breaks the barrier: those who wait fail, and those who come.
    ///
    /// # Errors
    ///
    /// A waiter's.
    pub fn abort(&self) -> Result<(), W::Error> {
        self.phase.set(BarrierPhase::Broken);
        self.wake_all()
    }

    #[inline]
    fn wake_all(&self) -> Result<(), W::Error> {
        if self.line.is_empty() {
            return Ok(());
        }
        self.line.wake(usize::MAX)
    }
}
