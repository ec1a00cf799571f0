//! The ends of a connection: close, abort, fatal errors, and `connection_lost`.

use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::Closing;

use super::clients;
use super::described;
use super::object::{State, TransportObject};
use super::watching::{Side, unwatch};
use super::writing::finish_waiter;
use crate::coroutine::finally;
use crate::event_loop;
use crate::futures;
use crate::handles::{self, HandleContext};
use crate::jobs;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, raise, raised_matches, set_slot, take_raised, take_slot,
    while_handling,
};
use crate::stdlib::stdlib;

/// `transport.close()`
pub(super) unsafe fn close<S: State>(this: *mut TransportObject<S>) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        S::settle(this)?;
        closed(this, TransportObject::state(this).close())
    }
}

/// Does what closing asks for.
pub(super) unsafe fn closed<S: State>(this: *mut TransportObject<S>, closing: Closing) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match closing {
            Closing::Already => Ok(()),
            Closing::Flushing => unwatch(this, Side::Read),
            Closing::Now => {
                unwatch(this, Side::Read)?;
                unwatch(this, Side::Write)?;
                schedule_connection_lost(this, Ref::none().ptr())
            }
        }
    }
}

/// `transport._force_close(exception)`: also `abort`, without an exception.
pub(super) unsafe fn force_close<S: State>(
    this: *mut TransportObject<S>,
    exception: *mut PyObject,
) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        S::settle(this)?;
        if !TransportObject::state(this).abort() {
            return Ok(());
        }
        unwatch(this, Side::Read)?;
        unwatch(this, Side::Write)?;
        schedule_connection_lost(this, exception)
    }
}

/// In a later turn.
unsafe fn schedule_connection_lost<S>(
    this: *mut TransportObject<S>,
    exception: *mut PyObject,
) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let method = Ref::borrow(this.cast()).attr(names()._call_connection_lost)?;
        if let Some(core) = event_loop::native((*this).loop_).filter(|core| !core.debug()) {
            core.check_closed()?;
            let context = HandleContext::given((*this).context)?;
            let handle = handles::new_handle(core, method, &[exception], context)?;
            core.engine().schedule(jobs::handle(handle));
            return Ok(());
        }
        let loop_ = Ref::borrow_opt((*this).loop_).unwrap_or_else(Ref::none);
        let call_soon = loop_.attr(names().call_soon)?;
        if (*this).context.is_null() {
            return call_soon.call(&[method.ptr(), exception]).map(drop);
        }
        let kwnames = Ref::tuple(&[names().context])?;
        let context = Ref::borrow((*this).context);
        call_soon
            .call_kw(&[method.ptr(), exception, context.ptr()], kwnames.ptr())
            .map(drop)
    }
}

/// `transport._call_connection_lost(exception)`: tells the protocol, and lets go of everything.
pub(super) unsafe fn call_connection_lost<S>(
    this: *mut TransportObject<S>,
    exception: Ref,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; the protocol is held over the call.
    unsafe {
        let told = match Ref::borrow_opt((*this).protocol) {
            Some(protocol) if (*this).protocol_connected => protocol
                .call_method(names().connection_lost, &[exception.ptr()])
                .map(drop),
            _ => Ok(()),
        };
        finally(told, || finally(let_go(this), || tell_waiter(this)))
    }
}

unsafe fn let_go<S>(this: *mut TransportObject<S>) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; slots are empty before contents are dropped.
    unsafe {
        set_slot(&raw mut (*this).protocol, ptr::null_mut());
        described::close_bare(this);
        (*this).plain_socket = false;
        let sock = take_slot(&raw mut (*this).sock);
        let server = take_slot(&raw mut (*this).server);
        TransportObject::forget_number(this);
        set_slot(&raw mut (*this).loop_, ptr::null_mut());
        let closed = match sock {
            Some(sock) => sock.call_method(names().close, &[]).map(drop),
            None => Ok(()),
        };
        finally(closed, || match server {
            Some(server) => detach(this, &server),
            None => Ok(()),
        })
    }
}

unsafe fn detach<S>(this: *mut TransportObject<S>, server: &Ref) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        if clients::leave_server(this, server)? {
            return Ok(());
        }
        let method = names()._detach_from;
        Ref::borrow(this.cast())
            .call_method(method, &[server.ptr()])
            .map(drop)
    }
}

unsafe fn tell_waiter<S>(this: *mut TransportObject<S>) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; a static exception class.
    unsafe {
        finish_waiter(this, |waiter| {
            let error = take_raised(raise(
                ffi::PyExc_ConnectionError,
                "Connection is closed by peer",
            ));
            futures::set_exception(waiter, error.ptr())
        })
    }
}

/// A callback of the protocol has raised, or the system has refused something: the connection
/// ends. SystemExit and KeyboardInterrupt leave the loop instead.
#[cold]
pub(super) unsafe fn failed<S>(
    this: *mut TransportObject<S>,
    raised: Raised,
    message: &str,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller; static exception classes.
    unsafe {
        if raised_matches(&raised, ffi::PyExc_SystemExit)
            || raised_matches(&raised, ffi::PyExc_KeyboardInterrupt)
        {
            return Err(raised);
        }
        let exception = take_raised(raised);
        let message = Ref::str(message)?;
        while_handling(&exception, || {
            Ref::borrow(this.cast())
                .call_method(names()._fatal_error, &[exception.ptr(), message.ptr()])
                .map(drop)
        })
    }
}

/// `loop.call_exception_handler` with what the handler is told of a transport.
pub(super) unsafe fn report<S>(
    this: *mut TransportObject<S>,
    exception: &Ref,
    message: &str,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let context = Ref::dict()?;
        let message = Ref::str(message)?;
        let protocol = Ref::borrow_opt((*this).protocol).unwrap_or_else(Ref::none);
        for (key, value) in [
            (names().message, message.ptr()),
            (names().exception, exception.ptr()),
            (names().transport, this.cast()),
            (names().protocol, protocol.ptr()),
        ] {
            check(ffi::PyDict_SetItem(context.ptr(), key, value))?;
        }
        let loop_ = Ref::borrow_opt((*this).loop_).unwrap_or_else(Ref::none);
        while_handling(exception, || {
            loop_
                .call_method(names().call_exception_handler, &[context.ptr()])
                .map(drop)
        })
    }
}

/// In debug mode, a line in the log about the transport, by a method of the logger.
pub(super) unsafe fn log<S>(
    this: *mut TransportObject<S>,
    method: *mut PyObject,
    format: &str,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        if !TransportObject::core(this)?.debug() {
            return Ok(());
        }
        let format = Ref::str(format)?;
        stdlib()
            .logger
            .call_method(method, &[format.ptr(), this.cast()])
            .map(drop)
    }
}

/// The same at the lowest level.
pub(super) unsafe fn log_debug<S>(this: *mut TransportObject<S>, format: &str) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe { log(this, names().debug, format) }
}
