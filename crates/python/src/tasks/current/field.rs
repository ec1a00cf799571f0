//! From 3.14: a field of the thread state, behind `_enter_task` and `_leave_task`.

use pyo3::ffi::{self, PyObject};

use crate::global::Global;
use crate::object::{Ref, Res, check, import};
use crate::stdlib::stdlib;

/// The registry of the standard library's tasks in pure Python, which are unknown to its C
/// functions.
static PYTHON_TASKS: Global<Ref> = Global::new();

pub(crate) unsafe fn init() -> Res<()> {
    let table = import(c"asyncio.tasks")?.attr(Ref::str("_current_tasks")?.ptr())?;
    // SAFETY: called once, from the module's initialisation.
    unsafe { PYTHON_TASKS.set(table) };
    Ok(())
}

/// The current task of a loop, of whatever kind, or None.
pub(super) fn current(loop_: *mut PyObject) -> Res {
    let task = stdlib().current_task.call1(loop_)?;
    if !task.is_none() {
        return Ok(task);
    }
    // SAFETY: both alive; the borrowed answer is held at once.
    unsafe {
        let found = ffi::PyDict_GetItemWithError(PYTHON_TASKS.get().ptr(), loop_);
        if found.is_null() {
            check(if ffi::PyErr_Occurred().is_null() { 0 } else { -1 })?;
            return Ok(task);
        }
        Ok(Ref::borrow(found))
    }
}

/// The thread's current task, seen from one loop.
pub(crate) struct Mirror;

impl Mirror {
    pub(crate) fn new() -> Mirror {
        Mirror
    }

    /// A step of `task` begins.
    #[inline]
    pub(crate) unsafe fn enter(&self, loop_: *mut PyObject, task: *mut PyObject) -> Res<()> {
        stdlib().enter_task.call(&[loop_, task]).map(drop)
    }

    /// The step is over.
    #[inline]
    pub(crate) unsafe fn leave(
        &self,
        loop_: *mut PyObject,
        task: *mut PyObject,
        _done: bool,
    ) -> Res<()> {
        stdlib().leave_task.call(&[loop_, task]).map(drop)
    }

    /// Nothing is stale here.
    #[inline]
    pub(crate) unsafe fn retire(&self, _loop: *mut PyObject) -> Res<()> {
        Ok(())
    }
}
