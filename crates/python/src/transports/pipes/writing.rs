//! From the program to the pipe. That nobody reads it any more shows as readability.

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::{Closing, Drained, Flushed, WRITES_BEFORE_WARNING, Written};

use super::super::chunk::{Chunk, View, bytes_of};
use super::super::closing::{call_connection_lost, closed, failed, force_close};
use super::super::object::TransportObject;
use super::super::watching::{Side, unwatch, watch};
use super::super::writing::tell_protocol;
use super::descriptor::pipe;
use super::log_info;
use crate::event_loop;
use crate::names::names;
use crate::object::{Raised, Ref, Res, raise, repr};
use crate::stdlib::stdlib;

const FATAL: &str = "Fatal write error on pipe transport";

/// `transport.write(data)`
pub(in super::super) unsafe fn write(this: *mut TransportObject, data: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let state = TransportObject::state(this);
        if ffi::PyBytes_Check(data) != 0 {
            let bytes = bytes_of(data);
            if state.is_closing() {
                return refuse(this, bytes.is_empty());
            }
            let keep = |sent| Chunk::Bytes(Ref::borrow(data), sent);
            let written = state.write(&pipe(this), bytes, keep);
            return after_write(this, written.unwrap_or(Written::Sent));
        }
        if ffi::PyByteArray_Check(data) == 0 && ffi::PyMemoryView_Check(data) == 0 {
            return Err(raise(ffi::PyExc_AssertionError, &repr(data)?));
        }
        if state.is_closing() {
            return refuse(this, !Ref::borrow(data).truth()?);
        }
        let written = match View::of(data, ffi::PyBUF_SIMPLE) {
            Ok(view) => state.write(&pipe(this), view.bytes(), |sent| {
                Chunk::Copied(view.bytes()[sent..].to_vec())
            }),
            // A memoryview with gaps.
            Err(raised) => return broken(this, raised),
        };
        after_write(this, written.unwrap_or(Written::Sent))
    }
}

unsafe fn after_write(this: *mut TransportObject, written: Written) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match written {
            Written::Sent => Ok(()),
            Written::Queued {
                watch: begins,
                pause,
            } => {
                if begins {
                    watch(this, Side::Write)?;
                }
                if pause {
                    tell_protocol(this, names().pause_writing, "pause_writing")?;
                }
                Ok(())
            }
            Written::Lost { .. } => refuse(this, false),
            Written::Failed(error) => broken(this, event_loop::os_error(&error)),
        }
    }
}

/// Nobody gets what is written to a pipe that is closing. Many such writes are worth a warning.
#[cold]
unsafe fn refuse(this: *mut TransportObject, is_empty: bool) -> Res<()> {
    if is_empty {
        return Ok(());
    }
    // SAFETY: `this` is alive, says the caller.
    let count = unsafe { &(*this).lost_writes };
    if count.get() >= WRITES_BEFORE_WARNING {
        let text = Ref::str("pipe closed by peer or os.write(pipe, data) raised exception.")?;
        stdlib()
            .logger
            .call_method(names().warning, &[text.ptr()])?;
    }
    count.set(count.get().saturating_add(1));
    Ok(())
}

/// The pipe takes nothing: the transport ends.
#[cold]
unsafe fn broken(this: *mut TransportObject, raised: Raised) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let count = &(*this).lost_writes;
        count.set(count.get().saturating_add(1));
        failed(this, raised, FATAL)
    }
}

/// The pipe takes something, and something waits.
pub(in super::super) unsafe fn write_ready(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let state = TransportObject::state(this);
        match state.flush_whole(&pipe(this)) {
            Flushed::Blocked => return Ok(()),
            Flushed::Sent { resume } => {
                if resume {
                    tell_protocol(this, names().resume_writing, "resume_writing")?;
                }
            }
            Flushed::Failed(error) => {
                unwatch(this, Side::Write)?;
                state.clear();
                return broken(this, event_loop::os_error(&error));
            }
        }
        match state.drained(&pipe(this)) {
            Drained::NotYet => Ok(()),
            Drained::Idle | Drained::Ended(_) => unwatch(this, Side::Write),
            Drained::Closed => {
                unwatch(this, Side::Write)?;
                unwatch(this, Side::Read)?;
                call_connection_lost(this, Ref::none())
            }
        }
    }
}

/// The pipe shows as readable: nobody reads it any more.
pub(in super::super) unsafe fn peer_has_gone(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; a static exception class.
    unsafe {
        log_info(this, "%r was closed by peer")?;
        if TransportObject::state(this).buffered() == 0 {
            return force_close(this, ffi::Py_None());
        }
        let error = Ref::borrow(ffi::PyExc_BrokenPipeError).call0()?;
        force_close(this, error.ptr())
    }
}

/// `transport.write_eof()` and `close()`: after what waits has gone out.
pub(super) unsafe fn close(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match TransportObject::state(this).close() {
            // That the reader goes is worth knowing still.
            Closing::Flushing => Ok(()),
            closing => closed(this, closing),
        }
    }
}
