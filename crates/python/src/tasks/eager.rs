//! An eager start: the first step at once, inside the step of whoever creates the task.

use pyo3::ffi;

use super::current;
use super::object::TaskObject;
use super::step::{advance, after, settle};
use crate::object::{Raised, Ref, Res, check, take_slot};

/// Makes the first step.
pub(super) unsafe fn start(task: *mut TaskObject) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        let loop_ = Ref::borrow((*task).future.loop_);
        let former = current::swap_foreign(loop_.ptr(), task.cast())?;
        let outcome = run_eagerly(task);
        after(outcome, || {
            current::swap_foreign(loop_.ptr(), former.ptr()).map(drop)
        })
    }
}

unsafe fn run_eagerly(task: *mut TaskObject) -> Res<()> {
    // SAFETY: as above.
    unsafe {
        let context = super::context_of(task.cast())?;
        check(ffi::PyContext_Enter(context.ptr()))?;
        let outcome = advance(task, None);
        let result = settle(task, outcome, None);
        if ffi::PyContext_Exit(context.ptr()) < 0 {
            return Err(Raised::set());
        }
        if !TaskObject::is_pending(task) {
            drop(take_slot(&raw mut (*task).coro));
        }
        result
    }
}
