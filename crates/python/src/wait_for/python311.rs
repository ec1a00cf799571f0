//! `wait_for` as Python 3.11 has it: the awaitable runs in a task of its own, and the caller
//! waits for that task or the timer, whichever comes first.
//!
//! The difference shows when the caller is cancelled while a task that was cancelled for the
//! timeout takes its time: here that wait ends at once.

use core::ptr;

use super::{AWAITABLE, SCOPE, TIMEOUT, cancel_and_wait, release, result_or_timeout};
use crate::coroutine::{Slots, await_future, finally, raised_during};
use crate::events;
use crate::futures;
use crate::object::{Ref, Res, raise_instance, raised_matches, take_raised};
use crate::stdlib::cancelled_error;
use crate::timer;

/// What the timer sets, and the future's completion.
const EITHER: usize = 5;

pub(super) async fn in_a_task(slots: Slots<6>) -> Res {
    let running = events::running_loop()?;
    let waiter = slots.set(EITHER, futures::new_future(running.ptr())?);
    // SAFETY: the slot keeps the waiter alive.
    let data = unsafe { Ref::borrow(waiter) };
    let timer = timer::call_later(running.ptr(), slots.get(TIMEOUT), expire, data, |handle| {
        slots.set(SCOPE, handle);
    })?;
    drop(running);
    let outcome = wait(slots).await;
    finally(outcome, || {
        timer.cancel(futures::get_loop(waiter)?.ptr(), slots.get(SCOPE))
    })
}

async fn wait(slots: Slots<6>) -> Res {
    let waiter = slots.get(EITHER);
    let future = events::ensure_future(slots.get(AWAITABLE), ptr::null_mut())?;
    let future = slots.set(AWAITABLE, future);
    futures::on_done(future, release, waiter)?;
    // The slot of the timeout, which has served, keeps the cancellation meanwhile.
    slots.take(TIMEOUT);
    match await_future(waiter).await {
        Ok(_) => {}
        Err(raised) if raised_matches(&raised, cancelled_error()) => {
            slots.set(TIMEOUT, take_raised(raised));
        }
        Err(raised) => return Err(raised),
    }
    if futures::is_done(future)? {
        return after_cancellation(slots, futures::result(future));
    }
    futures::off_done(future, release, waiter)?;
    // The future must not go on when this returns, however it returns.
    if let Err(raised) = cancel_and_wait(slots).await {
        return after_cancellation(slots, Err(raised));
    }
    match slots.take(TIMEOUT) {
        Some(cancellation) => Err(raise_instance(cancellation)),
        None => result_or_timeout(future),
    }
}

/// What comes of handling a cancellation, if there was one: that is then an error's context.
fn after_cancellation(slots: Slots<6>, outcome: Res) -> Res {
    match (outcome, slots.take(TIMEOUT)) {
        (Err(raised), Some(cancellation)) => Err(raised_during(raised, cancellation)),
        (outcome, _) => outcome,
    }
}

/// The timer's function.
unsafe fn expire(waiter: *mut pyo3::ffi::PyObject) -> Res<()> {
    // SAFETY: `release` looks at its second argument only.
    unsafe { release(ptr::null_mut(), waiter) }
}
