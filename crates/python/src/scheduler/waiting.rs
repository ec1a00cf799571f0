//! `Job.wait()` and `Job.close()`.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::job::{self, JobRef, fields_mut, is_exception, job};
use super::{FILE, or_none, scheduler};
use crate::args::Signature;
use crate::coroutine::{CoroutineDef, FunctionDef, Slots, await_object, coroutine, raised_during};
use crate::events;
use crate::futures;
use crate::locks::event::wait_for_event;
use crate::object::{Ref, Res, raise_instance, raised_matches, take_raised};
use crate::shield;
use crate::stdlib::cancelled_error;
use crate::timeouts;

static WAIT: CoroutineDef = CoroutineDef::method(FILE, c"wait", c"Job.wait");
static INNER_WAIT: CoroutineDef = CoroutineDef::method(FILE, c"_wait", c"Job._wait");
static DO_WAIT: CoroutineDef = CoroutineDef::method(FILE, c"_do_wait", c"Job._do_wait");
static CLOSE: CoroutineDef = CoroutineDef::method(FILE, c"close", c"Job.close");
static INNER_CLOSE: CoroutineDef = CoroutineDef::method(FILE, c"_close", c"Job._close");

pub(super) static WAIT_METHOD: FunctionDef = FunctionDef {
    name: c"wait",
    module: c"rasyncio.scheduler",
    doc: c"Wait for the job, and return the result of its coroutine or raise its exception.\n\n\
           If it takes longer than timeout seconds the job is closed: TimeoutError. Cancelling\n\
           who waits does not cancel the job.",
    signature: "(self, *, timeout=None)",
    call: wait,
};
pub(super) static CLOSE_METHOD: FunctionDef = FunctionDef {
    name: c"close",
    module: c"rasyncio.scheduler",
    doc: c"Cancel the job and wait for its end.\n\n\
           TimeoutError if it does not end within timeout seconds, or the scheduler's\n\
           close_timeout. A pending job never starts.",
    signature: "(self, *, timeout=None)",
    call: close,
};

static WAIT_PARAMETERS: Signature = Signature::required("Job.wait", &[]).keywords(&["timeout"]);
static CLOSE_PARAMETERS: Signature = Signature::required("Job.close", &[]).keywords(&["timeout"]);

const JOB: usize = 0;
const TIMEOUT: usize = 1;
/// In `wait` the shielding future; in the others the `Timeout`.
const SCOPE: usize = 2;
/// In `wait` the exception; in `_do_wait` what says that the job was started; in `close` the task.
const OTHER: usize = 3;
/// The scheduler, which a job forgets when it has ended.
const SCHEDULER: usize = 4;

type Held = Slots<5>;

vectorcall!(wait, |this, WAIT_PARAMETERS [timeout]| {
    coroutine(&WAIT, held(this, or_none(timeout)), wait_body)
});

vectorcall!(close, |this, CLOSE_PARAMETERS [timeout]| {
    coroutine(&CLOSE, held(this, or_none(timeout)), close_body)
});

async fn wait_body(slots: Held) -> Res {
    // SAFETY: the slot keeps the job alive, as long as the body.
    unsafe {
        let this = slots.get(JOB);
        let task = job(this).task;
        if job(this).closed && !task.is_null() {
            return await_object(slots.set(OTHER, Ref::borrow(task))).await;
        }
        (*fields_mut(this)).explicit = true;
    }
    wait_shielded(slots).await
}

async fn close_body(slots: Held) -> Res {
    // SAFETY: the slots keep the job alive, as long as the body.
    unsafe {
        let this = slots.get(JOB);
        if job(this).closed {
            return Ok(Ref::none());
        }
        (*fields_mut(this)).explicit = true;
        let owner = job(this).scheduler;
        if slots.get(TIMEOUT) == ffi::Py_None() && !owner.is_null() {
            slots.set(TIMEOUT, or_none(scheduler(owner).close_timeout));
        }
    }
    close_within(slots).await
}

unsafe fn held(this: *mut PyObject, timeout: Ref) -> [Option<Ref>; 5] {
    // SAFETY: alive, says the caller.
    let this = unsafe { Ref::borrow(this) };
    [Some(this), Some(timeout), None, None, None]
}

/// A coroutine that waits for a job that nobody has asked about: for the scheduler.
pub(super) unsafe fn wait_coroutine(this: *mut PyObject) -> Res {
    // SAFETY: a job, alive, says the caller.
    coroutine(
        &INNER_WAIT,
        unsafe { held(this, Ref::none()) },
        wait_shielded,
    )
}

/// A coroutine that closes a job: for the scheduler.
pub(super) unsafe fn close_coroutine(this: *mut PyObject, timeout: Ref) -> Res {
    // SAFETY: a job, alive, says the caller.
    coroutine(&INNER_CLOSE, unsafe { held(this, timeout) }, close_within)
}

/// Waits in a task of its own, so that cancelling who waits stops here.
async fn wait_shielded(slots: Held) -> Res {
    let this = slots.get(JOB);
    // SAFETY: the slots keep the job alive, as long as the body.
    let shield = unsafe {
        let Some(owner) = Ref::borrow_opt(job(this).scheduler) else {
            // It has ended since somebody wanted to wait for it.
            return await_object(slots.set(OTHER, or_none(job(this).task))).await;
        };
        slots.set(SCHEDULER, owner);
        let timeout = slots.take(TIMEOUT).unwrap_or_else(Ref::none);
        let inner = coroutine(&DO_WAIT, held(this, timeout), do_wait)?;
        let inner = events::ensure_future(inner.ptr(), ptr::null_mut())?;
        match futures::is_done(inner.ptr())? {
            true => inner,
            false => shield::outer_of(&inner)?,
        }
    };
    match await_object(slots.set(SCOPE, shield)).await {
        Err(raised) if !raised_matches(&raised, cancelled_error()) && is_exception(&raised) => {
            slots.set(OTHER, take_raised(raised));
            // SAFETY: the slots keep job and scheduler alive.
            let closing = unsafe {
                let timeout = or_none(scheduler(slots.get(SCHEDULER)).close_timeout);
                close_coroutine(this, timeout)?
            };
            let closed = await_object(slots.set(SCOPE, closing)).await;
            let exception = slots.take(OTHER).unwrap_or_else(Ref::none);
            Err(match closed {
                Ok(_) => raise_instance(exception),
                Err(newer) => raised_during(newer, exception),
            })
        }
        outcome => outcome,
    }
}

async fn do_wait(slots: Held) -> Res {
    let scope = timeouts::timeout_in(slots.get(TIMEOUT))?;
    let scope = slots.set(SCOPE, scope).cast();
    // SAFETY: the slot keeps the timeout alive.
    unsafe {
        timeouts::enter(scope)?;
        let outcome = started_and_ended(slots).await;
        timeouts::exit_with(scope, outcome)
    }
}

async fn started_and_ended(slots: Held) -> Res {
    let this = slots.get(JOB);
    // SAFETY: the slot keeps the job alive, as long as the body.
    unsafe {
        let bound_to = &raw mut (*fields_mut(this)).started_loop;
        wait_for_event(&job(this).started, this, bound_to, slots, OTHER).await?;
        await_object(slots.set(OTHER, or_none(job(this).task))).await
    }
}

async fn close_within(slots: Held) -> Res {
    let this = slots.get(JOB);
    // SAFETY: the slots keep all alive, as long as the body.
    unsafe {
        (*fields_mut(this)).closed = true;
        if let Some(owner) = Ref::borrow_opt(job(this).scheduler) {
            let owner = slots.set(SCHEDULER, owner);
            if job(this).task.is_null() {
                scheduler(owner).state.withdraw(&JobRef::borrow(this))?;
            }
        }
        if job(this).task.is_null() {
            // It is cancelled before its first step, and so ends like any other.
            job::start(this)?;
        }
        let task = slots.set(OTHER, or_none(job(this).task));
        futures::cancel(task, ptr::null_mut())?;
        let scope = timeouts::timeout_in(slots.get(TIMEOUT))?;
        let scope = slots.set(SCOPE, scope).cast();
        timeouts::enter(scope)?;
        let outcome = await_object(task).await;
        let Err(raised) = timeouts::exit_with(scope, outcome) else {
            return Ok(Ref::none());
        };
        if raised_matches(&raised, cancelled_error()) {
            drop(take_raised(raised));
            return Ok(Ref::none());
        }
        if job(this).explicit || !is_exception(&raised) {
            return Err(raised);
        }
        let timed_out = raised_matches(&raised, ffi::PyExc_TimeoutError);
        let exception = take_raised(raised);
        let owner = slots.get(SCHEDULER);
        if timed_out && !owner.is_null() {
            job::report_failure(this, owner, "Job closing timed out", exception.ptr())?;
        }
        Ok(Ref::none())
    }
}
