//! The contexts that handles and tasks run in, without a copy for each.
//!
//! asyncio gives every handle and every task its own copy of the current context. Most never
//! set a variable, so here those made under the same variables share one **snapshot**, which
//! nobody ever enters or sees. To run, each borrows the **working copy** of it and gives it
//! back for the next. Whoever has changed a variable meanwhile, or left somebody a hold of the
//! working copy (a token does that), keeps it as its own from then on; so does whoever is
//! asked for its context while it runs. Asked at another time, it is given a copy of the
//! snapshot to keep. So what was shown, or can tell from others, belongs to one alone.
//!
//! "The same variables" means the same mapping object inside the contexts (`layout`). Where
//! the interpreter does not let us see it, each handle and each task gets its copy.
//!
//! What is kept here for the next to come would keep the values of variables alive. It is let
//! go of when the loop polls, and when the context dies that they were set in.

mod entered;
mod layout;

use core::cell::Cell;
use core::ptr;

use pyo3::ffi::{self, PyObject};

pub(crate) use entered::{Entered, Stay};

use crate::object::{Ref, Res, counts, import};

struct Kept(Cell<*mut PyObject>);

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Kept {}

impl Kept {
    /// Takes the context out, with its reference.
    fn take(&self) -> Option<Ref> {
        // SAFETY: the cell owned it.
        unsafe { Ref::own_opt(self.0.replace(ptr::null_mut())) }
    }

    fn put(&self, context: Ref) {
        let former = self.take();
        self.0.set(context.into_ptr());
        drop(former);
    }
}

/// The latest snapshot; owned.
static SNAPSHOT: Kept = Kept(Cell::new(ptr::null_mut()));
/// The working copy, while nothing runs in it; owned. A loop that has stayed in it between
/// two jobs knows that itself (`Entered`).
static WORKING: Kept = Kept(Cell::new(ptr::null_mut()));

/// Lets go of what is kept for the next to come.
pub(crate) fn forget() {
    drop(SNAPSHOT.take());
    drop(WORKING.take());
}

/// What a handle or a task knows of the context that it runs in: 8 bytes, a context with a
/// mark in its lowest bits.
#[repr(transparent)]
pub(crate) struct RunContext(*mut PyObject);

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Mark {
    /// Its own, or one that the program has given.
    Own = 0,
    /// A snapshot that others have too.
    Snapshot = 1,
    /// The working copy, borrowed for the time of a run.
    Working = 2,
}

const MARKS: usize = 3;

impl RunContext {
    pub(crate) const EMPTY: RunContext = RunContext(ptr::null_mut());

    fn new(context: Ref, mark: Mark) -> RunContext {
        RunContext(
            context
                .into_ptr()
                .map_addr(|address| address | mark as usize),
        )
    }

    /// A copy of the current context as it is now.
    #[inline]
    pub(crate) fn current() -> Res<RunContext> {
        // SAFETY: attached; the snapshot is owned by its cell.
        unsafe {
            // There is none where the layout is unknown.
            let snapshot = SNAPSHOT.0.get();
            if !snapshot.is_null() {
                let current = *layout::current(ffi::PyThreadState_Get());
                if !current.is_null() && layout::same(current, snapshot) {
                    return Ok(RunContext::new(Ref::borrow(snapshot), Mark::Snapshot));
                }
            }
            RunContext::copy_current()
        }
    }

    #[cold]
    fn copy_current() -> Res<RunContext> {
        // SAFETY: attached.
        let copy = unsafe { Ref::checked(ffi::PyContext_CopyCurrent())? };
        Ok(if layout::is_known() {
            SNAPSHOT.put(copy.clone());
            RunContext::new(copy, Mark::Snapshot)
        } else {
            RunContext::own(copy)
        })
    }

    /// A context that is the owner's alone, or the program's business.
    #[inline]
    pub(crate) fn own(context: Ref) -> RunContext {
        RunContext::new(context, Mark::Own)
    }

    /// The given context, or (for NULL and None) a copy of the current one.
    #[inline]
    pub(crate) unsafe fn given(context: *mut PyObject) -> Res<RunContext> {
        // SAFETY: `context` is alive or NULL, says the caller.
        unsafe {
            if context.is_null() || ptr::eq(context, ffi::Py_None()) {
                RunContext::current()
            } else {
                Ok(RunContext::own(Ref::borrow(context)))
            }
        }
    }

    /// What the collector must see.
    #[inline]
    pub(crate) fn ptr(&self) -> *mut PyObject {
        self.0.map_addr(|address| address & !MARKS)
    }

    #[inline]
    fn mark(&self) -> Mark {
        match self.0.addr() & MARKS {
            0 => Mark::Own,
            1 => Mark::Snapshot,
            _ => Mark::Working,
        }
    }

    /// Whether nobody but its owner, and a thread that is in it, holds the context: so that
    /// values of variables may go with the owner.
    #[inline]
    pub(crate) fn may_die(&self) -> bool {
        let context = self.ptr();
        // SAFETY: alive through self. The values of a snapshot live on in the working copy.
        self.mark() == Mark::Own && !context.is_null() && unsafe { ffi::Py_REFCNT(context) <= 2 }
    }

    /// Whether it is this working copy, borrowed.
    #[inline]
    fn is_working(&self, context: *mut PyObject) -> bool {
        self.0.addr() == context.addr() | Mark::Working as usize
    }

    /// Takes it out of an object, leaving nothing.
    #[inline]
    pub(crate) unsafe fn take(this: *mut RunContext) -> RunContext {
        // SAFETY: part of a live object, says the caller.
        unsafe { ptr::replace(this, RunContext::EMPTY) }
    }

    /// The context as others may see it, which from now on is the owner's alone; None if
    /// there is none.
    pub(crate) unsafe fn show(this: *mut RunContext) -> Res {
        // SAFETY: part of a live object, says the caller; no borrow is held where the copy may
        // run the collector.
        unsafe {
            let Some(context) = Ref::borrow_opt((*this).ptr()) else {
                return Ok(Ref::none());
            };
            match (*this).mark() {
                Mark::Own => Ok(context),
                Mark::Working => {
                    (*this).0 = context.ptr();
                    Ok(context)
                }
                Mark::Snapshot => {
                    let copy = Ref::checked(ffi::PyContext_Copy(context.ptr()))?;
                    if ptr::eq((*this).ptr(), context.ptr()) {
                        drop(ptr::replace(this, RunContext::own(copy)));
                    }
                    // Or what it has become meanwhile.
                    RunContext::show(this)
                }
            }
        }
    }
}

impl Drop for RunContext {
    #[inline]
    fn drop(&mut self) {
        let context = self.ptr();
        if context.is_null() {
            return;
        }
        // SAFETY: owned by self.
        unsafe {
            if self.mark() == Mark::Own && ffi::Py_REFCNT(context) == 1 {
                forget_variables_of(context);
            }
            counts::decrement(context);
        }
    }
}

/// A dying context takes along what was kept of its variables: their values are to live no
/// longer than in asyncio.
unsafe fn forget_variables_of(context: *mut PyObject) {
    // Nothing is kept where the layout is unknown.
    for kept in [&SNAPSHOT, &WORKING] {
        let held = kept.0.get();
        // SAFETY: the context is alive still, and the other owned by its cell.
        if !held.is_null() && unsafe { layout::same(held, context) } {
            drop(kept.take());
        }
    }
}

/// Called once by the module's initialisation.
pub(crate) unsafe fn init() -> Res<()> {
    import(c"contextvars")?;
    // SAFETY: called once, says the caller.
    unsafe { layout::init() }
}
