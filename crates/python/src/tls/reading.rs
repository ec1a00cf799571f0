//! From the session to the application.

use pyo3::ffi::{self, PyObject};
use rasyncio::tls::{Delivery, Session};

use super::host::Conn;
use super::object::TlsObject;
use super::scratch::{SIZE, Scratch};
use super::session::{read, read_into, rest_of};
use crate::names::names;
use crate::object::{Ref, Res, call_method, runtime_error};
use crate::streams;
use crate::transports::View;

/// A record brings so much at most. With less room, one would be read in two calls.
const RECORD: usize = 16 * 1024;

/// Decrypts what has come, and passes it on until there is no more.
pub(super) unsafe fn deliver(this: *mut TlsObject) -> Res<Delivery> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        loop {
            // Any call of the protocol may have exchanged it.
            if !(*this).app_is_buffered {
                return deliver_data(this);
            }
            if let Some(end) = fill_buffer(this)? {
                return Ok(end);
            }
            if !TlsObject::state(this).is_reading() {
                return Ok(Delivery::Drained);
            }
        }
    }
}

/// All that there is, in one `data_received`.
unsafe fn deliver_data(this: *mut TlsObject) -> Res<Delivery> {
    // SAFETY: `this` is alive, says the caller; what is called is held over the calls.
    unsafe {
        let Some(worker) = Ref::borrow_opt((*this).worker) else {
            return Ok(Delivery::Drained);
        };
        let (data, end) = if (*this).worker_is_known {
            read_all(this, worker.ptr())?
        } else {
            read_all_by_object(worker.ptr())?
        };
        if let (Some(data), Some(app)) = (data, Ref::borrow_opt((*this).app)) {
            if streams::is_direct_protocol(app.ptr()) {
                streams::data_received(app.ptr(), data.ptr())?;
            } else {
                call_method(app.ptr(), names().data_received, &[data.ptr()])?;
            }
        }
        Ok(end)
    }
}

unsafe fn read_all(this: *mut TlsObject, worker: *mut PyObject) -> Res<(Option<Ref>, Delivery)> {
    // SAFETY: all alive, says the caller.
    unsafe {
        let mut scratch = Scratch::take()?;
        let mut filled = 0;
        // What did not fit into the scratch memory.
        let mut before = Vec::new();
        let most = Ref::int(SIZE as i64)?;
        let end = loop {
            if SIZE - filled < RECORD {
                before.extend_from_slice(scratch.bytes(filled));
                filled = 0;
            }
            let room = scratch.view(filled)?;
            // More than the room is as much as the room.
            match read_into(worker, most.ptr(), room.ptr())? {
                Some(0) => break Delivery::Closed,
                Some(count) => filled += count,
                None => break Delivery::Drained,
            }
            // The session takes whole records from there, so nothing is left in it. To ask it
            // would make an exception.
            if Conn(this).incoming()? == 0 {
                break Delivery::Drained;
            }
        };
        if before.is_empty() {
            let data = (filled > 0).then(|| new_bytes(scratch.bytes(filled)));
            return Ok((data.transpose()?, end));
        }
        before.extend_from_slice(scratch.bytes(filled));
        Ok((Some(new_bytes(&before)?), end))
    }
}

/// From a session of a program's own class, which might keep what it is given.
#[cold]
unsafe fn read_all_by_object(worker: *mut PyObject) -> Res<(Option<Ref>, Delivery)> {
    // SAFETY: alive, says the caller.
    unsafe {
        let most = Ref::int(SIZE as i64)?;
        let mut all = Vec::new();
        let end = loop {
            match read(worker, most.ptr())? {
                None => break Delivery::Drained,
                Some(data) => match View::of(data.ptr(), ffi::PyBUF_SIMPLE)?.bytes() {
                    [] => break Delivery::Closed,
                    bytes => all.extend_from_slice(bytes),
                },
            }
        };
        let data = (!all.is_empty()).then(|| new_bytes(&all));
        Ok((data.transpose()?, end))
    }
}

fn new_bytes(data: &[u8]) -> Res {
    // SAFETY: memory that the slice describes is copied.
    unsafe {
        Ref::checked(ffi::PyBytes_FromStringAndSize(
            data.as_ptr().cast(),
            data.len() as ffi::Py_ssize_t,
        ))
    }
}

/// As much as the application's buffer holds. None if it is full.
unsafe fn fill_buffer(this: *mut TlsObject) -> Res<Option<Delivery>> {
    // SAFETY: `this` is alive, says the caller; what is called is held over the calls.
    unsafe {
        let (Some(app), Some(worker)) = (
            Ref::borrow_opt((*this).app),
            Ref::borrow_opt((*this).worker),
        ) else {
            return Ok(Some(Delivery::Drained));
        };
        let hint = Ref::int(Conn(this).incoming()? as i64)?;
        let buffer = app.call_method(names().get_buffer, &[hint.ptr()])?;
        let (filled, end) = fill(this, worker.ptr(), buffer.ptr())?;
        drop(buffer);
        if filled > 0 {
            let count = Ref::int(filled as i64)?;
            app.call_method(names().buffer_updated, &[count.ptr()])?;
        }
        Ok(end)
    }
}

unsafe fn fill(
    this: *mut TlsObject,
    worker: *mut PyObject,
    buffer: *mut PyObject,
) -> Res<(usize, Option<Delivery>)> {
    // SAFETY: all alive, says the caller.
    unsafe {
        let size = View::of(buffer, ffi::PyBUF_WRITABLE)?.len();
        if size == 0 {
            return Err(runtime_error("get_buffer() returned an empty buffer"));
        }
        let mut filled = 0;
        while filled < size {
            let left = Ref::int((size - filled) as i64)?;
            let rest = match filled {
                0 => Ref::borrow(buffer),
                _ => rest_of(buffer, filled)?,
            };
            match read_into(worker, left.ptr(), rest.ptr())? {
                Some(0) => return Ok((filled, Some(Delivery::Closed))),
                Some(count) => filled += count,
                None => return Ok((filled, Some(Delivery::Drained))),
            }
            // Of a record that does not fit the session keeps the rest; but then it is full.
            if filled < size && Conn(this).incoming()? == 0 {
                return Ok((filled, Some(Delivery::Drained)));
            }
        }
        Ok((filled, None))
    }
}
