//! Limits for native code that calls itself by way of objects: coroutines that await each
//! other, futures that cancel each other, objects that hold each other and die.
//!
//! The interpreter's guard for C code allows more levels than fit on the stack here: ten
//! thousand in 3.12 and 3.13, of a kilobyte and more each. So the limit is the one for Python
//! code, which is also where asyncio's own coroutines end.

use core::cell::{Cell, RefCell};

use pyo3::ffi::{self, PyObject};

use crate::object::{Raised, Res, raise};

/// Far from the end of even a small thread's stack.
const MOST: i32 = 1000;

thread_local! {
    static DEPTH: Cell<i32> = const { Cell::new(0) };
}

/// One level, until it is dropped: the thread's counter, looked up once.
pub(crate) struct Level(*const Cell<i32>);

/// Up to here nobody's limit is reached, for the interpreter's own code needs that much.
const FEW: i32 = 16;

impl Level {
    /// RecursionError if there are too many; `doing` ends its message.
    #[inline]
    pub(crate) fn enter(doing: &str) -> Res<Level> {
        DEPTH.with(|counter| {
            let depth = counter.get();
            // SAFETY: no precondition.
            if depth >= FEW && (depth >= MOST || depth >= unsafe { ffi::Py_GetRecursionLimit() }) {
                return Err(too_deep(doing));
            }
            counter.set(depth + 1);
            Ok(Level(counter))
        })
    }
}

impl Drop for Level {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a level stays on its thread, whose counter needs no destructor and so lives
        // as long as the thread.
        let counter = unsafe { &*self.0 };
        counter.set(counter.get() - 1);
    }
}

#[cold]
pub(crate) fn too_deep(doing: &str) -> Raised {
    let message = format!("maximum recursion depth exceeded while {doing}");
    // SAFETY: a static exception class.
    unsafe { raise(ffi::PyExc_RecursionError, &message) }
}

/// So many deallocations may be under way, one inside the other, before the rest waits.
const MOST_DYING: u32 = 50;

type Dealloc = unsafe fn(*mut PyObject);

thread_local! {
    static DYING: Cell<u32> = const { Cell::new(0) };
    static WAITING: RefCell<Vec<(*mut PyObject, Dealloc)>> = const { RefCell::new(Vec::new()) };
}

/// Deallocates an object whose last reference is gone, and that may hold the last reference
/// to the next of its kind, and so on: from some depth on they wait until the outermost is
/// done. (The interpreter does the same for its own containers, in ways that differ in each
/// version.)
pub(crate) unsafe fn dealloc_in_turn(object: *mut PyObject, dealloc: Dealloc) {
    let dying = DYING.get();
    // SAFETY: `object` is a dead, tracked object that `dealloc` fits, says the caller. While
    // it waits it is untracked: the collector must not meet it.
    unsafe {
        if dying >= MOST_DYING {
            ffi::PyObject_GC_UnTrack(object.cast());
            WAITING.with_borrow_mut(|waiting| waiting.push((object, dealloc)));
            return;
        }
        DYING.set(dying + 1);
        dealloc(object);
        while dying == 0
            && let Some((next, dealloc)) = WAITING.with_borrow_mut(Vec::pop)
        {
            ffi::PyObject_GC_Track(next.cast());
            dealloc(next);
        }
        DYING.set(dying);
    }
}
