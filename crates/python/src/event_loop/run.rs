//! Turning the loop: `run_forever`, and what surrounds it.

use core::cell::Cell;
use core::ptr;
use core::time::Duration;
use std::io;

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::{Driver, Flow, Job, Time};

use super::LoopCore;
use super::core::os_error;
use crate::contexts;
use crate::futures;
use crate::jobs;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, import, raise_instance, raised_matches, repr, runtime_error,
    take_raised, while_handling,
};
use crate::stdlib::stdlib;

thread_local! {
    /// The loop of ours that runs in this thread, borrowed; NULL if none does.
    static RUNNING: Cell<*mut PyObject> = const { Cell::new(ptr::null_mut()) };
}

/// The loop of ours that runs in this thread, borrowed, or NULL.
#[inline]
pub(crate) fn running_native() -> *mut PyObject {
    RUNNING.get()
}

/// The core of the loop of ours that runs in this thread.
pub(crate) fn running_core() -> Res<&'static LoopCore> {
    super::any_native(running_native())
        .ok_or_else(|| runtime_error("no event loop of ours is running"))
}

/// Tells the thread which loop runs. In a forked child none does.
pub(crate) fn set_running_native(loop_: *mut PyObject) {
    RUNNING.set(loop_);
}

/// Releases the GIL around the poll, and runs signal handlers.
pub(super) struct Attached<'a>(pub(super) &'a LoopCore);

impl Driver for Attached<'_> {
    type Error = Raised;

    const EVERY_TURN: bool = true;

    #[inline]
    fn run(&mut self, job: Job) -> Flow {
        jobs::run(self.0, job)
    }

    fn park<R>(&mut self, block: impl FnOnce() -> R) -> R {
        // SAFETY: attached now; `block` touches no Python object (crate invariant).
        unsafe {
            let state = ffi::PyEval_SaveThread();
            let answer = block();
            ffi::PyEval_RestoreThread(state);
            answer
        }
    }

    fn interrupted(&mut self) -> Res<()> {
        // SAFETY: attached.
        check(unsafe { ffi::PyErr_CheckSignals() })
    }

    fn poll_failed(&mut self, error: io::Error) -> Raised {
        os_error(&error)
    }

    #[inline]
    fn time(&mut self) -> Res<Option<Time>> {
        self.0.replaced_engine_time()
    }

    #[inline]
    fn select(&mut self, patience: Option<Duration>) -> Res<bool> {
        self.0.replaced_select(patience)
    }

    #[inline]
    fn selects(&self) -> bool {
        self.0.is_select_replaced()
    }

    fn tick(&mut self) -> Res<()> {
        self.0.contexts().leave()?;
        // Whoever looks while the loop sleeps must find no current task.
        self.0.leave_stale_task()?;
        contexts::forget();
        self.interrupted()
    }
}

/// `loop.run_forever()`
pub(super) fn run_forever(core: &LoopCore) -> Res<()> {
    core.check_closed()?;
    check_not_running(core)?;
    // SAFETY: the loop object is alive while one of its methods runs.
    let owner = unsafe { Ref::borrow(core.owner()) };
    let tracking = owner.attr(names()._set_coroutine_origin_tracking)?;
    tracking.call1(Ref::bool(core.debug()).ptr())?;
    let sys = import(c"sys")?;
    let former_hooks = sys.call_method(names().get_asyncgen_hooks, &[])?;
    let first = owner.attr(names()._asyncgen_firstiter_hook)?;
    let finalizer = owner.attr(names()._asyncgen_finalizer_hook)?;
    let set_hooks = sys.attr(names().set_asyncgen_hooks)?;
    set_hooks.call(&[first.ptr(), finalizer.ptr()])?;
    tell_running(owner.ptr())?;
    // SAFETY: no precondition.
    core.set_thread(unsafe { ffi::PyThread_get_thread_ident() });
    let outer = RUNNING.replace(owner.ptr());
    let former = core.contexts().begin();
    core.mirror().begin();

    let outcome = match core.engine().run(&mut Attached(core)) {
        Ok(Flow::Continue) => Ok(()),
        Ok(Flow::Stop) => Err(Raised::set()),
        Err(raised) => Err(raised),
    };

    let failure = outcome.err().map(take_raised);
    let left = core.contexts().end(former).map_err(take_raised);
    let failure = failure.or(left.err());
    contexts::forget();
    RUNNING.set(outer);
    core.set_thread(0);
    core.mirror().end();
    let restored = (|| {
        core.leave_stale_task()?;
        // SAFETY: the address of an immortal object.
        tell_running(unsafe { ffi::Py_None() })?;
        tracking.call1(Ref::bool(false).ptr())?;
        // SAFETY: the hooks are a tuple of two.
        unsafe {
            let first = ffi::PyTuple_GetItem(former_hooks.ptr(), 0);
            let finalizer = ffi::PyTuple_GetItem(former_hooks.ptr(), 1);
            set_hooks.call(&[first, finalizer]).map(drop)
        }
    })();
    match failure {
        Some(exception) => Err(raise_instance(exception)),
        None => restored,
    }
}

/// Notes which loop runs in this thread, or None. A program that has put a Python function in the
/// place of asyncio's own asks that one's kin, so it is told as well.
fn tell_running(loop_: *mut PyObject) -> Res<()> {
    stdlib().set_running_loop.call1(loop_)?;
    let current = import(c"asyncio.events")?.attr(names()._set_running_loop)?;
    // SAFETY: alive.
    if unsafe { ffi::PyFunction_Check(current.ptr()) } != 0 {
        current.call1(loop_)?;
    }
    Ok(())
}

fn check_not_running(core: &LoopCore) -> Res<()> {
    if core.thread() != 0 {
        return Err(runtime_error("This event loop is already running"));
    }
    if !stdlib().get_running_loop_or_none.call0()?.is_none() {
        return Err(runtime_error(
            "Cannot run the event loop while another loop is running",
        ));
    }
    Ok(())
}

/// What a native callback raised goes to the exception handler of the loop of `subject`
/// (a future, or what else the callback is about). KeyboardInterrupt and SystemExit pass.
#[inline]
pub(crate) fn report_callback_error(outcome: Res<()>, subject: *mut PyObject) -> Res<()> {
    match outcome {
        Ok(()) => Ok(()),
        Err(raised) => report(raised, subject),
    }
}

#[cold]
fn report(raised: Raised, subject: *mut PyObject) -> Res<()> {
    // SAFETY: static classes; `subject` is alive.
    unsafe {
        if raised_matches(&raised, ffi::PyExc_KeyboardInterrupt)
            || raised_matches(&raised, ffi::PyExc_SystemExit)
        {
            return Err(raised);
        }
        let exception = take_raised(raised);
        let loop_ = if futures::as_native(subject).is_some() {
            futures::get_loop(subject)?
        } else {
            crate::events::running_loop()?
        };
        let context = Ref::dict()?;
        let message = Ref::str(&format!("Exception in callback of {}", repr(subject)?))?;
        check(ffi::PyDict_SetItem(
            context.ptr(),
            names().message,
            message.ptr(),
        ))?;
        check(ffi::PyDict_SetItem(
            context.ptr(),
            names().exception,
            exception.ptr(),
        ))?;
        while_handling(&exception, || {
            loop_
                .call_method(names().call_exception_handler, &[context.ptr()])
                .map(drop)
        })
    }
}
