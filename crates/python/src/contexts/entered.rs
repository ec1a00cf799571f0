//! The context in which a loop is between two jobs.
//!
//! A job's context stays entered when the job is over, for the next often runs in the same:
//! entering and leaving costs 5 ns, and the interpreter's cache of variables with it. No code
//! but a job's may find it so. Whoever is about to run any other (another kind of job, the
//! exception handler, a signal handler, the release of what may have a finaliser) calls
//! [`Entered::leave`] first. While a job runs nothing is noted here, so that a turn inside a
//! turn finds an empty note.

use core::cell::Cell;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::{Mark, RunContext, WORKING, layout};
use crate::object::{Ref, Res, check};

/// One loop's note.
pub(crate) struct Entered {
    /// Borrowed: the thread state holds it. NULL for none.
    context: Cell<*mut PyObject>,
    /// Where the thread that runs the loop has its current context. NULL if the loop does not
    /// run, or this is unknown: then no context stays entered.
    current: Cell<*mut *mut PyObject>,
}

/// A job's stay in its context.
#[must_use]
pub(crate) struct Stay {
    /// Borrowed: the thread state holds it.
    context: *mut PyObject,
    /// Owned: what the job has instead when it is over. NULL: it runs in a context of its own.
    snapshot: *mut PyObject,
}

impl Entered {
    pub(crate) const fn new() -> Entered {
        Entered {
            context: Cell::new(ptr::null_mut()),
            current: Cell::new(ptr::null_mut()),
        }
    }

    /// The loop begins to run in this thread. Answers what [`Entered::end`] is to be given.
    pub(crate) fn begin(&self) -> *mut *mut PyObject {
        let here = if layout::is_known() {
            // SAFETY: attached; the layout is known.
            unsafe { layout::current(ffi::PyThreadState_Get()) }
        } else {
            ptr::null_mut()
        };
        self.current.replace(here)
    }

    /// The loop stops running: no context is left entered.
    pub(crate) fn end(&self, former: *mut *mut PyObject) -> Res<()> {
        self.current.set(former);
        self.leave()
    }

    /// Enters the context of a job.
    ///
    /// # Errors
    ///
    /// RuntimeError if it is entered already. Then no context is left entered.
    #[inline(always)]
    pub(crate) unsafe fn enter(&self, job: *mut RunContext) -> Res<Stay> {
        // SAFETY: `job` is part of a live object, says the caller. The layout is known where
        // there is a snapshot.
        unsafe {
            let context = (*job).ptr();
            let entered = self.context.replace(ptr::null_mut());
            if (*job).mark() != Mark::Snapshot {
                if !ptr::eq(entered, context) {
                    change(entered, context)?;
                }
                return Ok(Stay {
                    context,
                    snapshot: ptr::null_mut(),
                });
            }
            let mut working = WORKING.0.replace(ptr::null_mut());
            if entered.is_null() || !ptr::eq(entered, working) || !is_like(working, context) {
                working = enter_working(entered, Ref::own_opt(working), context)?.into_ptr();
            }
            ptr::write(job, RunContext::new(Ref::own(working), Mark::Working));
            Ok(Stay {
                context: working,
                snapshot: context,
            })
        }
    }

    /// The job is over. Its context stays entered, unless it must not be used again.
    #[inline(always)]
    pub(crate) unsafe fn exit(&self, job: *mut RunContext, stay: Stay) -> Res<()> {
        let Stay { context, snapshot } = stay;
        let current = self.current.get();
        // SAFETY: as for `enter`; the stay's context is alive while it is entered. The place of
        // the current one is that of this thread, which runs the loop.
        unsafe {
            // If another is current, somebody has entered it and not left: an error which is
            // the interpreter's to raise.
            if current.is_null() || !ptr::eq(*current, context) {
                return part(job, context, snapshot);
            }
            if !snapshot.is_null() {
                let is_free = WORKING.0.get().is_null();
                if !is_free || !(*job).is_working(context) || !is_like(context, snapshot) {
                    return part(job, context, snapshot);
                }
                WORKING.0.set(context);
                ptr::write(job, RunContext::new(Ref::own(snapshot), Mark::Snapshot));
            }
            self.context.set(context);
        }
        Ok(())
    }

    /// Leaves the context of the latest job, if the loop is still in it.
    #[inline]
    pub(crate) fn leave(&self) -> Res<()> {
        let entered = self.context.replace(ptr::null_mut());
        if entered.is_null() {
            return Ok(());
        }
        // SAFETY: it is entered, hence alive.
        unsafe { quit(entered) }
    }
}

/// Whether an entered working copy may stand for a snapshot: it has the same variables, and
/// nobody holds it but its owner and the thread state.
#[inline]
unsafe fn is_like(working: *mut PyObject, snapshot: *mut PyObject) -> bool {
    // SAFETY: both alive, says the caller, and the layout is known where there is a snapshot.
    unsafe { layout::same(working, snapshot) && ffi::Py_REFCNT(working) == 2 }
}

/// Leaves a context, and holds it meanwhile: the thread state may be the last to have it, after a
/// task that nobody has, and the interpreter writes to what it has let go of.
unsafe fn quit(context: *mut PyObject) -> Res<()> {
    // SAFETY: it is entered, hence alive, says the caller.
    unsafe {
        let held = Ref::borrow(context);
        check(ffi::PyContext_Exit(held.ptr()))
    }
}

#[cold]
#[inline(never)]
unsafe fn change(entered: *mut PyObject, context: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, the first may be NULL.
    unsafe {
        if !entered.is_null() {
            quit(entered)?;
        }
        check(ffi::PyContext_Enter(context))
    }
}

/// Enters a working copy of `snapshot`: `kept` if it serves, otherwise a new one.
#[cold]
#[inline(never)]
unsafe fn enter_working(entered: *mut PyObject, kept: Option<Ref>, snapshot: *mut PyObject) -> Res {
    // SAFETY: all alive, `entered` may be NULL; the layout is known.
    unsafe {
        if !entered.is_null() {
            quit(entered)?;
        }
        let serves =
            |kept: &Ref| ffi::Py_REFCNT(kept.ptr()) == 1 && layout::same(kept.ptr(), snapshot);
        let working = match kept.filter(serves) {
            Some(kept) => kept,
            None => Ref::checked(ffi::PyContext_Copy(snapshot))?,
        };
        check(ffi::PyContext_Enter(working.ptr()))?;
        Ok(working)
    }
}

/// A job leaves its context for good. A working copy becomes its own, unless that is still
/// like the snapshot.
#[cold]
#[inline(never)]
unsafe fn part(job: *mut RunContext, context: *mut PyObject, snapshot: *mut PyObject) -> Res<()> {
    // SAFETY: `job` is part of a live object, says the caller; the snapshot is owned, or NULL;
    // the thread state keeps the context until it is left.
    unsafe {
        if let Some(snapshot) = Ref::own_opt(snapshot)
            && (*job).is_working(context)
        {
            if is_like(context, snapshot.ptr()) {
                let snapshot = RunContext::new(snapshot, Mark::Snapshot);
                drop(ptr::replace(job, snapshot));
            } else {
                drop(RunContext::show(job));
            }
        }
        quit(context)
    }
}
