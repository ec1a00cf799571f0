//! Calling a native method without looking it up.
//!
//! Where one object of ours calls another, an attribute look-up and a call through the interpreter
//! cost 200 instructions and more. They are spared if the look-up would find the native method: the
//! class has not put another in its place, which the version of the class tells, and neither has
//! anybody assigned one to the object, which its `tp_setattro` notes. (What somebody writes into an
//! object's `__dict__` itself is not seen.)

use core::cell::Cell;
use core::ffi::c_uint;
use core::ptr;

use pyo3::ffi::{self, PyMethodDef, PyObject, PyTypeObject};

use crate::object::{Ref, Res};

/// The class that was looked at last, nearly always the only one, and its version then. A version
/// is never given twice, and zero is none.
pub(crate) struct Direct {
    class: Cell<*mut PyTypeObject>,
    version: Cell<c_uint>,
}

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Direct {}

impl Direct {
    pub(crate) const fn new() -> Direct {
        Direct {
            class: Cell::new(ptr::null_mut()),
            version: Cell::new(0),
        }
    }

    /// Whether instances of the object's class have those methods of `base`.
    #[inline]
    pub(crate) unsafe fn has<const N: usize>(
        &self,
        object: *mut PyObject,
        base: *mut PyTypeObject,
        methods: impl FnOnce() -> [*mut PyObject; N],
    ) -> bool {
        // SAFETY: both alive, says the caller.
        unsafe {
            let class = ffi::Py_TYPE(object);
            let version = (*class).tp_version_tag;
            if class == self.class.get() && version == self.version.get() && version != 0 {
                return true;
            }
            self.look(class, base, &methods())
        }
    }

    #[cold]
    unsafe fn look(
        &self,
        class: *mut PyTypeObject,
        base: *mut PyTypeObject,
        methods: &[*mut PyObject],
    ) -> bool {
        // SAFETY: all alive, says the caller.
        unsafe {
            if ffi::PyType_IsSubtype(class, base) == 0 {
                return false;
            }
            let same = methods.iter().try_fold(true, |same, &name| -> Res<bool> {
                let ours = Ref::borrow(base.cast()).attr(name)?;
                let theirs = Ref::borrow(class.cast()).attr(name)?;
                Ok(same && definition(ours.ptr()) == definition(theirs.ptr()))
            });
            let Ok(same) = same else {
                ffi::PyErr_Clear();
                return false;
            };
            if same {
                self.class.set(class);
                // Looking it up has given the class a version.
                self.version.set((*class).tp_version_tag);
            }
            same
        }
    }
}

/// What a native method was made from; NULL for anything else.
pub(crate) fn definition(method: *mut PyObject) -> *mut PyMethodDef {
    // SAFETY: alive; the type says what the layout is.
    unsafe {
        if ptr::eq(ffi::Py_TYPE(method), &raw const ffi::PyMethodDescr_Type) {
            (*method.cast::<ffi::PyMethodDescrObject>()).d_method
        } else {
            ptr::null_mut()
        }
    }
}
