//! `loop.sock_accept`.

use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

use pyo3::ffi::PyObject;
use rasyncio::transports::stream::is_blocked;

use super::opening;
use super::watch::until_read;
use super::{
    ARGUMENT, KNOWN, SOCKET, SockSlots, common, held, is_known, never_blocks, rarely_as_given,
    tried, was_tried,
};
use crate::args::Signature;
use crate::coroutine::{CoroutineDef, coroutine_at_once};
use crate::event_loop;
use crate::names::names;
use crate::object::{Ref, Res, runtime_error};
use crate::transports::{Address, Fd, plain_kind};

static ACCEPT: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_accept",
    c"BaseSelectorEventLoop.sock_accept",
);

static ACCEPT_ARGUMENTS: Signature = Signature::required("sock_accept", &["sock"]);

vectorcall!(sock_accept, |slf, ACCEPT_ARGUMENTS [sock]| {
    let mut held = held(slf, sock, sock);
    held[ARGUMENT] = None;
    coroutine_at_once(&ACCEPT, held, accept_at_once, accept_body)
});

fn accept_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let (_, fd) = common(slots)?;
        let sock = slots.get(SOCKET);
        let [family, ..] = plain_kind(sock)?;
        if !is_known(family) {
            return None;
        }
        match never_blocks(sock) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(raised) => return Some(Err(raised)),
        }
        match accept(fd, sock) {
            Ok(Some(pair)) => Some(Ok(pair)),
            Ok(None) => tried(slots, 0),
            Err(raised) => Some(Err(raised)),
        }
    }
}

async fn accept_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let Some((core, fd)) = common(slots).filter(|_| was_tried(slots)) else {
            return rarely_as_given(slots, names().sock_accept).await;
        };
        until_read(slots, core, fd, |fd| accept(fd, slots.get(SOCKET))).await
    }
}

/// A connection that does not block, and its address.
unsafe fn accept(fd: Fd, sock: *mut PyObject) -> Res<Option<Ref>> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: memory of the length that is told.
    let asked = Address::ask(|at, length| unsafe { libc::accept4(fd.0, at, length, flags) });
    let (peer, number) = match asked {
        Ok(accepted) => accepted,
        Err(error) if is_blocked(&error) => return Ok(None),
        Err(error) => return Err(event_loop::os_error(&error)),
    };
    // SAFETY: the system has just made it, for us.
    let number = unsafe { OwnedFd::from_raw_fd(number) };
    // SAFETY: a live plain socket, says the caller.
    let kind = unsafe { plain_kind(sock) }.ok_or_else(|| runtime_error("the socket is gone"))?;
    let connection = opening::open(&KNOWN.get().plain, kind, Some(number.as_raw_fd()))?;
    // The socket closes it from now on.
    let _ = number.into_raw_fd();
    let peer = peer.to_python()?.unwrap_or_else(Ref::none);
    Ref::tuple(&[connection.ptr(), peer.ptr()]).map(Some)
}
