//! `_asyncio_awaited_by`: who waits for a future, for call graphs.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::object::FutureObject;
use crate::object::{Ref, Res, check};

/// A set, or None: the tasks that wait here natively, and whoever registered.
pub(super) unsafe fn all(fut: *mut FutureObject) -> Res {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        let explicit = FutureObject::rare(fut, |rare| &rare.awaited_by);
        let source = explicit.as_ref().map_or(ptr::null_mut(), Ref::ptr);
        let set = Ref::checked(ffi::PySet_New(source))?;
        let waiting: Vec<Ref> = (*fut)
            .callbacks
            .iter()
            .filter_map(|callback| callback.awaiting())
            .map(|task| Ref::borrow(task))
            .collect();
        for task in waiting {
            check(ffi::PySet_Add(set.ptr(), task.ptr()))?;
        }
        if ffi::PySet_Size(set.ptr()) == 0 {
            Ok(Ref::none())
        } else {
            Ok(set)
        }
    }
}

/// Registers an awaiter that no wake-up link shows (a gather, a task group).
pub(super) unsafe fn add(fut: *mut FutureObject, waiter: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let set = match FutureObject::rare(fut, |rare| &rare.awaited_by) {
            Some(set) => set,
            None => {
                let set = Ref::checked(ffi::PySet_New(ptr::null_mut()))?;
                FutureObject::rare_mut(fut).awaited_by = Some(set.clone());
                set
            }
        };
        check(ffi::PySet_Add(set.ptr(), waiter))
    }
}

/// Undoes [`add`].
pub(super) unsafe fn discard(fut: *mut FutureObject, waiter: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        if let Some(set) = FutureObject::rare(fut, |rare| &rare.awaited_by) {
            check(ffi::PySet_Discard(set.ptr(), waiter).min(0))?;
        }
        Ok(())
    }
}
