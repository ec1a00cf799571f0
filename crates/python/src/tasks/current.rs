//! Which task is running, told to the standard library.
//!
//! `asyncio.current_task()` of people who imported it before us must answer rightly, so
//! the standard library's own registry is the truth and ours is none. It differs:
//! - up to 3.13 it is the dict `_asyncio._current_tasks`, loop to task. Overwriting an
//!   entry costs 7 ns and more, setting and deleting one 24. So for our loop it is done when
//!   somebody looks, which nobody can without hashing the loop: see `Mirror::tell`;
//! - from 3.14 it is a field of the thread state behind `_enter_task` and `_leave_task`.
//!   Where the field can be found (`probe`), it is stored to directly.

#[cfg(Py_3_14)]
mod field;
#[cfg(not(Py_3_14))]
mod table;

#[cfg(Py_3_14)]
pub(crate) use field::{Mirror, init};
#[cfg(not(Py_3_14))]
pub(crate) use table::{Mirror, hash_loop, init};

use pyo3::ffi::PyObject;

use crate::event_loop;
use crate::object::{Ref, Res};
use crate::stdlib::stdlib;

/// `_enter_task(loop, task)` of the standard library, for foreign loops.
pub(crate) fn enter_foreign(loop_: *mut PyObject, task: *mut PyObject) -> Res<()> {
    stdlib().enter_task.call(&[loop_, task]).map(drop)
}

/// `_leave_task(loop, task)` of the standard library, for foreign loops.
pub(crate) fn leave_foreign(loop_: *mut PyObject, task: *mut PyObject) -> Res<()> {
    stdlib().leave_task.call(&[loop_, task]).map(drop)
}

/// `_swap_current_task(loop, task)`: what was current before, or None.
pub(crate) fn swap_foreign(loop_: *mut PyObject, task: *mut PyObject) -> Res {
    #[cfg(Py_3_12)]
    return stdlib().swap_current_task.call(&[loop_, task]);
    // 3.11 has no such function, for it has no eager tasks: the dict is the registry.
    #[cfg(not(Py_3_12))]
    return table::swap(loop_, task);
}

/// The current task of a loop of ours, if that is certain.
#[inline]
fn known(loop_: *mut PyObject) -> Option<Ref> {
    event_loop::any_native(loop_).and_then(|core| core.mirror().known())
}

/// What `asyncio.current_task(loop)` answers. From 3.14 on that knows no tasks in pure Python.
pub(crate) fn current_for_all(loop_: *mut PyObject) -> Res {
    if let Some(known) = known(loop_) {
        return Ok(known);
    }
    #[cfg(Py_3_14)]
    return stdlib().current_task.call1(loop_);
    #[cfg(not(Py_3_14))]
    return current(loop_);
}

/// The current task of a loop, of whatever kind, or None: for task groups and timeouts.
pub(crate) fn current(loop_: *mut PyObject) -> Res {
    if let Some(known) = known(loop_) {
        return Ok(known);
    }
    #[cfg(Py_3_14)]
    return field::current(loop_);
    #[cfg(all(Py_3_12, not(Py_3_14)))]
    return stdlib().current_task.call1(loop_);
    #[cfg(not(Py_3_12))]
    return table::current(loop_);
}
