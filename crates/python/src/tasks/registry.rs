//! All unfinished tasks of the process, for `all_tasks()`.
//!
//! An intrusive, doubly linked list that owns nothing: linking costs two nanoseconds where
//! the standard library's registry costs two hundred. A task leaves it when it is done and
//! at the latest when it is deallocated.

use core::cell::Cell;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::object::TaskObject;
use crate::object::{Ref, Res, check};

struct Head(Cell<*mut TaskObject>);

// SAFETY: read and written only with the GIL held (crate invariant, see `object.rs`).
unsafe impl Sync for Head {}

static HEAD: Head = Head(Cell::new(ptr::null_mut()));

/// Links a task in, unless it is.
#[inline]
pub(crate) unsafe fn add(task: *mut TaskObject) {
    // SAFETY: `task` is alive, says the caller; listed tasks are alive by this list's rule.
    unsafe {
        if (*task).listed {
            return;
        }
        let first = HEAD.0.get();
        (*task).previous = ptr::null_mut();
        (*task).next = first;
        (*task).listed = true;
        if !first.is_null() {
            (*first).previous = task;
        }
        HEAD.0.set(task);
    }
}

/// Unlinks a task, if it is linked.
#[inline]
pub(crate) unsafe fn remove(task: *mut TaskObject) {
    // SAFETY: as for `add`.
    unsafe {
        if !(*task).listed {
            return;
        }
        let (previous, next) = ((*task).previous, (*task).next);
        if previous.is_null() {
            debug_assert!(ptr::eq(HEAD.0.get(), task));
            HEAD.0.set(next);
        } else {
            (*previous).next = next;
        }
        if !next.is_null() {
            (*next).previous = previous;
        }
        (*task).listed = false;
    }
}

/// A list of all unfinished native tasks of `loop_` (of every loop if it is NULL), the
/// latest first.
pub(crate) fn all(loop_: *mut PyObject) -> Res {
    let list = Ref::list()?;
    let mut found = Vec::new();
    // SAFETY: listed tasks are alive; references are taken before anything can change the
    // list (appending may run the collector).
    unsafe {
        let mut task = HEAD.0.get();
        while !task.is_null() {
            let wanted = loop_.is_null() || ptr::eq((*task).future.loop_, loop_);
            if wanted && TaskObject::is_pending(task) && ffi::Py_REFCNT(task.cast()) > 0 {
                found.push(Ref::borrow(task.cast()));
            }
            task = (*task).next;
        }
        for task in found {
            check(ffi::PyList_Append(list.ptr(), task.ptr()))?;
        }
    }
    Ok(list)
}
