//! `loop.sock_recv` and `loop.sock_recv_into`.

use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::{MAX_RECEIVE, Received, is_blocked};

use super::watch::{came_at_once, descriptor, last_at_once, until_read, wait};
use super::{ARGUMENT, SockSlots, argument, common, held, rarely, tried, was_tried};
use crate::args::Signature;
use crate::coroutine::{CoroutineDef, coroutine_at_once};
use crate::event_loop;
use crate::names::names;
use crate::object::{Ref, Res, raised_matches, take_raised};
use crate::transports::{Fd, LastReads, Source, View, receive};

static RECV: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_recv",
    c"BaseSelectorEventLoop.sock_recv",
);
static RECV_INTO: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"sock_recv_into",
    c"BaseSelectorEventLoop.sock_recv_into",
);

static RECV_ARGUMENTS: Signature = Signature::required("sock_recv", &["sock", "n"]);
static RECV_INTO_ARGUMENTS: Signature = Signature::required("sock_recv_into", &["sock", "buf"]);

vectorcall!(sock_recv, |slf, RECV_ARGUMENTS [sock, n]| {
    coroutine_at_once(&RECV, held(slf, sock, n), recv_at_once, recv_body)
});
vectorcall!(sock_recv_into, |slf, RECV_INTO_ARGUMENTS [sock, buf]| {
    coroutine_at_once(&RECV_INTO, held(slf, sock, buf), recv_into_at_once, recv_into_body)
});

fn recv_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let most = plain_size(slots.get(ARGUMENT))?;
        let (core, fd) = common(slots)?;
        match recv(fd, last_at_once(core, fd), most) {
            Ok(Some((data, count))) => {
                came_at_once(core, fd, count, &data);
                Some(Ok(data))
            }
            Ok(None) => tried(slots, 0),
            Err(raised) => Some(Err(raised)),
        }
    }
}

async fn recv_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let most = plain_size(slots.get(ARGUMENT));
        let (Some((core, fd)), Some(most)) = (common(slots).filter(|_| was_tried(slots)), most)
        else {
            return rarely(slots, names().sock_recv, argument(slots)).await;
        };
        loop {
            let watch = wait(slots, core, fd).await?;
            let last = (*watch).last;
            if let Some((data, count)) = recv(descriptor(slots)?, last, most)? {
                (*watch).last = last.and(count, &data);
                (*watch).at_once = false;
                return Ok(data);
            }
        }
    }
}

fn recv_into_at_once(slots: SockSlots) -> Option<Res> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let (_, fd) = common(slots)?;
        match recv_into(fd, slots.get(ARGUMENT)) {
            Ok(Some(count)) => Some(Ok(count)),
            Ok(None) => tried(slots, 0),
            Err(raised) if raised_matches(&raised, ffi::PyExc_OSError) => Some(Err(raised)),
            Err(raised) => {
                // No buffer to write to: the socket's own method says why.
                drop(take_raised(raised));
                None
            }
        }
    }
}

async fn recv_into_body(slots: SockSlots) -> Res {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let Some((core, fd)) = common(slots).filter(|_| was_tried(slots)) else {
            return rarely(slots, names().sock_recv_into, argument(slots)).await;
        };
        until_read(slots, core, fd, |fd| recv_into(fd, slots.get(ARGUMENT))).await
    }
}

/// How much to read at most, if it is a number that needs no thought.
pub(super) unsafe fn plain_size(given: *mut PyObject) -> Option<usize> {
    // SAFETY: alive, says the caller.
    unsafe {
        if ffi::PyLong_CheckExact(given) == 0 {
            return None;
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongLongAndOverflow(given, &mut overflow);
        usize::try_from(number)
            .ok()
            .filter(|&number| overflow == 0 && number <= MAX_RECEIVE)
    }
}

/// One `recv`, and how much it brought; `None` if nothing has come yet.
pub(super) unsafe fn recv(fd: Fd, last: LastReads, most: usize) -> Res<Option<(Ref, usize)>> {
    // SAFETY: as for `receive`.
    match unsafe { receive(fd, last, most)? } {
        (Received::Data(count), Some(data)) => Ok(Some((data, count))),
        (Received::Eof, _) => {
            // SAFETY: attached.
            let nothing = unsafe { ffi::PyBytes_FromStringAndSize(ptr::null(), 0) };
            // SAFETY: a new reference, or NULL.
            Ok(Some((unsafe { Ref::checked(nothing)? }, 0)))
        }
        (Received::Failed(error), _) => Err(event_loop::os_error(&error)),
        _ => Ok(None),
    }
}

/// One `recv` into a buffer: how much it brought.
pub(super) unsafe fn recv_into(fd: Fd, buffer: *mut PyObject) -> Res<Option<Ref>> {
    // SAFETY: alive, says the caller.
    unsafe {
        let view = View::of(buffer, ffi::PyBUF_WRITABLE)?;
        match fd.receive(view.start(), view.len()) {
            Ok(count) => Ok(Some(Ref::int(count as i64)?)),
            Err(error) if is_blocked(&error) => Ok(None),
            Err(error) => Err(event_loop::os_error(&error)),
        }
    }
}
