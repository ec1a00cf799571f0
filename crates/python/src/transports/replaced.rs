//! A `get_extra_info` that a program has put into asyncio's classes.
//!
//! Test suites replace it in `asyncio.Transport` or `BaseTransport` and expect every transport to answer
//! by it. The native method is found before that one, and asks here whether it is still the one of the
//! import: the version of the class tells, which is two comparisons.

use core::cell::Cell;
use core::ffi::c_uint;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::global::Global;
use crate::names::names;
use crate::object::{Ref, Res, import};

struct Known {
    /// `asyncio.Transport`
    class: Ref,
    get_extra_info: Ref,
    /// Of the class when it was last found to have that one; zero is none.
    version: Cell<c_uint>,
}

static KNOWN: Global<Known> = Global::new();

/// The method of another that answers in place of ours, bound to the transport.
#[inline]
pub(super) unsafe fn get_extra_info(transport: *mut PyObject) -> Res<Option<Ref>> {
    let known = KNOWN.get();
    // SAFETY: a class that lives as long as the process.
    let version = unsafe { (*known.class.ptr().cast::<PyTypeObject>()).tp_version_tag };
    if version == known.version.get() && version != 0 {
        return Ok(None);
    }
    // SAFETY: alive, says the caller.
    unsafe { look(known, transport) }
}

#[cold]
unsafe fn look(known: &Known, transport: *mut PyObject) -> Res<Option<Ref>> {
    let found = known.class.attr(names().get_extra_info)?;
    // SAFETY: all alive; a method resolution order is a tuple of classes, which the type holds.
    unsafe {
        if found.is(known.get_extra_info.ptr()) {
            // Looking it up has given the class a version.
            let class = known.class.ptr().cast::<PyTypeObject>();
            known.version.set((*class).tp_version_tag);
            return Ok(None);
        }
        // As `super()` would find it in the class before: that binds whatever it is.
        let order = Ref::borrow((*ffi::Py_TYPE(transport)).tp_mro);
        let classes = 0..ffi::PyTuple_Size(order.ptr());
        let mut classes = classes.map(|index| ffi::PyTuple_GetItem(order.ptr(), index));
        let mut before = None;
        let is_one = classes.any(|class| {
            let is_it = class == known.class.ptr();
            before = if is_it { before } else { Some(class) };
            is_it
        });
        let Some(before) = before.filter(|_| is_one) else {
            return Ok(None);
        };
        let above = Ref::borrow((&raw mut ffi::PySuper_Type).cast()).call(&[before, transport])?;
        above.attr(names().get_extra_info).map(Some)
    }
}

/// Called once by the module's initialisation.
pub(super) unsafe fn init() -> Res<()> {
    let class = import(c"asyncio")?.attr(Ref::str("Transport")?.ptr())?;
    let get_extra_info = class.attr(names().get_extra_info)?;
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        KNOWN.set(Known {
            class,
            get_extra_info,
            version: Cell::new(0),
        });
    }
    Ok(())
}
