//! The descriptor of a transport, and the system's calls on it.
//!
//! A program may close the socket object under the transport, and its descriptor's number may
//! be another file's by then. So the number is read from the socket object at each call, which
//! says -1 once it is closed. Where in the object it stands is found by looking, at import;
//! without success the number is the one that the transport was made with.

use core::ffi::c_int;
use std::io::{self, IoSlice};

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::Descriptor;

use super::addresses::Address;
use super::object::TransportObject;
use crate::global::Global;
use crate::names::names;
use crate::object::{Raised, Ref, Res, import, isinstance};

/// What socket objects have in common.
struct Sockets {
    /// `_socket.socket`
    class: Ref,
    /// The descriptor stands right behind the head of the object, then family, type and protocol.
    readable: bool,
}

static SOCKETS: Global<Sockets> = Global::new();

/// An open socket, by number.
#[derive(Clone, Copy)]
pub(crate) struct Fd(pub(crate) c_int);

/// The descriptor of the transport's socket as it is now; -1 when it is closed.
#[inline]
pub(super) unsafe fn descriptor<S>(this: *mut TransportObject<S>) -> Fd {
    // SAFETY: `this` is alive, says the caller; a plain socket is alive and has the layout that
    // was verified.
    unsafe {
        if (*this).plain_socket {
            Fd(word_behind_head((*this).sock))
        } else if (*this).sock.is_null() && !(*this).bare {
            Fd(-1)
        } else {
            Fd((*this).fd)
        }
    }
}

/// Whether [`descriptor`] may read the number from the object itself.
pub(super) fn is_plain(sock: *mut PyObject) -> Res<bool> {
    let sockets = SOCKETS.get();
    Ok(sockets.readable && isinstance(sock, sockets.class.ptr())?)
}

/// The descriptor of a `socket.socket`, if the object can be read.
#[inline]
pub(crate) unsafe fn plain_descriptor(sock: *mut PyObject) -> Option<Fd> {
    // SAFETY: a live socket, says the caller, of the layout that was verified.
    unsafe { SOCKETS.get().readable.then(|| Fd(word_behind_head(sock))) }
}

/// Family, type and protocol of a `socket.socket`, if the object can be read.
#[inline]
pub(crate) unsafe fn plain_kind(sock: *mut PyObject) -> Option<[c_int; 3]> {
    // SAFETY: a live socket, says the caller, of the layout that was verified.
    let [_, kind @ ..] = unsafe { SOCKETS.get().readable.then(|| words_behind_head(sock))? };
    Some(kind)
}

unsafe fn word_behind_head(sock: *mut PyObject) -> c_int {
    // SAFETY: as said there.
    unsafe { words_behind_head(sock)[0] }
}

unsafe fn words_behind_head(sock: *mut PyObject) -> [c_int; 4] {
    // SAFETY: a socket object is longer than its head and four numbers, says the caller.
    unsafe { *sock.cast::<u8>().add(size_of::<PyObject>()).cast() }
}

pub(super) fn answer(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// What bytes come from.
pub(crate) trait Source: Copy {
    /// One call that brings `room` bytes at most.
    unsafe fn receive(self, start: *mut u8, room: usize) -> io::Result<usize>;

    /// The descriptor.
    fn number(self) -> c_int;
}

impl Source for Fd {
    /// `recv(fd, start, room)`
    #[inline]
    unsafe fn receive(self, start: *mut u8, room: usize) -> io::Result<usize> {
        // SAFETY: `room` bytes may be written there, says the caller.
        answer(unsafe { libc::recv(self.0, start.cast(), room, 0) })
    }

    fn number(self) -> c_int {
        self.0
    }
}

impl Fd {
    /// `recvfrom(fd, start, room)`. It never waits, whatever the socket does else.
    #[inline]
    pub(crate) unsafe fn receive_from(
        self,
        start: *mut u8,
        room: usize,
    ) -> io::Result<(usize, Address)> {
        let mut count = Ok(0);
        let asked = Address::ask(|at, length| {
            // SAFETY: `room` bytes may be written there, says the caller, and an address at `at`.
            let got = unsafe {
                libc::recvfrom(self.0, start.cast(), room, libc::MSG_DONTWAIT, at, length)
            };
            count = answer(got);
            if count.is_ok() { 0 } else { -1 }
        });
        let (address, _) = asked?;
        Ok((count?, address))
    }

    /// `sendto(fd, data, address)`. It never waits, whatever the socket does else.
    #[inline]
    pub(crate) fn send_to(self, data: &[u8], address: &Address) -> io::Result<usize> {
        let (at, length) = address.as_system();
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        // SAFETY: memory that the slice describes, and an address of that length.
        answer(unsafe { libc::sendto(self.0, data.as_ptr().cast(), data.len(), flags, at, length) })
    }

    /// `SO_TYPE`: what kind of socket it is, whatever its object says; 0 if it is none.
    pub(crate) fn kind(self) -> c_int {
        let mut kind: c_int = 0;
        let mut length = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: memory of the length that is told.
        unsafe {
            libc::getsockopt(
                self.0,
                libc::SOL_SOCKET,
                libc::SO_TYPE,
                (&raw mut kind).cast(),
                &mut length,
            );
        }
        kind
    }

    /// `TCP_NODELAY`, where there is such a thing.
    pub(super) fn set_no_delay(self) {
        let on: c_int = 1;
        // SAFETY: the value is as long as is said.
        unsafe {
            libc::setsockopt(
                self.0,
                libc::IPPROTO_TCP,
                libc::TCP_NODELAY,
                (&raw const on).cast(),
                size_of::<c_int>() as libc::socklen_t,
            );
        }
    }
}

impl Descriptor for Fd {
    #[inline]
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        // SAFETY: memory that the slice describes.
        answer(unsafe { libc::send(self.0, data.as_ptr().cast(), data.len(), libc::MSG_NOSIGNAL) })
    }

    fn send_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // SAFETY: an IoSlice has the layout of an iovec; all else is zero, which is nothing.
        unsafe {
            let mut message: libc::msghdr = core::mem::zeroed();
            message.msg_iov = slices.as_ptr().cast_mut().cast();
            message.msg_iovlen = slices.len() as _;
            answer(libc::sendmsg(self.0, &message, libc::MSG_NOSIGNAL))
        }
    }

    fn shutdown_write(&self) -> io::Result<()> {
        // SAFETY: no memory is involved.
        match unsafe { libc::shutdown(self.0, libc::SHUT_WR) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Looks at two sockets of our own: the words must be their descriptor, which is -1 once closed,
/// and their kind.
fn probe(class: &Ref) -> Res<bool> {
    // SAFETY: live sockets.
    unsafe {
        let size = (*class.ptr().cast::<ffi::PyTypeObject>()).tp_basicsize;
        if (size as usize) < size_of::<PyObject>() + 4 * size_of::<c_int>() {
            return Ok(false);
        }
        let kinds = [
            [libc::AF_UNIX, libc::SOCK_DGRAM, 0],
            [libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_TCP],
        ];
        let mut probes = Vec::new();
        for [family, kind, proto] in kinds {
            let given = [family, kind, proto].map(|number| Ref::int(i64::from(number)));
            let [Ok(of_family), Ok(of_kind), Ok(of_proto)] = given else {
                return Err(Raised::set());
            };
            let sock = class.call(&[of_family.ptr(), of_kind.ptr(), of_proto.ptr()])?;
            let number = ffi::PyObject_AsFileDescriptor(sock.ptr());
            if number < 0 {
                return Err(Raised::set());
            }
            if words_behind_head(sock.ptr()) != [number, family, kind, proto] {
                return Ok(false);
            }
            probes.push(sock);
        }
        let mut closed = true;
        for sock in &probes {
            sock.call_method(names().close, &[])?;
            closed &= word_behind_head(sock.ptr()) == -1;
        }
        Ok(closed)
    }
}

/// Finds the layout; called once by the module's initialisation.
pub(super) unsafe fn init() -> Res<()> {
    let class = import(c"_socket")?.attr(Ref::str("socket")?.ptr())?;
    let readable = probe(&class)?;
    // SAFETY: called once, before any reader, says the caller.
    unsafe { SOCKETS.set(Sockets { class, readable }) };
    Ok(())
}
