//! Running a handle: its callback in its context, and what becomes of what it raises.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::{HandleObject, Layout, Shape};
use crate::contexts;
use crate::event_loop;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, raised_matches, set_slot, str_of, take_raised, while_handling,
};
use crate::stdlib::stdlib;

/// The job of a handle.
#[inline]
pub(crate) unsafe fn run(this: *mut HandleObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        if (*this).cancelled {
            return Ok(());
        }
        let Some(core) = event_loop::any_native((*this).loop_) else {
            return run_now(this);
        };
        core.leave_stale_task()?;
        if core.debug() {
            return run_timed(core, this);
        }
        run_now(this)
    }
}

/// In debug mode: the handle is `loop._current_handle` meanwhile, and slowness is logged.
#[cold]
unsafe fn run_timed(core: &event_loop::LoopCore, this: *mut HandleObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        core.set_current_handle(Some(Ref::borrow(this.cast())));
        let started = core.engine().now();
        // Taken before the callback runs: a plain handle forgets it.
        let outcome = run_now(this);
        core.set_current_handle(None);
        outcome?;
        core.warn_if_slow(started, || {
            let callback = (*this).callback;
            if !callback.is_null()
                && let Some(owner) = Ref::borrow(callback).attr_opt(names().__self__)?
                && crate::tasks::is_task(owner.ptr())
            {
                return crate::object::repr(owner.ptr());
            }
            str_of(this.cast())
        })
    }
}

/// `handle._run()`: also what foreign loops call.
#[inline]
pub(crate) unsafe fn run_now(this: *mut HandleObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; what is called is held over the call, since
    // the callback may cancel its own handle.
    unsafe {
        let (callback, context) = ((*this).callback, (*this).context);
        if callback.is_null() || context.is_null() {
            return Ok(());
        }
        let (callback, context) = (Ref::borrow(callback), Ref::borrow(context));
        let args = Ref::borrow_opt((*this).args);
        let call = || Ref::checked(call(&callback, (*this).shape, args.as_ref()));
        let outcome = if (*this).shared_context {
            let (outcome, its_own) = contexts::run_in_snapshot(context.ptr(), call)?;
            if let Some(own) = its_own {
                (*this).shared_context = false;
                set_slot(&raw mut (*this).context, own.into_ptr());
            }
            outcome
        } else {
            check(ffi::PyContext_Enter(context.ptr()))?;
            let outcome = call();
            if ffi::PyContext_Exit(context.ptr()) < 0 {
                return Err(Raised::set());
            }
            outcome
        };
        match outcome {
            Ok(_) => {
                if (*this).layout == Layout::Plain && !(*this).repeats {
                    HandleObject::forget_callback(this);
                }
                Ok(())
            }
            Err(raised) => report(this, raised),
        }
    }
}

#[inline]
unsafe fn call(callback: &Ref, shape: Shape, args: Option<&Ref>) -> *mut PyObject {
    // SAFETY: all alive; the array has a free slot before the argument, as the offset flag
    // promises.
    unsafe {
        match (shape, args) {
            (Shape::OneArg, Some(arg)) => {
                let array = [ptr::null_mut(), arg.ptr()];
                ffi::PyObject_Vectorcall(
                    callback.ptr(),
                    array.as_ptr().add(1),
                    1 | ffi::PY_VECTORCALL_ARGUMENTS_OFFSET,
                    ptr::null_mut(),
                )
            }
            (Shape::Tuple, Some(args)) => {
                ffi::PyObject_Call(callback.ptr(), args.ptr(), ptr::null_mut())
            }
            _ => ffi::PyObject_CallNoArgs(callback.ptr()),
        }
    }
}

/// What a callback raises goes to the loop's exception handler; SystemExit and
/// KeyboardInterrupt leave the loop.
#[cold]
unsafe fn report(this: *mut HandleObject, raised: Raised) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        if raised_matches(&raised, ffi::PyExc_SystemExit)
            || raised_matches(&raised, ffi::PyExc_KeyboardInterrupt)
        {
            return Err(raised);
        }
        let exception = take_raised(raised);
        let context = Ref::dict()?;
        let set = |key: *mut PyObject, value: *mut PyObject| {
            check(ffi::PyDict_SetItem(context.ptr(), key, value))
        };
        let message = Ref::str(&format!("Exception in callback {}", source(this)?))?;
        set(names().message, message.ptr())?;
        set(names().exception, exception.ptr())?;
        set(names().handle, this.cast())?;
        if let Some(full) = HandleObject::full(this)
            && !(*full).source_traceback.is_null()
        {
            set(names().source_traceback, (*full).source_traceback)?;
        }
        let loop_ = Ref::borrow((*this).loop_);
        while_handling(&exception, || {
            loop_.call_method(names().call_exception_handler, &[context.ptr()])
        })?;
        Ok(())
    }
}

/// The callback as it stands in reprs: name, arguments, and where it was defined.
pub(super) unsafe fn source(this: *mut HandleObject) -> Res<String> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let callback = Ref::borrow_opt((*this).callback).unwrap_or_else(Ref::none);
        let args = HandleObject::args_tuple(this)?;
        let format = &stdlib().format_callback_source;
        if !stdlib().formats_for_debug {
            return str_of(format.call(&[callback.ptr(), args.ptr()])?.ptr());
        }
        let debug = Ref::borrow((*this).loop_).call_method(names().get_debug, &[])?;
        let kwnames = Ref::tuple(&[names().debug])?;
        let text = format.call_kw(&[callback.ptr(), args.ptr(), debug.ptr()], kwnames.ptr())?;
        str_of(text.ptr())
    }
}

/// Keeps the text of a handle that is about to lose its callback (debug mode).
pub(super) unsafe fn keep_repr(this: *mut HandleObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        if let Some(full) = HandleObject::full(this) {
            let text = Ref::checked(ffi::PyObject_Repr(this.cast()))?;
            set_slot(&raw mut (*full).repr_text, text.into_ptr());
        }
    }
    Ok(())
}
