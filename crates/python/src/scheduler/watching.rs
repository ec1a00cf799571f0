//! The task that a scheduler has from its first job on (`_failed_task`).
//!
//! In the package it awaits the tasks of jobs that have failed, so that nobody complains of their
//! exceptions. That is done where a job ends; but the task also says to which loop the scheduler
//! is bound, is seen in `all_tasks()`, is cancelled by `asyncio.run()` like any other, and is
//! awaited by `close()`.

use core::ptr;

use pyo3::ffi::PyObject;

use super::{FILE, fields_mut, scheduler};
use crate::coroutine::{CoroutineDef, Slots, await_future, coroutine};
use crate::events;
use crate::futures;
use crate::object::{Ref, Res, repr, runtime_error, set_slot};

static WAIT_FAILED: CoroutineDef =
    CoroutineDef::method(FILE, c"_wait_failed", c"Scheduler._wait_failed");

const SCHEDULER: usize = 0;
const WAITER: usize = 1;

/// Makes the task, or sees to it that it is of the running loop.
pub(super) unsafe fn bind(this: *mut PyObject) -> Res<()> {
    // SAFETY: a scheduler, alive, says the caller.
    unsafe {
        let running = events::running_loop()?;
        if let Some(watcher) = Ref::borrow_opt(scheduler(this).watcher) {
            if futures::get_loop(watcher.ptr())?.is(running.ptr()) {
                return Ok(());
            }
            let this = repr(this)?;
            return Err(runtime_error(&format!(
                "{this} is bound to a different event loop"
            )));
        }
        let body = coroutine(&WAIT_FAILED, [Some(Ref::borrow(this)), None], watch)?;
        let absent = ptr::null_mut();
        let task =
            events::create_task(running.ptr(), body.ptr(), Ref::none().ptr(), absent, absent)?;
        set_slot(&raw mut (*fields_mut(this)).watcher, task.into_ptr());
    }
    Ok(())
}

async fn watch(slots: Slots<2>) -> Res {
    let this = slots.get(SCHEDULER);
    // SAFETY: the slot keeps the scheduler alive, as long as the body.
    unsafe {
        while !scheduler(this).over {
            let future = futures::new_future(events::running_loop()?.ptr())?;
            let future = slots.set(WAITER, future);
            set_slot(
                &raw mut (*fields_mut(this)).watched,
                Ref::borrow(future).into_ptr(),
            );
            await_future(future).await?;
        }
    }
    Ok(Ref::none())
}

/// A job has failed, or all is over.
pub(super) unsafe fn wake(this: *mut PyObject) -> Res<()> {
    // SAFETY: a scheduler, alive, says the caller.
    unsafe {
        match Ref::borrow_opt(scheduler(this).watched) {
            Some(future) => futures::set_result_unless_cancelled(future.ptr(), Ref::none().ptr()),
            None => Ok(()),
        }
    }
}

/// Lets the task end. Answers it, for `close()` to await.
pub(super) unsafe fn end(this: *mut PyObject) -> Res<Option<Ref>> {
    // SAFETY: a scheduler, alive, says the caller.
    unsafe {
        (*fields_mut(this)).over = true;
        wake(this)?;
        Ok(Ref::borrow_opt(scheduler(this).watcher))
    }
}
