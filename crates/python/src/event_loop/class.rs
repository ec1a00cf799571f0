//! The methods of the loop class: copies that are its own, and whether one is overridden.
//!
//! The class that programs see is Python's, over [`BaseLoop`](super). The interpreter
//! specialises a call of a native method only where the instance is of exactly the class that
//! the method was made for; on anything derived it checks, each time, that it is derived. So
//! the class gets methods of its own, with the same functions behind them: 150 instructions
//! less a call.

use core::ptr;

use pyo3::ffi::{self, PyMethodDef, PyObject, PyTypeObject};

use super::TYPE;
use crate::boundary;
use crate::direct::definition;
use crate::names::names;
use crate::object::{Ref, Res, check};

/// The methods that the native path goes past: where one of them is overridden, tasks and
/// futures use the public protocol.
pub(super) fn bypassed() -> [*mut PyObject; 9] {
    let names = names();
    [
        names.call_soon,
        names.call_later,
        names.call_at,
        names.time,
        names.get_debug,
        names.create_future,
        names.create_task,
        names.is_running,
        names.is_closed,
    ]
}

/// Whether instances of a class have other methods than ours among those.
pub(super) unsafe fn overrides(class: *mut PyTypeObject) -> Res<bool> {
    for name in bypassed() {
        // SAFETY: a live class, says the caller.
        if !unsafe { is_ours(class, name)? } {
            return Ok(true);
        }
    }
    // By the hash up to 3.13 those find the current task who look for it: see `tasks::current`.
    // SAFETY: two live classes.
    let hash = |class: *mut PyTypeObject| unsafe { (*class).tp_hash.map(|hash| hash as usize) };
    Ok(cfg!(not(Py_3_14)) && hash(*TYPE.get()) != hash(class))
}

/// Whether a method that instances of a class have is ours.
pub(super) unsafe fn is_ours(class: *mut PyTypeObject, name: *mut PyObject) -> Res<bool> {
    // SAFETY: two live classes, says the caller.
    let (ours, theirs) = unsafe { (Ref::borrow(TYPE.get().cast()), Ref::borrow(class.cast())) };
    // A copy is another object; what it shares with the original is the definition.
    Ok(definition(ours.attr(name)?.ptr()) == definition(theirs.attr(name)?.ptr()))
}

/// `_own_methods(class)`: gives a class that is derived from native ones methods of its own, where
/// those that it has are theirs. Answers the class, to be a decorator.
pub(super) unsafe extern "C" fn own_methods(
    _: *mut PyObject,
    class: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: alive.
        let class = unsafe { Ref::borrow(class) };
        let defined = class.attr(names().__dict__)?;
        for (name, method) in native_methods(&class)? {
            // SAFETY: all alive; the definitions are for ever.
            unsafe {
                let present = ffi::PySequence_Contains(defined.ptr(), name.ptr());
                check(present)?;
                if present == 0 && definition(class.attr(name.ptr())?.ptr()) == method {
                    let class_ptr = class.ptr().cast::<PyTypeObject>();
                    let method = Ref::checked(ffi::PyDescr_NewMethod(class_ptr, method))?;
                    class.set_attr(name.ptr(), method.ptr())?;
                }
            }
        }
        Ok(class)
    })
}

/// Names and definitions of the methods of all native classes that a class is derived from.
fn native_methods(class: &Ref) -> Res<Vec<(Ref, *mut PyMethodDef)>> {
    let mut found = Vec::new();
    // SAFETY: the class has an order of its bases, all alive; what their dicts hold is alive, and
    // they do not change meanwhile.
    unsafe {
        let order = (*class.ptr().cast::<PyTypeObject>()).tp_mro;
        for i in 0..ffi::PyTuple_GET_SIZE(order) {
            let base = Ref::borrow(ffi::PyTuple_GET_ITEM(order, i));
            if !is_native(&base)? {
                continue;
            }
            let dict = (*base.ptr().cast::<PyTypeObject>()).tp_dict;
            let (mut position, mut name, mut value) = (0, ptr::null_mut(), ptr::null_mut());
            while ffi::PyDict_Next(dict, &mut position, &mut name, &mut value) != 0 {
                let definition = definition(value);
                if !definition.is_null() {
                    found.push((Ref::borrow(name), definition));
                }
            }
        }
    }
    Ok(found)
}

/// Whether a class is one of this module's.
fn is_native(class: &Ref) -> Res<bool> {
    let module = class.attr(names().__module__)?;
    Ok(crate::object::str_of(module.ptr())? == "rasyncio._rasyncio")
}
