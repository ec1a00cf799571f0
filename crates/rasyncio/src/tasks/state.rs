//! What a task is at.
//!
//! One word, which only the loop's thread reads and writes; what other threads may do to a
//! task, they do through [`Refs`](super::refs) and the loop's inbox.

use std::cell::Cell;

#[derive(Default)]
pub(super) struct State(Cell<u16>);

/// A local job that runs the task is in the ready queue, and owns a reference. So there is
/// never more than one.
pub(super) const SCHEDULED: u16 = 1 << 0;

/// The future is being polled, further up this stack.
pub(super) const RUNNING: u16 = 1 << 1;

/// The future has been polled. A task that is cancelled before never is.
pub(super) const STARTED: u16 = 1 << 2;

/// Something asked for a poll that could not be scheduled, because the task was `RUNNING`.
/// Looked at when the poll returns.
pub(super) const AGAIN: u16 = 1 << 3;

/// The loop was turned by somebody who had not entered it, so the task could not run. It is
/// scheduled once the loop is entered.
pub(super) const STRANDED: u16 = 1 << 4;

/// The future is gone. Before this is set, the loop's list owns the task and the memory holds
/// the future; afterwards the handles and references own it.
pub(super) const DONE: u16 = 1 << 5;

/// With `DONE`: the task ended as cancelled.
pub(super) const CANCELLED: u16 = 1 << 6;

/// With `DONE`: the task ended with a panic.
pub(super) const PANICKED: u16 = 1 << 7;

/// The memory holds the output. Whoever clears this owns the output.
pub(super) const OUTPUT: u16 = 1 << 8;

/// There is a `Task` (or something made of it) that may ask for the output. Without it, the
/// output is dropped at once.
pub(super) const JOINABLE: u16 = 1 << 9;

/// The output is kept even if the task was cancelled: it is the main task, whose output is what
/// `run` answers.
pub(super) const MAIN: u16 = 1 << 10;

/// With `DONE`: the task is of a kind whose errors are looked at, and resolved to one.
pub(super) const FAILED: u16 = 1 << 13;

/// With `DONE`: it is settled who owns the memory. If `SHARED` is not set as well, that is
/// the handles alone.
pub(super) const SETTLED: u16 = 1 << 11;

/// With `SETTLED`: references were left, which are counted atomically from now on. All the
/// handles together own one of them.
pub(super) const SHARED: u16 = 1 << 12;

/// With `RUNNING`: the job that `SCHEDULED` tells of owns no reference yet. It gets that of who runs the
/// task, at the end of the step.
pub(super) const LENT: u16 = 1 << 14;

/// With `OUTPUT`: somebody has looked at it, so that an error in it needs no report.
pub(super) const SEEN: u16 = 1 << 15;

impl State {
    #[inline]
    pub(super) fn new(bits: u16) -> State {
        State(Cell::new(bits))
    }

    #[inline]
    pub(super) fn get(&self) -> u16 {
        self.0.get()
    }

    #[inline]
    pub(super) fn set(&self, bits: u16) {
        self.0.set(bits);
    }

    #[inline]
    pub(super) fn has(&self, bits: u16) -> bool {
        self.0.get() & bits != 0
    }

    #[inline]
    pub(super) fn insert(&self, bits: u16) {
        self.0.set(self.0.get() | bits);
    }

    /// Clears `bits` and answers whether any of them was set.
    #[inline]
    pub(super) fn remove(&self, bits: u16) -> bool {
        let before = self.0.get();
        self.0.set(before & !bits);
        before & bits != 0
    }
}
