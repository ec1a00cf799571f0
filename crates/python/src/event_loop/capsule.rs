//! The loop for other native extensions: the engine's table (`rasyncio_engine::LoopAbi`) in a
//! capsule.
//!
//! An extension that is linked with its own copy of the engine schedules jobs, timers and
//! descriptors on this very loop through it, in the loop's thread and queue:
//! `loop._abi_capsule()` here, `rasyncio_engine::ForeignLoop` there.

use core::ffi::CStr;

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::LoopAbi;

use super::LoopCore;
use crate::boundary;
use crate::object::{Ref, Res};

/// The capsule's name; a table of another layout would get another one.
const NAME: &CStr = c"rasyncio.loop_abi.v1";

/// A capsule that owns the table, and keeps the loop alive that the table leads to. The
/// collector does not see through it: a loop that holds its own capsule is never freed.
pub(super) fn publish(core: &LoopCore) -> Res {
    core.check_closed()?;
    // SAFETY: the loop object is alive while one of its methods runs.
    let owner = unsafe { Ref::borrow(core.owner()) };
    let table = Box::into_raw(Box::new(core.engine().abi()));
    // SAFETY: the table is owned by the capsule once it is made, and by us if it is not; the
    // context is an owned reference, which `release` drops.
    unsafe {
        let made = ffi::PyCapsule_New(table.cast(), NAME.as_ptr(), Some(release));
        let capsule = Ref::checked(made).inspect_err(|_| drop(Box::from_raw(table)))?;
        crate::object::check(ffi::PyCapsule_SetContext(
            capsule.ptr(),
            owner.into_ptr().cast(),
        ))?;
        Ok(capsule)
    }
}

unsafe extern "C" fn release(capsule: *mut PyObject) {
    boundary::quiet(|| {
        // SAFETY: called once, when the capsule dies; both were set by `publish`.
        unsafe {
            let table = ffi::PyCapsule_GetPointer(capsule, NAME.as_ptr());
            let owner = ffi::PyCapsule_GetContext(capsule);
            if !table.is_null() {
                drop(Box::from_raw(table.cast::<LoopAbi>()));
            }
            drop(Ref::own_opt(owner.cast()));
        }
    });
}
