//! The layout of a task, and its life as an object.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::registry;
use crate::contexts::RunContext;
use crate::freelist::FreeList;
use crate::futures::object as future_object;
use crate::futures::{FutureObject, State};
use crate::object::{Ref, Res, counts, set_slot};

/// A task's C layout: a future and what drives it.
#[repr(C)]
pub(crate) struct TaskObject {
    pub(crate) future: FutureObject,
    /// The coroutine; NULL when the task is done and has let go of it.
    pub(crate) coro: *mut PyObject,
    /// A `str`, or NULL while nobody has asked and the number makes the name.
    pub(crate) name: *mut PyObject,
    pub(crate) number: u64,
    pub(crate) context: RunContext,
    /// The future it is suspended on, owned.
    pub(crate) waiter: *mut PyObject,
    /// Neighbours in the list of unfinished tasks (`registry`); not owned.
    pub(crate) previous: *mut TaskObject,
    pub(crate) next: *mut TaskObject,
    /// `cancelling()`
    pub(crate) cancel_requests: u32,
    /// A CancelledError is to be thrown at the next step.
    pub(crate) must_cancel: bool,
    /// Report the destruction of a pending task.
    pub(crate) log_destroy_pending: bool,
    pub(crate) listed: bool,
}

/// Visits what a task holds.
pub(crate) unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let task = slf.cast::<TaskObject>();
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*task).coro, visit, arg);
        visit_opt!((*task).name, visit, arg);
        visit_opt!((*task).context.ptr(), visit, arg);
        visit_opt!((*task).waiter, visit, arg);
        future_object::traverse(slf.cast(), visit, arg)
    }
}

/// Drops what a task holds.
pub(crate) unsafe fn clear(task: *mut TaskObject) {
    // SAFETY: `task` is alive or dying; each slot is emptied before its content is dropped.
    unsafe {
        registry::remove(task);
        set_slot(&raw mut (*task).coro, ptr::null_mut());
        set_slot(&raw mut (*task).name, ptr::null_mut());
        drop(RunContext::take(&raw mut (*task).context));
        set_slot(&raw mut (*task).waiter, ptr::null_mut());
        future_object::clear(task.cast());
    }
}

/// Drops what a dead task held. Nobody sees the slots any more: they keep what they had.
#[inline]
pub(super) unsafe fn release(task: *mut TaskObject) {
    // SAFETY: the object is dead and untracked; each field is dropped once.
    unsafe {
        registry::remove(task);
        counts::decrement_opt((*task).coro);
        counts::decrement_opt((*task).name);
        drop(RunContext::take(&raw mut (*task).context));
        counts::decrement_opt((*task).waiter);
        future_object::release_fields(task.cast());
    }
}

/// Memory of dead tasks of exactly the native class.
pub(super) static FREE: FreeList<256> = FreeList::new();

/// New memory for a task of exactly the native class, blank and untracked.
#[inline]
pub(crate) unsafe fn alloc(class: *mut PyTypeObject) -> Res {
    // SAFETY: every field of the fresh object is set before anybody sees it.
    unsafe {
        let owned = match FREE.take(class) {
            Some(memory) => Ref::own(memory),
            None => Ref::checked(ffi::PyObject_GC_New(class))?,
        };
        let task = owned.ptr().cast::<TaskObject>();
        let head = size_of::<PyObject>();
        ptr::write_bytes(
            task.cast::<u8>().add(head),
            0,
            size_of::<TaskObject>() - head,
        );
        blank(task);
        Ok(owned)
    }
}

/// Puts zeroed memory into the state of an uninitialised task.
pub(crate) unsafe fn blank(task: *mut TaskObject) {
    // SAFETY: zeroed memory of the right size, says the caller.
    unsafe {
        future_object::blank(task.cast(), true);
        (*task).log_destroy_pending = true;
    }
}

impl TaskObject {
    /// Whether it is still to run or running.
    #[inline]
    pub(crate) unsafe fn is_pending(task: *mut TaskObject) -> bool {
        // SAFETY: `task` is alive, says the caller.
        unsafe { (*task).future.state == State::Pending }
    }
}
