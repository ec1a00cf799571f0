//! Nullable references in the structs of C.

use core::ptr;

use pyo3::ffi::PyObject;

use super::{Ref, counts};

/// Swaps a nullable owned slot of a C struct, dropping what was there *after* the store:
/// a destructor may run arbitrary code that looks at the slot.
#[inline]
pub(crate) unsafe fn set_slot(slot: *mut *mut PyObject, value: *mut PyObject) {
    // SAFETY: the slot is valid, says the caller; the old value was owned by it.
    unsafe {
        let old = ptr::replace(slot, value);
        counts::decrement_opt(old);
    }
}

/// Empties a nullable owned slot and hands its content over.
#[inline]
pub(crate) unsafe fn take_slot(slot: *mut *mut PyObject) -> Option<Ref> {
    // SAFETY: as for `set_slot`.
    unsafe { Ref::own_opt(ptr::replace(slot, ptr::null_mut())) }
}
