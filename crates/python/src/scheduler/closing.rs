//! `Scheduler.close()`, `wait_and_close()`, and `async with`.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::waiting::{close_coroutine, wait_coroutine};
use super::{FILE, is_exact, or_none, scheduler, shields, watching};
use crate::args::Signature;
use crate::coroutine::{CoroutineDef, FunctionDef, Slots, await_object, coroutine, yield_none};
use crate::futures;
use crate::gather;
use crate::names::names;
use crate::object::{Ref, Res, call_method, raised_matches, take_raised};
use crate::shield;
use crate::timeouts;
use crate::wait_for;

static CLOSE: CoroutineDef = CoroutineDef::method(FILE, c"close", c"Scheduler.close");
static WAIT_AND_CLOSE: CoroutineDef =
    CoroutineDef::method(FILE, c"wait_and_close", c"Scheduler.wait_and_close");
static AENTER: CoroutineDef = CoroutineDef::method(FILE, c"__aenter__", c"Scheduler.__aenter__");
static AEXIT: CoroutineDef = CoroutineDef::method(FILE, c"__aexit__", c"Scheduler.__aexit__");

pub(super) static METHODS: [&FunctionDef; 4] = [
    &FunctionDef {
        name: c"close",
        module: c"rasyncio.scheduler",
        doc: c"Cancel all jobs and shielded tasks, and wait for their end.\n\n\
               Pending jobs never start. What does not end within close_timeout seconds is told\n\
               to the exception handler.",
        signature: "(self)",
        call: close,
    },
    &FunctionDef {
        name: c"wait_and_close",
        module: c"rasyncio.scheduler",
        doc: c"Wait for all jobs and shielded tasks, and close the scheduler.\n\n\
               What has not ended after timeout seconds, or wait_timeout, is cancelled.",
        signature: "(self, timeout=None)",
        call: wait_and_close,
    },
    &FunctionDef {
        name: c"__aenter__",
        module: c"rasyncio.scheduler",
        doc: c"Return the scheduler.",
        signature: "(self)",
        call: aenter,
    },
    &FunctionDef {
        name: c"__aexit__",
        module: c"rasyncio.scheduler",
        doc: c"Wait for all jobs and shielded tasks, and close the scheduler.",
        signature: "(self, exc_type, exc_val, exc_tb)",
        call: aexit,
    },
];

static CLOSE_PARAMETERS: Signature = Signature::required("Scheduler.close", &[]);
static WAIT_PARAMETERS: Signature =
    Signature::required("Scheduler.wait_and_close", &[]).optional(&["timeout"]);
static AENTER_PARAMETERS: Signature = Signature::required("Scheduler.__aenter__", &[]);
static AEXIT_PARAMETERS: Signature =
    Signature::required("Scheduler.__aexit__", &["exc_type", "exc_val", "exc_tb"]);

const SCHEDULER: usize = 0;
const TIMEOUT: usize = 1;
const SCOPE: usize = 2;
const AWAITED: usize = 3;

vectorcall!(close, |this, CLOSE_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None, None, None];
    coroutine(&CLOSE, held, |slots: Slots<4>| async move {
        close_all(slots).await?;
        Ok(Ref::none())
    })
});

vectorcall!(wait_and_close, |this, WAIT_PARAMETERS [timeout]| {
    let held = [Some(Ref::borrow(this)), Some(or_none(timeout)), None, None];
    coroutine(&WAIT_AND_CLOSE, held, wait_body)
});

vectorcall!(aenter, |this, AENTER_PARAMETERS []| {
    coroutine(&AENTER, [Some(Ref::borrow(this))], |slots: Slots<1>| async move {
        Ok(slots.take(0).unwrap_or_else(Ref::none))
    })
});

vectorcall!(aexit, |this, AEXIT_PARAMETERS [_exc_type, _exc_val, _exc_tb]| {
    let held = [Some(Ref::borrow(this)), Some(Ref::none()), None, None];
    if is_exact(this) {
        coroutine(&AEXIT, held, wait_body)
    } else {
        coroutine(&AEXIT, held, exit_by_name)
    }
});

/// A subclass may have its own `wait_and_close()`.
async fn exit_by_name(slots: Slots<4>) -> Res {
    // SAFETY: the slot keeps the scheduler alive.
    let waiting = unsafe { call_method(slots.get(SCHEDULER), names().wait_and_close, &[])? };
    await_object(slots.set(AWAITED, waiting)).await?;
    Ok(Ref::none())
}

async fn wait_body(slots: Slots<4>) -> Res {
    let this = slots.get(SCHEDULER);
    // SAFETY: the slots keep scheduler and timeout alive, as long as the body.
    unsafe {
        if slots.get(TIMEOUT) == ffi::Py_None() {
            slots.set(TIMEOUT, or_none(scheduler(this).wait_timeout));
        }
        let scope = timeouts::timeout_in(slots.get(TIMEOUT))?;
        let scope = slots.set(SCOPE, scope).cast();
        timeouts::enter(scope)?;
        let outcome = wait_for_all(slots).await.map(|()| Ref::none());
        match timeouts::exit_with(scope, outcome) {
            // Closing is what is to be done about it.
            Err(raised) if raised_matches(&raised, ffi::PyExc_TimeoutError) => {
                drop(take_raised(raised));
            }
            outcome => drop(outcome?),
        }
        if is_exact(this) {
            close_all(slots).await?;
        } else {
            let closing = call_method(this, names().close, &[])?;
            await_object(slots.set(AWAITED, closing)).await?;
        }
        Ok(Ref::none())
    }
}

/// Waits until there are neither jobs nor shielded futures, those that come meanwhile included.
async fn wait_for_all(slots: Slots<4>) -> Res<()> {
    let this = slots.get(SCHEDULER);
    // SAFETY: the slot keeps the scheduler alive, as long as the body.
    unsafe {
        loop {
            let shielded = shields(this)?;
            if scheduler(this).state.is_empty() && shielded.is_empty() {
                return Ok(());
            }
            let gathering = gather_each(this, |job| wait_coroutine(job), shielded, Ok)?;
            if futures::is_done(gathering.ptr())? {
                // All have ended, their callbacks are still to run: eager tasks end so.
                drop(gathering);
                yield_none().await?;
            } else {
                let shielded = shield::outer_of(&gathering)?;
                drop(gathering);
                await_object(slots.set(AWAITED, shielded)).await?;
            }
        }
    }
}

async fn close_all(slots: Slots<4>) -> Res<()> {
    let this = slots.get(SCHEDULER);
    // SAFETY: the slot keeps the scheduler alive, as long as the body.
    unsafe {
        let state = &scheduler(this).state;
        if state.is_closed() {
            return Ok(());
        }
        state.close()?;
        if let Some(gathering) = close_each(this)? {
            await_object(slots.set(AWAITED, gathering)).await?;
            state.take().for_each(drop);
        }
        if let Some(watcher) = watching::end(this)? {
            await_object(slots.set(AWAITED, watcher)).await?;
        }
    }
    Ok(())
}

/// Cancels all. Answers what waits for their ends, for the time that they have; None if there
/// is nobody.
unsafe fn close_each(this: *mut PyObject) -> Res<Option<Ref>> {
    // SAFETY: a scheduler, alive, says the caller.
    unsafe {
        let shielded = shields(this)?;
        if scheduler(this).state.is_empty() && shielded.is_empty() {
            return Ok(None);
        }
        for shielded in &shielded {
            futures::cancel(shielded.ptr(), ptr::null_mut())?;
        }
        let timeout = or_none(scheduler(this).close_timeout);
        let gathering = gather_each(
            this,
            |job| close_coroutine(job, timeout.clone()),
            shielded,
            |shielded| wait_for::new(shielded, timeout.clone()),
        )?;
        Ok(Some(gathering))
    }
}

/// `gather(*what is to be done with each job, *with each shielded future,
/// return_exceptions=True)`
unsafe fn gather_each(
    this: *mut PyObject,
    each_job: impl Fn(*mut PyObject) -> Res,
    shielded: Vec<Ref>,
    each_shielded: impl Fn(Ref) -> Res,
) -> Res {
    let mut all = Vec::new();
    // SAFETY: a scheduler, alive, says the caller; the vector keeps the arguments alive.
    unsafe {
        for job in scheduler(this).state.jobs() {
            all.push(each_job(job.ptr())?);
        }
        for shielded in shielded {
            all.push(each_shielded(shielded)?);
        }
        let arguments: Vec<_> = all.iter().map(Ref::ptr).collect();
        gather::gather_all(&arguments, true)
    }
}
