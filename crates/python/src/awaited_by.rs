//! Who waits for a future without awaiting it: `wait`, task groups and others tell, so that
//! call graphs (Python 3.14) can show it. Earlier versions draw none, and pay nothing.

use pyo3::ffi::PyObject;

use crate::object::Res;
#[cfg(Py_3_14)]
use crate::stdlib::stdlib;

/// `asyncio.future_add_to_awaited_by(future, waiter)`. `waiter` may be None.
#[cfg(Py_3_14)]
pub(crate) fn add(future: *mut PyObject, waiter: *mut PyObject) -> Res<()> {
    stdlib().future_add_to_awaited_by.call(&[future, waiter]).map(drop)
}

/// `asyncio.future_discard_from_awaited_by(future, waiter)`. `waiter` may be None.
#[cfg(Py_3_14)]
pub(crate) fn discard(future: *mut PyObject, waiter: *mut PyObject) -> Res<()> {
    stdlib().future_discard_from_awaited_by.call(&[future, waiter]).map(drop)
}

/// Nothing to tell.
#[cfg(not(Py_3_14))]
pub(crate) fn add(_future: *mut PyObject, _waiter: *mut PyObject) -> Res<()> {
    Ok(())
}

/// Nothing to tell.
#[cfg(not(Py_3_14))]
pub(crate) fn discard(_future: *mut PyObject, _waiter: *mut PyObject) -> Res<()> {
    Ok(())
}
