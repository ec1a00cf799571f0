//! Cancelling a task, and what it waits for, which may wait in its turn.

use core::cell::Cell;

use pyo3::ffi::{self, PyObject};

use super::{TaskObject, task_type};
use crate::futures::{self, FutureObject, state};
use crate::object::{Raised, Ref, Res, raise};

/// A chain of tasks, each waiting for the next, longer than this is a circle.
const LONGEST_CHAIN: usize = 1_000_000;

/// `task.cancel(msg)`: a request, delivered where the task is suspended. False if it is
/// done already.
///
/// A task that waits for another hands the request on. The chain is walked in a loop, so
/// its length costs no stack.
pub(crate) unsafe fn cancel(task: *mut TaskObject, message: *mut PyObject) -> Res<bool> {
    // SAFETY: `task` and `message` (or NULL) are alive, says the caller; each task of the
    // chain is held by the one before it, which nothing changes while we walk.
    unsafe {
        state::ensure_alive(task.cast())?;
        let mut last = task;
        for _ in 0..LONGEST_CHAIN {
            (*last).future.log_traceback = false;
            if FutureObject::is_done(last.cast()) {
                break;
            }
            (*last).cancel_requests += 1;
            let waiter = (*last).waiter;
            if waiter.is_null() {
                return request(last, message);
            }
            if ffi::Py_TYPE(waiter) != task_type() {
                let handed_on = cancel_waiter(
                    &Ref::borrow(waiter),
                    &Ref::borrow_opt(message).unwrap_or_else(Ref::none),
                )?;
                return if handed_on {
                    Ok(true)
                } else {
                    request(last, message)
                };
            }
            if FutureObject::is_done(waiter.cast()) {
                return request(last, message);
            }
            last = waiter.cast();
        }
        if FutureObject::is_done(last.cast()) {
            Ok(false)
        } else {
            Err(recursion_error())
        }
    }
}

/// Nobody took the cancellation over: the task raises it at its next step.
unsafe fn request(task: *mut TaskObject, message: *mut PyObject) -> Res<bool> {
    // SAFETY: both alive (or `message` NULL), says the caller.
    unsafe {
        (*task).must_cancel = true;
        state::set_cancel_message(task.cast(), message);
    }
    Ok(true)
}

thread_local! {
    /// How many cancellations are under way, one inside the other.
    static DEPTH: Cell<i32> = const { Cell::new(0) };
}

/// `waiter.cancel(msg=message)` for what is no plain task, and may recurse: a gather, a
/// subclass. The interpreter's own guard for C code allows more levels than fit on the
/// stack of a thread here, so the limit is the one for Python code.
pub(crate) fn cancel_waiter(waiter: &Ref, message: &Ref) -> Res<bool> {
    let depth = DEPTH.get() + 1;
    // SAFETY: no precondition.
    if depth > unsafe { ffi::Py_GetRecursionLimit() }.min(MOST) {
        return Err(recursion_error());
    }
    DEPTH.set(depth);
    let cancelled = futures::cancel(waiter.ptr(), message.ptr());
    DEPTH.set(depth - 1);
    cancelled
}

/// A level takes less than a kilobyte: far from the end of even a small stack.
const MOST: i32 = 1000;

fn recursion_error() -> Raised {
    // SAFETY: a static exception class.
    unsafe {
        raise(
            ffi::PyExc_RecursionError,
            "maximum recursion depth exceeded while cancelling a task",
        )
    }
}
