//! What comes behind a task's header: the future and, later, in the same place, the output.
//!
//! Everything that depends on the type of the future is here, and reached through a table of
//! functions.

#![allow(unsafe_code)]

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::AnyTask;
use super::cell::{Header, Raw, is_local};
use super::spare::Spare;
use super::spawn::Origin;
use super::state::{CANCELLED, DONE, FAILED, MAIN, OUTPUT, PANICKED};
use crate::events::{self, LoopState};
use crate::exceptions::{Cancelled, Panic, TaskError};

/// What depends on the type of the future. All of it is for the loop's thread, except `free`.
pub(super) struct VTable {
    /// Polls the future. Answers whether the task is `DONE`.
    pub(super) poll: unsafe fn(Raw, &mut Context<'_>) -> bool,
    /// Drops the future and makes the task `DONE`, as cancelled.
    pub(super) abandon: unsafe fn(Raw, Cancelled),
    /// Where the output is: a `Result<F::Output, TaskError>`.
    pub(super) output: unsafe fn(Raw) -> *mut (),
    /// Drops the output, but for what should be reported: a panic, or an error as if it were one.
    pub(super) discard: unsafe fn(Raw) -> Option<Panic>,
    pub(super) free: unsafe fn(Raw),
}

#[repr(C)]
struct TaskCell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// The future until `DONE`, then the output as long as `OUTPUT`, then nothing.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, TaskError>>,
}

/// What an output says, beside what it is.
pub(super) trait Kind<T> {
    /// Whether it is an error, and no cancellation.
    fn is_error(output: &T) -> bool;
    /// It is dropped, and nobody has seen it: what is to be told of that.
    fn dropped(output: T) -> Option<Panic>;
}

/// Nothing.
pub(super) struct Plain;

impl<T> Kind<T> for Plain {
    fn is_error(_: &T) -> bool {
        false
    }

    fn dropped(output: T) -> Option<Panic> {
        drop(output);
        None
    }
}

fn table<F: Future, K: Kind<F::Output>>() -> &'static VTable {
    &VTable {
        poll: poll::<F, K>,
        abandon: abandon::<F, K>,
        output: output::<F>,
        discard: discard::<F, K>,
        free: free::<F>,
    }
}

/// Makes a task on `owner`, unscheduled, and its only handle.
///
/// # Safety
///
/// What the future and its output borrow must outlive the task's end, and the output must be
/// taken or dropped before that, too.
pub(super) unsafe fn new<F: Future, K: Kind<F::Output>>(
    owner: &LoopState,
    future: F,
    origin: Origin,
    bits: u16,
) -> AnyTask {
    let cell = owner.spare.take(Layout::new::<TaskCell<F>>()).cast();
    // SAFETY: there is room for it, and nothing in it yet.
    unsafe {
        cell.write(TaskCell {
            header: Header::new(owner, table::<F, K>(), origin, bits),
            stage: UnsafeCell::new(Stage {
                future: ManuallyDrop::new(future),
            }),
        });
    }
    let task = Raw(cell.cast());
    // SAFETY: it is new, and `finish` takes it out of the list.
    unsafe { owner.tasks.push(task) };
    // SAFETY: the list keeps it alive.
    unsafe { task.handle() }
}

/// # Safety
///
/// The task is alive and its future an `F`.
unsafe fn stage<F: Future>(task: Raw) -> *mut Stage<F> {
    let cell = task.0.as_ptr().cast::<TaskCell<F>>();
    // SAFETY: in bounds of the live cell.
    UnsafeCell::raw_get(unsafe { &raw const (*cell).stage })
}

unsafe fn poll<F: Future, K: Kind<F::Output>>(task: Raw, cx: &mut Context<'_>) -> bool {
    let polled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the future is there and nobody else polls it. It never moves: `conclude`
        // drops it in place.
        let future = unsafe { Pin::new_unchecked(&mut *(*stage::<F>(task)).future) };
        future.poll(cx)
    }));
    let result = match polled {
        Ok(Poll::Pending) => return false,
        Ok(Poll::Ready(value)) => Ok(value),
        Err(payload) => Err(TaskError::Panicked(Panic::new(payload))),
    };
    // SAFETY: the future is there.
    unsafe { conclude::<F, K>(task, result) };
    true
}

unsafe fn abandon<F: Future, K: Kind<F::Output>>(task: Raw, reason: Cancelled) {
    // SAFETY: the future is there, says the caller.
    unsafe { conclude::<F, K>(task, Err(TaskError::Cancelled(reason))) };
}

/// Puts the output in the place of the future.
///
/// # Safety
///
/// The future is there and is an `F`.
unsafe fn conclude<F: Future, K: Kind<F::Output>>(
    task: Raw,
    mut result: Result<F::Output, TaskError>,
) {
    // SAFETY: alive, says the caller.
    let (header, stage) = unsafe { (task.header(), stage::<F>(task)) };
    let replace = |result: &mut Result<F::Output, TaskError>, error| {
        let old = mem::replace(result, Err(error));
        events::quietly("a task's output could not be dropped", || drop(old));
    };
    // SAFETY: the future is there, and is not touched again.
    let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
        ManuallyDrop::drop(&mut (*stage).future);
    }));
    if let Err(payload) = dropped {
        replace(&mut result, TaskError::Panicked(Panic::new(payload)));
    }
    if let Some(reason) = header.scope.take_reason()
        && result.is_ok()
    {
        if header.state.has(MAIN) {
            header.state.insert(CANCELLED);
        } else {
            replace(&mut result, TaskError::Cancelled(reason));
        }
    }
    header.state.insert(match &result {
        Ok(output) if K::is_error(output) => DONE | OUTPUT | FAILED,
        Ok(_) => DONE | OUTPUT,
        Err(TaskError::Cancelled(_)) => DONE | OUTPUT | CANCELLED,
        Err(TaskError::Panicked(_)) => DONE | OUTPUT | PANICKED,
    });
    // SAFETY: the place is empty, and ours.
    unsafe { (&raw mut (*stage).output).write(ManuallyDrop::new(result)) };
}

unsafe fn output<F: Future>(task: Raw) -> *mut () {
    // SAFETY: as the caller says.
    unsafe { (&raw mut (*stage::<F>(task)).output).cast() }
}

unsafe fn discard<F: Future, K: Kind<F::Output>>(task: Raw) -> Option<Panic> {
    // SAFETY: the output is there and the caller's to give away.
    let result = unsafe { ManuallyDrop::take(&mut (*stage::<F>(task)).output) };
    match result {
        Ok(output) => K::dropped(output),
        Err(TaskError::Panicked(panic)) => Some(panic),
        Err(TaskError::Cancelled(_)) => None,
    }
}

unsafe fn free<F: Future>(task: Raw) {
    let cell = task.0.cast::<TaskCell<F>>();
    let layout = Layout::new::<TaskCell<F>>();
    // SAFETY: nobody uses it any more, and a union drops nothing. The memory comes from `new`. A home that
    // is the running loop's is alive, and so is its state: be it the task's loop, or one that has come
    // to the same place when that was gone.
    unsafe {
        let here = is_local(task.header()).then(|| task.header().owner());
        cell.drop_in_place();
        match here {
            Some(owner) => owner.spare.give(cell.cast(), layout),
            None => Spare::free(cell.cast(), layout),
        }
    }
}
