//! From the socket to the protocol: one `recv` for each readiness event.

use core::cell::UnsafeCell;
use std::io;

use pyo3::ffi;
use rasyncio::transports::stream::{Closing, MAX_RECEIVE, Received, received};

use super::addresses::Address;
use super::chunk::View;
use super::closing::{closed, failed, log_debug};
use super::described;
use super::expected::{self, LastReads};
use super::large;
use super::object::{Kind, TransportObject};
use super::pipes;
use super::socket::{Fd, Source, descriptor};
use super::watching::{Side, unwatch};
use crate::event_loop;
use crate::names::names;
use crate::object::{Raised, Ref, Res, call_method, runtime_error, take_raised};
use crate::streams;
use crate::tls;

/// What is worth telling the loop, which takes less at a time when much comes.
pub(super) const NOTABLE: usize = 2 * 1024;

pub(super) const FATAL: &str = "Fatal read error on socket transport";
const BUFFER_UPDATED_FAILED: &str = "Fatal error: protocol.buffer_updated() call failed.";

/// Where small reads arrive. One serves all: no Python code runs between the system's call and
/// the copy.
pub(super) struct Scratch(UnsafeCell<[u8; MAX_RECEIVE]>);

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Scratch {}

pub(super) static SCRATCH: Scratch = Scratch(UnsafeCell::new([0; MAX_RECEIVE]));

impl Scratch {
    /// Its first byte of [`MAX_RECEIVE`].
    #[inline]
    pub(super) fn start(&self) -> *mut u8 {
        self.0.get().cast()
    }
}

/// The descriptor is readable, and somebody wants to know.
pub(super) unsafe fn read_ready(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match (*this).kind {
            Kind::Data | Kind::Stream => read_data(this),
            Kind::Tls => read_tls(this),
            Kind::Buffered => read_into_buffer(this),
            Kind::ReadPipe => pipes::read_ready(this),
            Kind::WritePipe => pipes::peer_has_gone(this),
        }
    }
}

#[inline]
unsafe fn read_data(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the protocol is held over the call.
    unsafe {
        let last = (*this).last_reads.get();
        let data = match receive(descriptor(this), last, MAX_RECEIVE) {
            Ok((Received::Data(count), Some(data))) => {
                (*this).last_reads.set(last.and(count, &data));
                if count >= NOTABLE {
                    TransportObject::core(this)?.engine().has_read(count);
                }
                data
            }
            Ok((other, _)) => return no_data(this, other),
            Err(raised) => return failed(this, raised, FATAL),
        };
        let Some(protocol) = Ref::borrow_opt((*this).protocol) else {
            return Ok(());
        };
        let told = if (*this).kind == Kind::Stream && streams::is_direct_protocol(protocol.ptr()) {
            streams::data_received(protocol.ptr(), data.ptr())
        } else {
            call_method(protocol.ptr(), names().data_received, &[data.ptr()]).map(drop)
        };
        match told {
            Ok(()) => Ok(()),
            Err(raised) => {
                let message = "Fatal error: protocol.data_received() call failed.";
                failed(this, raised, message)
            }
        }
    }
}

/// Encrypted data goes from the scratch buffer into the session.
#[inline]
unsafe fn read_tls(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the protocol is held over the call. The scratch buffer
    // is ours until the session has copied what is there.
    unsafe {
        let start = SCRATCH.start();
        let count = match received(descriptor(this).receive(start, MAX_RECEIVE)) {
            Received::Data(count) => count,
            other => return no_data(this, other),
        };
        if count >= NOTABLE {
            TransportObject::core(this)?.engine().has_read(count);
        }
        let Some(protocol) = Ref::borrow_opt((*this).protocol) else {
            return Ok(());
        };
        match tls::received(protocol.ptr(), start, count) {
            Ok(()) => Ok(()),
            Err(raised) => failed(this, raised, BUFFER_UPDATED_FAILED),
        }
    }
}

/// One `recv` of `most` bytes at most, and its data as a `bytes` object. `most` is at most
/// [`MAX_RECEIVE`]; `last` is what the last ones brought.
#[inline]
pub(crate) unsafe fn receive(
    from: impl Source,
    last: LastReads,
    most: usize,
) -> Res<(Received, Option<Ref>)> {
    // SAFETY: the scratch buffer is ours until we return, and a fresh bytes object is too.
    unsafe {
        last.fetch_last();
        if let Some(size) = last.expected()
            && size <= most
        {
            return expected::receive(from, size, most);
        }
        if last.are_large()
            && let Some(size) = large::waiting(from)
        {
            return large::receive(from, size.min(most));
        }
        let start = SCRATCH.start();
        let got = received(from.receive(start, most.min(MAX_RECEIVE)));
        let data = match got {
            Received::Data(count) => Some(Ref::checked(ffi::PyBytes_FromStringAndSize(
                start.cast(),
                count as ffi::Py_ssize_t,
            ))?),
            _ => None,
        };
        Ok((got, data))
    }
}

/// One datagram, and where it came from.
#[inline]
pub(crate) unsafe fn receive_from(fd: Fd, most: usize) -> Res<io::Result<(Ref, Address)>> {
    // SAFETY: the scratch buffer is ours until we return.
    unsafe {
        let start = SCRATCH.start();
        Ok(match fd.receive_from(start, most.min(MAX_RECEIVE)) {
            Ok((count, from)) => {
                let count = count as ffi::Py_ssize_t;
                let data = ffi::PyBytes_FromStringAndSize(start.cast(), count);
                Ok((Ref::checked(data)?, from))
            }
            Err(error) => Err(error),
        })
    }
}

unsafe fn read_into_buffer(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the protocol is held over the calls.
    unsafe {
        let Some(protocol) = Ref::borrow_opt((*this).protocol) else {
            return Ok(());
        };
        let buffer = match get_buffer(&protocol) {
            Ok(buffer) => buffer,
            Err(raised) => {
                let message = "Fatal error: protocol.get_buffer() call failed.";
                return failed(this, raised, message);
            }
        };
        // If `get_buffer` has closed the transport, what came is delivered all the same.
        let got = match View::of(buffer.ptr(), ffi::PyBUF_WRITABLE) {
            Ok(view) => received(descriptor(this).receive(view.start(), view.len())),
            Err(raised) => return refused(this, &buffer, raised),
        };
        drop(buffer);
        let Received::Data(count) = got else {
            return no_data(this, got);
        };
        let count = Ref::int(count as i64)?;
        // Another one, if `get_buffer` has let one take over.
        let protocol = Ref::borrow_opt((*this).protocol).unwrap_or(protocol);
        match call_method(protocol.ptr(), names().buffer_updated, &[count.ptr()]) {
            Ok(_) => Ok(()),
            Err(raised) => failed(this, raised, BUFFER_UPDATED_FAILED),
        }
    }
}

/// What the protocol gave is no memory to write to. The socket's own method says why.
#[cold]
unsafe fn refused(this: *mut TransportObject, buffer: &Ref, raised: Raised) -> Res<()> {
    drop(take_raised(raised));
    // SAFETY: `this` is alive, says the caller; the socket is held over the call.
    unsafe {
        let sock = described::socket(this)?;
        match sock.call_method(names().recv_into, &[buffer.ptr()]) {
            Ok(_) => Ok(()),
            Err(raised) => failed(this, raised, FATAL),
        }
    }
}

unsafe fn get_buffer(protocol: &Ref) -> Res {
    let anything = Ref::int(-1)?;
    let buffer = protocol.call_method(names().get_buffer, &[anything.ptr()])?;
    // SAFETY: alive.
    match unsafe { ffi::PyObject_Size(buffer.ptr()) } {
        -1 => Err(Raised::set()),
        0 => Err(runtime_error("get_buffer() returned an empty buffer")),
        _ => Ok(buffer),
    }
}

/// A read that brought nothing.
#[cold]
pub(super) unsafe fn no_data(this: *mut TransportObject, got: Received) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match got {
            Received::Data(_) | Received::Blocked => Ok(()),
            Received::Eof => end_of_file(this),
            Received::Failed(error) => read_failed(this, &error),
        }
    }
}

unsafe fn read_failed(this: *mut TransportObject, error: &io::Error) -> Res<()> {
    let raised = event_loop::os_error(error);
    // SAFETY: `this` is alive, says the caller.
    unsafe { failed(this, raised, FATAL) }
}

/// The peer sends no more. The protocol says whether the connection stays open for writing.
unsafe fn end_of_file(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the protocol is held over the call.
    unsafe {
        log_debug(this, "%r received EOF")?;
        let Some(protocol) = Ref::borrow_opt((*this).protocol) else {
            return Ok(());
        };
        let keep_open = match protocol.call_method(names().eof_received, &[]) {
            Ok(answer) => answer.truth()?,
            Err(raised) => {
                let message = "Fatal error: protocol.eof_received() call failed.";
                return failed(this, raised, message);
            }
        };
        match TransportObject::state(this).eof(keep_open) {
            Closing::Already => unwatch(this, Side::Read),
            closing => closed(this, closing),
        }
    }
}
