//! The cancellation count of a task, by which nested scopes know whose cancellation it is.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::names::names;
use crate::object::{Raised, Res, call_method};
use crate::tasks::{self, TaskObject};

/// `task.cancelling()`
#[inline]
pub(crate) fn cancelling(task: *mut PyObject) -> Res<i64> {
    // SAFETY: alive; an instance of exactly our class has its layout.
    unsafe {
        if ptr::eq(ffi::Py_TYPE(task), tasks::task_type()) {
            return Ok(i64::from((*task.cast::<TaskObject>()).cancel_requests));
        }
    }
    count(task, names().cancelling)
}

/// `task.uncancel()`: how many requests remain.
pub(crate) fn uncancel(task: *mut PyObject) -> Res<i64> {
    count(task, names().uncancel)
}

fn count(task: *mut PyObject, method: *mut PyObject) -> Res<i64> {
    // SAFETY: alive; -1 may be an error or a number.
    unsafe {
        let count = call_method(task, method, &[])?;
        let value = ffi::PyLong_AsLongLong(count.ptr());
        if value == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised::set());
        }
        Ok(value)
    }
}
