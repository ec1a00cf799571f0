//! Cancelling a task, and what it waits for, which may wait in its turn.

use pyo3::ffi::{self, PyObject};

use super::{TaskObject, task_type};
use crate::futures::{self, FutureObject, state};
use crate::object::{Ref, Res};
use crate::recursion::{Level, too_deep};

const DOING: &str = "cancelling a task";

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
            Err(too_deep(DOING))
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

/// `waiter.cancel(msg=message)` for what is no plain task, and may recurse: a gather, a
/// subclass.
pub(crate) fn cancel_waiter(waiter: &Ref, message: &Ref) -> Res<bool> {
    let _level = Level::enter(DOING)?;
    futures::cancel(waiter.ptr(), message.ptr())
}
