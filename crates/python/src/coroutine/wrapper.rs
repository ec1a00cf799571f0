//! What `coroutine.__await__()` answers when Python code calls it by name.
//!
//! `await` iterates over the coroutine itself; but a coroutine is not iterable, and code
//! that drives one by hand (`for _ in coro.__await__()`) needs an iterable.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, Py_ssize_t, PyObject, PyTypeObject};

use super::methods::{close, iternext, send, throw};
use crate::boundary;
use crate::global::Global;
use crate::object::{Ref, Res, set_slot};
use crate::types::{TypeBuilder, free_instance};

#[repr(C)]
struct WrapperObject {
    head: PyObject,
    coroutine: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// `coroutine.__await__()`
pub(super) unsafe extern "C" fn wrap(coroutine: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a native coroutine; the object is tracked when whole.
    boundary::object(|| unsafe {
        let wrapper: *mut WrapperObject = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(wrapper.cast())?;
        (&raw mut (*wrapper).coroutine).write(Ref::borrow(coroutine).into_ptr());
        ffi::PyObject_GC_Track(wrapper.cast());
        Ok(owned)
    })
}

unsafe fn coroutine_of(wrapper: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type, which holds its coroutine as long as it lives.
    unsafe { (*wrapper.cast::<WrapperObject>()).coroutine }
}

unsafe extern "C" fn wrapper_next(wrapper: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type.
    unsafe { iternext(coroutine_of(wrapper)) }
}

unsafe extern "C" fn wrapper_send(wrapper: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type and a value.
    unsafe { send(coroutine_of(wrapper), value) }
}

unsafe extern "C" fn wrapper_throw(
    wrapper: *mut PyObject,
    args: *const *mut PyObject,
    nargs: Py_ssize_t,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: an instance of our type; the arguments are passed on as they came.
    unsafe { throw(coroutine_of(wrapper), args, nargs, kwnames) }
}

unsafe extern "C" fn wrapper_close(wrapper: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type.
    unsafe { close(coroutine_of(wrapper), ptr::null_mut()) }
}

unsafe extern "C" fn traverse(
    wrapper: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        visit_opt!(ffi::Py_TYPE(wrapper).cast(), visit, arg);
        visit_opt!(coroutine_of(wrapper), visit, arg);
    }
    0
}

unsafe extern "C" fn dealloc(wrapper: *mut PyObject) {
    // SAFETY: the last reference is gone. There is no tp_clear: the coroutine breaks cycles.
    unsafe {
        ffi::PyObject_GC_UnTrack(wrapper.cast());
        set_slot(
            &raw mut (*wrapper.cast::<WrapperObject>()).coroutine,
            ptr::null_mut(),
        );
        free_instance(wrapper);
    }
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let builder = TypeBuilder::new::<WrapperObject>(c"rasyncio.coroutine_wrapper")
        .doc(c"A native coroutine as an iterator.")
        .flags(flags)
        .slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void)
        .slot(ffi::Py_tp_iternext, wrapper_next as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .onearg(c"send", wrapper_send)
        .fastcall(c"throw", wrapper_throw)
        .noargs(c"close", wrapper_close);
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe { TYPE.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
