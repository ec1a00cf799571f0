//! Readiness: watching for it, and the jobs that it schedules.
//!
//! A job is the transport itself. It may be queued when the watch ends; the state then says that
//! there is nothing to do. In debug mode the watch is a handle of `_read_ready` or
//! `_write_ready`, as in asyncio, so that slowness is noticed and `_current_handle` is told.

use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::{Job, fetch};

use super::object::{State, TransportObject};
use super::pulling;
use crate::boundary;
use crate::event_loop;
use crate::jobs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, check, set_slot, take_slot};

/// Which half of the descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Read,
    Write,
}

/// Calls `readable` or `writable` from now on, whenever the descriptor is that.
pub(super) unsafe fn watch<S: State>(this: *mut TransportObject<S>, side: Side) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let core = TransportObject::core(this)?;
        core.check_closed()?;
        if core.debug() {
            return watch_with_handle(this, side);
        }
        let context = match Ref::borrow_opt((*this).context) {
            Some(given) => given,
            None => Ref::checked(ffi::PyContext_CopyCurrent())?,
        };
        watch_in(this, side, context)
    }
}

/// The same, in that context.
pub(super) unsafe fn watch_in<S: State>(
    this: *mut TransportObject<S>,
    side: Side,
    context: Ref,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let core = TransportObject::core(this)?;
        core.check_closed()?;
        set_slot(context_of(this, side), context.into_ptr());
        let job = S::job(side, Ref::borrow(this.cast()));
        let replaced = match side {
            Side::Read => core.engine().set_reader((*this).fd, job),
            Side::Write => core.engine().set_writer((*this).fd, job),
        };
        event_loop::forget_watcher(replaced.map_err(|error| event_loop::os_error(&error))?)
    }
}

#[cold]
unsafe fn watch_with_handle<S: State>(this: *mut TransportObject<S>, side: Side) -> Res<()> {
    let method = match side {
        Side::Read => names()._add_reader,
        Side::Write => names()._add_writer,
    };
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let callback = Ref::borrow(this.cast()).attr(S::method(side))?;
        let fd = Ref::int(i64::from((*this).fd))?;
        let context = Ref::borrow_opt((*this).context).unwrap_or_else(Ref::none);
        let kwnames = Ref::tuple(&[names().context])?;
        let add = Ref::borrow((*this).loop_).attr(method)?;
        add.call_kw(&[fd.ptr(), callback.ptr(), context.ptr()], kwnames.ptr())
            .map(drop)
    }
}

/// Ends the watch.
pub(super) unsafe fn unwatch<S>(this: *mut TransportObject<S>, side: Side) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let Ok(core) = TransportObject::core(this) else {
            ffi::PyErr_Clear();
            return Ok(());
        };
        let (engine, fd) = (core.engine(), (*this).fd);
        let removed = match side {
            Side::Read => engine.remove_reader(fd),
            Side::Write => engine.remove_writer(fd),
        };
        drop(take_slot(context_of(this, side)));
        let Some(job) = removed else {
            return Ok(());
        };
        if is_of_another(&job, this) {
            // Our socket was closed behind our back, and its number is another transport's by
            // now: that one must not suffer.
            let restored = match side {
                Side::Read => engine.set_reader(fd, job),
                Side::Write => engine.set_writer(fd, job),
            };
            drop(restored);
            return Ok(());
        }
        event_loop::forget_watcher(Some(job))
    }
}

fn is_of_another<S>(job: &Job, this: *mut TransportObject<S>) -> bool {
    jobs::is_transport(job) && !ptr::eq(job.data().cast(), this)
}

unsafe fn context_of<S>(this: *mut TransportObject<S>, side: Side) -> *mut *mut PyObject {
    // SAFETY: the address of a field of a live object.
    unsafe {
        match side {
            Side::Read => &raw mut (*this).reader_context,
            Side::Write => &raw mut (*this).writer_context,
        }
    }
}

/// Fetches what [`readable`] needs besides the transport itself.
#[inline]
pub(crate) unsafe fn fetch_ahead(this: *mut TransportObject) {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        fetch::<1>((*this).protocol.cast());
        fetch::<1>((*this).reader_context.cast());
    }
}

/// The job of a descriptor that is readable.
pub(crate) unsafe fn readable(this: *mut TransportObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        if TransportObject::state(this).may_receive() && pulling::left(this)? {
            return Ok(());
        }
        run(this, Side::Read, event_loop::report_callback_error)
    }
}

/// The job of a descriptor that is writable.
pub(crate) unsafe fn writable(this: *mut TransportObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe { run(this, Side::Write, event_loop::report_callback_error) }
}

/// Runs a job of readiness in its context; `report` is told what it raises.
#[inline]
pub(super) unsafe fn run<S: State>(
    this: *mut TransportObject<S>,
    side: Side,
    report: impl FnOnce(Res<()>, *mut PyObject) -> Res<()>,
) -> Res<()> {
    // SAFETY: the job keeps `this` alive; the context is held while it is entered.
    unsafe {
        if !S::wants(this, side) {
            return Ok(());
        }
        let Some(context) = Ref::borrow_opt(*context_of(this, side)) else {
            return Ok(());
        };
        TransportObject::core(this)?.leave_stale_task()?;
        check(ffi::PyContext_Enter(context.ptr()))?;
        let outcome = boundary::result(|| S::ready(this, side));
        if ffi::PyContext_Exit(context.ptr()) < 0 {
            return Err(Raised::set());
        }
        report(outcome, this.cast())
    }
}
