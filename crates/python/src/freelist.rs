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
            Some(revive(list.memory[list.len], class))
        }
    }

    /// Keeps the memory of a dead, untracked object whose fields are released, and with it
    /// the reference to its class. False if there is no room: then the caller frees it.
    #[inline]
    pub(crate) unsafe fn give(&self, object: *mut PyObject) -> bool {
        // SAFETY: as for `take`.
        unsafe {
            let list = &mut *self.0.get();
            if list.len == MOST {
                return false;
            }
            list.memory[list.len] = object;
            list.len += 1;
            true
        }
    }
}

/// Gives the memory of a dead object its head back, which is the count of references: the
/// class is there still.
#[inline]
unsafe fn revive(memory: *mut PyObject, class: *mut PyTypeObject) -> *mut PyObject {
    // SAFETY: an object of this class, says the caller.
    unsafe {
        debug_assert_eq!(ffi::Py_TYPE(memory), class);
        // Interpreters that count all references in the process must hear of it.
        #[cfg(py_sys_config = "Py_REF_DEBUG")]
        _Py_NewReference(memory);
        // For the others a call is saved. The count is in the first word, alone or (from 3.14)
        // with flags that are zero for an object of a heap type.
        #[cfg(not(py_sys_config = "Py_REF_DEBUG"))]
        memory.cast::<isize>().write(1);
        memory
    }
}

#[cfg(py_sys_config = "Py_REF_DEBUG")]
unsafe extern "C" {
    // Public, though PyO3 does not declare it.
    fn _Py_NewReference(object: *mut PyObject);
}
