//! Memory of dead objects, kept for the next of their kind.
//!
//! Allocating and freeing a small collected object costs 150 instructions in the
//! interpreter's allocator; taking one from here costs a tenth. Only for objects of exactly
//! one class and one size, whose finaliser has not run.

use core::cell::UnsafeCell;

use pyo3::ffi::{self, PyObject, PyTypeObject};

/// The free list of one class, of at most `MOST` dead objects: as many as programs make and
/// drop in one wave.
pub(crate) struct FreeList<const MOST: usize>(UnsafeCell<List<MOST>>);

struct List<const MOST: usize> {
    memory: [*mut PyObject; MOST],
    len: usize,
}

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl<const MOST: usize> Sync for FreeList<MOST> {}

impl<const MOST: usize> FreeList<MOST> {
    pub(crate) const fn new() -> Self {
        FreeList(UnsafeCell::new(List {
            memory: [core::ptr::null_mut(); MOST],
            len: 0,
        }))
    }

    /// An object of `class` with a reference count of one and all other fields as they
    /// were left: the caller sets each. Untracked, if the class is collected.
    #[inline]
    pub(crate) unsafe fn take(&self, class: *mut PyTypeObject) -> Option<*mut PyObject> {
        // SAFETY: no Python code runs while the list is borrowed; what is in it is memory
        // of an object of this class, says `give`'s caller.
        unsafe {
            let list = &mut *self.0.get();
            if list.len == 0 {
                return None;
            }
            list.len -= 1;
            let memory = list.memory[list.len];
            // Takes the reference to the class that `give` has dropped.
            Some(ffi::PyObject_Init(memory, class))
        }
    }

    /// Keeps the memory of a dead, untracked object whose fields are released. False if
    /// there is no room: then the caller frees it.
    #[inline]
    pub(crate) unsafe fn give(&self, object: *mut PyObject) -> bool {
        // SAFETY: as for `take`.
        unsafe {
            let list = &mut *self.0.get();
            if list.len == MOST {
                return false;
            }
            let class = ffi::Py_TYPE(object);
            list.memory[list.len] = object;
            list.len += 1;
            ffi::Py_DECREF(class.cast());
            true
        }
    }
}
