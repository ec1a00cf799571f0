//! The way out of a task group: wait for all tasks, then say what happened.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::{Group, abort, has_tasks, is_base_error};
use crate::cancellation::{cancelling, uncancel};
use crate::coroutine::{CoroutineDef, Slots, await_future, finally};
use crate::futures;
use crate::object::{
    Raised, Ref, Res, check, raise_instance, raise_object, raised_matches, set_slot, take_raised,
    take_slot,
};
use crate::stdlib::cancelled_error;

static INNER_EXIT: CoroutineDef =
    CoroutineDef::method(c"<rasyncio.taskgroups>", c"_aexit", c"TaskGroup._aexit");

const GROUP: usize = 0;
/// The exception that leaves the block, if one does.
const EXCEPTION: usize = 1;
/// The cancellation to raise in the end, if it is not the group's own.
const PROPAGATE: usize = 2;
/// The last cancellation that came while waiting.
const PENDING: usize = 3;
const COMPLETED: usize = 4;

pub(super) type ExitSlots = Slots<5>;

/// `__aexit__`
pub(super) async fn leave(slots: ExitSlots) -> Res {
    let group: Group = slots.get(GROUP).cast();
    slots.inside(Some(&INNER_EXIT));
    // SAFETY: the slot keeps the group alive.
    let outcome = match unsafe { wait(slots, group).await } {
        // SAFETY: as above.
        Ok(()) => unsafe { conclude(slots, group) },
        Err(raised) => Err(raised),
    };
    finally(outcome, || {
        // Exceptions are heavy and refer to frames: nothing here may keep them.
        // SAFETY: as above.
        unsafe {
            set_slot(&raw mut (*group).parent_task, ptr::null_mut());
            set_slot(&raw mut (*group).errors, ptr::null_mut());
            set_slot(&raw mut (*group).base_error, ptr::null_mut());
        }
        Ok(())
    })?;
    // What deserved to be raised was raised; anything else ends here.
    Ok(Ref::bool(true))
}

async unsafe fn wait(slots: ExitSlots, group: Group) -> Res<()> {
    let exception = slots.get(EXCEPTION);
    // SAFETY: alive, says the caller.
    unsafe {
        (*group).exiting = true;
        if !exception.is_null() {
            if (*group).base_error.is_null() && is_base_error(exception)? {
                set_slot(
                    &raw mut (*group).base_error,
                    Ref::borrow(exception).into_ptr(),
                );
            }
            if is_cancellation(exception) {
                slots.set(PROPAGATE, Ref::borrow(exception));
            }
            if !(*group).aborting {
                abort(group)?;
            }
        }
        // A loop, because the parent may be cancelled while it waits, more than once.
        while has_tasks(group) {
            if (*group).on_completed.is_null() {
                let future = futures::new_future((*group).loop_)?;
                set_slot(&raw mut (*group).on_completed, future.into_ptr());
            }
            let completed = slots.set(COMPLETED, Ref::borrow((*group).on_completed));
            match await_future(completed).await {
                Ok(_) => {}
                Err(raised) if raised_matches(&raised, cancelled_error()) => {
                    let cancellation = take_raised(raised);
                    slots.set(PENDING, cancellation.clone());
                    if !(*group).aborting {
                        slots.set(PROPAGATE, cancellation);
                        abort(group)?;
                    }
                }
                Err(raised) => return Err(raised),
            }
            set_slot(&raw mut (*group).on_completed, ptr::null_mut());
        }
    }
    Ok(())
}

/// All tasks are done. Raises what is to be raised.
unsafe fn conclude(slots: ExitSlots, group: Group) -> Res<()> {
    let exception = slots.get(EXCEPTION);
    // SAFETY: alive and entered, says the caller.
    unsafe {
        if let Some(error) = take_slot(&raw mut (*group).base_error) {
            return Err(raise_object(error));
        }
        let parent = Ref::borrow_opt((*group).parent_task).unwrap_or_else(Ref::none);
        let pending = slots.take(PENDING);
        if (*group).parent_cancel_requested {
            if uncancel(parent.ptr())? == 0 {
                // The group was the only one to cancel the parent.
                slots.take(PROPAGATE);
            } else if slots.get(PROPAGATE).is_null()
                && let Some(pending) = pending
            {
                slots.set(PROPAGATE, pending);
            }
        }
        let errors = (*group).errors;
        let failed = !errors.is_null() && ffi::PyList_GET_SIZE(errors) > 0;
        if let Some(cancellation) = slots.take(PROPAGATE)
            && !failed
        {
            return Err(raise_object(cancellation));
        }
        if !exception.is_null() && !is_cancellation(exception) && !errors.is_null() {
            check(ffi::PyList_Append(errors, exception))?;
        }
        match take_slot(&raw mut (*group).errors) {
            Some(errors) if ffi::PyList_GET_SIZE(errors.ptr()) > 0 => {
                if cancelling(parent.ptr())? > 0 {
                    // Somebody outside wants the parent cancelled: it shall learn of that at
                    // its next await, with its count as it was.
                    uncancel(parent.ptr())?;
                    futures::cancel(parent.ptr(), ptr::null_mut())?;
                }
                Err(raise_errors(errors, exception))
            }
            _ => Ok(()),
        }
    }
}

unsafe fn raise_errors(errors: Ref, exception: *mut PyObject) -> Raised {
    // SAFETY: a list of exceptions; the exception of the block, or NULL.
    unsafe {
        // An async generator that is closed inside the block must see its GeneratorExit as
        // such, unless that would hide the failure of a task.
        if !exception.is_null()
            && ffi::PyErr_GivenExceptionMatches(exception, ffi::PyExc_GeneratorExit) != 0
            && ffi::PyList_GET_SIZE(errors.ptr()) == 1
        {
            return raise_instance(Ref::borrow(exception));
        }
        let group = Ref::str("unhandled errors in a TaskGroup").and_then(|message| {
            Ref::borrow(ffi::PyExc_BaseExceptionGroup).call(&[message.ptr(), errors.ptr()])
        });
        match group {
            Ok(group) => {
                // `raise ... from None`
                ffi::PyException_SetCause(group.ptr(), ptr::null_mut());
                raise_object(group)
            }
            Err(raised) => raised,
        }
    }
}

fn is_cancellation(exception: *mut PyObject) -> bool {
    // SAFETY: an exception instance, alive, and a class.
    unsafe { ffi::PyErr_GivenExceptionMatches(exception, cancelled_error()) != 0 }
}
