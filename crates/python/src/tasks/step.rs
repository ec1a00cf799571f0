//! One step of a task: send into the coroutine, and look at what came back.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::current;
use super::object::TaskObject;
use super::registry;
use crate::contexts::RunContext;
use crate::event_loop::{self, LoopCore};
use crate::futures::state::{
    invalid_state, make_cancelled_error, mark_cancelled, stored_exception,
};
use crate::futures::{self, Callback, FutureObject, State, add_callback, as_exact};
use crate::handles;
use crate::jobs;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, raise_instance, raised_matches, repr, runtime_error, set_slot,
    take_raised, take_slot,
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
#[inline]
unsafe fn step_on_loop(core: &LoopCore, task: Ref, failure: Option<Ref>) -> Res<()> {
    let this = task.ptr().cast::<TaskObject>();
    // SAFETY: a live task, says the caller.
    unsafe {
        if core.debug() {
            step_timed(core, this, failure)?;
        } else {
            step_in_context(core, this, failure)?;
        }
        if ffi::Py_REFCNT(task.ptr()) == 1 {
            // What goes with the task is not to find its context current.
            core.contexts().leave()?;
        }
    }
    Ok(())
}

#[inline]
unsafe fn step_in_context(core: &LoopCore, task: *mut TaskObject, failure: Option<Ref>) -> Res<()> {
    // SAFETY: a live task, says the caller, and its context is a part of it.
    unsafe {
        let context = &raw mut (*task).context;
        let stay = match core.contexts().enter(context) {
            Ok(stay) => stay,
            Err(raised) => return cannot_enter(core, task, failure, raised),
        };
        let outcome = step(task, failure);
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
enum Outcome {
    Yielded(Ref),
    Returned(Ref),
    Failed(Raised),
}

/// `Task.__step`: in the task's context already. Errors are only those that must leave the
/// loop: KeyboardInterrupt, SystemExit, and misuse (a task that is done).
#[inline]
pub(crate) unsafe fn step(task: *mut TaskObject, failure: Option<Ref>) -> Res<()> {
    // SAFETY: `task` is alive, says the caller, and stays so over the step.
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

        let loop_ = (*task).future.loop_;
        match event_loop::native(loop_) {
            Some(core) => {
                let former = core.mirror().enter(loop_, task.cast())?;
                let outcome = advance(task, failure);
                let result = settle(task, outcome);
                after(result, || core.mirror().leave(loop_, task.cast(), former))
            }
            None => {
                current::enter_foreign(loop_, task.cast())?;
                let loop_ = Ref::borrow(loop_);
                let outcome = advance(task, failure);
                let result = settle(task, outcome);
                after(result, || current::leave_foreign(loop_.ptr(), task.cast()))
            }
        }
    }
}

/// Does `last` whatever `result` is; an error of `result` is set aside meanwhile.
#[inline]
fn after(result: Res<()>, last: impl FnOnce() -> Res<()>) -> Res<()> {
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
#[inline]
unsafe fn advance(task: *mut TaskObject, failure: Option<Ref>) -> Outcome {
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
        match ffi::PyIter_Send(coro.ptr(), ffi::Py_None(), &mut result) {
            ffi::PySendResult::PYGEN_NEXT => Outcome::Yielded(Ref::own(result)),
            ffi::PySendResult::PYGEN_RETURN => Outcome::Returned(Ref::own(result)),
            ffi::PySendResult::PYGEN_ERROR => Outcome::Failed(Raised::set()),
        }
    }
}

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

/// Takes the consequences of what the coroutine did.
#[inline]
unsafe fn settle(task: *mut TaskObject, outcome: Outcome) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        match outcome {
            Outcome::Yielded(object) => suspend(task, object),
            Outcome::Returned(value) => finish(task, value),
            Outcome::Failed(raised) => fail(task, raised),
        }
    }
}

#[inline]
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

/// The coroutine yielded: usually a future to wait for.
#[inline]
unsafe fn suspend(task: *mut TaskObject, object: Ref) -> Res<()> {
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
        let link = match event_loop::native((*fut).loop_) {
            Some(_) => Callback::wakeup(Ref::borrow(task.cast())),
            None => Callback::python(
                futures::done_callback::new(wakeup, task.cast())?,
                super::context_of(task.cast())?,
            ),
        };
        add_callback(fut, link)?;
        set_slot(&raw mut (*task).waiter, object.into_ptr());
        deliver_cancellation(task)
    }
}

/// A cancellation requested during the step goes on to what the task now waits for.
#[inline]
unsafe fn deliver_cancellation(task: *mut TaskObject) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        if (*task).must_cancel {
            let message = FutureObject::rare(task.cast(), |rare| &rare.cancel_message);
            let message = message.unwrap_or_else(Ref::none);
            let waiter = Ref::borrow((*task).waiter);
            if super::cancel_waiter(&waiter, &message)? {
                (*task).must_cancel = false;
            }
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

/// An eager start: the first step at once, inside the step of whoever creates the task.
pub(crate) unsafe fn eager_start(task: *mut TaskObject) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        let loop_ = Ref::borrow((*task).future.loop_);
        let former = current::swap_foreign(loop_.ptr(), task.cast())?;
        let outcome = run_eagerly(task);
        after(outcome, || {
            current::swap_foreign(loop_.ptr(), former.ptr()).map(drop)
        })
    }
}

unsafe fn run_eagerly(task: *mut TaskObject) -> Res<()> {
    // SAFETY: as above.
    unsafe {
        let context = super::context_of(task.cast())?;
        check(ffi::PyContext_Enter(context.ptr()))?;
        let outcome = advance(task, None);
        let result = settle(task, outcome);
        if ffi::PyContext_Exit(context.ptr()) < 0 {
            return Err(Raised::set());
        }
        if !TaskObject::is_pending(task) {
            drop(take_slot(&raw mut (*task).coro));
        }
        result
    }
}
