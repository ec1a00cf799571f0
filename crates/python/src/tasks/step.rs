//! One step of a task: send into the coroutine, and look at what came back.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::current;
use super::object::TaskObject;
use super::registry;
use super::suspend::suspend;
use crate::contexts::RunContext;
use crate::coroutine::finally;
use crate::event_loop::{self, LoopCore};
use crate::futures::state::{
    invalid_state, make_cancelled_error, mark_cancelled, stored_exception,
};
use crate::futures::{self, FutureObject, State, as_exact};
use crate::handles;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, raise_instance, raised_matches, repr, runtime_error, set_slot, take_raised,
};
use crate::stdlib::cancelled_error;

/// The job of a first step, or of one after a bare yield.
#[inline]
pub(crate) unsafe fn run_step(core: &LoopCore, task: Ref) -> Res<()> {
    // SAFETY: a task, says the caller.
    unsafe { step_on_loop(core, task, None) }
}

/// The job of a task whose awaited future is done.
#[inline]
pub(crate) unsafe fn run_wakeup(core: &LoopCore, task: Ref) -> Res<()> {
    // SAFETY: a task, says the caller; the waiter is held by the task.
    unsafe {
        let waiter = (*task.ptr().cast::<TaskObject>()).waiter;
        let failure = if waiter.is_null() {
            None
        } else {
            failure_of(waiter)
        };
        step_on_loop(core, task, failure)
    }
}

/// What awaiting a done future is going to raise; it is thrown into the coroutine.
#[inline]
unsafe fn failure_of(future: *mut PyObject) -> Option<Ref> {
    // SAFETY: `future` is alive, says the caller.
    unsafe {
        if let Some(native) = as_exact(future) {
            match (*native).state {
                State::Result => return None,
                // Not raised here, where it would get a context from outside of the task.
                State::Exception => return Some(stored_exception(native)),
                _ => {}
            }
        }
        futures::result(future).err().map(take_raised)
    }
}

/// The done callback by which futures that do not know our link wake a task.
pub(crate) unsafe fn wakeup(future: *mut PyObject, task: *mut PyObject) -> Res<()> {
    // SAFETY: both alive; the loop that calls has entered the task's context.
    unsafe {
        let failure = failure_of(future);
        step(task.cast(), failure)
    }
}

/// A step as a job of the loop that runs, in the task's context.
#[inline(never)]
pub(super) unsafe fn step_on_loop(core: &LoopCore, task: Ref, failure: Option<Ref>) -> Res<()> {
    let this = task.ptr().cast::<TaskObject>();
    // SAFETY: a live task, says the caller.
    unsafe {
        let outcome = if core.debug() {
            step_timed(core, this, failure)
        } else {
            step_in_context(core, this, failure)
        };
        if ffi::Py_REFCNT(task.ptr()) == 1 {
            // What goes with the task is not to find its context current.
            return finally(outcome, || core.contexts().leave());
        }
        outcome
    }
}

#[inline(always)]
unsafe fn step_in_context(core: &LoopCore, task: *mut TaskObject, failure: Option<Ref>) -> Res<()> {
    // SAFETY: a live task, says the caller, and its context is a part of it.
    unsafe {
        let context = &raw mut (*task).context;
        let stay = match core.contexts().enter(context) {
            Ok(stay) => stay,
            Err(raised) => return cannot_enter(core, task, failure, raised),
        };
        // `__init__` called again may have given it another loop.
        let outcome = if ptr::eq((*task).future.loop_, core.owner()) && core.is_native() {
            step_native(core, task, failure)
        } else {
            step(task, failure)
        };
        after(outcome, || core.contexts().exit(context, stay))
    }
}

/// Somebody else is in the task's context. As in asyncio, its handle reports that, and the
/// task is not stepped again.
#[cold]
unsafe fn cannot_enter(
    core: &LoopCore,
    task: *mut TaskObject,
    failure: Option<Ref>,
    raised: Raised,
) -> Res<()> {
    let exception = take_raised(raised);
    // SAFETY: a live task, says the caller.
    unsafe {
        let callable = super::step_callable::new(task.cast(), failure)?;
        let context = RunContext::own(super::context_of(task.cast())?);
        let handle = handles::new_full(core, callable, &[], context)?;
        handles::report(handle.ptr().cast(), exception)
    }
}

/// Debug mode looks at the clock.
#[cold]
unsafe fn step_timed(core: &LoopCore, task: *mut TaskObject, failure: Option<Ref>) -> Res<()> {
    // SAFETY: a live task, says the caller.
    unsafe {
        let started = core.engine().now();
        step_in_context(core, task, failure)?;
        core.contexts().leave()?;
        core.warn_if_slow(started, || repr(task.cast()))
    }
}

/// What the coroutine did.
pub(super) enum Outcome {
    Yielded(Ref),
    Returned(Ref),
    Failed(Raised),
}

/// `Task.__step`: in the task's context already. Errors are only those that must leave the
/// loop: KeyboardInterrupt, SystemExit, and misuse (a task that is done).
pub(crate) unsafe fn step(task: *mut TaskObject, failure: Option<Ref>) -> Res<()> {
    // SAFETY: `task` is alive, says the caller, and stays so over the step.
    unsafe {
        let loop_ = (*task).future.loop_;
        if let Some(core) = event_loop::native(loop_) {
            return step_native(core, task, failure);
        }
        let failure = begin(task, failure)?;
        current::enter_foreign(loop_, task.cast())?;
        let loop_ = Ref::borrow(loop_);
        let outcome = advance(task, failure);
        let result = settle(task, outcome, None);
        after(result, || current::leave_foreign(loop_.ptr(), task.cast()))
    }
}

/// A step of a task of the loop of `core`.
#[inline(always)]
unsafe fn step_native(core: &LoopCore, task: *mut TaskObject, failure: Option<Ref>) -> Res<()> {
    // SAFETY: as for `step`.
    unsafe {
        let failure = begin(task, failure)?;
        let former = core.mirror().enter(core.owner(), task.cast())?;
        let outcome = advance(task, failure);
        let result = settle(task, outcome, Some(core));
        after(result, || {
            core.mirror().leave(core.owner(), task.cast(), former)
        })
    }
}

/// Makes the task ready for a step; answers what is to be thrown.
#[inline(always)]
unsafe fn begin(task: *mut TaskObject, failure: Option<Ref>) -> Res<Option<Ref>> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        if !TaskObject::is_pending(task) {
            return Err(already_done(task, failure.as_ref()));
        }
        let failure = if (*task).must_cancel {
            Some(cancellation(task, failure)?)
        } else {
            failure
        };
        set_slot(&raw mut (*task).waiter, ptr::null_mut());
        Ok(failure)
    }
}

/// Does `last` whatever `result` is; an error of `result` is set aside meanwhile.
#[inline(always)]
pub(super) fn after(result: Res<()>, last: impl FnOnce() -> Res<()>) -> Res<()> {
    match result {
        Ok(()) => last(),
        Err(raised) => {
            let exception = take_raised(raised);
            last()?;
            Err(raise_instance(exception))
        }
    }
}

#[cold]
unsafe fn already_done(task: *mut TaskObject, failure: Option<&Ref>) -> Raised {
    let described = || {
        let failure = failure.map_or(Ok("None".to_owned()), |failure| repr(failure.ptr()))?;
        Ok(format!(
            "__step(): already done: {} {failure}",
            repr(task.cast())?
        ))
    };
    match described() {
        Ok(message) => invalid_state(&message),
        Err(raised) => raised,
    }
}

/// The CancelledError of a requested cancellation, unless one is being thrown anyway.
#[cold]
unsafe fn cancellation(task: *mut TaskObject, failure: Option<Ref>) -> Res {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        (*task).must_cancel = false;
        if let Some(failure) = failure
            && crate::object::isinstance(failure.ptr(), cancelled_error())?
        {
            return Ok(failure);
        }
        make_cancelled_error(task.cast())
    }
}

/// Sends None or throws `failure` into the coroutine.
#[inline(always)]
pub(super) unsafe fn advance(task: *mut TaskObject, failure: Option<Ref>) -> Outcome {
    // SAFETY: a pending task holds its coroutine, and we hold it over the call: the step
    // may finish the task by other means.
    unsafe {
        if (*task).coro.is_null() {
            return Outcome::Failed(runtime_error("uninitialized Task object"));
        }
        let coro = Ref::borrow((*task).coro);
        if let Some(failure) = failure {
            return throw(&coro, failure);
        }
        let mut result = ptr::null_mut();
        match send_none(coro.ptr(), &mut result) {
            ffi::PySendResult::PYGEN_NEXT => Outcome::Yielded(Ref::own(result)),
            ffi::PySendResult::PYGEN_RETURN => Outcome::Returned(Ref::own(result)),
            ffi::PySendResult::PYGEN_ERROR => Outcome::Failed(Raised::set()),
        }
    }
}

/// `PyIter_Send`, for whatever has the slot without the call.
#[inline(always)]
unsafe fn send_none(coro: *mut PyObject, result: *mut *mut PyObject) -> ffi::PySendResult {
    // SAFETY: both alive, says the caller; a class's table lives as long as the class.
    unsafe {
        let methods = (*ffi::Py_TYPE(coro)).tp_as_async;
        if !methods.is_null()
            && let Some(send) = (*methods).am_send
        {
            return send(coro, ffi::Py_None(), result);
        }
        ffi::PyIter_Send(coro, ffi::Py_None(), result)
    }
}

#[cold]
unsafe fn throw(coro: &Ref, failure: Ref) -> Outcome {
    match coro.call_method(names().throw_, &[failure.ptr()]) {
        Ok(yielded) => Outcome::Yielded(yielded),
        // SAFETY: a static class.
        Err(raised) if raised_matches(&raised, unsafe { ffi::PyExc_StopIteration }) => {
            let stop = take_raised(raised);
            match stop.attr(names().value) {
                Ok(value) => Outcome::Returned(value),
                Err(raised) => Outcome::Failed(raised),
            }
        }
        Err(raised) => Outcome::Failed(raised),
    }
}

/// Takes the consequences of what the coroutine did. `core` is that of the task's loop, where
/// the caller knows it.
#[inline(always)]
pub(super) unsafe fn settle(
    task: *mut TaskObject,
    outcome: Outcome,
    core: Option<&LoopCore>,
) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        match outcome {
            Outcome::Yielded(object) => suspend(task, object, core),
            Outcome::Returned(value) => finish(task, value),
            Outcome::Failed(raised) => fail(task, raised),
        }
    }
}

#[inline(always)]
unsafe fn finish(task: *mut TaskObject, value: Ref) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        if (*task).must_cancel {
            // The coroutine returned before the cancellation could be delivered.
            (*task).must_cancel = false;
            retire(task);
            return mark_cancelled(task.cast());
        }
        if !TaskObject::is_pending(task) {
            return Err(invalid_state("invalid state"));
        }
        retire(task);
        futures::state::set_result(task.cast(), value)
    }
}

/// A task that ends leaves the list of unfinished ones, so that callbacks see it gone.
#[inline]
unsafe fn retire(task: *mut TaskObject) {
    // SAFETY: `task` is alive, says the caller.
    unsafe { registry::remove(task) };
}

unsafe fn fail(task: *mut TaskObject, raised: Raised) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        let leaves = raised_matches(&raised, ffi::PyExc_KeyboardInterrupt)
            || raised_matches(&raised, ffi::PyExc_SystemExit);
        let cancelled = raised_matches(&raised, cancelled_error());
        let exception = take_raised(raised);
        if !TaskObject::is_pending(task) {
            return Err(invalid_state("invalid state"));
        }
        retire(task);
        if cancelled {
            let rare = FutureObject::rare_mut(task.cast());
            rare.cancelled_exc = Some(exception);
            // What a request said is forgotten: whoever awaits the task after the first gets
            // a CancelledError without a message.
            let _message = rare.cancel_message.take();
            return mark_cancelled(task.cast());
        }
        futures::state::set_exception(task.cast(), exception.clone())?;
        if leaves {
            Err(raise_instance(exception))
        } else {
            Ok(())
        }
    }
}
