//! 3.11 to 3.13: the dict `_asyncio._current_tasks`.

use core::cell::Cell;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::boundary;
use crate::event_loop;
use crate::global::Global;
use crate::object::{Ref, Res, check, import};

static TABLE: Global<Ref> = Global::new();

/// Finds the dict.
pub(crate) unsafe fn init() -> Res<()> {
    let name = Ref::str("_current_tasks")?;
    let table = import(c"_asyncio")?.attr(name.ptr())?;
    // SAFETY: called once, from the module's initialisation.
    unsafe { TABLE.set(table) };
    Ok(())
}

/// One loop's entry in the dict.
///
/// Storing an entry for each step costs 15 ns, and hardly anybody looks. Whoever looks up a
/// loop must hash it first: that is when the entry is put right ([`Mirror::tell`]). What only
/// walks over the dict may find the entry of the task that somebody looked for last, or none.
pub(crate) struct Mirror {
    /// The task whose step runs, borrowed; NULL for none.
    current: Cell<*mut PyObject>,
    /// Since a step began or ended somebody has looked: now the dict holds the truth, which
    /// others may have changed.
    told: Cell<bool>,
    /// There may be an entry of ours, right or stale.
    entry: Cell<bool>,
}

/// What was current before a step.
pub(crate) type Former = *mut PyObject;

impl Mirror {
    pub(crate) fn new() -> Mirror {
        Mirror {
            current: Cell::new(ptr::null_mut()),
            told: Cell::new(false),
            entry: Cell::new(false),
        }
    }

    /// The loop begins to run in this thread.
    pub(crate) fn begin(&self) {}

    /// The loop stops running.
    pub(crate) fn end(&self) {
        self.change(ptr::null_mut());
    }

    #[inline]
    fn change(&self, task: *mut PyObject) -> Former {
        self.told.set(false);
        self.current.replace(task)
    }

    /// A step of `task` begins.
    #[inline]
    pub(crate) unsafe fn enter(&self, _loop: *mut PyObject, task: *mut PyObject) -> Res<Former> {
        Ok(self.change(task))
    }

    /// The step is over.
    #[inline]
    pub(crate) unsafe fn leave(
        &self,
        _loop: *mut PyObject,
        _task: *mut PyObject,
        former: Former,
    ) -> Res<()> {
        self.change(former);
        Ok(())
    }

    /// The current task, if that is certain without a look into the dict.
    #[inline]
    pub(crate) fn known(&self) -> Option<Ref> {
        if self.told.get() {
            return None;
        }
        // SAFETY: a task is alive while its step runs.
        unsafe { Ref::borrow_opt(self.current.get()) }
    }

    /// Puts the dict's entry right: somebody is about to look.
    pub(crate) unsafe fn tell(&self, loop_: *mut PyObject) -> Res<()> {
        // Set first, for what follows hashes the loop again.
        if self.told.replace(true) {
            return Ok(());
        }
        let current = self.current.get();
        // SAFETY: all alive: a task is while its step runs, `loop_` says the caller.
        unsafe {
            if !current.is_null() {
                self.entry.set(true);
                check(ffi::PyDict_SetItem(TABLE.get().ptr(), loop_, current))
            } else if self.entry.replace(false) {
                delete(loop_)
            } else {
                Ok(())
            }
        }
    }

    /// Removes a stale entry: a task is not to live until somebody looks.
    #[inline]
    pub(crate) unsafe fn retire(&self, loop_: *mut PyObject) -> Res<()> {
        if self.entry.get() && self.current.get().is_null() {
            // SAFETY: `loop_` is alive, says the caller.
            return unsafe { self.tell(loop_) };
        }
        Ok(())
    }
}

/// `hash(loop)`: the object's own, after the entry is right.
pub(crate) unsafe extern "C" fn hash_loop(loop_: *mut PyObject) -> ffi::Py_hash_t {
    let told = boundary::status(|| match event_loop::any_native(loop_) {
        // SAFETY: the interpreter passes a live instance.
        Some(core) => unsafe { core.mirror().tell(loop_) },
        None => Ok(()),
    });
    if told < 0 {
        return -1;
    }
    // SAFETY: the class of all objects hashes any of them by its address.
    unsafe { ffi::PyBaseObject_Type.tp_hash.map_or(0, |hash| hash(loop_)) }
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
