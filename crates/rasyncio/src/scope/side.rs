//! What few scopes have, in a box of its own: a task that is never cancelled, waits for nothing
//! that takes requests, and has neither a name nor context variables, does without.

use std::rc::Rc;

use super::Cancel;
use crate::contextvars::Context;
use crate::exceptions::Cancelled;
use crate::tasks::AnyTask;

#[derive(Default)]
pub(crate) struct Side {
    /// How many requests were made and not taken back: asyncio's `cancelling()`.
    pub(super) requests: u32,
    /// The latest request, or none that says anything. Meaningful only with `REQUESTED`, or as the
    /// reason later.
    pub(super) cancelled: Cancelled,
    /// Where requests go, for the length of one suspension. With `HAS_TARGET` only.
    pub(super) target: Option<Target>,
    /// That of the task.
    pub(crate) name: Option<Box<str>>,
    /// That of the task.
    pub(crate) context: Option<Context>,
}

/// Something that a leaf waits for and that can itself be cancelled. A task needs no allocation to
/// be one.
#[derive(Clone)]
pub(super) enum Target {
    Task(AnyTask),
    Other(Rc<dyn Cancel>),
}

impl Target {
    pub(super) fn is(&self, other: &Target) -> bool {
        match (self, other) {
            (Target::Task(a), Target::Task(b)) => a == b,
            (Target::Other(a), Target::Other(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    pub(super) fn cancel(&self, cancelled: &Cancelled) -> bool {
        match self {
            Target::Task(task) => task.request(cancelled.clone()),
            Target::Other(other) => other.cancel(cancelled),
        }
    }
}

impl Side {
    /// What a new task has, if it has anything.
    #[inline]
    pub(crate) fn of_task(name: Option<Box<str>>, context: Option<Context>) -> Option<Box<Side>> {
        if name.is_none() && context.is_none() {
            return None;
        }
        Some(Box::new(Side {
            name,
            context,
            ..Side::default()
        }))
    }

    /// Whether there is nothing in it that is asked for after the end.
    pub(super) fn is_over(&self) -> bool {
        self.requests == 0 && self.name.is_none()
    }
}
