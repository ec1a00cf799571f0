//! The calls of the `ssl` module.

use pyo3::ffi::{self, PyObject};
use rasyncio::tls::{Answer, Delivery, Session};

use super::host::Conn;
use super::object::{Plain, TlsObject, as_size};
use super::reading;
use crate::global::Global;
use crate::names::names;
use crate::object::{Raised, Ref, Res, call_method, import, raised_matches, take_raised};
use crate::transports::bytes_of;

/// What `ssl` raises when the peer has to say something first.
struct Again {
    want_read: Ref,
    /// OpenSSL's queue of errors was empty, which is no error here.
    syscall: Ref,
}

static AGAIN: Global<Again> = Global::new();

/// Whether the exception means "not yet". It is gone then.
pub(super) fn is_again(raised: Raised) -> Res<()> {
    let again = AGAIN.get();
    if raised_matches(&raised, again.want_read.ptr())
        || raised_matches(&raised, again.syscall.ptr())
    {
        drop(take_raised(raised));
        return Ok(());
    }
    Err(raised)
}

fn answer(outcome: Res) -> Res<Answer> {
    match outcome {
        Ok(_) => Ok(Answer::Done),
        Err(raised) => is_again(raised).map(|()| Answer::Again),
    }
}

/// The object in a slot, or None. It is held: what is called may empty the slot.
unsafe fn held(slot: *mut PyObject) -> Ref {
    // SAFETY: an owned slot of a live object, says the caller.
    unsafe { Ref::borrow_opt(slot) }.unwrap_or_else(Ref::none)
}

impl Session<Plain> for Conn {
    type Error = Raised;

    fn handshake(&self) -> Res<Answer> {
        // SAFETY: whoever made the Conn keeps the object alive.
        let sslobj = unsafe { held((*self.0).sslobj) };
        answer(sslobj.call_method(names().do_handshake, &[]))
    }

    #[inline]
    fn encrypt(&self, data: &mut Plain) -> Res<(usize, Answer)> {
        // SAFETY: as above.
        unsafe {
            let worker = held((*self.0).worker);
            let len = bytes_of(data.bytes.ptr()).len();
            let before = data.from;
            while data.from < len {
                let rest = if data.from == 0 {
                    data.bytes.clone()
                } else {
                    rest_of(data.bytes.ptr(), data.from)?
                };
                match call_method(worker.ptr(), names().write, &[rest.ptr()]) {
                    Ok(count) => data.from += as_size(&count)?,
                    Err(raised) => {
                        is_again(raised)?;
                        return Ok((data.from - before, Answer::Again));
                    }
                }
            }
            Ok((data.from - before, Answer::Done))
        }
    }

    fn deliver(&self) -> Res<Delivery> {
        // SAFETY: as above.
        unsafe { reading::deliver(self.0) }
    }

    fn unwrap(&self) -> Res<Answer> {
        // SAFETY: as above.
        let sslobj = unsafe { held((*self.0).sslobj) };
        answer(sslobj.call_method(names().unwrap, &[]))
    }

    #[inline]
    fn incoming(&self) -> Res<usize> {
        // SAFETY: as above.
        unsafe {
            if (*self.0).incoming_empty.get() {
                return Ok(0);
            }
            let pending = held((*self.0).incoming).attr(names().pending)?;
            let count = as_size(&pending)?;
            (*self.0).incoming_empty.set(count == 0);
            Ok(count)
        }
    }

    fn outgoing(&self) -> Res<usize> {
        // SAFETY: as above.
        let outgoing = unsafe { held((*self.0).outgoing) };
        if outgoing.is_none() {
            return Ok(0);
        }
        as_size(&outgoing.attr(names().pending)?)
    }
}

/// `memoryview(object)[from:]`
pub(super) unsafe fn rest_of(object: *mut PyObject, from: usize) -> Res {
    // SAFETY: alive, says the caller.
    unsafe {
        let view = Ref::checked(ffi::PyMemoryView_FromObject(object))?;
        let end = ffi::PY_SSIZE_T_MAX;
        Ref::checked(ffi::PySequence_GetSlice(
            view.ptr(),
            from as ffi::Py_ssize_t,
            end,
        ))
    }
}

/// What the session has encrypted.
#[inline]
pub(super) unsafe fn encrypted(this: *mut TlsObject) -> Res {
    // SAFETY: `this` is alive, says the caller.
    unsafe { call_method((*this).outgoing, names().read, &[]) }
}

/// The link has brought `data`.
#[inline]
pub(super) unsafe fn feed(this: *mut TlsObject, data: *mut PyObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        (*this).incoming_empty.set(false);
        call_method((*this).incoming, names().write, &[data]).map(drop)
    }
}

/// `ssl.SSLObject.read(len)`: the data, or None for "not yet".
pub(super) unsafe fn read(worker: *mut PyObject, len: *mut PyObject) -> Res<Option<Ref>> {
    // SAFETY: all alive, says the caller.
    match unsafe { call_method(worker, names().read, &[len]) } {
        Ok(data) => Ok(Some(data)),
        Err(raised) => is_again(raised).map(|()| None),
    }
}

/// `ssl.SSLObject.read(len, buffer)`: how many bytes, or None for "not yet".
#[inline]
pub(super) unsafe fn read_into(
    worker: *mut PyObject,
    len: *mut PyObject,
    buffer: *mut PyObject,
) -> Res<Option<usize>> {
    // SAFETY: all alive, says the caller.
    match unsafe { call_method(worker, names().read, &[len, buffer]) } {
        Ok(count) => as_size(&count).map(Some),
        Err(raised) => is_again(raised).map(|()| None),
    }
}

/// Takes the exceptions; called once by the module's initialisation. An interpreter without `ssl`
/// makes no sessions.
pub(super) unsafe fn init() -> Res<()> {
    let again = match import(c"ssl") {
        Ok(ssl) => Again {
            want_read: ssl.attr(Ref::str("SSLWantReadError")?.ptr())?,
            syscall: ssl.attr(Ref::str("SSLSyscallError")?.ptr())?,
        },
        // SAFETY: a static exception class.
        Err(raised) if raised_matches(&raised, unsafe { ffi::PyExc_ImportError }) => {
            drop(take_raised(raised));
            let nothing = Ref::tuple(&[])?;
            Again {
                want_read: nothing.clone(),
                syscall: nothing,
            }
        }
        Err(raised) => return Err(raised),
    };
    // SAFETY: called once, before any reader, says the caller.
    unsafe { AGAIN.set(again) };
    Ok(())
}
