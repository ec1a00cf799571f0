//! `copy` and `pickle`: a primitive that nobody waits for can be copied, as one that is written
//! in Python can: programs copy objects that have a lock somewhere in them.

use pyo3::ffi::{self, PyObject};

use super::bound::{Bound, Fields};
use crate::object::{Ref, Res, check, import, type_error};

/// `__reduce__()`: an instance without `__init__`, and the attributes to give it.
pub(super) unsafe extern "C" fn reduce<F: Fields>(
    this: *mut PyObject,
    _: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    crate::boundary::object(|| unsafe {
        let state = match Ref::borrow_opt((*this.cast::<Bound>()).dict) {
            Some(dict) => Ref::checked(ffi::PyDict_Copy(dict.ptr()))?,
            None => Ref::dict()?,
        };
        for name in F::COPIED.iter().chain(&["_loop"]) {
            let name = Ref::str(name)?;
            // Some of the names are a subclass's.
            if let Some(value) = Ref::borrow(this).attr_opt(name.ptr())? {
                check(ffi::PyDict_SetItem(state.ptr(), name.ptr(), value.ptr()))?;
            }
        }
        let make = import(c"copyreg")?.attr(Ref::str("__newobj__")?.ptr())?;
        let class = Ref::tuple(&[ffi::Py_TYPE(this).cast()])?;
        Ref::tuple(&[make.ptr(), class.ptr(), state.ptr()])
    })
}

/// `__setstate__(state)`
pub(super) unsafe extern "C" fn set_state(
    this: *mut PyObject,
    state: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance and an object.
    crate::boundary::object(|| unsafe {
        if ffi::PyDict_Check(state) == 0 {
            return Err(type_error("the state must be a dict"));
        }
        let items = Ref::checked(ffi::PyDict_Items(state))?;
        for i in 0..ffi::PyList_GET_SIZE(items.ptr()) {
            let item = Ref::borrow(ffi::PyList_GET_ITEM(items.ptr(), i));
            let name = ffi::PyTuple_GET_ITEM(item.ptr(), 0);
            set(this, name, ffi::PyTuple_GET_ITEM(item.ptr(), 1))?;
        }
        Ok(Ref::none())
    })
}

unsafe fn set(this: *mut PyObject, name: *mut PyObject, value: *mut PyObject) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe { Ref::borrow(this) }.set_attr(name, value)
}
