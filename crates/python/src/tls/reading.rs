//! From the session to the application.

use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::tls::{Delivery, Session};

use super::host::Conn;
use super::object::TlsObject;
use super::scratch::{self, SIZE};
use super::session::{read, read_into, rest_of};
use super::window;
use crate::names::names;
use crate::object::{Raised, Ref, Res, call_method, runtime_error};
use crate::streams;
use crate::transports::View;

unsafe extern "C" {
    // Exported by every supported version, and not in pyo3-ffi.
    fn _PyBytes_Resize(bytes: *mut *mut PyObject, size: ffi::Py_ssize_t) -> core::ffi::c_int;
}

/// A record brings so much at most. With less room, one would be read in two calls.
const RECORD: usize = 16 * 1024;
/// When so much has come, it is decrypted into a `bytes` object.
const LARGE: usize = 32 * 1024;

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

/// Whether it would be in vain to ask the session, which would make an exception.
unsafe fn has_nothing(this: *mut TlsObject) -> Res<bool> {
    // SAFETY: `this` is alive, says the caller.
    unsafe { Ok((*this).known && !(*this).holds_rest.get() && Conn(this).incoming()? == 0) }
}

/// All that there is, in one `data_received`.
unsafe fn deliver_data(this: *mut TlsObject) -> Res<Delivery> {
    // SAFETY: `this` is alive, says the caller; what is called is held over the calls.
    unsafe {
        let Some(worker) = Ref::borrow_opt((*this).worker) else {
            return Ok(Delivery::Drained);
        };
        if has_nothing(this)? {
            return Ok(Delivery::Drained);
        }
        let (data, end) = if (*this).known {
            read_all(this, worker.ptr())?
        } else {
            read_all_by_object(this, worker.ptr())?
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
        // Decrypted, it is never more than it was.
        match Conn(this).incoming()? {
            len if len < LARGE || (*this).holds_rest.get() => {
                scratch::with(|block| read_through(this, worker, block))
            }
            len => read_large(this, worker, len),
        }
    }
}

/// Small ones are copied once they are there, so that they take no more memory than they need.
unsafe fn read_through(
    this: *mut TlsObject,
    worker: *mut PyObject,
    block: &mut [u8],
) -> Res<(Option<Ref>, Delivery)> {
    // SAFETY: all alive, says the caller.
    unsafe {
        let mut filled = 0;
        // What did not fit into the block.
        let mut before = Vec::new();
        let end = loop {
            if SIZE - filled < RECORD {
                before.extend_from_slice(&block[..filled]);
                filled = 0;
            }
            let room = &mut block[filled..];
            let (count, end) = read_record(this, worker, room.as_mut_ptr(), room.len())?;
            filled += count;
            if let Some(end) = end {
                break end;
            }
        };
        if before.is_empty() {
            let data = (filled > 0).then(|| new_bytes(&block[..filled]));
            return Ok((data.transpose()?, end));
        }
        before.extend_from_slice(&block[..filled]);
        Ok((Some(new_bytes(&before)?), end))
    }
}

/// Large ones are decrypted where they stay.
unsafe fn read_large(
    this: *mut TlsObject,
    worker: *mut PyObject,
    len: usize,
) -> Res<(Option<Ref>, Delivery)> {
    // SAFETY: all alive, says the caller; a fresh bytes object, which nobody else sees before it has
    // its final size.
    unsafe {
        // A record that has begun earlier ends here: so much of it may be in the session.
        let size = len + RECORD;
        let fresh = ffi::PyBytes_FromStringAndSize(ptr::null(), size as ffi::Py_ssize_t);
        let mut data = Ref::checked(fresh)?.into_ptr();
        let start = ffi::PyBytes_AS_STRING(data).cast_mut().cast::<u8>();
        let mut filled = 0;
        let end = loop {
            match read_record(this, worker, start.add(filled), size - filled) {
                Ok((count, None)) if filled + count < size => filled += count,
                Ok((count, end)) => {
                    filled += count;
                    break end.unwrap_or(Delivery::Drained);
                }
                Err(raised) => {
                    drop(Ref::own(data));
                    return Err(raised);
                }
            }
        };
        if _PyBytes_Resize(&mut data, filled as ffi::Py_ssize_t) < 0 {
            return Err(Raised::set());
        }
        let data = Ref::own(data);
        Ok(((filled > 0).then_some(data), end))
    }
}

/// What one call brings to memory that is the caller's, and whether there is no more.
#[inline]
unsafe fn read_record(
    this: *mut TlsObject,
    worker: *mut PyObject,
    start: *mut u8,
    len: usize,
) -> Res<(usize, Option<Delivery>)> {
    // SAFETY: all alive, and nobody else uses the memory meanwhile, says the caller.
    unsafe {
        let got = window::lend(start, len, |buffer| read_into(this, worker, len, buffer))?;
        Ok(match got {
            Some(0) => (0, Some(Delivery::Closed)),
            None => (0, Some(Delivery::Drained)),
            // The session takes whole records from there, so nothing is left in it. To ask it
            // would make an exception.
            Some(count) if Conn(this).incoming()? == 0 => (count, Some(Delivery::Drained)),
            Some(count) => (count, None),
        })
    }
}

/// From a session of a program's own class, which might keep what it is given.
#[cold]
unsafe fn read_all_by_object(
    this: *mut TlsObject,
    worker: *mut PyObject,
) -> Res<(Option<Ref>, Delivery)> {
    // SAFETY: alive, says the caller.
    unsafe {
        let most = Ref::int(SIZE as i64)?;
        let mut all = Vec::new();
        let end = loop {
            match read(this, worker, most.ptr())? {
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
        if has_nothing(this)? {
            return Ok((0, Some(Delivery::Drained)));
        }
        let mut filled = 0;
        while filled < size {
            let rest = match filled {
                0 => Ref::borrow(buffer),
                _ => rest_of(buffer, filled)?,
            };
            match read_into(this, worker, size - filled, rest.ptr())? {
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
