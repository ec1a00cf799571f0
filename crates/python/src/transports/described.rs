//! What `get_extra_info` tells of a socket, and the socket object of a connection that was accepted.
//!
//! Few connections are asked, so nothing is made before. An answer is what it would have been when
//! the transport was made: the peer's name is known from the start, and the own one, which stays the
//! same while the socket is open, is noted before anybody can close it.

use core::ffi::c_int;
use core::ptr;
use std::os::fd::{FromRawFd, OwnedFd};

use pyo3::ffi::{self, PyObject};

use super::addresses::Address;
use super::methods::set_socket;
use super::object::TransportObject;
use super::socket::{Fd, descriptor, plain_kind};
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, import, raised_matches, restore_error, set_slot, stash_error,
    take_raised,
};
use crate::sockets;

struct Known {
    /// `asyncio.trsock.TransportSocket`
    transport_socket: Ref,
    /// `socket.socket`
    socket: Ref,
}

static KNOWN: Global<Known> = Global::new();

/// What the dict has not been told yet. Zeros are nothing.
#[derive(Default)]
pub(super) struct Untold {
    socket: bool,
    sockname: bool,
    peername: bool,
    /// `own` was asked for.
    own_is_known: bool,
    own: Short,
    peer: Short,
    /// Family, type and protocol, the type with its flags.
    kind: [c_int; 3],
}

/// An address of the internet, or a short one of Unix. Empty: there was no answer.
#[derive(Default)]
struct Short {
    length: u8,
    bytes: [u8; Short::ROOM],
}

impl Short {
    const ROOM: usize = 31;

    fn of(address: &Address) -> Option<Short> {
        let bytes = address.known_bytes().filter(|it| it.len() <= Short::ROOM)?;
        let mut short = Short {
            length: bytes.len() as u8,
            ..Short::default()
        };
        short.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(short)
    }

    fn to_python(&self) -> Res {
        let bytes = &self.bytes[..usize::from(self.length)];
        if bytes.is_empty() {
            return Ok(Ref::none());
        }
        Ok(Address::of_bytes(bytes)
            .to_python()?
            .unwrap_or_else(Ref::none))
    }
}

/// A connection that was accepted: the transport owns its number.
pub(super) unsafe fn of_accepted(
    this: *mut TransportObject,
    fd: c_int,
    kind: [c_int; 3],
    peer: &Address,
) -> Res<()> {
    // SAFETY: a new transport, says the caller.
    unsafe {
        (*this).fd = fd;
        (*this).bare = true;
        (*this).untold.kind = kind;
        if let Some(peer) = Short::of(peer) {
            (*this).untold.peer = peer;
            owe(this);
            return Ok(());
        }
        let extra = Ref::dict()?;
        if let Some(peer) = peer.to_python()? {
            put(&extra, names().peername, &peer)?;
        }
        set_slot(&raw mut (*this).extra, extra.into_ptr());
        describe(this)
    }
}

unsafe fn owe<S>(this: *mut TransportObject<S>) {
    // SAFETY: alive, says the caller.
    unsafe {
        (*this).untold.socket = true;
        (*this).untold.sockname = true;
        (*this).untold.peername = true;
    }
}

/// Notes what there is to tell of the socket that the transport was given, with the dict that it was
/// given, or none.
pub(super) unsafe fn describe<S>(this: *mut TransportObject<S>) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        if (*this).plain_socket && (*this).extra.is_null() {
            let fd = Fd((*this).fd);
            let own = Address::of_socket(fd).ok().map(|it| Short::of(&it));
            let peer = Address::of_peer(fd).ok().map(|it| Short::of(&it));
            // Some(None): too long, or of a family that only the socket's method can read.
            let kind = plain_kind((*this).sock);
            if let Some([family, kind, proto]) = kind
                && !matches!(own, Some(None))
                && !matches!(peer, Some(None))
            {
                (*this).untold.kind = [family, kind | libc::SOCK_NONBLOCK, proto];
                (*this).untold.own = own.flatten().unwrap_or_default();
                (*this).untold.own_is_known = true;
                (*this).untold.peer = peer.flatten().unwrap_or_default();
                owe(this);
                return Ok(());
            }
        }
        let extra = dict(this)?;
        let sock = socket(this)?;
        put(&extra, names().socket, &shown(&sock)?)?;
        let own = ask(&sock, names().getsockname)?;
        put(&extra, names().sockname, &own)?;
        match ffi::PySequence_Contains(extra.ptr(), names().peername) {
            -1 => Err(Raised::set()),
            0 => put(&extra, names().peername, &ask(&sock, names().getpeername)?),
            _ => Ok(()),
        }
    }
}

unsafe fn put(extra: &Ref, key: *mut PyObject, value: &Ref) -> Res<()> {
    // SAFETY: all alive, says the caller.
    check(unsafe { ffi::PyObject_SetItem(extra.ptr(), key, value.ptr()) })
}

fn shown(sock: &Ref) -> Res {
    KNOWN.get().transport_socket.call1(sock.ptr())
}

/// What a method of the socket answers; None if the system has no answer.
fn ask(sock: &Ref, method: *mut PyObject) -> Res {
    match sock.call_method(method, &[]) {
        // SAFETY: a static exception class.
        Err(raised) if raised_matches(&raised, unsafe { ffi::PyExc_OSError }) => {
            drop(take_raised(raised));
            Ok(Ref::none())
        }
        outcome => outcome,
    }
}

/// The dict of what is told, which may lack what nobody has asked for.
unsafe fn dict<S>(this: *mut TransportObject<S>) -> Res {
    // SAFETY: alive, says the caller.
    unsafe {
        if (*this).extra.is_null() {
            set_slot(&raw mut (*this).extra, Ref::dict()?.into_ptr());
        }
        Ok(Ref::borrow((*this).extra))
    }
}

/// `_extra`: all of it. None before `__init__`.
pub(super) unsafe fn all<S>(this: *mut TransportObject<S>) -> Res {
    // SAFETY: alive, says the caller.
    unsafe {
        tell(this, |_| true)?;
        Ok(Ref::borrow_opt((*this).extra).unwrap_or_else(Ref::none))
    }
}

/// What a name is looked up in.
pub(super) unsafe fn with<S>(this: *mut TransportObject<S>, name: *mut PyObject) -> Res {
    // SAFETY: alive, says the caller.
    unsafe {
        let is_text = ffi::PyUnicode_CheckExact(name) != 0;
        tell(this, |key| {
            ptr::eq(key, name) || !is_text || ffi::PyUnicode_Compare(key, name) == 0
        })?;
        Ok(Ref::borrow_opt((*this).extra).unwrap_or_else(Ref::none))
    }
}

unsafe fn tell<S>(
    this: *mut TransportObject<S>,
    wanted: impl Fn(*mut PyObject) -> bool,
) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        let owed = &(*this).untold;
        if !(owed.socket || owed.sockname || owed.peername) {
            return Ok(());
        }
        let extra = dict(this)?;
        if (*this).untold.socket && wanted(names().socket) {
            let sock = match socket(this)? {
                none if none.is_none() => closed_socket((*this).untold.kind)?,
                sock => sock,
            };
            put(&extra, names().socket, &shown(&sock)?)?;
            (*this).untold.socket = false;
        }
        if (*this).untold.sockname && wanted(names().sockname) {
            note_own_name(this);
            put(&extra, names().sockname, &(*this).untold.own.to_python()?)?;
            (*this).untold.sockname = false;
        }
        if (*this).untold.peername && wanted(names().peername) {
            put(&extra, names().peername, &(*this).untold.peer.to_python()?)?;
            (*this).untold.peername = false;
        }
        Ok(())
    }
}

/// Asks the system for the own name, while it can be asked.
pub(super) unsafe fn note_own_name<S>(this: *mut TransportObject<S>) {
    // SAFETY: alive, says the caller.
    unsafe {
        if !(*this).untold.sockname || (*this).untold.own_is_known {
            return;
        }
        (*this).untold.own_is_known = true;
        let Ok(own) = Address::of_socket(descriptor(this)) else {
            return;
        };
        match Short::of(&own) {
            Some(own) => (*this).untold.own = own,
            None => {
                let told = own.to_python().and_then(|own| match own {
                    Some(own) => put(&dict(this)?, names().sockname, &own),
                    None => Ok(()),
                });
                (*this).untold.sockname = false;
                if let Err(raised) = told {
                    drop(take_raised(raised));
                }
            }
        }
    }
}

/// `_sock`: the socket, which is made now if nobody has asked before; None without one.
pub(super) unsafe fn socket<S>(this: *mut TransportObject<S>) -> Res {
    // SAFETY: alive, says the caller.
    unsafe {
        if (*this).bare {
            // Whoever has it may close it.
            note_own_name(this);
            // Before it is made: an audit hook may look.
            (*this).bare = false;
            match open_socket((*this).untold.kind, (*this).fd) {
                Ok(sock) => set_socket(this, sock.ptr())?,
                Err(raised) => {
                    (*this).bare = true;
                    return Err(raised);
                }
            }
        }
        Ok(Ref::borrow_opt((*this).sock).unwrap_or_else(Ref::none))
    }
}

fn open_socket(kind: [c_int; 3], fd: c_int) -> Res {
    sockets::opening::open(&KNOWN.get().socket, kind, Some(fd))
}

/// What a closed socket of that kind looks like.
fn closed_socket(kind: [c_int; 3]) -> Res {
    let [family, kind, proto] = kind.map(|it| Ref::int(i64::from(it)));
    let arguments = [family?, kind?, proto?];
    let sock = KNOWN
        .get()
        .socket
        .call(&arguments.each_ref().map(Ref::ptr))?;
    sock.call_method(names().close, &[])?;
    Ok(sock)
}

/// Closes a number that has no socket object.
pub(super) unsafe fn close_bare<S>(this: *mut TransportObject<S>) {
    // SAFETY: alive, says the caller; the number is the transport's own.
    unsafe {
        if !(*this).bare {
            return;
        }
        // One reference is the call's: nobody is left who could ask.
        if ffi::Py_REFCNT(this.cast()) > 1 {
            note_own_name(this);
        }
        (*this).bare = false;
        drop(OwnedFd::from_raw_fd((*this).fd));
    }
}

/// The transport dies before it has begun: the connection is closed by a socket object, which warns
/// of that.
pub(super) unsafe fn abandon<S>(this: *mut TransportObject<S>) {
    // SAFETY: alive, says the caller.
    unsafe {
        if !(*this).bare {
            return;
        }
        let pending = stash_error();
        (*this).bare = false;
        match open_socket((*this).untold.kind, (*this).fd) {
            Ok(sock) => drop(sock),
            Err(raised) => {
                drop(take_raised(raised));
                drop(OwnedFd::from_raw_fd((*this).fd));
            }
        }
        restore_error(pending);
    }
}

/// Whether the socket is of the internet; its family is known without asking the system.
pub(super) unsafe fn is_internet<S>(this: *mut TransportObject<S>) -> bool {
    // SAFETY: alive, says the caller; a plain socket has the layout that was verified.
    let family = unsafe {
        if (*this).bare || !(*this).plain_socket {
            (*this).untold.kind[0]
        } else {
            plain_kind((*this).sock).map_or(libc::AF_UNSPEC, |kind| kind[0])
        }
    };
    matches!(family, libc::AF_INET | libc::AF_INET6)
}

/// Finds what is needed; called once by the module's initialisation.
pub(super) unsafe fn init() -> Res<()> {
    let named = |module, name| import(module)?.attr(Ref::str(name)?.ptr());
    let known = Known {
        transport_socket: named(c"asyncio.trsock", "TransportSocket")?,
        socket: named(c"socket", "socket")?,
    };
    // SAFETY: called once, before any reader, says the caller.
    unsafe { KNOWN.set(known) };
    Ok(())
}
