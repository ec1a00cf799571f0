//! From the program to the socket: at once when nothing waits, otherwise when it is writable.

use core::cell::Cell;
use core::ffi::CStr;
use std::io::{self, ErrorKind};

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::{Descriptor, Drained, Written};

use super::{DatagramObject, call_protocol, is_blocked};
use crate::event_loop;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, isinstance, raise_instance, str_of, take_raised, type_error,
    type_name, value_error, while_handling,
};
use crate::stdlib::stdlib;
use crate::transports::addresses::Address;
use crate::transports::chunk::{Chunk, View, bytes_of};
use crate::transports::closing::{call_connection_lost, failed};
use crate::transports::object::TransportObject;
use crate::transports::socket::descriptor;
use crate::transports::watching::{Side, unwatch, watch};
use crate::transports::writing::tell_protocol;

/// Tells audit hooks what the method of a socket tells them: the socket, and an address. What
/// they raise forbids the call.
#[inline]
pub(crate) unsafe fn audit(event: &CStr, sock: *mut PyObject, address: *mut PyObject) -> Res<()> {
    // SAFETY: a format for two objects, which are alive, says the caller.
    check(unsafe { crate::audit::PySys_Audit(event.as_ptr(), c"OO".as_ptr(), sock, address) })
}

const FATAL: &str = "Fatal write error on datagram transport";

/// Where a datagram goes.
pub(crate) enum Target {
    /// Where the system has connected the socket to.
    Connected,
    /// An address that was read, and the object that it was read from.
    Known(Address, Ref),
    /// Any other object: the socket's own method knows what it means.
    Asked(Ref),
}

impl Target {
    /// The object that it holds, borrowed, for the collector.
    pub(super) fn object(&self) -> Option<*mut PyObject> {
        match self {
            Target::Connected => None,
            Target::Known(_, shown) | Target::Asked(shown) => Some(shown.ptr()),
        }
    }
}

/// `transport.sendto(data, addr)`
#[inline]
pub(super) unsafe fn sendto(
    this: *mut DatagramObject,
    data: *mut PyObject,
    given: *mut PyObject,
) -> Res<()> {
    // SAFETY: all alive, says the caller, `given` at least as None.
    unsafe {
        if ffi::PyBytes_Check(data) != 0 {
            let keep = || Chunk::Bytes(Ref::borrow(data), 0);
            return send_bytes(this, bytes_of(data), given, keep);
        }
        if ffi::PyByteArray_Check(data) == 0 && ffi::PyMemoryView_Check(data) == 0 {
            let name = type_name(data);
            return Err(type_error(&format!(
                "data argument must be a bytes-like object, not '{name}'"
            )));
        }
        match View::of(data, ffi::PyBUF_SIMPLE) {
            Ok(view) => {
                let keep = || Chunk::Copied(view.bytes().to_vec());
                send_bytes(this, view.bytes(), given, keep)
            }
            // A memoryview with gaps.
            Err(raised) => failed(this, raised, FATAL),
        }
    }
}

#[inline]
unsafe fn send_bytes(
    this: *mut DatagramObject,
    data: &[u8],
    given: *mut PyObject,
    keep: impl FnOnce() -> Chunk,
) -> Res<()> {
    // SAFETY: all alive, says the caller.
    unsafe {
        let state = TransportObject::state(this);
        if data.is_empty() && !state.sends_empty.get() {
            return Ok(());
        }
        let address = state.address()?;
        if let Some(address) = &address {
            check_address(address, given)?;
            if state.queue.is_lost() {
                return after(this, state.queue.write_lost(), None);
            }
        }
        let given = address.as_ref().map_or(given, Ref::ptr);
        let target = target_of(this, given);
        let odd = Cell::new(None);
        let written = state.queue.sendto(
            || send(this, data, &target, &odd),
            || (keep(), kept(&target)),
        );
        match written {
            Written::Sent => Ok(()),
            written => after(this, written, odd.take()),
        }
    }
}

/// A transport with an address sends nowhere else.
unsafe fn check_address(address: &Ref, given: *mut PyObject) -> Res<()> {
    // SAFETY: all alive, says the caller.
    unsafe {
        if core::ptr::eq(given, ffi::Py_None()) {
            return Ok(());
        }
        match ffi::PyObject_RichCompareBool(given, address.ptr(), ffi::Py_EQ) {
            -1 => Err(Raised::set()),
            0 => Err(value_error(&format!(
                "Invalid address: must be None or {}",
                str_of(address.ptr())?
            ))),
            _ => Ok(()),
        }
    }
}

#[inline]
unsafe fn target_of(this: *mut DatagramObject, given: *mut PyObject) -> Target {
    // SAFETY: all alive, says the caller.
    unsafe {
        let state = TransportObject::state(this);
        if state.connected.get() {
            return Target::Connected;
        }
        let shown = Ref::borrow(given);
        // An answer to who sent last.
        let known = if shown.is(state.last.get()) {
            state.last_address.borrow().clone()
        } else {
            Address::of_python(state.family.get(), given)
        };
        match known {
            Some(known) => Target::Known(known, shown),
            None => Target::Asked(shown),
        }
    }
}

fn kept(target: &Target) -> Target {
    match target {
        Target::Connected => Target::Connected,
        Target::Known(address, shown) => Target::Known(address.clone(), shown.clone()),
        Target::Asked(shown) => Target::Asked(shown.clone()),
    }
}

/// One `send` or `sendto`. What is raised by Python code goes to `odd`, and the error then says
/// nothing.
#[inline]
unsafe fn send(
    this: *mut DatagramObject,
    data: &[u8],
    target: &Target,
    odd: &Cell<Option<Ref>>,
) -> io::Result<usize> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match target {
            Target::Connected if !(*this).sock.is_null() => descriptor(this).send(data),
            Target::Known(address, shown) if !(*this).sock.is_null() => {
                if let Err(raised) = audit(c"socket.sendto", (*this).sock, shown.ptr()) {
                    odd.set(Some(take_raised(raised)));
                    return Err(ErrorKind::Other.into());
                }
                descriptor(this).send_to(data, address)
            }
            target => by_method(this, data, target, odd),
        }
    }
}

/// The same by the socket's own method, which None does not have after the end.
#[cold]
unsafe fn by_method(
    this: *mut DatagramObject,
    data: &[u8],
    target: &Target,
    odd: &Cell<Option<Ref>>,
) -> io::Result<usize> {
    // SAFETY: `this` is alive, says the caller; the socket is held over the call.
    let outcome = unsafe {
        let sock = Ref::borrow_opt((*this).sock).unwrap_or_else(Ref::none);
        let length = data.len() as ffi::Py_ssize_t;
        let data = Ref::checked(ffi::PyBytes_FromStringAndSize(data.as_ptr().cast(), length));
        data.and_then(|data| match target {
            Target::Connected => sock.call_method(names().send, &[data.ptr()]),
            Target::Known(_, address) | Target::Asked(address) => {
                sock.call_method(names().sendto, &[data.ptr(), address.ptr()])
            }
        })
    };
    match outcome {
        Ok(_) => Ok(data.len()),
        Err(raised) if is_blocked(&raised) => {
            drop(take_raised(raised));
            Err(ErrorKind::WouldBlock.into())
        }
        Err(raised) => {
            odd.set(Some(take_raised(raised)));
            Err(ErrorKind::Other.into())
        }
    }
}

#[inline(never)]
unsafe fn after(this: *mut DatagramObject, written: Written, odd: Option<Ref>) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match written {
            Written::Sent | Written::Lost { warn: false } => Ok(()),
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
            Written::Lost { warn: true } => {
                let text = Ref::str("socket.send() raised exception.")?;
                stdlib()
                    .logger
                    .call_method(names().warning, &[text.ptr()])
                    .map(drop)
            }
            Written::Failed(error) => not_sent(this, &error, odd),
        }
    }
}

/// The system's errors are the protocol's business; all others end the transport.
#[cold]
unsafe fn not_sent(this: *mut DatagramObject, error: &io::Error, odd: Option<Ref>) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; a static exception class.
    unsafe {
        let exception = odd.unwrap_or_else(|| take_raised(event_loop::os_error(error)));
        if !isinstance(exception.ptr(), ffi::PyExc_OSError)? {
            return failed(this, raise_instance(exception), FATAL);
        }
        while_handling(&exception, || {
            call_protocol(this, names().error_received, &[exception.ptr()])
        })
    }
}

/// The descriptor is writable.
pub(super) unsafe fn write_ready(this: *mut DatagramObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let queue = &TransportObject::state(this).queue;
        let odd = Cell::new(None);
        let flushed = queue.flush(|data, target| send(this, data, target, &odd));
        if let Err(error) = flushed {
            // The rest goes out at the next event.
            return not_sent(this, &error, odd.take());
        }
        if queue.resumes() {
            tell_protocol(this, names().resume_writing, "resume_writing")?;
        }
        match queue.drained() {
            Drained::NotYet => Ok(()),
            Drained::Closed => {
                unwatch(this, Side::Write)?;
                call_connection_lost(this, Ref::none())
            }
            Drained::Idle | Drained::Ended(_) => unwatch(this, Side::Write),
        }
    }
}
