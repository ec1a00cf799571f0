//! Whether there are audit hooks.
//!
//! Some of what asyncio does by objects of the standard library is done here without them, and without
//! the events that they raise. Where somebody listens, the standard library's way is taken.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyMethodDef, PyObject};

use crate::boundary;
use crate::object::{Ref, Res};
use crate::types::add_functions;

unsafe extern "C" {
    // Exported by every supported version, and not in pyo3-ffi.
    pub(crate) fn PySys_Audit(event: *const c_char, format: *const c_char, ...) -> c_int;
}

/// Whether there are hooks, of this interpreter or of the process.
///
/// The interpreter does not tell, but it makes an event's arguments only for hooks. So an event is raised
/// whose argument is made by a function, which notes that it was called and fails, before any hook sees
/// anything. Without hooks this is a call and two comparisons.
pub(crate) fn is_heard() -> bool {
    unsafe extern "C" fn argument(called: *mut c_void) -> *mut PyObject {
        // SAFETY: points to a flag of the caller; a static exception class.
        unsafe {
            *called.cast::<bool>() = true;
            ffi::PyErr_SetNone(ffi::PyExc_ValueError);
        }
        ptr::null_mut()
    }
    let mut called = false;
    // SAFETY: the format "O&" takes a function and what it is called with.
    unsafe {
        let function = argument as unsafe extern "C" fn(*mut c_void) -> *mut PyObject;
        let event = c"rasyncio".as_ptr();
        if PySys_Audit(event, c"O&".as_ptr(), function, &raw mut called) < 0 {
            ffi::PyErr_Clear();
        }
    }
    called
}

// `_audited()`: the same for Python.
unsafe extern "C" fn audited(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    boundary::object(|| Ok(Ref::bool(is_heard())))
}

/// Makes the function; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let function = PyMethodDef {
        ml_name: c"_audited".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: audited,
        },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: ptr::null(),
    };
    // SAFETY: a live module, says the caller.
    unsafe { add_functions(module, vec![function]) }
}
