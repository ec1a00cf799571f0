//! Memory that is lent to a function of the `ssl` module for the length of one call.
//!
//! The module takes any object that has the buffer protocol. A `memoryview` for each call would do, and
//! costs as much as the call. A window is such an object, and shows another piece of memory each time.
//! The module's functions do not keep it, and no program gets to see it; outside a call it is empty.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::global::Global;
use crate::object::{Ref, Res};
use crate::types::{TypeBuilder, free_instance};

#[repr(C)]
struct WindowObject {
    ob_base: PyObject,
    start: *mut u8,
    len: usize,
}

static CLASS: Global<*mut PyTypeObject> = Global::new();

/// One is kept for whoever comes first: other threads may run, and need one, during a call.
struct Kept(Cell<Option<Ref>>);

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(Cell::new(None));

/// Calls `call` with an object through which the memory is seen.
///
/// # Safety
///
/// `len` bytes at `start` stay where they are during the call, and nobody else uses them. `call` hands
/// the object to functions of the `ssl` module only. If one of them writes, the memory may be written.
#[inline]
pub(super) unsafe fn lend<T>(
    start: *mut u8,
    len: usize,
    call: impl FnOnce(*mut PyObject) -> Res<T>,
) -> Res<T> {
    let window = match KEPT.0.take() {
        Some(window) => window,
        // SAFETY: the class was made by `init`.
        None => unsafe { Ref::checked(ffi::PyType_GenericAlloc(*CLASS.get(), 0))? },
    };
    let object = window.ptr().cast::<WindowObject>();
    // SAFETY: an object of our class, held by `window`.
    let outcome = unsafe {
        (*object).start = start;
        (*object).len = len;
        let outcome = call(object.cast());
        (*object).start = ptr::null_mut();
        (*object).len = 0;
        outcome
    };
    drop(KEPT.0.replace(Some(window)));
    outcome
}

unsafe extern "C" fn getbuffer(
    slf: *mut PyObject,
    view: *mut ffi::Py_buffer,
    flags: c_int,
) -> c_int {
    let this = slf.cast::<WindowObject>();
    // SAFETY: the interpreter passes a live instance and a view to fill.
    unsafe {
        let (start, len) = ((*this).start.cast(), (*this).len as ffi::Py_ssize_t);
        ffi::PyBuffer_FillInfo(view, slf, start, len, 0, flags)
    }
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead, and owns nothing.
    unsafe { free_instance(slf) }
}

/// Makes the class; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<WindowObject>(c"rasyncio.Window")
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_bf_getbuffer, getbuffer as *mut c_void);
    // SAFETY: called once, before any reader, says the caller.
    unsafe { CLASS.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
