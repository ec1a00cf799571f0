//! Making tasks.

#![allow(unsafe_code)]

use std::marker::PhantomData;

use super::state::MAIN;
use super::{AnyTask, Name, Task, stage, waker};
use crate::events::{self, LoopState};
use crate::exceptions::{Cancelled, TaskError};

/// Makes a task of the running loop, which is `owner`, and schedules it.
pub(super) fn spawn<F>(owner: &LoopState, future: F, name: Name) -> Task<F::Output>
where
    F: Future + 'static,
{
    // SAFETY: it borrows nothing.
    unsafe { spawn_unchecked(owner, future, name, 0) }
}

/// Makes a task of the running loop, calls `drive`, which has to turn the loop until
/// the task is done, and answers the task's output. Meanwhile the future may borrow.
///
/// Whatever `drive` does, the future is gone when this returns or unwinds.
pub(crate) fn run_main<F: Future>(
    future: F,
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
    let task = events::with_running(|owner, _| {
        let name = Name::Number(owner.next_number());
        // SAFETY: the guard ends the task before this function does, and the output leaves
        // through here or with the guard.
        Guard(unsafe { spawn_unchecked(owner, future, name, MAIN) })
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
unsafe fn spawn_unchecked<F: Future>(
    owner: &LoopState,
    future: F,
    name: Name,
    bits: u16,
) -> Task<F::Output> {
    // SAFETY: as the caller says.
    let any = unsafe { stage::new(owner, future, name, bits) };
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
