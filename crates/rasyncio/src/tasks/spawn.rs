//! Making tasks.

#![allow(unsafe_code)]

#[cfg(feature = "tracing")]
use std::borrow::Cow;
use std::marker::PhantomData;
use std::panic::Location;

use super::cell::Number;
#[cfg(feature = "tracing")]
use super::cell::default_name;
use super::stage::{Kind, Plain};
use super::state::MAIN;
use super::{AnyTask, Task, stage, waker};
use crate::contextvars::{self, Context};
use crate::events::{self, LoopState};
use crate::exceptions::{Cancelled, TaskError};
use crate::scope::Side;

/// Where a task comes from, and what it is given.
pub(crate) struct Origin {
    pub(super) number: Number,
    /// Its name and context, if it has any.
    pub(super) side: Option<Box<Side>>,
    pub(crate) created: &'static Location<'static>,
}

impl Origin {
    // Two make tasks, and it is not to be a call in either.
    #[inline(always)]
    pub(super) fn new(
        owner: &LoopState,
        name: Option<Box<str>>,
        context: Option<Context>,
        created: &'static Location<'static>,
    ) -> Origin {
        let (number, name) = match name {
            None => Number::next(owner),
            named => (Number::default(), named),
        };
        Origin {
            number,
            side: Side::of_task(name, context),
            created,
        }
    }

    /// The number of a task without a name of its own.
    #[cfg(feature = "tracing")]
    pub(crate) fn number(&self) -> Option<u64> {
        Some(self.number.get()).filter(|&number| number > 0)
    }

    /// What the task is called.
    #[cfg(feature = "tracing")]
    pub(crate) fn name(&self) -> Cow<'_, str> {
        match self.side.as_ref().and_then(|side| side.name.as_deref()) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(default_name(self.number.get())),
        }
    }
}

/// Makes a task of the running loop, which is `owner`, and schedules it.
pub(super) fn spawn<F, K>(owner: &LoopState, future: F, origin: Origin) -> Task<F::Output>
where
    F: Future + 'static,
    K: Kind<F::Output>,
{
    // SAFETY: it borrows nothing.
    unsafe { spawn_unchecked::<F, K>(owner, future, origin, 0) }
}

/// Makes a task of the running loop, in `context` or a copy of the current one, calls `drive`, which has
/// to turn the loop until the task is done, and answers the task's output. Meanwhile the future may borrow.
///
/// Whatever `drive` does, the future is gone when this returns or unwinds.
#[track_caller]
pub(crate) fn run_main<F: Future>(
    future: F,
    context: Option<Context>,
    drive: impl FnOnce(&AnyTask),
) -> Result<F::Output, TaskError> {
    struct Guard<T>(Task<T>);
    impl<T> Drop for Guard<T> {
        fn drop(&mut self) {
            if !self.0.done() {
                // SAFETY: nobody runs it, for `drive` has returned or unwound, and it was called
                // outside of the task; so this is the loop's thread as well.
                unsafe { self.0.raw.abandon(Cancelled::new()) };
            }
        }
    }
    let created = Location::caller();
    let task = events::with_running(|owner, _| {
        let origin = Origin::new(owner, None, context.or_else(contextvars::inherit), created);
        // SAFETY: the guard ends the task before this function does, and the output leaves
        // through here or with the guard.
        Guard(unsafe { spawn_unchecked::<F, Plain>(owner, future, origin, MAIN) })
    });
    drive(&task.0);
    match task.0.take() {
        Some(output) => output,
        None => Err(TaskError::Cancelled(Cancelled::new())),
    }
}

/// # Safety
///
/// As for `stage::new`; and `owner` is the running loop.
unsafe fn spawn_unchecked<F: Future, K: Kind<F::Output>>(
    owner: &LoopState,
    future: F,
    origin: Origin,
    bits: u16,
) -> Task<F::Output> {
    #[cfg(feature = "tracing")]
    let any = {
        let future = crate::adapters::tracing::in_span(future, &origin);
        // SAFETY: as the caller says.
        unsafe { stage::new::<_, K>(owner, future, origin, bits) }
    };
    #[cfg(not(feature = "tracing"))]
    // SAFETY: as the caller says.
    let any = unsafe { stage::new::<F, K>(owner, future, origin, bits) };
    if owner.closed.get() {
        // SAFETY: this is the loop's thread, and the task has just begun.
        unsafe {
            any.raw
                .abandon(Cancelled::with_message("the event loop is closed"))
        };
    } else {
        waker::wake_local(any.raw, any.header());
    }
    Task {
        any,
        output: PhantomData,
    }
}
