//! The layout of a loop, and its life as an object.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio_engine::Job;

use super::KNOWN;
use super::class::{bypassed, is_ours, overrides};
use super::core::{LoopCore, os_error};
use crate::boundary;
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, check, counts};
use crate::types::free_instance;

/// A loop's C layout.
#[repr(C)]
pub(crate) struct LoopObject {
    ob_base: PyObject,
    /// Set by `__new__`, taken by dealloc only.
    core: Option<Box<LoopCore>>,
}

impl LoopObject {
    #[inline]
    pub(super) fn core(&self) -> Option<&LoopCore> {
        self.core.as_deref()
    }
}

pub(super) unsafe extern "C" fn tp_new(
    class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: object's function gives zeroed memory of the class's size, and zero is None.
        unsafe {
            // Rather than by tp_alloc: in 3.12 it alone makes room for attributes in the way in
            // which the interpreter looks methods up quickly.
            let new = ffi::PyBaseObject_Type
                .tp_new
                .unwrap_or(ffi::PyType_GenericNew);
            let made = Ref::checked(new(class, Ref::tuple(&[])?.ptr(), ptr::null_mut()))?;
            let this = made.ptr().cast::<LoopObject>();
            ptr::addr_of_mut!((*this).core).write(None);
            let virtual_time = match Ref::borrow(class.cast()).attr_opt(names()._virtual_time)? {
                Some(wanted) => wanted.truth()?,
                None => false,
            };
            let core = LoopCore::new(made.ptr(), virtual_time).map_err(|error| os_error(&error))?;
            look_at_class(&core, class)?;
            core.slow_callback_duration.set(Some(Ref::float(0.1)?));
            (*this).core = Some(Box::new(core));
            if KNOWN.0.get().is_null() {
                counts::increment(class.cast());
                KNOWN.0.set(class);
            }
            Ok(made)
        }
    })
}

/// Notes which methods a class has that are not ours.
unsafe fn look_at_class(core: &LoopCore, class: *mut PyTypeObject) -> Res<()> {
    // SAFETY: a live class, says the caller.
    unsafe {
        if overrides(class)? {
            core.set_overridden();
        }
        if !is_ours(class, names().time)? {
            core.replaced().set_time();
        }
    }
    Ok(())
}

/// `loop.call_soon = something` leaves the native path.
pub(super) unsafe extern "C" fn setattro(
    slf: *mut PyObject,
    name: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: the interpreter passes an instance, a str, and a value or NULL.
        unsafe {
            let core = (*slf.cast::<LoopObject>()).core();
            if bypassed().contains(&name)
                && let Some(core) = core
            {
                core.set_overridden();
                if ptr::eq(name, names().time) {
                    core.replaced().set_time();
                }
            }
            check(ffi::PyObject_GenericSetAttr(slf, name, value))?;
            if ptr::eq(name, names().__class__)
                && let Some(core) = core
            {
                look_at_class(core, ffi::Py_TYPE(slf))?;
            }
        }
        Ok(())
    })
}

pub(super) unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        let Some(core) = (*slf.cast::<LoopObject>()).core() else {
            return 0;
        };
        for held in core.held() {
            visit_opt!(held, visit, arg);
        }
        let mut answer = 0;
        core.watched().for_each(|held| {
            if answer == 0 {
                answer = visit(held, arg);
            }
        });
        core.engine().for_each_job(&mut |job: &Job| {
            if answer == 0 {
                answer = jobs::visit(job, visit, arg);
            }
        });
        answer
    }
}

pub(super) unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        // SAFETY: called by the collector on a live instance.
        if let Some(core) = unsafe { (*slf.cast::<LoopObject>()).core() } {
            core.clear();
        }
    });
    0
}

pub(super) unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        // SAFETY: the object is dead; untracked before its fields go.
        unsafe {
            ffi::PyObject_GC_UnTrack(slf.cast());
            let this = slf.cast::<LoopObject>();
            if let Some(core) = (*this).core.as_deref() {
                core.clear();
                core.slow_callback_duration.set(None);
                core.engine().close();
            }
            drop((*this).core.take());
            free_instance(slf);
        }
    });
}
