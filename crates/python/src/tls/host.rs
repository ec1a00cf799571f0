//! What the state asks of the link, the application and the loop.

use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::tls::{Deadline, During, Host};

use super::object::{Plain, TlsObject};
use super::{session, transport};
use crate::boundary;
use crate::futures;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, raise, raise_object, raised_matches, set_slot, str_of, take_raised,
    take_slot, while_handling,
};
use crate::stdlib::stdlib;
use crate::timer;
use crate::transports;

/// A protocol at work. Whoever makes one keeps the object alive.
#[derive(Clone, Copy)]
pub(super) struct Conn(pub(super) *mut TlsObject);

impl Conn {
    /// The object in a slot; None if it is empty. It is held over the calls that are made on it.
    fn held(self, slot: impl FnOnce(*mut TlsObject) -> *mut PyObject) -> Option<Ref> {
        // SAFETY: the slot is of a live object.
        unsafe { Ref::borrow_opt(slot(self.0)) }
    }

    fn link(self) -> Option<Ref> {
        // SAFETY: the object is alive.
        self.held(|this| unsafe { (*this).link })
    }

    fn app(self) -> Option<Ref> {
        // SAFETY: the object is alive.
        self.held(|this| unsafe { (*this).app })
    }

    fn call_link(self, method: *mut PyObject, args: &[*mut PyObject]) -> Res<()> {
        match self.link() {
            Some(link) => link.call_method(method, args).map(drop),
            None => Ok(()),
        }
    }

    fn object(self) -> Ref {
        // SAFETY: the object is alive.
        unsafe { Ref::borrow(self.0.cast()) }
    }

    /// `pause_writing` and `resume_writing`: what they raise is reported and harms nothing.
    #[cold]
    fn tell(self, method: *mut PyObject, name: &str) -> Res<()> {
        let Some(app) = self.app() else {
            return Ok(());
        };
        match app.call_method(method, &[]) {
            Ok(_) => Ok(()),
            Err(raised) if leaves_loop(&raised) => Err(raised),
            Err(raised) => self.report(&take_raised(raised), &format!("protocol.{name}() failed")),
        }
    }

    /// `loop.call_exception_handler` with what the handler is told of the connection.
    fn report(self, exception: &Ref, message: &str) -> Res<()> {
        // SAFETY: the object is alive.
        unsafe {
            let context = Ref::dict()?;
            let message = Ref::str(message)?;
            let app_transport = self.held(|this| (*this).app_transport);
            let app_transport = app_transport.unwrap_or_else(Ref::none);
            for (key, value) in [
                (names().message, message.ptr()),
                (names().exception, exception.ptr()),
                (names().transport, app_transport.ptr()),
                (names().protocol, self.0.cast()),
            ] {
                check(ffi::PyDict_SetItem(context.ptr(), key, value))?;
            }
            let Some(loop_) = self.held(|this| (*this).loop_) else {
                return Ok(());
            };
            while_handling(exception, || {
                loop_
                    .call_method(names().call_exception_handler, &[context.ptr()])
                    .map(drop)
            })
        }
    }

    /// Tells whoever waits for the connection, if somebody does still.
    pub(super) fn wake(self, error: Option<&Ref>) -> Res<()> {
        // SAFETY: the object is alive; its slot is emptied first.
        unsafe {
            let Some(waiter) = take_slot(&raw mut (*self.0).waiter) else {
                return Ok(());
            };
            if futures::is_done(waiter.ptr())? {
                return Ok(());
            }
            match error {
                Some(error) if !error.is_none() => {
                    futures::set_exception(waiter.ptr(), error.ptr())
                }
                _ => futures::set_result(waiter.ptr(), ffi::Py_None()),
            }
        }
    }

    /// `loop.call_soon(callback, *args)`, by the public way: it is seldom.
    pub(super) fn call_soon(self, callback: &Ref, args: &[*mut PyObject]) -> Res<()> {
        // SAFETY: the object is alive.
        let Some(loop_) = self.held(|this| unsafe { (*this).loop_ }) else {
            return Ok(());
        };
        let mut all = vec![callback.ptr()];
        all.extend_from_slice(args);
        loop_.call_method(names().call_soon, &all).map(drop)
    }
}

/// KeyboardInterrupt and SystemExit are nobody's failure: they end the loop.
fn leaves_loop(raised: &Raised) -> bool {
    // SAFETY: static exception classes.
    unsafe {
        raised_matches(raised, ffi::PyExc_SystemExit)
            || raised_matches(raised, ffi::PyExc_KeyboardInterrupt)
    }
}

unsafe fn handshake_over(this: *mut PyObject) -> Res<()> {
    // SAFETY: a timer's data is the protocol, which it keeps alive.
    unsafe { deadline(this.cast(), Deadline::Handshake) }
}

unsafe fn shutdown_over(this: *mut PyObject) -> Res<()> {
    // SAFETY: as above.
    unsafe { deadline(this.cast(), Deadline::Shutdown) }
}

unsafe fn deadline(this: *mut TlsObject, deadline: Deadline) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe { boundary::result(|| TlsObject::state(this).deadline(&Conn(this), deadline)) }
}

impl Host<Plain> for Conn {
    #[inline]
    fn send(&self) -> Res<()> {
        // SAFETY: the object is alive; the link is held over the call.
        unsafe {
            let Some(data) = session::encrypted(self.0)? else {
                return Ok(());
            };
            let Some(link) = self.link() else {
                return Ok(());
            };
            match transports::as_direct(link.ptr()) {
                Some(ours) => transports::write(ours, data.ptr()),
                None => link.call_method(names().write, &[data.ptr()]).map(drop),
            }
        }
    }

    fn pause_link(&self) -> Res<()> {
        self.call_link(names().pause_reading, &[])
    }

    fn resume_link(&self) -> Res<()> {
        self.call_link(names().resume_reading, &[])
    }

    fn close_link(&self) -> Res<()> {
        match self.link() {
            Some(link) => self.call_soon(&link.attr(names().close)?, &[]),
            None => Ok(()),
        }
    }

    fn abort_link(&self, error: Option<Raised>) -> Res<()> {
        let error = error.map_or_else(Ref::none, take_raised);
        self.call_link(names()._force_close, &[error.ptr()])
    }

    fn established(&self) -> Res<()> {
        self.object()
            .call_method(names()._established, &[])
            .map(drop)
    }

    fn connection_made(&self) -> Res<()> {
        // SAFETY: the object is alive.
        let transport = self.held(|this| unsafe { (*this).app_transport });
        match (self.app(), transport) {
            (Some(app), Some(transport)) => app
                .call_method(names().connection_made, &[transport.ptr()])
                .map(drop),
            _ => Ok(()),
        }
    }

    fn connected(&self) -> Res<()> {
        self.wake(None)
    }

    fn eof_received(&self) -> Res<()> {
        let Some(app) = self.app() else {
            return Ok(());
        };
        if app.call_method(names().eof_received, &[])?.truth()? {
            let text = Ref::str("returning true from eof_received() has no effect when using ssl")?;
            let warning = stdlib().logger.attr(names().warning)?;
            warning.call1(text.ptr())?;
        }
        Ok(())
    }

    fn pause_writing(&self) -> Res<()> {
        self.tell(names().pause_writing, "pause_writing")
    }

    fn resume_writing(&self) -> Res<()> {
        self.tell(names().resume_writing, "resume_writing")
    }

    fn closing(&self) {
        // SAFETY: the object is alive.
        unsafe { transport::mark_closed((*self.0).app_transport) }
    }

    fn start_timer(&self, deadline: Deadline) -> Res<()> {
        // SAFETY: the object is alive; what is called is held over the call.
        unsafe {
            let this = self.0;
            let (delay, run, handle): (_, timer::TimerFn, _) = match deadline {
                Deadline::Handshake => (
                    (*this).handshake_timeout,
                    handshake_over,
                    &raw mut (*this).handshake_handle,
                ),
                Deadline::Shutdown => (
                    (*this).shutdown_timeout,
                    shutdown_over,
                    &raw mut (*this).shutdown_handle,
                ),
            };
            let (Some(loop_), Some(delay)) =
                (Ref::borrow_opt((*this).loop_), Ref::borrow_opt(delay))
            else {
                return Ok(());
            };
            let timer = timer::call_later(loop_.ptr(), delay.ptr(), run, self.object(), |made| {
                set_slot(handle, made.into_ptr());
            })?;
            match deadline {
                Deadline::Handshake => (*this).handshake_timer.set(Some(timer)),
                Deadline::Shutdown => (*this).shutdown_timer.set(Some(timer)),
            }
            Ok(())
        }
    }

    fn cancel_timer(&self, deadline: Deadline) -> Res<()> {
        // SAFETY: the object is alive; what is called is held over the call.
        unsafe {
            let this = self.0;
            let (timer, handle) = match deadline {
                Deadline::Handshake => (
                    (*this).handshake_timer.take(),
                    take_slot(&raw mut (*this).handshake_handle),
                ),
                Deadline::Shutdown => (
                    (*this).shutdown_timer.take(),
                    take_slot(&raw mut (*this).shutdown_handle),
                ),
            };
            let (Some(timer), Some(loop_)) = (timer, Ref::borrow_opt((*this).loop_)) else {
                return Ok(());
            };
            timer.cancel(
                loop_.ptr(),
                handle.as_ref().map_or(ptr::null_mut(), Ref::ptr),
            )
        }
    }

    fn has_timer(&self, deadline: Deadline) -> bool {
        // SAFETY: the object is alive; a timer is a copy.
        unsafe {
            let timer = match deadline {
                Deadline::Handshake => &(*self.0).handshake_timer,
                Deadline::Shutdown => &(*self.0).shutdown_timer,
            };
            let value = timer.get();
            value.is_some()
        }
    }

    #[cold]
    fn fatal(&self, error: Raised, during: During) -> Res<()> {
        // SAFETY: a static exception class.
        let is_exception = unsafe { raised_matches(&error, ffi::PyExc_Exception) };
        if leaves_loop(&error) || (during == During::Data && !is_exception) {
            return Err(error);
        }
        let exception = take_raised(error);
        let message = Ref::str(match during {
            During::Data => "Fatal error on SSL protocol",
            During::Eof => "Error calling eof_received()",
            During::Handshake | During::Shutdown => "Fatal error on transport",
        })?;
        while_handling(&exception, || {
            self.object()
                .call_method(names()._fatal_error, &[exception.ptr(), message.ptr()])
                .map(drop)
        })
    }

    #[cold]
    fn refused(&self, error: Raised) -> Res<()> {
        // SAFETY: a static exception class.
        let is_exception = unsafe { raised_matches(&error, ffi::PyExc_Exception) };
        if !is_exception {
            return Err(error);
        }
        let exception = take_raised(error);
        while_handling(&exception, || {
            self.object()
                .call_method(names()._refused, &[exception.ptr()])
                .map(drop)
        })?;
        self.wake(Some(&exception))
    }

    fn reset(&self) -> Raised {
        // SAFETY: a static exception class.
        let class = unsafe { Ref::borrow(ffi::PyExc_ConnectionResetError) };
        match class.call0() {
            Ok(error) => raise_object(error),
            Err(raised) => raised,
        }
    }

    fn timed_out(&self, deadline: Deadline) -> Raised {
        match deadline {
            Deadline::Handshake => {
                // SAFETY: the object is alive; a static exception class.
                let limit = self.held(|this| unsafe { (*this).handshake_timeout });
                match str_of(limit.unwrap_or_else(Ref::none).ptr()) {
                    // SAFETY: a static exception class.
                    Ok(limit) => unsafe {
                        raise(
                            ffi::PyExc_ConnectionAbortedError,
                            &format!(
                                "SSL handshake is taking longer than {limit} seconds: aborting \
                                 the connection"
                            ),
                        )
                    },
                    Err(raised) => raised,
                }
            }
            // SAFETY: a static exception class, which asyncio's TimeoutError is.
            Deadline::Shutdown => unsafe {
                raise(ffi::PyExc_TimeoutError, "SSL shutdown timed out")
            },
        }
    }
}
