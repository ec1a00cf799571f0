//! Who waits for a future without awaiting it: `wait`, task groups and others, for call
//! graphs.
//!
//! A future of ours need not be told. Whoever waits has left a callback there, and what the
//! callback knows leads to the task that waits. So the edge costs nothing, and goes when the
//! callback goes. Only the interpreter's own futures (from Python 3.14 on) keep notes.

use pyo3::ffi::PyObject;

use crate::futures::DoneFn;
use crate::object::Res;
use crate::{as_completed, taskgroups, wait, wait_for};

/// Finds the task that waits in what a callback was registered with.
type TaskOf = unsafe fn(data: *mut PyObject) -> *mut PyObject;

/// The task that waits by a done callback of one of ours, borrowed. None for other callbacks.
pub(crate) unsafe fn waiter_of(run: DoneFn, data: *mut PyObject) -> Option<*mut PyObject> {
    let known: [(DoneFn, TaskOf); 4] = [
        (taskgroups::task_done, taskgroups::parent_of),
        (wait::completed, wait::task_of),
        (as_completed::completed, as_completed::task_of),
        (wait_for::release, wait_for::task_of),
    ];
    let (_, task_of) = known
        .into_iter()
        .find(|(known, _)| *known as usize == run as usize)?;
    // SAFETY: `data` is alive, says the caller, and is what `run` was registered with.
    let task = unsafe { task_of(data) };
    (!task.is_null() && crate::tasks::is_task(task)).then_some(task)
}

/// `asyncio.future_add_to_awaited_by(future, waiter)`, beside a done callback. `waiter` may be
/// None.
#[cfg(Py_3_14)]
pub(crate) fn add(future: *mut PyObject, waiter: *mut PyObject) -> Res<()> {
    if crate::futures::as_native(future).is_some() {
        return Ok(());
    }
    crate::stdlib::stdlib()
        .future_add_to_awaited_by
        .call(&[future, waiter])
        .map(drop)
}

/// `asyncio.future_discard_from_awaited_by(future, waiter)`. `waiter` may be None.
#[cfg(Py_3_14)]
pub(crate) fn discard(future: *mut PyObject, waiter: *mut PyObject) -> Res<()> {
    if crate::futures::as_native(future).is_some() {
        return Ok(());
    }
    crate::stdlib::stdlib()
        .future_discard_from_awaited_by
        .call(&[future, waiter])
        .map(drop)
}

/// Nothing to tell.
#[cfg(not(Py_3_14))]
#[inline]
pub(crate) fn add(_future: *mut PyObject, _waiter: *mut PyObject) -> Res<()> {
    Ok(())
}

/// Nothing to tell.
#[cfg(not(Py_3_14))]
#[inline]
pub(crate) fn discard(_future: *mut PyObject, _waiter: *mut PyObject) -> Res<()> {
    Ok(())
}
