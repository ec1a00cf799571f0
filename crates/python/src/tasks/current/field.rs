//! From 3.14: a field of the thread state, behind `_enter_task` and `_leave_task`.

use pyo3::ffi::PyObject;

use crate::object::Res;
use crate::stdlib::stdlib;

pub(crate) unsafe fn init() -> Res<()> {
    Ok(())
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
