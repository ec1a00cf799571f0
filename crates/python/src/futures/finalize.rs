//! The end of a future as an object, and what is reported of an exception that nobody saw.

use core::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject};

use super::future_type;
use super::object::{self, FutureObject};
use crate::boundary;
use crate::names::names;
use crate::object::{
    Ref, Res, call_method, check, restore_error, stash_error, type_name, write_unraisable,
};
use crate::types::free_instance;

/// `__del__`: an exception that nobody looked at is reported.
pub(crate) unsafe extern "C" fn finalize(slf: *mut PyObject) {
    boundary::quiet(|| {
        let fut = slf.cast::<FutureObject>();
        // SAFETY: the object is alive while it is finalised; a pending error is kept.
        unsafe {
            (*fut).finalized = true;
            if !(*fut).log_traceback || (*fut).loop_.is_null() {
                return;
            }
            (*fut).log_traceback = false;
            let pending = stash_error();
            if let Err(raised) = report_unretrieved(fut) {
                write_unraisable(raised, slf);
            }
            restore_error(pending);
        }
    });
}

unsafe fn report_unretrieved(fut: *mut FutureObject) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        let context = Ref::dict()?;
        let class = type_name(fut.cast());
        let message = Ref::str(&format!("{class} exception was never retrieved"))?;
        let set = |key: *mut PyObject, value: *mut PyObject| {
            check(ffi::PyDict_SetItem(context.ptr(), key, value))
        };
        set(names().message, message.ptr())?;
        set(names().exception, (*fut).value)?;
        set(names().future, fut.cast())?;
        if let Some(stack) = FutureObject::rare(fut, |rare| &rare.source_traceback) {
            set(names().source_traceback, stack.ptr())?;
        }
        call_method(
            (*fut).loop_,
            names().call_exception_handler,
            &[context.ptr()],
        )?;
        Ok(())
    }
}

pub(super) unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        object::traverse(slf.cast(), visit, arg)
    }
}

pub(super) unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    // SAFETY: called by the collector on a live instance.
    boundary::quiet(|| unsafe { object::clear(slf.cast()) });
    0
}

pub(super) unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        // SAFETY: the object is dead; finalisation may bring it back, then we leave it.
        unsafe {
            let fut = slf.cast::<FutureObject>();
            if (*fut).log_traceback && ffi::PyObject_CallFinalizerFromDealloc(slf) < 0 {
                return;
            }
            ffi::PyObject_GC_UnTrack(slf.cast());
            if !(*fut).weakrefs.is_null() {
                ffi::PyObject_ClearWeakRefs(slf);
            }
            object::release_fields(fut);
            // A finalised object carries a mark that its memory must not pass on.
            let reusable = ffi::Py_TYPE(slf) == future_type() && !(*fut).finalized;
            if !reusable || !object::FREE.give(slf) {
                free_instance(slf);
            }
        }
    });
}
