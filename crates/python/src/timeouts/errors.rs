//! What becomes of the exceptions that leave an expired timeout.

use pyo3::ffi::{self, PyObject};

use crate::coroutine::raise_from;
use crate::object::{Ref, Res};
use crate::stdlib::cancelled_error;

/// The task was cancelled by the timer alone, and `exception` leaves the block. A
/// cancellation is replaced by a `TimeoutError`; in any other exception, the cancellation
/// behind it is.
pub(super) fn expired(exception: *mut PyObject) -> Res<()> {
    // SAFETY: an exception instance, alive.
    unsafe {
        if is_cancellation(exception) {
            return Err(raise_from(ffi::PyExc_TimeoutError, Ref::borrow(exception)));
        }
        insert_timeout_error(exception)?;
        // A group is how `TaskGroup` and `except*` hand on what they caught.
        let base_group = ffi::PyExc_BaseExceptionGroup;
        if ffi::PyObject_TypeCheck(exception, base_group.cast()) != 0
            && ffi::PyObject_TypeCheck(exception, ffi::PyExc_Exception.cast()) != 0
        {
            let exceptions = Ref::borrow(exception).attr(Ref::str("exceptions")?.ptr())?;
            for i in 0..ffi::PyTuple_Size(exceptions.ptr()).max(0) {
                insert_timeout_error(ffi::PyTuple_GET_ITEM(exceptions.ptr(), i))?;
            }
        }
        Ok(())
    }
}

fn is_cancellation(exception: *mut PyObject) -> bool {
    // SAFETY: alive; an exception class.
    unsafe { ffi::PyErr_GivenExceptionMatches(exception, cancelled_error()) != 0 }
}

/// Puts a `TimeoutError` between the first cancellation in the chain of contexts and the
/// exception that was raised while it was handled.
fn insert_timeout_error(exception: *mut PyObject) -> Res<()> {
    // SAFETY: exception instances throughout; GetContext answers a new reference and the
    // setters steal one.
    unsafe {
        let mut exception = Ref::borrow(exception);
        while let Some(context) = Ref::own_opt(ffi::PyException_GetContext(exception.ptr())) {
            if is_cancellation(context.ptr()) {
                let timeout = Ref::checked(ffi::PyObject_CallNoArgs(ffi::PyExc_TimeoutError))?;
                ffi::PyException_SetCause(timeout.ptr(), context.clone().into_ptr());
                ffi::PyException_SetContext(timeout.ptr(), context.into_ptr());
                ffi::PyException_SetContext(exception.ptr(), timeout.into_ptr());
                break;
            }
            exception = context;
        }
        Ok(())
    }
}
