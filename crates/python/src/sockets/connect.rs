//! `loop.sock_connect`.
//!
//! An address of the internet that is numbers needs no resolving; any other is left to the standard
//! library's method.

use core::ffi::c_int;
use std::io::{self, ErrorKind};

use pyo3::ffi::{self, PyObject};

use super::watch::{Attempt, SocketWatch, wait_to_write};
use super::{
    ARGUMENT, SOCKET, SockSlots, common, held, never_blocks, rarely_as_given, tried, was_tried,
};
use crate::args::Signature;
use crate::coroutine::{CoroutineDef, coroutine_at_once};
use crate::event_loop;
use crate::names::names;
use crate::object::{Raised, Ref, Res, raise_instance, str_of};
use crate::transports::{Address, Fd, audit, plain_kind};

static CONNECT: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_connect",
    c"BaseSelectorEventLoop.sock_connect",
);

static CONNECT_ARGUMENTS: Signature = Signature::required("sock_connect", &["sock", "address"]);

vectorcall!(sock_connect, |slf, CONNECT_ARGUMENTS [sock, address]| {
    coroutine_at_once(&CONNECT, held(slf, sock, address), connect_at_once, connect_body)
});

/// The address, if asyncio would not have it resolved.
unsafe fn known(sock: *mut PyObject, given: *mut PyObject) -> Option<Address> {
    // SAFETY: both alive, says the caller, and a plain socket.
    let [family, kind, proto] = unsafe { plain_kind(sock)? };
    let usual = matches!(proto, 0 | libc::IPPROTO_TCP | libc::IPPROTO_UDP)
        && matches!(kind, libc::SOCK_STREAM | libc::SOCK_DGRAM);
    if !usual && family != libc::AF_UNIX {
        return None;
    }
    Address::of_python(family, given)
}

fn connect_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let (_, fd) = common(slots)?;
        let (sock, given) = (slots.get(SOCKET), slots.get(ARGUMENT));
        let address = known(sock, given)?;
        match never_blocks(sock) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(raised) => return Some(Err(raised)),
        }
        let given = match resolved(given, &address) {
            Ok(resolved) => slots.set(ARGUMENT, resolved),
            Err(raised) => return Some(Err(raised)),
        };
        if let Err(raised) = audit(c"socket.connect", sock, given) {
            return Some(Err(raised));
        }
        match connect(fd, &address) {
            Ok(()) => Some(Ok(Ref::none())),
            Err(error) if goes_on(&error) => tried(slots, 0),
            Err(error) => Some(Err(event_loop::os_error(&error))),
        }
    }
}

/// The address as messages have it: asyncio completes one of version 6.
unsafe fn resolved(given: *mut PyObject, address: &Address) -> Res {
    // SAFETY: alive, says the caller; a tuple that was read as an address, where it is one of version 6.
    unsafe {
        let given = Ref::borrow(given);
        if !address.is_version_6() || ffi::PyTuple_GET_SIZE(given.ptr()) == 4 {
            return Ok(given);
        }
        let nothing = Ref::int(0)?;
        let missing = Ref::tuple(&[nothing.ptr(), nothing.ptr()])?;
        let whole = Ref::checked(ffi::PySequence_Concat(given.ptr(), missing.ptr()))?;
        Ref::checked(ffi::PySequence_GetSlice(whole.ptr(), 0, 4))
    }
}

/// Whether connecting goes on by itself. A signal does not end it either.
fn goes_on(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
        || matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn connect(fd: Fd, address: &Address) -> io::Result<()> {
    let (at, length) = address.as_system();
    // SAFETY: an address of that length.
    match unsafe { libc::connect(fd.0, at, length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

async fn connect_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let Some((core, fd)) = common(slots).filter(|_| was_tried(slots)) else {
            return rarely_as_given(slots, names().sock_connect).await;
        };
        let ended: Attempt = |this, fd| outcome(fd, SocketWatch::argument(this)).map(Some);
        wait_to_write(slots, core, fd, slots.get(ARGUMENT), ended).await
    }
}

/// What has become of a connection.
unsafe fn outcome(fd: Fd, address: *mut PyObject) -> Res {
    let mut error: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: memory of the length that is told.
    let asked = unsafe {
        libc::getsockopt(
            fd.0,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&raw mut error).cast(),
            &raw mut length,
        )
    };
    if asked < 0 {
        return Err(event_loop::os_error(&io::Error::last_os_error()));
    }
    if error == 0 {
        return Ok(Ref::none());
    }
    // SAFETY: alive, says the caller.
    Err(unsafe { failed(error, address) }?)
}

/// `OSError(number, f"Connect call failed {address}")`
unsafe fn failed(number: c_int, address: *mut PyObject) -> Res<Raised> {
    // SAFETY: alive, says the caller; a static exception class.
    unsafe {
        let message = Ref::str(&format!("Connect call failed {}", str_of(address)?))?;
        let number = Ref::int(i64::from(number))?;
        let class = Ref::borrow(ffi::PyExc_OSError);
        let made = class.call(&[number.ptr(), message.ptr()])?;
        Ok(raise_instance(made))
    }
}
