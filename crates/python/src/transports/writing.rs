//! From the program to the socket: at once when nothing waits, otherwise when it is writable.

use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::{Drained, Flushed, WriteRefused, Written};

use super::chunk::{Chunk, View, bytes_of};
use super::closing::{call_connection_lost, failed, report};
use super::object::{Kind, TransportObject, as_direct};
use super::pipes;
use super::socket::descriptor;
use super::watching::{Side, unwatch, watch};
use crate::event_loop;
use crate::futures;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, items, raised_matches, runtime_error, take_raised, type_error, type_name,
};
use crate::stdlib::stdlib;

const FATAL: &str = "Fatal write error on socket transport";

/// `transport.write(data)`
#[inline]
pub(crate) unsafe fn write(this: *mut TransportObject, data: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        if ffi::PyBytes_Check(data) != 0 {
            let written =
                TransportObject::state(this).write(&descriptor(this), bytes_of(data), |sent| {
                    Chunk::Bytes(Ref::borrow(data), sent)
                });
            return match written {
                Ok(Written::Sent) => Ok(()),
                written => after_write(this, written, "write"),
            };
        }
        write_buffer(this, data)
    }
}

/// `transport.write(data)` of any transport.
#[inline]
pub(crate) unsafe fn write_to(transport: &Ref, data: *mut PyObject) -> Res<()> {
    // SAFETY: `data` is alive, says the caller.
    unsafe {
        if let Some(direct) = as_direct(transport.ptr()) {
            return write(direct, data);
        }
        if let Some(direct) = pipes::as_direct(transport.ptr()) {
            return pipes::write(direct, data);
        }
        transport.call_method(names().write, &[data]).map(drop)
    }
}

/// `transport.write(data)` of a bytearray or a memoryview.
unsafe fn write_buffer(this: *mut TransportObject, data: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        if ffi::PyByteArray_Check(data) == 0 && ffi::PyMemoryView_Check(data) == 0 {
            let name = type_name(data);
            return Err(type_error(&if cfg!(Py_3_14) {
                format!(
                    "data argument must be a bytes, bytearray, or memoryview object, not '{name}'"
                )
            } else {
                format!("data argument must be a bytes-like object, not '{name}'")
            }));
        }
        let written = match View::of(data, ffi::PyBUF_SIMPLE) {
            Ok(view) => {
                TransportObject::state(this).write(&descriptor(this), view.bytes(), |sent| {
                    Chunk::Copied(view.bytes()[sent..].to_vec())
                })
            }
            // A memoryview with gaps.
            Err(raised) => return failed(this, raised, FATAL),
        };
        after_write(this, written, "write")
    }
}

/// `transport.writelines(lines)`
pub(super) unsafe fn writelines(this: *mut TransportObject, lines: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let state = TransportObject::state(this);
        if state.is_write_eof() {
            return Err(refused(WriteRefused::AfterEof, "writelines"));
        }
        if !(*this).empty_waiter.is_null() {
            return Err(refused(WriteRefused::Reserved, "writelines"));
        }
        let lines = items(lines)?;
        let chunks = lines
            .iter()
            .map(|line| Chunk::of(line.ptr()))
            .collect::<Res<Vec<Chunk>>>()?;
        if chunks.is_empty() {
            return Ok(());
        }
        let written = state.writelines(&descriptor(this), chunks);
        after_write(this, written, "writelines")
    }
}

#[inline(never)]
unsafe fn after_write(
    this: *mut TransportObject,
    written: Result<Written, WriteRefused>,
    method: &str,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match written {
            Ok(Written::Sent) => Ok(()),
            Ok(Written::Queued {
                watch: begins,
                pause,
            }) => {
                if begins {
                    watch(this, Side::Write)?;
                }
                if pause {
                    tell_protocol(this, names().pause_writing, "pause_writing")?;
                }
                Ok(())
            }
            Ok(Written::Lost { warn: true }) => {
                let text = Ref::str("socket.send() raised exception.")?;
                stdlib()
                    .logger
                    .call_method(names().warning, &[text.ptr()])
                    .map(drop)
            }
            Ok(Written::Lost { warn: false }) => Ok(()),
            Ok(Written::Failed(error)) => failed(this, event_loop::os_error(&error), FATAL),
            Err(why) => Err(refused(why, method)),
        }
    }
}

#[cold]
fn refused(why: WriteRefused, method: &str) -> Raised {
    runtime_error(&match why {
        WriteRefused::AfterEof => format!("Cannot call {method}() after write_eof()"),
        WriteRefused::Reserved => format!("unable to {method}; sendfile is in progress"),
    })
}

/// Calls `pause_writing` or `resume_writing`. What it raises is reported and harms nothing.
pub(super) unsafe fn tell_protocol<S>(
    this: *mut TransportObject<S>,
    method: *mut PyObject,
    name: &str,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the protocol is held over the call.
    unsafe {
        let Some(protocol) = Ref::borrow_opt((*this).protocol) else {
            return Ok(());
        };
        match protocol.call_method(method, &[]) {
            Ok(_) => Ok(()),
            Err(raised)
                if raised_matches(&raised, ffi::PyExc_SystemExit)
                    || raised_matches(&raised, ffi::PyExc_KeyboardInterrupt) =>
            {
                Err(raised)
            }
            Err(raised) => report(
                this,
                &take_raised(raised),
                &format!("protocol.{name}() failed"),
            ),
        }
    }
}

/// The descriptor is writable, and something waits.
pub(super) unsafe fn write_ready(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        if (*this).kind == Kind::WritePipe {
            return pipes::write_ready(this);
        }
        let state = TransportObject::state(this);
        match state.flush(&descriptor(this)) {
            Flushed::Blocked => return Ok(()),
            Flushed::Sent { resume } => {
                if resume {
                    tell_protocol(this, names().resume_writing, "resume_writing")?;
                }
            }
            Flushed::Failed(error) => {
                let exception = take_raised(event_loop::os_error(&error));
                unwatch(this, Side::Write)?;
                state.clear();
                let raised = crate::object::raise_instance(exception.clone());
                failed(this, raised, FATAL)?;
                return finish_waiter(this, |waiter| {
                    futures::set_exception(waiter, exception.ptr())
                });
            }
        }
        let drained = state.drained(&descriptor(this));
        if matches!(drained, Drained::NotYet) {
            return Ok(());
        }
        unwatch(this, Side::Write)?;
        finish_waiter(this, |waiter| futures::set_result(waiter, ffi::Py_None()))?;
        match drained {
            Drained::NotYet | Drained::Idle => Ok(()),
            Drained::Ended(outcome) => outcome.map_err(|error| event_loop::os_error(&error)),
            Drained::Closed => call_connection_lost(this, Ref::none()),
        }
    }
}

/// `transport.write_eof()`
pub(super) unsafe fn write_eof(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        TransportObject::state(this)
            .write_eof(&descriptor(this))
            .map_err(|error| event_loop::os_error(&error))
    }
}

/// Gives `sendfile`'s waiter an outcome, if somebody waits still.
pub(super) unsafe fn finish_waiter<S>(
    this: *mut TransportObject<S>,
    finish: impl FnOnce(*mut PyObject) -> Res<()>,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the waiter is held over the call.
    unsafe {
        match Ref::borrow_opt((*this).empty_waiter) {
            Some(waiter) if !futures::is_done(waiter.ptr())? => finish(waiter.ptr()),
            _ => Ok(()),
        }
    }
}

/// `transport._make_empty_waiter()`: keeps writes off the socket, for `sendfile`, which may
/// begin when the answered future is done.
pub(super) unsafe fn make_empty_waiter(this: *mut TransportObject) -> Res {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let state = TransportObject::state(this);
        if !state.reserve() {
            return Err(runtime_error("Empty waiter is already set"));
        }
        let waiter = futures::new_future((*this).loop_)?;
        if state.buffered() == 0 {
            futures::set_result(waiter.ptr(), ffi::Py_None())?;
        }
        crate::object::set_slot(&raw mut (*this).empty_waiter, waiter.clone().into_ptr());
        Ok(waiter)
    }
}

/// `transport._reset_empty_waiter()`
pub(super) unsafe fn reset_empty_waiter(this: *mut TransportObject) {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        TransportObject::state(this).unreserve();
        crate::object::set_slot(&raw mut (*this).empty_waiter, ptr::null_mut());
    }
}
