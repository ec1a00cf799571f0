//! Where the interpreter keeps the current context, and a context its variables.
//!
//! Both are its private matter: `probe` finds out with contexts of our own, and verifies it.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::global::Global;
use crate::object::{Ref, Res, check};

/// Where the mapping is in a context, in bytes: behind the header and the context before.
const VARIABLES: usize = 3 * size_of::<usize>();

/// Where the current context is in a thread state, in bytes; 0 if nothing is certain.
static CURRENT: Global<usize> = Global::new();

/// Whether the layout is known. Nothing else here may be called if it is not.
#[inline]
pub(super) fn is_known() -> bool {
    *CURRENT.get() != 0
}

/// Whether two live contexts have the same variables with the same values: the same mapping,
/// which is immutable and replaced by each `ContextVar.set`.
#[inline]
pub(super) unsafe fn same(one: *mut PyObject, other: *mut PyObject) -> bool {
    // SAFETY: both alive, says the caller, and verified on this very build of the interpreter.
    // A mapping that one of them holds is alive, so that no other can have its address.
    unsafe { ptr::eq(word(one, VARIABLES), word(other, VARIABLES)) }
}

/// The place of a thread's current context: a strong reference to one that is entered, or NULL.
#[inline]
pub(super) unsafe fn current(thread: *mut ffi::PyThreadState) -> *mut *mut PyObject {
    // SAFETY: as for `same`; the thread state is alive, says the caller.
    unsafe { thread.cast::<u8>().add(*CURRENT.get()).cast() }
}

unsafe fn word(object: *mut PyObject, offset: usize) -> *mut PyObject {
    // SAFETY: the offset lies within the object, say the callers.
    unsafe { *object.cast::<u8>().add(offset).cast::<*mut PyObject>() }
}

/// How many words of the thread state are looked at; all versions have more.
const THREAD_WORDS: usize = 40;
/// The words of a context behind its header: previous, variables, weak references, entered.
const CONTEXT_WORDS: core::ops::Range<usize> = 2..6;

/// The place of the current context, or 0.
fn probe() -> Res<usize> {
    // SAFETY: attached; all words that are read lie within live objects.
    unsafe {
        let context = Ref::checked(ffi::PyContext_New())?;
        let variable = Ref::checked(ffi::PyContextVar_New(
            c"rasyncio_probe".as_ptr(),
            ptr::null_mut(),
        ))?;
        let word_of = |object: &Ref, at: usize| word(object.ptr(), at * size_of::<usize>());

        // A context that is not entered has exactly one word that is set: the mapping.
        let set: Vec<usize> = CONTEXT_WORDS
            .filter(|&at| !word_of(&context, at).is_null())
            .collect();
        let copy = Ref::checked(ffi::PyContext_Copy(context.ptr()))?;
        if set != [VARIABLES / size_of::<usize>()] || !same(context.ptr(), copy.ptr()) {
            return Ok(0);
        }

        check(ffi::PyContext_Enter(copy.ptr()))?;
        let thread = ffi::PyThreadState_Get().cast::<PyObject>();
        let places: Vec<usize> = (0..THREAD_WORDS)
            .filter(|at| word(thread, at * size_of::<usize>()) == copy.ptr())
            .collect();
        // Ours, and the thread's.
        let held = ffi::Py_REFCNT(copy.ptr()) == 2;
        let changed = Ref::checked(ffi::PyContextVar_Set(variable.ptr(), ffi::Py_None()));
        check(ffi::PyContext_Exit(copy.ptr()))?;
        drop(changed?);
        let &[current] = places.as_slice() else {
            return Ok(0);
        };
        let left = word(thread, current * size_of::<usize>()) != copy.ptr()
            && ffi::Py_REFCNT(copy.ptr()) == 1;
        let replaced = !same(context.ptr(), copy.ptr());
        if held && left && replaced {
            Ok(current * size_of::<usize>())
        } else {
            Ok(0)
        }
    }
}

/// Finds the layout; called once by the module's initialisation.
pub(super) unsafe fn init() -> Res<()> {
    // SAFETY: called once, before any reader, says the caller.
    unsafe { CURRENT.set(probe()?) };
    Ok(())
}
