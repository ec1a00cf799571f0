//! Errors: that the interpreter's error indicator is set, and how it is set, taken and passed on.

use core::ffi::c_int;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::Ref;
#[cfg(not(Py_3_12))]
use super::counts;

/// The interpreter's error indicator is set; whoever receives this hands it on (by
/// returning NULL at the boundary) or takes the exception with [`take_raised`].
#[derive(Debug)]
#[must_use]
pub(crate) struct Raised(());

/// What anything that may raise returns.
pub(crate) type Res<T = Ref> = Result<T, Raised>;

impl Raised {
    /// The indicator was set by the C function just called. Where one fails without (some of
    /// the interpreter's own do when memory runs out), that is a SystemError, as there.
    pub(crate) fn set() -> Raised {
        // SAFETY: attached; a static exception class and a C string.
        unsafe {
            if ffi::PyErr_Occurred().is_null() {
                ffi::PyErr_SetString(
                    ffi::PyExc_SystemError,
                    c"error return without exception set".as_ptr(),
                );
            }
        }
        Raised(())
    }

    /// Leaves the indicator set, for whoever looks at it next.
    pub(crate) fn leave_set(self) {}
}

/// Turns a C status (-1 with an error set) into a `Res`.
pub(crate) fn check(status: c_int) -> Res<()> {
    if status < 0 {
        Err(Raised::set())
    } else {
        Ok(())
    }
}

/// Hands a result to C: NULL means "an error is set".
pub(crate) fn to_c(result: Res) -> *mut PyObject {
    match result {
        Ok(object) => object.into_ptr(),
        Err(Raised(())) => ptr::null_mut(),
    }
}

/// Hands a status to C: -1 means "an error is set".
pub(crate) fn to_status(result: Res<()>) -> c_int {
    match result {
        Ok(()) => 0,
        Err(Raised(())) => -1,
    }
}

/// `raise exc_type(message)`. `exc_type` must be an exception class.
pub(crate) unsafe fn raise(exc_type: *mut PyObject, message: &str) -> Raised {
    if let Ok(text) = Ref::str(message) {
        // SAFETY: both alive.
        unsafe { ffi::PyErr_SetObject(exc_type, text.ptr()) };
    }
    Raised::set()
}

/// `raise TypeError(message)`
pub(crate) fn type_error(message: &str) -> Raised {
    // SAFETY: a static exception class.
    unsafe { raise(ffi::PyExc_TypeError, message) }
}

/// `raise ValueError(message)`
pub(crate) fn value_error(message: &str) -> Raised {
    // SAFETY: a static exception class.
    unsafe { raise(ffi::PyExc_ValueError, message) }
}

/// `raise RuntimeError(message)`
pub(crate) fn runtime_error(message: &str) -> Raised {
    // SAFETY: a static exception class.
    unsafe { raise(ffi::PyExc_RuntimeError, message) }
}

/// Goes on raising `exception` (an instance, whose traceback is kept).
pub(crate) fn raise_instance(exception: Ref) -> Raised {
    // SAFETY: the exception is alive; the functions steal or copy as documented.
    unsafe {
        #[cfg(Py_3_12)]
        ffi::PyErr_SetRaisedException(exception.into_ptr());
        #[cfg(not(Py_3_12))]
        {
            let exc = exception.into_ptr();
            let kind = ffi::Py_TYPE(exc).cast::<PyObject>();
            counts::increment(kind);
            ffi::PyErr_Restore(kind, exc, ffi::PyException_GetTraceback(exc));
        }
    }
    Raised(())
}

/// `raise exception`: as [`raise_instance`], but an exception that is being handled becomes
/// its `__context__`, as for a `raise` statement.
pub(crate) fn raise_object(exception: Ref) -> Raised {
    // SAFETY: an exception instance and its class, alive.
    unsafe { ffi::PyErr_SetObject(exception.type_ptr().cast(), exception.ptr()) };
    Raised::set()
}

/// Takes the pending exception, normalised and with its traceback, and clears the
/// indicator.
pub(crate) fn take_raised(_: Raised) -> Ref {
    // SAFETY: an error is set, as the token says.
    unsafe {
        #[cfg(Py_3_12)]
        {
            Ref::own(ffi::PyErr_GetRaisedException())
        }
        #[cfg(not(Py_3_12))]
        {
            let (mut kind, mut value, mut tb) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            ffi::PyErr_Fetch(&mut kind, &mut value, &mut tb);
            ffi::PyErr_NormalizeException(&mut kind, &mut value, &mut tb);
            if !tb.is_null() {
                ffi::PyException_SetTraceback(value, tb);
                counts::decrement(tb);
            }
            counts::decrement(kind);
            Ref::own(value)
        }
    }
}

/// Sets a pending error aside, if there is one: a destructor must leave it as it was.
pub(crate) fn stash_error() -> Option<Ref> {
    // SAFETY: attached.
    let pending = unsafe { !ffi::PyErr_Occurred().is_null() };
    pending.then(|| take_raised(Raised(())))
}

/// Puts back what [`stash_error`] set aside.
pub(crate) fn restore_error(stashed: Option<Ref>) {
    if let Some(exception) = stashed {
        raise_instance(exception).leave_set();
    }
}

/// Calls `body` as if in an `except` block for `exception`: what it raises has that as its
/// `__context__`.
pub(crate) fn while_handling<T>(exception: &Ref, body: impl FnOnce() -> Res<T>) -> Res<T> {
    // SAFETY: alive; Set borrows its argument, and what Get answered is put back.
    unsafe {
        let former = Ref::own_opt(ffi::PyErr_GetHandledException());
        ffi::PyErr_SetHandledException(exception.ptr());
        let outcome = body();
        let former = former.as_ref().map_or(ffi::Py_None(), Ref::ptr);
        ffi::PyErr_SetHandledException(former);
        outcome
    }
}

/// Whether the pending exception is an instance of `class`.
pub(crate) fn raised_matches(_: &Raised, class: *mut PyObject) -> bool {
    // SAFETY: an error is set; `class` is an exception class.
    unsafe { ffi::PyErr_ExceptionMatches(class) != 0 }
}

/// Reports the pending exception through `sys.unraisablehook` ("Exception ignored in").
pub(crate) fn write_unraisable(_: Raised, context: *mut PyObject) {
    // SAFETY: an error is set; `context` is an object or NULL.
    unsafe { ffi::PyErr_WriteUnraisable(context) }
}
