//! What `throw()` of coroutines and iterators takes.

use core::ffi::CStr;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::object::{Ref, Res, check, repr, type_error, type_name};

const DEPRECATED: &CStr = c"the (type, exc, tb) signature of throw() is deprecated, use the \
single-arg signature instead.";

/// The exception instance that `throw(type[, value[, traceback]])` means; what was not given
/// is NULL.
pub(crate) unsafe fn thrown(
    kind: *mut PyObject,
    value: *mut PyObject,
    traceback: *mut PyObject,
) -> Res {
    // SAFETY: all alive or NULL, says the caller.
    unsafe {
        if cfg!(Py_3_12) && !(value.is_null() && traceback.is_null()) {
            let category = ffi::PyExc_DeprecationWarning;
            check(ffi::PyErr_WarnEx(category, DEPRECATED.as_ptr(), 1))?;
        }
        let given = |object: *mut PyObject| {
            let meant = !object.is_null() && !ptr::eq(object, ffi::Py_None());
            meant.then_some(object)
        };
        if given(traceback).is_some_and(|tb| ffi::PyTraceBack_Check(tb) == 0) {
            return Err(type_error(
                "throw() third argument must be a traceback object",
            ));
        }
        let exception = if ffi::PyExceptionInstance_Check(kind) != 0 {
            if given(value).is_some() {
                return Err(type_error(
                    "instance exception may not have a separate value",
                ));
            }
            Ref::borrow(kind)
        } else if ffi::PyExceptionClass_Check(kind) != 0 {
            match given(value) {
                Some(value) if ffi::PyObject_TypeCheck(value, kind.cast()) != 0 => {
                    Ref::borrow(value)
                }
                // As `raise kind, value` once did: a tuple is the arguments.
                Some(value) if ffi::PyTuple_Check(value) != 0 => {
                    Ref::checked(ffi::PyObject_Call(kind, value, ptr::null_mut()))?
                }
                Some(value) => Ref::borrow(kind).call1(value)?,
                None => Ref::borrow(kind).call0()?,
            }
        } else {
            return Err(type_error(&format!(
                "exceptions must be classes or instances deriving from BaseException, not {}",
                type_name(kind)
            )));
        };
        if ffi::PyExceptionInstance_Check(exception.ptr()) == 0 {
            return Err(type_error(&format!(
                "calling {} should have returned an instance of BaseException, not {}",
                repr(kind)?,
                type_name(exception.ptr())
            )));
        }
        if let Some(tb) = given(traceback) {
            ffi::PyException_SetTraceback(exception.ptr(), tb);
        }
        Ok(exception)
    }
}
