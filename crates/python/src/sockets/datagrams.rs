//! `loop.sock_recvfrom`, `loop.sock_recvfrom_into` and `loop.sock_sendto`.
//!
//! What cannot be sent at once is left to the standard library's method, which tries again.

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::is_blocked;

use super::recv::plain_size;
use super::watch::{Attempt, SocketWatch, wait_for};
use super::{
    ARGUMENT, SECOND, SOCKET, SockSlots, common, held, is_known, rarely_as_given, tried, was_tried,
};
use crate::args::Signature;
use crate::coroutine::{CoroutineDef, coroutine_at_once};
use crate::event_loop::{self, LoopCore};
use crate::names::names;
use crate::object::{Ref, Res, take_raised, value_error};
use crate::transports::{Address, Fd, View, audit, bytes_of, plain_kind, receive_from};

static RECVFROM: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_recvfrom",
    c"BaseSelectorEventLoop.sock_recvfrom",
);
static RECVFROM_INTO: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_recvfrom_into",
    c"BaseSelectorEventLoop.sock_recvfrom_into",
);
static SENDTO: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_sendto",
    c"BaseSelectorEventLoop.sock_sendto",
);

static RECVFROM_ARGUMENTS: Signature = Signature::required("sock_recvfrom", &["sock", "bufsize"]);
static RECVFROM_INTO_ARGUMENTS: Signature =
    Signature::required("sock_recvfrom_into", &["sock", "buf"]).optional(&["nbytes"]);
static SENDTO_ARGUMENTS: Signature =
    Signature::required("sock_sendto", &["sock", "data", "address"]);

vectorcall!(sock_recvfrom, |slf, RECVFROM_ARGUMENTS [sock, bufsize]| {
    coroutine_at_once(&RECVFROM, held(slf, sock, bufsize), recvfrom_at_once, recvfrom_body)
});
vectorcall!(sock_recvfrom_into, |slf, RECVFROM_INTO_ARGUMENTS [sock, buf, nbytes]| {
    let mut held = held(slf, sock, buf);
    held[SECOND] = Ref::borrow_opt(nbytes);
    coroutine_at_once(&RECVFROM_INTO, held, recvfrom_into_at_once, recvfrom_into_body)
});
vectorcall!(sock_sendto, |slf, SENDTO_ARGUMENTS [sock, data, address]| {
    let mut held = held(slf, sock, data);
    held[SECOND] = Some(Ref::borrow(address));
    coroutine_at_once(&SENDTO, held, sendto_at_once, sendto_body)
});

/// [`common`], and a family whose addresses are known here.
unsafe fn common_datagrams(slots: SockSlots) -> Option<(&'static LoopCore, Fd)> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let found = common(slots)?;
        let [family, ..] = plain_kind(slots.get(SOCKET))?;
        is_known(family).then_some(found)
    }
}

/// The answer at once, or a note that there was none.
fn at_once(outcome: Res<Option<Ref>>, slots: SockSlots) -> Option<Res> {
    match outcome {
        Ok(Some(answer)) => Some(Ok(answer)),
        Ok(None) => tried(slots, 0),
        Err(raised) => Some(Err(raised)),
    }
}

fn pair(first: Ref, from: &Address) -> Res<Option<Ref>> {
    // The family is known, says the caller.
    let from = from.to_python()?.unwrap_or_else(Ref::none);
    Ref::tuple(&[first.ptr(), from.ptr()]).map(Some)
}

fn recvfrom_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let most = plain_size(slots.get(ARGUMENT))?;
        let (_, fd) = common_datagrams(slots)?;
        at_once(recvfrom(fd, most), slots)
    }
}

async fn recvfrom_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let most = plain_size(slots.get(ARGUMENT));
        let (Some((core, fd)), Some(most)) = (common(slots).filter(|_| was_tried(slots)), most)
        else {
            return rarely_as_given(slots, names().sock_recvfrom).await;
        };
        let again: Attempt = |this, fd| recvfrom(fd, SocketWatch::most(this));
        wait_for(slots, core, fd, core::ptr::null_mut(), most, Some(again)).await
    }
}

/// One datagram of at most `most` bytes, and who has sent it.
unsafe fn recvfrom(fd: Fd, most: usize) -> Res<Option<Ref>> {
    // SAFETY: no more than is allowed, says the caller.
    match unsafe { receive_from(fd, most)? } {
        Ok((data, from)) => pair(data, &from),
        Err(error) if is_blocked(&error) => Ok(None),
        Err(error) => Err(event_loop::os_error(&error)),
    }
}

/// A buffer of bytes, and how much of it may be filled; `None` if the call is refused or strange.
unsafe fn room_of(slots: SockSlots) -> Option<(View, usize)> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let view = match View::of(slots.get(ARGUMENT), ffi::PyBUF_WRITABLE) {
            Ok(view) => view,
            Err(raised) => {
                drop(take_raised(raised));
                return None;
            }
        };
        let nbytes = slots.get(SECOND);
        let wanted = if nbytes.is_null() {
            0
        } else {
            plain_size(nbytes)?
        };
        // Without a number, it is the length of the object, which may count larger items.
        let room = match wanted {
            0 => ffi::PyObject_Size(slots.get(ARGUMENT)).unsigned_abs(),
            wanted => wanted,
        };
        let fits = room > 0 && room <= view.len() && ffi::PyErr_Occurred().is_null();
        if !fits {
            ffi::PyErr_Clear();
            return None;
        }
        Some((view, room))
    }
}

fn recvfrom_into_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let (_, fd) = common_datagrams(slots)?;
        let (view, room) = room_of(slots)?;
        at_once(recvfrom_into(fd, &view, room), slots)
    }
}

async fn recvfrom_into_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let found = common(slots).filter(|_| was_tried(slots));
        let room = room_of(slots).map(|(_, room)| room);
        let (Some((core, fd)), Some(room)) = (found, room) else {
            return rarely_as_given(slots, names().sock_recvfrom_into).await;
        };
        let again: Attempt = |this, fd| {
            let view = View::of(SocketWatch::argument(this), ffi::PyBUF_WRITABLE)?;
            let room = SocketWatch::most(this);
            if room > view.len() {
                let message = "nbytes is greater than the length of the buffer";
                return Err(value_error(message));
            }
            recvfrom_into(fd, &view, room)
        };
        wait_for(slots, core, fd, slots.get(ARGUMENT), room, Some(again)).await
    }
}

unsafe fn recvfrom_into(fd: Fd, view: &View, room: usize) -> Res<Option<Ref>> {
    // SAFETY: the view has that much room, says the caller.
    match unsafe { fd.receive_from(view.start(), room) } {
        Ok((count, from)) => pair(Ref::int(count as i64)?, &from),
        Err(error) if is_blocked(&error) => Ok(None),
        Err(error) => Err(event_loop::os_error(&error)),
    }
}

fn sendto_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let (_, fd) = common(slots)?;
        let sock = slots.get(SOCKET);
        let [family, ..] = plain_kind(sock)?;
        let given = slots.get(SECOND);
        let address = Address::of_python(family, given)?;
        let data = slots.get(ARGUMENT);
        if ffi::PyBytes_Check(data) != 0 {
            return sendto(fd, sock, bytes_of(data), &address, given);
        }
        match View::of(data, ffi::PyBUF_SIMPLE) {
            Ok(view) => sendto(fd, sock, view.bytes(), &address, given),
            Err(raised) => {
                // No bytes: the socket's own method says why.
                drop(take_raised(raised));
                None
            }
        }
    }
}

/// One `sendto`. `None` if it would have to wait.
unsafe fn sendto(
    fd: Fd,
    sock: *mut PyObject,
    data: &[u8],
    address: &Address,
    shown: *mut PyObject,
) -> Option<Res> {
    // SAFETY: all alive, says the caller.
    if let Err(raised) = unsafe { audit(c"socket.sendto", sock, shown) } {
        return Some(Err(raised));
    }
    match fd.send_to(data, address) {
        Ok(sent) => Some(Ref::int(sent as i64)),
        Err(error) if is_blocked(&error) => None,
        Err(error) => Some(Err(event_loop::os_error(&error))),
    }
}

async fn sendto_body(slots: SockSlots) -> Res {
    rarely_as_given(slots, names().sock_sendto).await
}
