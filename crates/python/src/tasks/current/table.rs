//! 3.11 to 3.13: the dict `_asyncio._current_tasks`.

use core::cell::Cell;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::global::Global;
use crate::object::{Ref, Res, check, import};

static TABLE: Global<Ref> = Global::new();

unsafe extern "C" {
    // Exported by every version from 3.11 to 3.13, though not declared publicly.
    fn _PyDict_SetItem_KnownHash(
        dict: *mut PyObject,
        key: *mut PyObject,
        value: *mut PyObject,
        hash: ffi::Py_hash_t,
    ) -> core::ffi::c_int;
}

/// Finds the dict.
pub(crate) unsafe fn init() -> Res<()> {
    let name = Ref::str("_current_tasks")?;
    let table = import(c"_asyncio")?.attr(name.ptr())?;
    // SAFETY: called once, from the module's initialisation.
    unsafe { TABLE.set(table) };
    Ok(())
}

/// One loop's entry in the dict.
pub(crate) struct Mirror {
    hash: Cell<ffi::Py_hash_t>,
    /// What we have put into the entry, borrowed from the dict; NULL if it holds nothing of
    /// ours. After a step it is stale: nobody should see it.
    shown: Cell<*mut PyObject>,
}

impl Mirror {
    pub(crate) fn new() -> Mirror {
        Mirror {
            hash: Cell::new(-1),
            shown: Cell::new(ptr::null_mut()),
        }
    }

    /// The loop begins to run in this thread.
    pub(crate) fn begin(&self) {}

    /// The loop stops running.
    pub(crate) fn end(&self) {}

    unsafe fn show(&self, loop_: *mut PyObject, object: *mut PyObject) -> Res<()> {
        // SAFETY: both alive, says the caller.
        unsafe {
            if self.hash.get() == -1 {
                let hash = ffi::PyObject_Hash(loop_);
                check(if hash == -1 { -1 } else { 0 })?;
                self.hash.set(hash);
            }
            let table = TABLE.get().ptr();
            check(_PyDict_SetItem_KnownHash(
                table,
                loop_,
                object,
                self.hash.get(),
            ))?;
        }
        self.shown.set(object);
        Ok(())
    }

    /// A step of `task` begins.
    #[inline]
    pub(crate) unsafe fn enter(&self, loop_: *mut PyObject, task: *mut PyObject) -> Res<()> {
        if ptr::eq(self.shown.get(), task) {
            return Ok(());
        }
        // SAFETY: both alive, says the caller.
        unsafe { self.show(loop_, task) }
    }

    /// The step is over. Its entry stays until the next step or [`Mirror::retire`]: no Python
    /// code runs before one of them, so nobody sees it.
    #[inline]
    pub(crate) unsafe fn leave(&self, _loop: *mut PyObject, _task: *mut PyObject) -> Res<()> {
        Ok(())
    }

    /// Removes a stale entry: something else than a step of ours is about to run.
    #[inline]
    pub(crate) unsafe fn retire(&self, loop_: *mut PyObject) -> Res<()> {
        if self.shown.replace(ptr::null_mut()).is_null() {
            return Ok(());
        }
        // SAFETY: `loop_` is alive, says the caller.
        unsafe { delete(loop_) }
    }
}

unsafe fn delete(loop_: *mut PyObject) -> Res<()> {
    let table = TABLE.get().ptr();
    // SAFETY: both alive.
    unsafe {
        match ffi::PyDict_Contains(table, loop_) {
            1 => check(ffi::PyDict_DelItem(table, loop_)),
            status => check(status),
        }
    }
}

/// Makes `task` (None for none) the current one; answers the former one or None.
#[cfg(not(Py_3_12))]
pub(crate) fn swap(loop_: *mut PyObject, task: *mut PyObject) -> Res {
    let former = current(loop_)?;
    // SAFETY: all alive.
    unsafe {
        if ptr::eq(task, ffi::Py_None()) {
            delete(loop_)?;
        } else {
            check(ffi::PyDict_SetItem(TABLE.get().ptr(), loop_, task))?;
        }
    }
    Ok(former)
}

/// The current task of a loop, or None.
#[cfg(not(Py_3_12))]
pub(crate) fn current(loop_: *mut PyObject) -> Res {
    // SAFETY: both alive; the borrowed answer is held at once.
    unsafe {
        let found = ffi::PyDict_GetItemWithError(TABLE.get().ptr(), loop_);
        if found.is_null() {
            check(if ffi::PyErr_Occurred().is_null() {
                0
            } else {
                -1
            })?;
            return Ok(Ref::none());
        }
        Ok(Ref::borrow(found))
    }
}
