//! The calls of the `ssl` module.

use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::tls::{Answer, Delivery, Session};

use super::host::Conn;
use super::object::{Plain, TlsObject, as_size};
use super::{reading, window};
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

/// The module's own classes, which no program can alter, and their methods, called without being
/// looked up each time.
struct Known {
    memory: Ref,
    session: Ref,
    methods: [Ref; 4],
}

/// None without the module, or with one whose classes are others.
static KNOWN: Global<Option<Known>> = Global::new();

/// Methods that are called for each piece of data.
#[derive(Clone, Copy)]
enum Method {
    MemoryRead,
    MemoryWrite,
    SessionRead,
    SessionWrite,
}

impl Method {
    fn name(self) -> *mut PyObject {
        match self {
            Method::MemoryRead | Method::SessionRead => names().read,
            Method::MemoryWrite | Method::SessionWrite => names().write,
        }
    }
}

/// Whether a session, and what is on both sides of it, are of the module's own classes.
pub(super) fn is_known(worker: *mut PyObject, memory: [*mut PyObject; 2]) -> bool {
    let Some(known) = KNOWN.get() else {
        return false;
    };
    // SAFETY: any live object may be asked for its type.
    let class = |object| unsafe { ffi::Py_TYPE(object) }.cast();
    known.session.is(class(worker)) && memory.iter().all(|one| known.memory.is(class(*one)))
}

/// Calls a method of the session or of what is beside it, with at most two arguments.
#[inline]
unsafe fn call(
    this: *mut TlsObject,
    object: *mut PyObject,
    method: Method,
    args: &[*mut PyObject],
) -> Res {
    // SAFETY: all alive, says the caller.
    unsafe {
        let known = if (*this).known { KNOWN.get() } else { &None };
        let Some(known) = known else {
            return call_method(object, method.name(), args);
        };
        let mut all = [ptr::null_mut(); 3];
        all[0] = object;
        all[1..=args.len()].copy_from_slice(args);
        known.methods[method as usize].call(&all[..=args.len()])
    }
}

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
        unsafe {
            // The client speaks first. To ask before it has would make an exception.
            if (*self.0).known && (*self.0).server_side && self.incoming()? == 0 {
                return Ok(Answer::Again);
            }
            self.steps();
            answer(held((*self.0).sslobj).call_method(names().do_handshake, &[]))
        }
    }

    #[inline]
    fn encrypt(&self, data: &mut Plain) -> Res<(usize, Answer)> {
        // SAFETY: as above. The bytes are held over the call, and nobody changes them.
        unsafe {
            let this = self.0;
            let worker = held((*this).worker);
            let len = bytes_of(data.bytes.ptr()).len();
            let before = data.from;
            while data.from < len {
                self.steps();
                let write = |rest| call(this, worker.ptr(), Method::SessionWrite, &[rest]);
                let written = if data.from == 0 {
                    write(data.bytes.ptr())
                } else if (*this).known {
                    let rest = &bytes_of(data.bytes.ptr())[data.from..];
                    window::lend(rest.as_ptr().cast_mut(), rest.len(), write)
                } else {
                    write(rest_of(data.bytes.ptr(), data.from)?.ptr())
                };
                match written {
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
        self.steps();
        // SAFETY: as above.
        let sslobj = unsafe { held((*self.0).sslobj) };
        answer(sslobj.call_method(names().unwrap, &[]))
    }

    #[inline]
    fn incoming(&self) -> Res<usize> {
        // SAFETY: as above.
        unsafe {
            if let Some(len) = (*self.0).incoming_len.get() {
                return Ok(len);
            }
            let len = as_size(&held((*self.0).incoming).attr(names().pending)?)?;
            (*self.0).incoming_len.set(Some(len));
            Ok(len)
        }
    }

    fn outgoing(&self) -> Res<usize> {
        // SAFETY: as above.
        unsafe {
            if (*self.0).outgoing.is_null() || (*self.0).outgoing_empty.get() {
                return Ok(0);
            }
            as_size(&held((*self.0).outgoing).attr(names().pending)?)
        }
    }
}

impl Conn {
    /// The session is about to do something: it may read what is in `incoming`, and write to
    /// `outgoing`.
    #[inline]
    fn steps(self) {
        // SAFETY: whoever made the Conn keeps the object alive.
        unsafe {
            (*self.0).incoming_len.set(None);
            (*self.0).outgoing_empty.set(false);
        }
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

/// What the session has encrypted; None if that is nothing.
#[inline]
pub(super) unsafe fn encrypted(this: *mut TlsObject) -> Res<Option<Ref>> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        if (*this).outgoing.is_null() || (*this).outgoing_empty.get() {
            return Ok(None);
        }
        let outgoing = held((*this).outgoing);
        let data = call(this, outgoing.ptr(), Method::MemoryRead, &[])?;
        // A session of a program's own class may write when it likes.
        (*this).outgoing_empty.set((*this).known);
        Ok(Some(data).filter(|data| !bytes_of(data.ptr()).is_empty()))
    }
}

/// The link has brought `data`, of `len` bytes.
#[inline]
pub(super) unsafe fn feed(this: *mut TlsObject, data: *mut PyObject, len: usize) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let known = (*this).incoming_len.take();
        let incoming = held((*this).incoming);
        call(this, incoming.ptr(), Method::MemoryWrite, &[data])?;
        (*this).incoming_len.set(known.map(|before| before + len));
        Ok(())
    }
}

/// The same from memory, which is copied.
#[inline]
pub(super) unsafe fn feed_memory(this: *mut TlsObject, start: *mut u8, len: usize) -> Res<()> {
    // SAFETY: `this` is alive, and `len` bytes are there, says the caller. The `ssl` module runs no
    // Python code, nor lets others run, while it copies.
    unsafe {
        if (*this).known {
            return window::lend(start, len, |data| feed(this, data, len));
        }
        let data = ffi::PyBytes_FromStringAndSize(start.cast(), len as ffi::Py_ssize_t);
        feed(this, Ref::checked(data)?.ptr(), len)
    }
}

/// `ssl.SSLObject.read(len)`: the data, or None for "not yet".
pub(super) unsafe fn read(
    this: *mut TlsObject,
    worker: *mut PyObject,
    len: *mut PyObject,
) -> Res<Option<Ref>> {
    Conn(this).steps();
    // SAFETY: all alive, says the caller.
    match unsafe { call_method(worker, names().read, &[len]) } {
        Ok(data) => Ok(Some(data)),
        Err(raised) => is_again(raised).map(|()| None),
    }
}

/// `ssl.SSLObject.read(len, buffer)`: how many bytes, or None for "not yet".
#[inline]
pub(super) unsafe fn read_into(
    this: *mut TlsObject,
    worker: *mut PyObject,
    len: usize,
    buffer: *mut PyObject,
) -> Res<Option<usize>> {
    // SAFETY: all alive, says the caller.
    unsafe {
        Conn(this).steps();
        let room = Ref::int(len as i64)?;
        let got = match call(this, worker, Method::SessionRead, &[room.ptr(), buffer]) {
            Ok(count) => Some(as_size(&count)?),
            Err(raised) => is_again(raised).map(|()| None)?,
        };
        // What did not fit into the buffer stays in the session.
        (*this).holds_rest.set(got == Some(len));
        Ok(got)
    }
}

/// Takes the exceptions and the classes; called once by the module's initialisation. An interpreter
/// without `ssl` makes no sessions.
pub(super) unsafe fn init() -> Res<()> {
    let (again, known) = match import(c"ssl") {
        Ok(ssl) => {
            let again = Again {
                want_read: ssl.attr(Ref::str("SSLWantReadError")?.ptr())?,
                syscall: ssl.attr(Ref::str("SSLSyscallError")?.ptr())?,
            };
            (again, find_known()?)
        }
        // SAFETY: a static exception class.
        Err(raised) if raised_matches(&raised, unsafe { ffi::PyExc_ImportError }) => {
            drop(take_raised(raised));
            let nothing = Ref::tuple(&[])?;
            let again = Again {
                want_read: nothing.clone(),
                syscall: nothing,
            };
            (again, None)
        }
        Err(raised) => return Err(raised),
    };
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        AGAIN.set(again);
        KNOWN.set(known);
    }
    Ok(())
}

fn find_known() -> Res<Option<Known>> {
    let module = import(c"_ssl")?;
    let class = |name| module.attr_opt(Ref::str(name)?.ptr());
    let (Some(memory), Some(session)) = (class("MemoryBIO")?, class("_SSLSocket")?) else {
        return Ok(None);
    };
    let methods = [
        memory.attr(Method::MemoryRead.name())?,
        memory.attr(Method::MemoryWrite.name())?,
        session.attr(Method::SessionRead.name())?,
        session.attr(Method::SessionWrite.name())?,
    ];
    Ok(Some(Known {
        memory,
        session,
        methods,
    }))
}
