//! Tasks that do not hear of a cancellation.

#![allow(unsafe_code)]

use super::AnyTask;
use super::state::{DONE, RUNNING, SCHEDULED, STARTED};
use crate::exceptions::Cancelled;

impl AnyTask {
    /// Whether the task was asked to end, waits in a future that knows nothing of this crate, and so will
    /// not hear of it. Its future can be dropped.
    pub(crate) fn is_deaf(&self) -> bool {
        let header = self.header();
        let scope = &header.scope;
        header.state.has(STARTED)
            && !header.state.has(DONE | SCHEDULED | RUNNING)
            && scope.leaf().is_none()
            && scope.cancelling() > 0
            && scope.delivered().is_none()
    }

    /// Ends the task as cancelled if it [`is_deaf`](AnyTask::is_deaf). For the loop's thread.
    pub(crate) fn abandon_if_deaf(&self) {
        if self.is_deaf() {
            // SAFETY: it is neither `DONE` nor `RUNNING`, and handles do not leave their thread.
            unsafe { self.raw.abandon(Cancelled::new()) };
        }
    }
}
