//! Contexts for callbacks, without a copy for each.
//!
//! asyncio gives every handle its own copy of the current context. Most callbacks never set
//! a variable, so here handles made under the same variables share one **snapshot**, and
//! when they run, the callback is entered into a **working copy** of it, which the next
//! handle uses again if the callback has changed nothing and kept no hold of it. Nobody can
//! tell: a snapshot is never entered and never handed out (`Handle.get_context` makes the
//! handle a copy of its own first).
//!
//! "The same variables" means the same mapping object inside the contexts, which is
//! immutable and replaced by every `ContextVar.set`. Where the mapping is, and where a
//! thread keeps its context, is the interpreter's private matter: `probe` finds out with
//! contexts of our own and verifies it, and without success every handle gets its copy.

use core::cell::Cell;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::global::Global;
use crate::object::{Ref, Res, check, import};

/// Offsets in bytes.
struct Layout {
    /// The current context, in the thread state.
    current: usize,
    /// The mapping, in a context.
    variables: usize,
}

static LAYOUT: Global<Option<Layout>> = Global::new();

struct Kept(Cell<*mut PyObject>);

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Kept {}

/// The latest snapshot; owned.
static SNAPSHOT: Kept = Kept(Cell::new(ptr::null_mut()));
/// The working copy, while no callback runs in it; owned.
static WORKING: Kept = Kept(Cell::new(ptr::null_mut()));

unsafe fn word(object: *mut PyObject, offset: usize) -> *mut PyObject {
    // SAFETY: the offset lies within the object, say the callers.
    unsafe { *object.cast::<u8>().add(offset).cast::<*mut PyObject>() }
}

/// The current context for a callback: (context, whether it is a shared snapshot).
#[inline]
pub(crate) fn for_callback() -> Res<(Ref, bool)> {
    // SAFETY: attached; the layout was verified on this very build of the interpreter.
    unsafe {
        if let Some(layout) = LAYOUT.get() {
            let current = word(ffi::PyThreadState_Get().cast(), layout.current);
            let snapshot = SNAPSHOT.0.get();
            if !current.is_null() {
                if !snapshot.is_null()
                    && word(current, layout.variables) == word(snapshot, layout.variables)
                {
                    return Ok((Ref::borrow(snapshot), true));
                }
                let fresh = Ref::checked(ffi::PyContext_CopyCurrent())?;
                drop(Ref::own_opt(SNAPSHOT.0.replace(fresh.clone().into_ptr())));
                return Ok((fresh, true));
            }
        }
        Ok((Ref::checked(ffi::PyContext_CopyCurrent())?, false))
    }
}

/// A context that belongs to one handle alone.
pub(crate) fn own_copy(snapshot: &Ref) -> Res {
    // SAFETY: a live context.
    unsafe { Ref::checked(ffi::PyContext_Copy(snapshot.ptr())) }
}

/// Runs `body` in a working copy of a snapshot. If it fails, the copy is handed over: the
/// report of the failure is to be made in the context in which it happened.
#[inline]
pub(crate) fn run_in_snapshot(
    snapshot: *mut PyObject,
    body: impl FnOnce() -> Res,
) -> Res<(Res, Option<Ref>)> {
    // SAFETY: the snapshot is alive, for its handle is; the layout is known, for there is a
    // snapshot. The working copy is ours alone while it is out of its cell.
    unsafe {
        let variables = LAYOUT.get().as_ref().map_or(0, |layout| layout.variables);
        let kept = Ref::own_opt(WORKING.0.replace(ptr::null_mut()));
        let same = |context: &Ref| word(context.ptr(), variables) == word(snapshot, variables);
        let working = match kept {
            Some(kept) if same(&kept) => kept,
            _ => Ref::checked(ffi::PyContext_Copy(snapshot))?,
        };
        check(ffi::PyContext_Enter(working.ptr()))?;
        let outcome = body();
        check(ffi::PyContext_Exit(working.ptr()))?;
        if outcome.is_err() {
            return Ok((outcome, Some(working)));
        }
        if ffi::Py_REFCNT(working.ptr()) == 1 && same(&working) {
            drop(Ref::own_opt(WORKING.0.replace(working.into_ptr())));
        }
        Ok((outcome, None))
    }
}

/// How many words of the thread state are looked at; all versions have more.
const THREAD_WORDS: usize = 40;
/// The words of a context behind its header: previous, variables, weak references, entered.
const CONTEXT_WORDS: core::ops::Range<usize> = 2..6;

fn probe() -> Res<Option<Layout>> {
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
        let &[variables] = set.as_slice() else {
            return Ok(None);
        };
        let copy = Ref::checked(ffi::PyContext_Copy(context.ptr()))?;
        if word_of(&context, variables) != word_of(&copy, variables) {
            return Ok(None);
        }

        check(ffi::PyContext_Enter(copy.ptr()))?;
        let thread = ffi::PyThreadState_Get().cast::<PyObject>();
        let places: Vec<usize> = (0..THREAD_WORDS)
            .filter(|at| word(thread, at * size_of::<usize>()) == copy.ptr())
            .collect();
        let changed = Ref::checked(ffi::PyContextVar_Set(variable.ptr(), ffi::Py_None()));
        check(ffi::PyContext_Exit(copy.ptr()))?;
        changed?;
        let &[current] = places.as_slice() else {
            return Ok(None);
        };
        let left = word(thread, current * size_of::<usize>()) != copy.ptr();
        let replaced = word_of(&context, variables) != word_of(&copy, variables);
        Ok((left && replaced).then_some(Layout {
            current: current * size_of::<usize>(),
            variables: variables * size_of::<usize>(),
        }))
    }
}

/// Finds the layout; called once by the module's initialisation.
pub(crate) unsafe fn init() -> Res<()> {
    import(c"contextvars")?;
    // SAFETY: called once, before any reader, says the caller.
    unsafe { LAYOUT.set(probe()?) };
    Ok(())
}
