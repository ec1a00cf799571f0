//! `asyncio.wait_for`.
//!
//! From Python 3.12 on, the awaitable is awaited in the calling task, inside a timeout. So
//! nothing is lost when result and cancellation come together, and a coroutine costs no task
//! of its own. Python 3.11 does it in another way, which its own tests hold on to.

#[cfg(not(Py_3_12))]
mod python311;

use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::args::Signature;
use crate::awaited_by;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, add_function, await_future, await_object, coroutine, finally,
    raise_from,
};
use crate::events;
use crate::futures;
use crate::object::{Ref, Res, raised_matches, take_raised};
use crate::stdlib::cancelled_error;
#[cfg(Py_3_12)]
use crate::timeouts;
use crate::timer;

static WAIT_FOR: CoroutineDef = CoroutineDef::new(c"<rasyncio.tasks>", c"wait_for");
static CANCEL_AND_WAIT: CoroutineDef = CoroutineDef::new(c"<rasyncio.tasks>", c"_cancel_and_wait");

static FUNCTION: FunctionDef = FunctionDef {
    name: c"wait_for",
    module: c"rasyncio.tasks",
    doc: c"Wait for the single Future or coroutine to complete, with timeout.\n\n\
           Returns result of the Future or coroutine.  When a timeout occurs, it cancels fut\n\
           and raises TimeoutError.  To prevent fut from being cancelled, wrap it in shield().\n\n\
           If the wait is cancelled, fut is also cancelled.  If fut suppresses the\n\
           cancellation and returns a value instead, that value is returned.",
    signature: "(fut, timeout)",
    call: wait_for,
};

static PARAMETERS: Signature = Signature::required("wait_for", &["fut", "timeout"]);

const AWAITABLE: usize = 0;
const TIMEOUT: usize = 1;
/// The `Timeout`; in Python 3.11, the timer's handle.
const SCOPE: usize = 2;
/// What the completion of the future sets.
const WAITER: usize = 3;
const TASK: usize = 4;

vectorcall!(wait_for, |_this, PARAMETERS [fut, timeout]| {
    new(Ref::borrow(fut), Ref::borrow(timeout))
});

/// The coroutine `wait_for(awaitable, timeout)`.
pub(crate) fn new(awaitable: Ref, timeout: Ref) -> Res {
    let held = [Some(awaitable), Some(timeout), None, None, None, None];
    coroutine(&WAIT_FOR, held, body)
}

async fn body(slots: Slots<6>) -> Res {
    let timeout = slots.get(TIMEOUT);
    // SAFETY: None lives for ever.
    if timeout == unsafe { ffi::Py_None() } {
        return await_object(slots.get(AWAITABLE)).await;
    }
    if timer::is_not_positive(timeout)? {
        return without_waiting(slots).await;
    }
    #[cfg(Py_3_12)]
    return within_timeout(slots).await;
    #[cfg(not(Py_3_12))]
    return python311::in_a_task(slots).await;
}

#[cfg(Py_3_12)]
async fn within_timeout(slots: Slots<6>) -> Res {
    let scope = slots
        .set(SCOPE, timeouts::timeout_in(slots.get(TIMEOUT))?)
        .cast();
    // SAFETY: the slot keeps the timeout alive.
    unsafe {
        timeouts::enter(scope)?;
        let outcome = await_object(slots.get(AWAITABLE)).await;
        timeouts::exit_with(scope, outcome)
    }
}

/// No time at all: what is not done already is cancelled. A coroutine does not even start.
async fn without_waiting(slots: Slots<6>) -> Res {
    let future = events::ensure_future(slots.get(AWAITABLE), ptr::null_mut())?;
    let future = slots.set(AWAITABLE, future);
    if futures::is_done(future)? {
        return futures::result(future);
    }
    cancel_and_wait(slots).await?;
    result_or_timeout(future)
}

/// The result of a future that was cancelled because its time was over.
fn result_or_timeout(future: *mut PyObject) -> Res {
    match futures::result(future) {
        Err(raised) if raised_matches(&raised, cancelled_error()) => {
            // SAFETY: a static exception class.
            Err(raise_from(
                unsafe { ffi::PyExc_TimeoutError },
                take_raised(raised),
            ))
        }
        outcome => outcome,
    }
}

/// Cancels the future and waits until it is done. Not by awaiting it: this wait must end when
/// it is cancelled itself, whatever the future does about that.
async fn cancel_and_wait(slots: Slots<6>) -> Res<()> {
    let future = slots.get(AWAITABLE);
    let running = events::running_loop()?;
    let waiter = slots.set(WAITER, futures::new_future(running.ptr())?);
    let task = slots.set(TASK, events::current_task(running.ptr())?);
    drop(running);
    futures::on_done(future, release, waiter)?;
    awaited_by::add(future, task)?;
    slots.inside(Some(&CANCEL_AND_WAIT));
    let waited = match futures::cancel(future, ptr::null_mut()) {
        Ok(_) => await_future(waiter).await.map(drop),
        Err(raised) => Err(raised),
    };
    slots.inside(None);
    finally(waited, || {
        awaited_by::discard(future, task)?;
        futures::off_done(future, release, waiter).map(drop)
    })
}

/// The task that waits for what [`release`] sets, borrowed; NULL if none does.
pub(crate) unsafe fn task_of(waiter: *mut PyObject) -> *mut PyObject {
    // SAFETY: alive, says the caller; only a future of ours is looked into.
    let task = futures::as_native(waiter).and_then(|waiter| unsafe {
        (*waiter)
            .callbacks
            .iter()
            .find_map(|callback| callback.awaiting())
    });
    task.unwrap_or(ptr::null_mut())
}

/// The future's done callback.
pub(crate) unsafe fn release(_future: *mut PyObject, waiter: *mut PyObject) -> Res<()> {
    // SAFETY: None lives for ever.
    futures::set_result_unless_cancelled(waiter, unsafe { ffi::Py_None() })
}

/// Adds the function; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: `module` is being initialised, says the caller.
    unsafe { add_function(module, &FUNCTION) }
}
