//! The event loop as a Python object: `BaseLoop`, the native base of the loop class.
//!
//! Callbacks, timers, futures, tasks, readers, writers and the turning itself are here;
//! the Python class over it adds what is cold or not yet native.

mod capsule;
mod class;
mod core;
mod executor;
mod methods;
mod numbers;
mod object;
mod readers;
mod replaced;
mod run;
mod scheduling;

use ::core::cell::Cell;
use ::core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

pub(crate) use self::core::{LoopCore, os_error};
pub(crate) use executor::cancel_source;
pub(crate) use methods::init;
pub(crate) use object::LoopObject;
pub(crate) use readers::forget_watcher;
pub(crate) use run::{report_callback_error, running_core, running_native, set_running_native};

use crate::global::Global;

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// `BaseLoop`
pub(crate) fn base_class() -> *mut PyTypeObject {
    *TYPE.get()
}

struct Known(Cell<*mut PyTypeObject>);

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Known {}

/// The first loop class that was instantiated, kept alive for ever: nearly always the only
/// one, so that the check below is one comparison.
static KNOWN: Known = Known(Cell::new(ptr::null_mut()));

/// The core of a loop of ours, whatever is overridden on it.
#[inline]
pub(crate) fn any_native(loop_: *mut PyObject) -> Option<&'static LoopCore> {
    if loop_.is_null() {
        return None;
    }
    // SAFETY: a live object; an instance of our base has our layout. The core lives as long
    // as the loop object, which whoever asks keeps alive.
    unsafe {
        let class = ffi::Py_TYPE(loop_);
        if class != KNOWN.0.get() && ffi::PyType_IsSubtype(class, *TYPE.get()) == 0 {
            return None;
        }
        (*loop_.cast::<LoopObject>()).core()
    }
}

/// The core of a loop of ours on which none of the methods is overridden that the native
/// path goes past: `call_soon`, `call_at`, `time` and the like.
#[inline]
pub(crate) fn native(loop_: *mut PyObject) -> Option<&'static LoopCore> {
    any_native(loop_).filter(|core| core.is_native())
}
