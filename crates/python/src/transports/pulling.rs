//! Reading of streams whose reader waits: it receives itself, when its task's turn comes.
//!
//! The event wakes the task, as the data would, and the task goes on in the turn in which it would go
//! on anyway. So what many tasks wait for is not in memory at once, nor out of the processor's cache
//! by the time that it is used. Between the two what has come is *left unread*; whatever would keep
//! the reader from receiving it later has it [settled](settle) first, so that it is as if it had been
//! read by the event.

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::{MAX_RECEIVE, Received};

use super::closing::failed;
use super::object::{Kind, TransportObject, as_transport};
use super::reading::{FATAL, no_data, read_ready, receive};
use super::socket::descriptor;
use crate::boundary;
use crate::object::{Raised, Ref, Res};
use crate::streams;

/// The descriptor is readable: whether what has come is left to who waits for it, who is woken.
#[inline]
pub(super) unsafe fn left(this: *mut TransportObject) -> Res<bool> {
    // SAFETY: `this` is alive, says the caller; the protocol is held over the call.
    unsafe {
        if (*this).kind != Kind::Stream {
            return Ok(false);
        }
        let state = TransportObject::state(this);
        let Some(protocol) = Ref::borrow_opt((*this).protocol) else {
            return Ok(false);
        };
        if !state.leave_unread() {
            return Ok(false);
        }
        let woken = streams::wake_puller(protocol.ptr(), this.cast());
        if matches!(woken, Ok(true)) {
            TransportObject::core(this)?.engine().has_left_unread();
        } else {
            let _ = state.take_unread();
        }
        woken
    }
}

/// What [`pull`] has come to.
pub(crate) enum Pulled {
    Data(Ref),
    /// The end, an error, or nothing after all. The protocol knows what it has to know.
    Other,
    /// Nothing was left unread.
    NothingLeft,
}

/// What was left unread on that transport, for the reader that was woken for it.
#[inline]
pub(crate) unsafe fn pull(transport: *mut PyObject) -> Res<Pulled> {
    // SAFETY: alive, says the caller, and held over the calls.
    unsafe {
        let Some(this) = as_transport(transport) else {
            return Ok(Pulled::NothingLeft);
        };
        let state = TransportObject::state(this);
        if !state.take_unread() || !state.may_receive() {
            return Ok(Pulled::NothingLeft);
        }
        let last = (*this).last_reads.get();
        let other = match receive(descriptor(this), last, MAX_RECEIVE) {
            Ok((Received::Data(count), Some(data))) => {
                (*this).last_reads.set(last.and(count, &data));
                return Ok(Pulled::Data(data));
            }
            Ok((other, _)) => in_its_context(this, || no_data(this, other)),
            Err(raised) => in_its_context(this, || failed(this, raised, FATAL)),
        };
        other.map(|()| Pulled::Other)
    }
}

/// Reads now what was left unread, if anything was.
#[inline]
pub(super) unsafe fn settle(this: *mut TransportObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let state = TransportObject::state(this);
        if !state.take_unread() || !state.may_receive() {
            return Ok(());
        }
        in_its_context(this, || read_ready(this))
    }
}

/// As [`settle`], if that is a transport of ours: for a reader that was woken and does not read.
pub(crate) unsafe fn settle_object(transport: *mut PyObject) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe { as_transport(transport).map_or(Ok(()), |this| settle(this)) }
}

/// Calls `f` in the context that events are dealt with in, though a task is running.
#[cold]
unsafe fn in_its_context(this: *mut TransportObject, f: impl FnOnce() -> Res<()>) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the context is held while it is entered.
    unsafe {
        let Some(context) = Ref::borrow_opt((*this).reader_context) else {
            return f();
        };
        if ffi::PyContext_Enter(context.ptr()) < 0 {
            // The task itself runs in it.
            ffi::PyErr_Clear();
            return f();
        }
        let outcome = boundary::result(f);
        if ffi::PyContext_Exit(context.ptr()) < 0 {
            return Err(Raised::set());
        }
        outcome
    }
}
