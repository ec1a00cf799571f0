//! From 3.14: a field of the thread state, behind `_enter_task` and `_leave_task`.

use core::cell::Cell;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::global::Global;
use crate::object::{Ref, Res, check, counts, import};
use crate::stdlib::stdlib;

/// The registry of the standard library's tasks in pure Python, which are unknown to its C
/// functions.
static PYTHON_TASKS: Global<Ref> = Global::new();

/// Where the current task is in a thread state, if that could be found out.
static OFFSET: Global<Option<usize>> = Global::new();

pub(crate) unsafe fn init() -> Res<()> {
    let table = import(c"asyncio.tasks")?.attr(Ref::str("_current_tasks")?.ptr())?;
    // SAFETY: called once, from the module's initialisation.
    unsafe {
        PYTHON_TASKS.set(table);
        OFFSET.set(probe()?);
    }
    Ok(())
}

/// The current task of a loop, of whatever kind, or None.
pub(super) fn current(loop_: *mut PyObject) -> Res {
    let task = stdlib().current_task.call1(loop_)?;
    if !task.is_none() {
        return Ok(task);
    }
    // SAFETY: both alive; the borrowed answer is held at once.
    unsafe {
        let found = ffi::PyDict_GetItemWithError(PYTHON_TASKS.get().ptr(), loop_);
        if found.is_null() {
            check(if ffi::PyErr_Occurred().is_null() {
                0
            } else {
                -1
            })?;
            return Ok(task);
        }
        Ok(Ref::borrow(found))
    }
}

/// What was current before a step: nothing, or `enter` refuses.
pub(crate) type Former = ();

/// The thread's current task, seen from one loop.
///
/// `_enter_task` and `_leave_task` store a strong reference into a field of the thread
/// state. Where `probe` has found the field, a step stores there itself: 3 ns, where the
/// two calls take 50.
pub(crate) struct Mirror {
    /// The field of the thread that runs the loop; NULL while none does, or if unknown.
    field: Cell<*mut *mut PyObject>,
}

impl Mirror {
    pub(crate) fn new() -> Mirror {
        Mirror {
            field: Cell::new(ptr::null_mut()),
        }
    }

    /// The loop begins to run in this thread.
    pub(crate) fn begin(&self) {
        // SAFETY: attached; the offset was verified on this very build of the interpreter.
        unsafe {
            if let Some(offset) = *OFFSET.get() {
                let state = ffi::PyThreadState_Get().cast::<u8>();
                self.field.set(state.add(offset).cast());
            }
        }
    }

    /// The loop stops running.
    pub(crate) fn end(&self) {
        self.field.set(ptr::null_mut());
    }

    /// The current task, if that is certain without asking the standard library.
    #[inline]
    pub(crate) fn known(&self) -> Option<Ref> {
        let field = self.field.get();
        if field.is_null() {
            return None;
        }
        // SAFETY: the field of the thread that runs the loop, which holds NULL or an owned
        // reference.
        unsafe { Ref::borrow_opt(*field) }
    }

    /// A step of `task` begins.
    #[inline]
    pub(crate) unsafe fn enter(&self, loop_: *mut PyObject, task: *mut PyObject) -> Res<Former> {
        let field = self.field.get();
        // SAFETY: the running thread's own field, which holds NULL or an owned reference.
        unsafe {
            // Somebody is in there: the interpreter's own function has the right words.
            if field.is_null() || !(*field).is_null() {
                return stdlib().enter_task.call(&[loop_, task]).map(drop);
            }
            *field = counts::new_ref(task);
        }
        Ok(())
    }

    /// The step is over.
    #[inline]
    pub(crate) unsafe fn leave(
        &self,
        loop_: *mut PyObject,
        task: *mut PyObject,
        (): Former,
    ) -> Res<()> {
        let field = self.field.get();
        // SAFETY: as for `enter`; the field is empty before its content is dropped.
        unsafe {
            if field.is_null() || !ptr::eq(*field, task) {
                return stdlib().leave_task.call(&[loop_, task]).map(drop);
            }
            *field = ptr::null_mut();
            counts::decrement(task);
        }
        Ok(())
    }

    /// Nothing is ever stale here.
    #[inline]
    pub(crate) unsafe fn retire(&self, _loop: *mut PyObject) -> Res<()> {
        Ok(())
    }
}

/// How many words the thread state has (`sizeof(_PyThreadStateImpl)` of each version).
const WORDS: usize = if cfg!(Py_3_15) { 1096 / 8 } else { 936 / 8 };

/// Where the field is in the thread state: shows two objects of our own to `_enter_task`,
/// and looks where they appear. None unless exactly one place shows the task just behind
/// the loop, and is empty again after `_leave_task`.
fn probe() -> Res<Option<usize>> {
    let stdlib = stdlib();
    if !stdlib.get_running_loop_or_none.call0()?.is_none() {
        return Ok(None);
    }
    let (loop_, task) = (Ref::list()?, Ref::list()?);
    stdlib.set_running_loop.call1(loop_.ptr())?;
    let found = find(&loop_, &task);
    // SAFETY: the address of an immortal object.
    stdlib.set_running_loop.call1(unsafe { ffi::Py_None() })?;
    found
}

fn find(loop_: &Ref, task: &Ref) -> Res<Option<usize>> {
    stdlib().enter_task.call(&[loop_.ptr(), task.ptr()])?;
    // SAFETY: attached; the words lie within the thread state.
    let words =
        unsafe { core::slice::from_raw_parts(ffi::PyThreadState_Get().cast::<usize>(), WORDS) };
    let shown = [loop_.ptr() as usize, task.ptr() as usize];
    let places: Vec<usize> = words
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| **pair == shown)
        .map(|(at, _)| at + 1)
        .collect();
    stdlib().leave_task.call(&[loop_.ptr(), task.ptr()])?;
    Ok(match places.as_slice() {
        // SAFETY: as above; read anew, for the call has changed it.
        &[at] if unsafe { ptr::read_volatile(&words[at]) } == 0 => Some(at * size_of::<usize>()),
        _ => None,
    })
}
