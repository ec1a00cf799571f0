//! `asyncio.shield`.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::boundary;
use crate::events;
use crate::futures;
use crate::object::{Ref, Res};
use crate::types::add_functions;

unsafe extern "C" fn shield(_: *mut PyObject, arg: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        let inner = events::ensure_future(arg, ptr::null_mut())?;
        if futures::is_done(inner.ptr())? {
            return Ok(inner);
        }
        outer_of(&inner)
    })
}

/// The future that follows an inner one that is not done, and shields it.
pub(crate) fn outer_of(inner: &Ref) -> Res {
    let loop_ = futures::get_loop(inner.ptr())?;
    let outer = futures::new_future(loop_.ptr())?;
    let task = events::current_task(loop_.ptr())?;
    if !task.is_none() {
        futures::add_awaited_by(inner.ptr(), task.ptr())?;
        futures::on_done(inner.ptr(), forget_awaiter, task.ptr())?;
        // What the outer future is done with undoes both.
        futures::on_done(
            outer.ptr(),
            outer_done,
            Ref::tuple(&[inner.ptr(), task.ptr()])?.ptr(),
        )?;
    } else {
        futures::on_done(outer.ptr(), outer_done, Ref::tuple(&[inner.ptr()])?.ptr())?;
    }
    futures::on_done(inner.ptr(), inner_done, outer.ptr())?;
    Ok(outer)
}

unsafe fn forget_awaiter(inner: *mut PyObject, task: *mut PyObject) -> Res<()> {
    futures::discard_awaited_by(inner, task)
}

/// The shielded future is done: the outer one follows it.
pub(crate) unsafe fn inner_done(inner: *mut PyObject, outer: *mut PyObject) -> Res<()> {
    if futures::is_cancelled(outer)? {
        // Until 3.13 an exception that comes too late counts as seen; since 3.14 it is
        // reported as never retrieved.
        if !cfg!(Py_3_14) && !futures::is_cancelled(inner)? {
            drop(futures::exception(inner)?);
        }
        return Ok(());
    }
    if futures::is_cancelled(inner)? {
        return futures::cancel(outer, ptr::null_mut()).map(drop);
    }
    let exception = futures::exception(inner)?;
    if exception.is_none() {
        let result = futures::result(inner)?;
        return futures::set_result(outer, result.ptr());
    }
    futures::set_exception(outer, exception.ptr())
}

/// The outer future is done: if the inner one is not, nobody listens to it any more.
/// `data` is (inner,) or (inner, awaiting task).
unsafe fn outer_done(outer: *mut PyObject, data: *mut PyObject) -> Res<()> {
    // SAFETY: a tuple of ours, alive.
    unsafe {
        let inner = ffi::PyTuple_GET_ITEM(data, 0);
        if futures::is_done(inner)? {
            return Ok(());
        }
        futures::off_done(inner, inner_done, outer)?;
        if ffi::PyTuple_GET_SIZE(data) == 2 {
            let task = ffi::PyTuple_GET_ITEM(data, 1);
            futures::off_done(inner, forget_awaiter, task)?;
            futures::discard_awaited_by(inner, task)?;
        }
        Ok(())
    }
}

/// Adds the function to the module.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let function = ffi::PyMethodDef {
        ml_name: c"shield".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: shield,
        },
        ml_flags: ffi::METH_O,
        ml_doc: ptr::null(),
    };
    // SAFETY: called once, from the module's initialisation.
    unsafe { add_functions(module, vec![function]) }
}
