//! What a task does with what its coroutine has yielded, and how its next step is scheduled.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::object::TaskObject;
use super::step::{step_on_loop, wakeup};
use crate::event_loop::{self, LoopCore};
use crate::futures::{self, Callback, FutureObject, add_callback, as_exact};
use crate::handles;
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, repr, runtime_error, set_slot, take_raised};

/// The coroutine yielded: usually a future to wait for.
#[inline(always)]
pub(super) unsafe fn suspend(
    task: *mut TaskObject,
    object: Ref,
    core: Option<&LoopCore>,
) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        let Some(fut) = as_exact(object.ptr()) else {
            return suspend_foreign(task, object);
        };
        if !(*fut).blocking {
            return step_with_error(task, misused_yield(task, &object));
        }
        if !ptr::eq((*fut).loop_, (*task).future.loop_) {
            return step_with_error(task, attached_elsewhere(task, &object));
        }
        if ptr::eq(fut.cast::<TaskObject>(), task) {
            return step_with_error(task, awaits_itself(task));
        }
        (*fut).blocking = false;
        // The step may have overridden a method of the loop, or given the task another one.
        let is_native = match core {
            Some(core) if ptr::eq(core.owner(), (*fut).loop_) => core.is_native(),
            _ => event_loop::native((*fut).loop_).is_some(),
        };
        let link = if is_native {
            Callback::wakeup(Ref::borrow(task.cast()), (*task).coro)
        } else {
            Callback::python(
                futures::done_callback::new(wakeup, task.cast())?,
                super::context_of(task.cast())?,
            )
        };
        add_callback(fut, link)?;
        set_slot(&raw mut (*task).waiter, object.into_ptr());
        deliver_cancellation(task)
    }
}

/// A cancellation requested during the step goes on to what the task now waits for.
#[inline(always)]
unsafe fn deliver_cancellation(task: *mut TaskObject) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        if (*task).must_cancel {
            return cancel_what_is_awaited(task);
        }
    }
    Ok(())
}

#[cold]
unsafe fn cancel_what_is_awaited(task: *mut TaskObject) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        let message = FutureObject::rare(task.cast(), |rare| &rare.cancel_message);
        let message = message.unwrap_or_else(Ref::none);
        let waiter = Ref::borrow((*task).waiter);
        if super::cancel_waiter(&waiter, &message)? {
            (*task).must_cancel = false;
        }
        Ok(())
    }
}

/// Anything but a future of exactly our classes.
#[cold]
unsafe fn suspend_foreign(task: *mut TaskObject, object: Ref) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        if object.is_none() {
            return schedule_step(task);
        }
        let blocking = match object.attr_opt(names()._asyncio_future_blocking) {
            Ok(blocking) => blocking.filter(|blocking| !blocking.is_none()),
            Err(raised) => return step_with_error(task, Err(raised)),
        };
        let Some(blocking) = blocking else {
            let error = if ffi::PyGen_CheckExact(object.ptr()) != 0 {
                generator_yielded(task, &object)
            } else {
                rubbish_yielded(task, &object)
            };
            return step_with_error(task, error);
        };
        if let Err(raised) = wait_for_foreign(task, &object, &blocking) {
            return step_with_error(task, Err(raised));
        }
        Ok(())
    }
}

/// The public protocol, by attribute, as `_asyncio.Task` follows it.
unsafe fn wait_for_foreign(task: *mut TaskObject, object: &Ref, blocking: &Ref) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        let loop_ = futures::get_loop(object.ptr())?;
        if !loop_.is((*task).future.loop_) {
            attached_elsewhere(task, object)?;
        }
        if !blocking.truth()? {
            misused_yield(task, object)?;
        }
        if object.is(task.cast()) {
            awaits_itself(task)?;
        }
        futures::set_blocking(object.ptr(), false)?;
        let callback = futures::done_callback::new(wakeup, task.cast())?;
        let add = object.attr(names().add_done_callback)?;
        let kwnames = Ref::tuple(&[names().context])?;
        let context = super::context_of(task.cast())?;
        add.call_kw(&[callback.ptr(), context.ptr()], kwnames.ptr())?;
        set_slot(&raw mut (*task).waiter, object.clone().into_ptr());
        deliver_cancellation(task)
    }
}

/// `call_soon(self.__step)`
pub(super) unsafe fn schedule_step(task: *mut TaskObject) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        match event_loop::native((*task).future.loop_) {
            Some(core) => {
                core.check_thread_in_debug()?;
                core.engine().schedule(jobs::step(Ref::borrow(task.cast())));
                Ok(())
            }
            None => schedule_foreign(task, None),
        }
    }
}

/// On a foreign loop a step is a callable in `call_soon`, in the task's context.
unsafe fn schedule_foreign(task: *mut TaskObject, failure: Option<Ref>) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        let callable = super::step_callable::new(task.cast(), failure)?;
        let context = super::context_of(task.cast())?;
        let loop_ = Ref::borrow((*task).future.loop_);
        futures::call_soon_foreign(loop_.ptr(), callable.ptr(), &[], &context)
    }
}

/// The task is stepped again with an error thrown in: what it yielded cannot be awaited.
/// `error` is the verdict of one of the functions below, always `Err`.
#[cold]
unsafe fn step_with_error(task: *mut TaskObject, error: Res<()>) -> Res<()> {
    let Err(raised) = error else { return Ok(()) };
    let failure = take_raised(raised);
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        match event_loop::native((*task).future.loop_) {
            Some(core) => {
                let task = Ref::borrow(task.cast());
                let call = handles::native_call2(throw_later, task, failure)?;
                core.engine().schedule(jobs::native_call(call));
                Ok(())
            }
            None => schedule_foreign(task, Some(failure)),
        }
    }
}

unsafe fn throw_later(task: *mut PyObject, failure: *mut PyObject) -> Res<()> {
    // SAFETY: the native call keeps both alive.
    unsafe {
        let task = Ref::borrow(task);
        let core = event_loop::running_core()?;
        step_on_loop(core, task, Some(Ref::borrow(failure)))?;
        // The job of a native call holds the task still.
        core.contexts().leave()
    }
}

fn refuse(text: impl FnOnce() -> Res<String>) -> Res<()> {
    Err(runtime_error(&text()?))
}

unsafe fn misused_yield(task: *mut TaskObject, object: &Ref) -> Res<()> {
    refuse(|| {
        let (task, object) = (repr(task.cast())?, repr(object.ptr())?);
        Ok(format!(
            "yield was used instead of yield from in task {task} with {object}"
        ))
    })
}

unsafe fn attached_elsewhere(task: *mut TaskObject, object: &Ref) -> Res<()> {
    refuse(|| {
        let (task, object) = (repr(task.cast())?, repr(object.ptr())?);
        Ok(format!(
            "Task {task} got Future {object} attached to a different loop"
        ))
    })
}

unsafe fn awaits_itself(task: *mut TaskObject) -> Res<()> {
    refuse(|| {
        Ok(format!(
            "Task cannot await on itself: {}",
            repr(task.cast())?
        ))
    })
}

unsafe fn generator_yielded(task: *mut TaskObject, object: &Ref) -> Res<()> {
    refuse(|| {
        let (task, object) = (repr(task.cast())?, repr(object.ptr())?);
        Ok(format!(
            "yield was used instead of yield from for generator in task {task} with {object}"
        ))
    })
}

unsafe fn rubbish_yielded(_task: *mut TaskObject, object: &Ref) -> Res<()> {
    refuse(|| Ok(format!("Task got bad yield: {}", repr(object.ptr())?)))
}
