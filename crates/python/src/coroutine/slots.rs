//! What a coroutine holds, where the collector sees it.

use pyo3::ffi::PyObject;

use super::CoroutineDef;
use super::object::CoroutineObject;
use crate::object::{Ref, set_slot, take_slot};

/// The references that a body works with. Owned by the coroutine object, visible to the
/// collector, valid as long as the body lives.
pub(crate) struct Slots<const N: usize>(pub(super) *mut CoroutineObject);

impl<const N: usize> Clone for Slots<N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<const N: usize> Copy for Slots<N> {}

impl<const N: usize> Slots<N> {
    fn slot(self, index: usize) -> *mut *mut PyObject {
        assert!(
            index < N,
            "a coroutine has as many slots as it was made with"
        );
        // SAFETY: the slots begin right after the header, and there are N of them.
        unsafe { self.0.add(1).cast::<*mut PyObject>().add(index) }
    }

    /// Where the coroutine is.
    pub(crate) fn address(self) -> *const () {
        self.0.cast_const().cast()
    }

    /// The object in a slot, borrowed until the slot is changed; NULL when empty.
    #[inline]
    pub(crate) fn get(self, index: usize) -> *mut PyObject {
        // SAFETY: the object, and so the slot, outlives the body.
        unsafe { *self.slot(index) }
    }

    /// Puts an object into a slot, and answers it, borrowed.
    pub(crate) fn set(self, index: usize, value: Ref) -> *mut PyObject {
        let value = value.into_ptr();
        // SAFETY: as above; `set_slot` takes the reference over.
        unsafe { set_slot(self.slot(index), value) };
        value
    }

    /// Empties a slot.
    pub(crate) fn take(self, index: usize) -> Option<Ref> {
        // SAFETY: as above.
        unsafe { take_slot(self.slot(index)) }
    }

    /// Names the coroutine that Python's version of this one awaits from here on.
    pub(crate) fn inside(self, def: Option<&'static CoroutineDef>) {
        // SAFETY: the object outlives the body.
        unsafe { (*self.0).inner.set(def) }
    }
}
