//! What can happen to a future: results, exceptions, cancellation, and reading them.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::callbacks::schedule_all;
use super::object::{FutureObject, State};
use crate::object::{
    Raised, Ref, Res, raise, raise_object, runtime_error, take_raised, type_error,
};
use crate::stdlib::{cancelled_error, stdlib};

/// `raise InvalidStateError(message)`
pub(crate) fn invalid_state(message: &str) -> Raised {
    // SAFETY: an exception class.
    unsafe { raise(stdlib().invalid_state_error.ptr(), message) }
}

/// Refuses a future whose `__init__` never ran.
#[inline]
pub(crate) unsafe fn ensure_alive(fut: *mut FutureObject) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    if unsafe { (*fut).loop_.is_null() } {
        return Err(runtime_error("Future object is not initialized."));
    }
    Ok(())
}

#[inline]
unsafe fn ensure_pending(fut: *mut FutureObject) -> Res<()> {
    // SAFETY: as above.
    unsafe {
        ensure_alive(fut)?;
        if FutureObject::is_done(fut) {
            return Err(invalid_state("invalid state"));
        }
    }
    Ok(())
}

/// `future.set_result(value)`
#[inline]
pub(crate) unsafe fn set_result(fut: *mut FutureObject, value: Ref) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller; a pending future holds no value.
    unsafe {
        ensure_pending(fut)?;
        debug_assert!((*fut).value.is_null());
        (*fut).value = value.into_ptr();
        (*fut).state = State::Result;
        schedule_all(fut)
    }
}

/// `future.set_exception(exception)`: a class is instantiated.
pub(crate) unsafe fn set_exception(fut: *mut FutureObject, exception: Ref) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        ensure_pending(fut)?;
        let instance = if ffi::PyExceptionClass_Check(exception.ptr()) != 0 {
            let made = exception.call0()?;
            // The call may have finished this future.
            if FutureObject::is_done(fut) {
                return Err(invalid_state("invalid state"));
            }
            made
        } else {
            exception
        };
        if ffi::PyExceptionInstance_Check(instance.ptr()) == 0 {
            return Err(type_error("invalid exception object"));
        }
        let instance = refuse_stop_iteration(instance)?;
        let traceback = Ref::own_opt(ffi::PyException_GetTraceback(instance.ptr()));
        if traceback.is_some() {
            FutureObject::rare_mut(fut).exception_tb = traceback;
        }
        (*fut).value = instance.into_ptr();
        (*fut).state = State::Exception;
        (*fut).log_traceback = true;
        schedule_all(fut)
    }
}

const STOP_ITERATION: &str =
    "StopIteration interacts badly with generators and cannot be raised into a Future";

/// A StopIteration would end the awaiting coroutine: newer versions wrap it, older ones
/// refuse it.
fn refuse_stop_iteration(instance: Ref) -> Res {
    // SAFETY: an exception instance and static classes; the setters steal one reference.
    unsafe {
        let class = instance.type_ptr();
        if ffi::PyType_IsSubtype(class, ffi::PyExc_StopIteration.cast()) == 0 {
            return Ok(instance);
        }
        if !stdlib().wraps_stop_iteration {
            return Err(type_error(STOP_ITERATION));
        }
        let wrapper = take_raised(runtime_error(STOP_ITERATION));
        ffi::PyException_SetCause(wrapper.ptr(), instance.clone().into_ptr());
        ffi::PyException_SetContext(wrapper.ptr(), instance.into_ptr());
        Ok(wrapper)
    }
}

/// `Future.cancel(msg)`: false if it is done already. Tasks have their own.
pub(crate) unsafe fn cancel(fut: *mut FutureObject, message: *mut PyObject) -> Res<bool> {
    // SAFETY: `fut` and `message` (or NULL) are alive, says the caller.
    unsafe {
        ensure_alive(fut)?;
        (*fut).log_traceback = false;
        if FutureObject::is_done(fut) {
            return Ok(false);
        }
        set_cancel_message(fut, message);
        mark_cancelled(fut)?;
        Ok(true)
    }
}

/// Makes a pending future cancelled, and tells its callbacks.
pub(crate) unsafe fn mark_cancelled(fut: *mut FutureObject) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        (*fut).state = State::Cancelled;
        schedule_all(fut)
    }
}

/// Stores `_cancel_message`; NULL and None both mean none.
pub(crate) unsafe fn set_cancel_message(fut: *mut FutureObject, message: *mut PyObject) {
    // SAFETY: `fut` is alive; the replaced message is dropped after the store.
    unsafe {
        let none = message.is_null() || ptr::eq(message, ffi::Py_None());
        if none && (*fut).rare.is_none() {
            return;
        }
        let new = if none {
            None
        } else {
            Some(Ref::borrow(message))
        };
        let old = core::mem::replace(&mut FutureObject::rare_mut(fut).cancel_message, new);
        drop(old);
    }
}

/// The CancelledError that awaiting a cancelled future raises: the one that ended the task
/// if there was one (once), else a new one with the message.
pub(crate) unsafe fn make_cancelled_error(fut: *mut FutureObject) -> Res {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        if let Some(rare) = (*fut).rare.as_mut()
            && let Some(stored) = rare.cancelled_exc.take()
        {
            return Ok(stored);
        }
        let class = Ref::borrow(cancelled_error());
        match FutureObject::rare(fut, |rare| &rare.cancel_message) {
            Some(message) => class.call1(message.ptr()),
            None => class.call0(),
        }
    }
}

unsafe fn raise_cancelled(fut: *mut FutureObject) -> Raised {
    // SAFETY: `fut` is alive, says the caller.
    match unsafe { make_cancelled_error(fut) } {
        Ok(error) => raise_object(error),
        Err(raised) => raised,
    }
}

#[cold]
unsafe fn not_set(fut: *mut FutureObject, message: &str) -> Raised {
    // SAFETY: `fut` is alive, says the caller.
    let uninitialised = unsafe { (*fut).loop_.is_null() };
    invalid_state(if uninitialised {
        "Future object is not initialized."
    } else {
        message
    })
}

/// `future.result()`
#[inline]
pub(crate) unsafe fn result(fut: *mut FutureObject) -> Res {
    // SAFETY: `fut` is alive, says the caller; `value` is set in the states that have one.
    unsafe {
        match (*fut).state {
            State::Result => Ok(Ref::borrow((*fut).value)),
            State::Exception => Err(raise_object(stored_exception(fut))),
            State::Cancelled => Err(raise_cancelled(fut)),
            State::Pending => Err(not_set(fut, "Result is not set.")),
        }
    }
}

/// The stored exception as it is about to be raised: with the traceback it had when it was set,
/// for re-raising it for several awaiters must not pile up their frames.
pub(crate) unsafe fn stored_exception(fut: *mut FutureObject) -> Ref {
    // SAFETY: the state is `Exception`, says the caller, so `value` is an exception instance.
    unsafe {
        (*fut).log_traceback = false;
        let exception = Ref::borrow((*fut).value);
        let traceback =
            FutureObject::rare(fut, |rare| &rare.exception_tb).unwrap_or_else(Ref::none);
        ffi::PyException_SetTraceback(exception.ptr(), traceback.ptr());
        exception
    }
}

/// `future.exception()`
pub(crate) unsafe fn exception(fut: *mut FutureObject) -> Res {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        match (*fut).state {
            State::Pending => Err(not_set(fut, "Exception is not set.")),
            State::Cancelled => Err(raise_cancelled(fut)),
            State::Result => Ok(Ref::none()),
            State::Exception => {
                (*fut).log_traceback = false;
                Ok(Ref::borrow((*fut).value))
            }
        }
    }
}
