//! `Py_INCREF` and `Py_DECREF`, so that the one does not hold up the other.
//!
//! In 3.12 and 3.13 the interpreter's own `Py_INCREF` writes half a word, and its `Py_DECREF` reads all of it.
//! The processor cannot hand such a write on to the read, which waits until it has got to the cache: a few
//! nanoseconds, or a hundred if the object has not been looked at for long. Here half a word is read, and
//! a whole one is written, which goes well with whatever came before and whatever comes after. The upper
//! half is zero wherever an object is counted at all.

use pyo3::ffi::{self, PyObject};

#[cfg(counts_by_halves)]
unsafe extern "C" {
    // Exported by both versions, and private in pyo3-ffi.
    fn _Py_Dealloc(object: *mut PyObject);
}

/// `Py_INCREF`
#[inline]
pub(crate) unsafe fn increment(object: *mut PyObject) {
    // SAFETY: alive, says the caller.
    unsafe {
        #[cfg(counts_by_halves)]
        if let Some(count) = counted(object) {
            (*object).ob_refcnt.ob_refcnt = count + 1;
        }
        #[cfg(not(counts_by_halves))]
        ffi::Py_INCREF(object);
    }
}

/// `Py_DECREF`
#[inline]
pub(crate) unsafe fn decrement(object: *mut PyObject) {
    // SAFETY: alive, says the caller, who owns a reference.
    unsafe {
        #[cfg(counts_by_halves)]
        if let Some(count) = counted(object) {
            let rest = count - 1;
            (*object).ob_refcnt.ob_refcnt = rest;
            if rest == 0 {
                _Py_Dealloc(object);
            }
        }
        #[cfg(not(counts_by_halves))]
        ffi::Py_DECREF(object);
    }
}

/// How many references there are, unless the object lives for ever.
#[cfg(counts_by_halves)]
#[inline]
unsafe fn counted(object: *mut PyObject) -> Option<ffi::Py_ssize_t> {
    // SAFETY: alive, says the caller.
    let half =
        unsafe { (*object).ob_refcnt.ob_refcnt_split[usize::from(cfg!(target_endian = "big"))] };
    (half as i32 >= 0).then_some(half as ffi::Py_ssize_t)
}

/// `Py_NewRef`
#[inline]
pub(crate) unsafe fn new_ref(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: alive, says the caller.
    unsafe { increment(object) };
    object
}

/// `Py_XNewRef`
#[inline]
pub(crate) unsafe fn new_ref_opt(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: alive or NULL, says the caller.
    unsafe { increment_opt(object) };
    object
}

/// `Py_XINCREF`
#[inline]
pub(crate) unsafe fn increment_opt(object: *mut PyObject) {
    if !object.is_null() {
        // SAFETY: alive, says the caller.
        unsafe { increment(object) };
    }
}

/// `Py_XDECREF`
#[inline]
pub(crate) unsafe fn decrement_opt(object: *mut PyObject) {
    if !object.is_null() {
        // SAFETY: alive, says the caller, who owns a reference.
        unsafe { decrement(object) };
    }
}
