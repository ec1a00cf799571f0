//! Running a handle: its callback in its context, and what becomes of what it raises.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::{HandleObject, Layout, Shape};
use crate::contexts::{RunContext, Stay};
use crate::event_loop::LoopCore;
use crate::names::names;
use crate::object::{
    Ref, Res, check, raise_instance, set_slot, str_of, take_raised, vectorcall, while_handling,
};
use crate::stdlib::stdlib;

/// The job of a handle.
///
/// The references that a run drops at its end may be the last. What has a finaliser then must
/// not find the callback's context current: in asyncio they go in a later turn.
#[inline]
pub(crate) unsafe fn run(core: &LoopCore, handle: Ref) -> Res<()> {
    let this = handle.ptr().cast::<HandleObject>();
    // SAFETY: a live handle, says the caller.
    unsafe {
        let is_plain = (*this).layout == Layout::Plain;
        if is_plain && !core.debug() {
            return run_plain(core, handle);
        }
        if !(*this).cancelled {
            run_kept(core, this)?;
            if is_plain {
                HandleObject::forget_callback(this);
            }
        }
        if ffi::Py_REFCNT(handle.ptr()) == 1 {
            core.contexts().leave()?;
        }
    }
    Ok(())
}

/// A handle that lets go of its callback. When the job alone holds it, nobody can see what
/// becomes of it meanwhile: it gives its callback away, and its memory goes straight back.
#[inline]
unsafe fn run_plain(core: &LoopCore, handle: Ref) -> Res<()> {
    let this = handle.ptr().cast::<HandleObject>();
    // SAFETY: a live handle, says the caller; what is called is held over the call, since the
    // callback may cancel its own handle.
    unsafe {
        let alone = ffi::Py_REFCNT(handle.ptr()) == 1 && (*this).weakrefs.is_null();
        if !(*this).cancelled && !(*this).callback.is_null() {
            let context = &raw mut (*this).context;
            let stay = match core.contexts().enter(context) {
                Ok(stay) => stay,
                Err(raised) => {
                    let exception = take_raised(raised);
                    return report_collected(this, alone, exception);
                }
            };
            let shape = (*this).shape;
            let callback = Ref::own((*this).callback);
            let args = Ref::own_opt((*this).args);
            if alone {
                (*this).callback = ptr::null_mut();
                (*this).args = ptr::null_mut();
            } else {
                core::mem::forget((callback.clone(), args.clone()));
            }
            let result = match Ref::checked(call(&callback, shape, args.as_ref())) {
                Ok(result) => result,
                Err(raised) => {
                    if alone {
                        (*this).callback = callback.into_ptr();
                        (*this).args = args.map_or(ptr::null_mut(), Ref::into_ptr);
                    }
                    let exception = take_raised(raised);
                    leave_failed(core, this, stay)?;
                    return report_collected(this, alone, exception);
                }
            };
            core.contexts().exit(context, stay)?;
            if !alone {
                HandleObject::forget_callback(this);
            }
            if is_last(&callback) || args.as_ref().is_some_and(is_last) || is_last(&result) {
                core.contexts().leave()?;
            }
        }
        if alone && (*this).callback.is_null() {
            if (*this).context.may_die() {
                core.contexts().leave()?;
            }
            super::recycle(handle);
        } else if ffi::Py_REFCNT(handle.ptr()) == 1 {
            core.contexts().leave()?;
        }
    }
    Ok(())
}

#[inline]
fn is_last(object: &Ref) -> bool {
    // SAFETY: alive.
    unsafe { ffi::Py_REFCNT(object.ptr()) == 1 }
}

/// A handle that keeps its callback: a timer, a reader or writer, or one in debug mode. Then
/// it is `loop._current_handle` meanwhile, and slowness is logged.
unsafe fn run_kept(core: &LoopCore, this: *mut HandleObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        if !core.debug() {
            return run_callback(core, this);
        }
        core.set_current_handle(Some(Ref::borrow(this.cast())));
        let started = core.engine().now();
        let outcome = run_callback(core, this);
        core.set_current_handle(None);
        outcome?;
        core.contexts().leave()?;
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

unsafe fn run_callback(core: &LoopCore, this: *mut HandleObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive; what is called is held over the call.
    unsafe {
        let Some(callback) = Ref::borrow_opt((*this).callback) else {
            return Ok(());
        };
        let args = Ref::borrow_opt((*this).args);
        let context = &raw mut (*this).context;
        let stay = match core.contexts().enter(context) {
            Ok(stay) => stay,
            Err(raised) => return report(this, take_raised(raised)),
        };
        let result = match Ref::checked(call(&callback, (*this).shape, args.as_ref())) {
            Ok(result) => result,
            Err(raised) => {
                let exception = take_raised(raised);
                leave_failed(core, this, stay)?;
                return report(this, exception);
            }
        };
        core.contexts().exit(context, stay)?;
        // The callback may have cancelled its handle.
        if is_last(&callback) || args.as_ref().is_some_and(is_last) || is_last(&result) {
            core.contexts().leave()?;
        }
    }
    Ok(())
}

/// The exception handler is to find what the callback has set, but not its context current.
#[cold]
unsafe fn leave_failed(core: &LoopCore, this: *mut HandleObject, stay: Stay) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        let context = &raw mut (*this).context;
        drop(RunContext::show(context)?);
        core.contexts().exit(context, stay)?;
        core.contexts().leave()
    }
}

/// [`report`] for a plain handle.
#[cold]
unsafe fn report_collected(this: *mut HandleObject, alone: bool, exception: Ref) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        if !alone {
            return report(this, exception);
        }
        let shown = super::made_collected(this)?;
        report(shown.ptr().cast(), exception)
    }
}

/// `handle._run()`: for foreign loops.
pub(super) unsafe fn run_here(this: *mut HandleObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; what is called is held over the call.
    unsafe {
        let context = RunContext::show(&raw mut (*this).context)?;
        let Some(callback) = Ref::borrow_opt((*this).callback) else {
            return Ok(());
        };
        let args = Ref::borrow_opt((*this).args);
        if let Err(raised) = check(ffi::PyContext_Enter(context.ptr())) {
            return report(this, take_raised(raised));
        }
        let outcome = Ref::checked(call(&callback, (*this).shape, args.as_ref()));
        let outcome = outcome.map_err(take_raised);
        check(ffi::PyContext_Exit(context.ptr()))?;
        match outcome {
            Ok(_) => {
                if (*this).layout == Layout::Plain && !(*this).repeats {
                    HandleObject::forget_callback(this);
                }
                Ok(())
            }
            Err(exception) => report(this, exception),
        }
    }
}

#[inline(always)]
unsafe fn call(callback: &Ref, shape: Shape, args: Option<&Ref>) -> *mut PyObject {
    // SAFETY: all alive; the array has a free slot before the argument, as the offset flag
    // promises.
    unsafe {
        match (shape, args) {
            (Shape::Tuple, Some(args)) => {
                ffi::PyObject_Call(callback.ptr(), args.ptr(), ptr::null_mut())
            }
            (_, arg) => {
                let mut array = [ptr::null_mut(), ptr::null_mut()];
                let count = match arg {
                    Some(arg) => {
                        array[1] = arg.ptr();
                        1
                    }
                    None => 0,
                };
                vectorcall(callback.ptr(), array.as_ptr().add(1), count)
            }
        }
    }
}

/// What a callback raises goes to the loop's exception handler; SystemExit and
/// KeyboardInterrupt leave the loop.
#[cold]
pub(crate) unsafe fn report(this: *mut HandleObject, exception: Ref) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let leaves = |class| ffi::PyErr_GivenExceptionMatches(exception.ptr(), class) != 0;
        if leaves(ffi::PyExc_SystemExit) || leaves(ffi::PyExc_KeyboardInterrupt) {
            return Err(raise_instance(exception));
        }
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
