//! A native function waiting to be called by the loop: what a Handle is for Python
//! callbacks. Never visible to Python code.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::TYPES;
use crate::boundary;
use crate::event_loop;
use crate::object::{Ref, Res, counts};
use crate::types::{TypeBuilder, free_instance};

#[repr(C)]
pub(crate) struct NativeCall {
    ob_base: PyObject,
    function: Function,
    first: *mut PyObject,
    second: *mut PyObject,
}

#[derive(Clone, Copy)]
enum Function {
    One(unsafe fn(*mut PyObject) -> Res<()>),
    Two(unsafe fn(*mut PyObject, *mut PyObject) -> Res<()>),
}

unsafe fn new(function: Function, first: Ref, second: *mut PyObject) -> Res {
    // SAFETY: fresh memory, filled before anybody sees it; `second` is owned or NULL.
    unsafe {
        let made = Ref::checked(ffi::PyObject_New(TYPES.get().native_call))?;
        let this = made.ptr().cast::<NativeCall>();
        (*this).function = function;
        (*this).first = first.into_ptr();
        (*this).second = second;
        Ok(made)
    }
}

/// `function(first)`, later.
pub(crate) fn native_call1(function: unsafe fn(*mut PyObject) -> Res<()>, first: Ref) -> Res {
    // SAFETY: no second value.
    unsafe { new(Function::One(function), first, ptr::null_mut()) }
}

/// `function(first, second)`, later.
pub(crate) fn native_call2(
    function: unsafe fn(*mut PyObject, *mut PyObject) -> Res<()>,
    first: Ref,
    second: Ref,
) -> Res {
    // SAFETY: the reference to `second` is given away.
    unsafe { new(Function::Two(function), first, second.into_ptr()) }
}

/// The job of a native call.
pub(crate) unsafe fn run_native_call(this: *mut NativeCall) -> Res<()> {
    // SAFETY: the job keeps `this` alive, and `this` its values.
    unsafe {
        // A panic is reported like any other error; it need not end the loop.
        let outcome = boundary::result(|| match (*this).function {
            Function::One(function) => function((*this).first),
            Function::Two(function) => function((*this).first, (*this).second),
        });
        event_loop::report_callback_error(outcome, (*this).first)
    }
}

pub(super) unsafe fn traverse(
    this: *mut NativeCall,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live object.
    unsafe {
        visit_opt!((*this).first, visit, arg);
        visit_opt!((*this).second, visit, arg);
    }
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    let this = slf.cast::<NativeCall>();
    // SAFETY: the object is dead.
    unsafe {
        counts::decrement_opt((*this).first);
        counts::decrement_opt((*this).second);
        free_instance(slf);
    }
}

pub(super) fn builder() -> TypeBuilder {
    TypeBuilder::new::<NativeCall>(c"rasyncio.NativeCall")
        .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION | ffi::Py_TPFLAGS_IMMUTABLETYPE)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
}
