//! `Scheduler.spawn()`.

use core::ptr;

use pyo3::ffi::PyObject;
use rasyncio::scheduler::state::{Admission, AdmitError};

use super::job::{self, JobRef};
use super::waiting::close_coroutine;
use super::{FILE, State, or_none, scheduler, watching};
use crate::args::Signature;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, await_future, await_object, coroutine, finally, raised_during,
};
use crate::events;
use crate::futures;
use crate::locks::waiter::{Answer, InLine, PyWaiter};
use crate::object::{Raised, Ref, Res, raise_instance, raised_matches, runtime_error, take_raised};
use crate::stdlib::cancelled_error;

static SPAWN: CoroutineDef = CoroutineDef::method(FILE, c"spawn", c"Scheduler.spawn");

pub(super) static SPAWN_METHOD: FunctionDef = FunctionDef {
    name: c"spawn",
    module: c"rasyncio.scheduler",
    doc: c"Run a coroutine in the background, and return its Job.\n\n\
           It starts at once, or is pending while the limit is reached. If pending_limit is\n\
           reached, too, spawn() waits until there is room.",
    signature: "(self, coro, name=None)",
    call: spawn,
};

static PARAMETERS: Signature =
    Signature::required("Scheduler.spawn", &["coro"]).optional(&["name"]);

const SCHEDULER: usize = 0;
const CORO: usize = 1;
/// The name, and then the job.
const JOB: usize = 2;
/// What is waited for; and, when that was cancelled, the exception.
const WAITER: usize = 3;
const CLOSING: usize = 4;

vectorcall!(spawn, |this, PARAMETERS [coro, name]| {
    let held = [Some(Ref::borrow(this)), Some(Ref::borrow(coro)), Some(or_none(name)), None, None];
    coroutine(&SPAWN, held, body)
});

fn refused() -> Raised {
    runtime_error("Scheduling a new job after closing")
}

async fn body(slots: Slots<5>) -> Res {
    let this = slots.get(SCHEDULER);
    // SAFETY: the slots keep scheduler and job alive, as long as the body.
    unsafe {
        let state = &scheduler(this).state;
        if state.is_closed() {
            return Err(refused());
        }
        watching::bind(this)?;
        let name = slots.take(JOB).unwrap_or_else(Ref::none);
        let made = job::new(slots.get(CORO), this, name)?;
        let made = slots.set(JOB, made);
        let mut waited = false;
        while !admit(state, made, waited)? {
            wait(slots).await?;
            waited = true;
        }
        Ok(slots.take(JOB).unwrap_or_else(Ref::none))
    }
}

/// Starts a job or lets it be pending; false if it has to wait for that. (A function of its own,
/// so that what the state answers, which holds the job, is gone before an await.)
unsafe fn admit(state: &State, made: *mut PyObject, waited: bool) -> Res<bool> {
    // SAFETY: a job, alive, says the caller.
    unsafe {
        match state.admit(JobRef::borrow(made), waited) {
            Ok(Admission::Start(job)) => {
                job::start(made)?;
                state.list(job);
                Ok(true)
            }
            Ok(Admission::Pending(_)) => Ok(true),
            Ok(Admission::Wait(_)) => Ok(false),
            Err(AdmitError::Closed(_)) => Err(refused()),
            Err(AdmitError::Failed(raised)) => Err(raised),
        }
    }
}

/// Waits until there may be room for one more pending job. Who is cancelled closes its job.
async fn wait(slots: Slots<5>) -> Res<()> {
    // SAFETY: the slots keep all alive, as long as the body.
    let (state, future) = unsafe {
        let running = events::running_loop()?;
        let future = futures::new_future(running.ptr())?;
        (
            &scheduler(slots.get(SCHEDULER)).state,
            slots.set(WAITER, future),
        )
    };
    // SAFETY: the slot keeps the future alive.
    let waiter = PyWaiter::new(unsafe { Ref::borrow(future) }, Answer::None);
    let ticket = state.spawners().join(waiter);
    let place = InLine::new(state.spawners(), ticket);
    let raised = match await_future(future).await {
        Ok(_) => {
            // Who is woken is in the line no more.
            place.ticket();
            return Ok(());
        }
        Err(raised) => raised,
    };
    let outcome: Res<()> = finally(Err(raised), || {
        let woken = futures::is_done(future)? && !futures::is_cancelled(future)?;
        futures::cancel(future, ptr::null_mut())?;
        state.spawner_gave_up(place.ticket(), woken)
    });
    match outcome {
        Err(raised) if raised_matches(&raised, cancelled_error()) => {
            slots.set(WAITER, take_raised(raised));
            let closed = close(slots).await;
            let cancelled = slots.take(WAITER).unwrap_or_else(Ref::none);
            Err(match closed {
                Ok(()) => raise_instance(cancelled),
                Err(newer) => raised_during(newer, cancelled),
            })
        }
        outcome => outcome,
    }
}

/// The job never starts: its coroutine is closed without a complaint that nobody has awaited it.
async fn close(slots: Slots<5>) -> Res<()> {
    let made: *mut PyObject = slots.get(JOB);
    // SAFETY: the slots keep scheduler and job alive, as long as the body.
    let closing = unsafe {
        (*job::fields_mut(made)).explicit = true;
        let timeout = or_none(scheduler(slots.get(SCHEDULER)).close_timeout);
        close_coroutine(made, timeout)?
    };
    await_object(slots.set(CLOSING, closing)).await.map(drop)
}
