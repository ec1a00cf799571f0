//! Memory of dead coroutines, kept by size: each kind of coroutine has a size of its own, and
//! a program uses a few kinds over and over.

use pyo3::ffi::{Py_ssize_t, PyObject};

use super::object::{CoroutineObject, coroutine_type};
use crate::freelist::FreeList;
use crate::object::{Raised, Res};

/// Coroutines of more items than this are too rare to keep.
const MOST_ITEMS: usize = 24;

/// By number of items, from 1 up.
static FREE: [FreeList<128>; MOST_ITEMS] = [const { FreeList::new() }; MOST_ITEMS];

/// Memory for a coroutine with so many trailing items, untracked; the caller sets each field
/// behind the head.
#[inline]
pub(super) unsafe fn alloc(items: usize) -> Res<*mut CoroutineObject> {
    // SAFETY: what lies in a list has that list's number of items.
    unsafe {
        if let Some(list) = FREE.get(items.wrapping_sub(1))
            && let Some(memory) = list.take(coroutine_type())
        {
            return Ok(memory.cast());
        }
        let object: *mut CoroutineObject =
            pyo3::ffi::PyObject_GC_NewVar(coroutine_type(), items as Py_ssize_t);
        if object.is_null() {
            return Err(Raised::set());
        }
        Ok(object)
    }
}

/// Keeps the memory of a dead, untracked coroutine that was never finalised. False if there
/// is no room.
#[inline]
pub(super) unsafe fn keep(object: *mut CoroutineObject) -> bool {
    // SAFETY: variable-sized, says the caller; the size stays in the head.
    unsafe {
        let items = (*object).head.ob_size as usize;
        match FREE.get(items.wrapping_sub(1)) {
            Some(list) => list.give(object.cast::<PyObject>()),
            None => false,
        }
    }
}
