//! From the socket to the protocol, and the jobs of readiness.

use std::io;

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::datagram::MAX_DATAGRAM;
use rasyncio::transports::stream::is_blocked;

use super::ahead::{Got, MOST};
use super::{DatagramObject, call_protocol};
use crate::event_loop;
use crate::handles;
use crate::jobs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, raise, set_slot, take_raised, while_handling};
use crate::transports::addresses::Address;
use crate::transports::closing::failed;
use crate::transports::object::TransportObject;
use crate::transports::reading::{NOTABLE, receive_from};
use crate::transports::socket::descriptor;
use crate::transports::watching::{Side, run};

/// The job of a descriptor that is readable.
pub(crate) unsafe fn readable(this: *mut DatagramObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        let ahead = &TransportObject::state(this).ahead;
        if ahead.is_scheduled() {
            return Ok(());
        }
        ahead.got.set(Got::Other);
        read(this)?;
        if ahead.after_event() {
            look_again(this);
        }
        Ok(())
    }
}

/// The job of one that may be.
pub(crate) unsafe fn again(this: *mut DatagramObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        let ahead = &TransportObject::state(this).ahead;
        let mut is_first = ahead.begins();
        read(this)?;
        for _ in 1..MOST {
            if !(is_alone(this) && ahead.goes_on()) {
                break;
            }
            is_first = false;
            read(this)?;
        }
        if ahead.after_look(is_first) {
            look_again(this);
        }
        Ok(())
    }
}

/// Whether the next turn would do nothing but look for events, of which this socket's is known. (In debug
/// mode each datagram is a callback of its own, which may be slow.)
#[inline]
unsafe fn is_alone(this: *mut DatagramObject) -> bool {
    // SAFETY: alive, says the caller.
    unsafe {
        event_loop::any_native((*this).loop_)
            .is_some_and(|core| core.engine().is_idle_but_for(this.cast()) && !core.debug())
    }
}

#[inline]
unsafe fn read(this: *mut DatagramObject) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        run(this, Side::Read, |outcome, _| {
            report(this, outcome, names()._read_ready)
        })
    }
}

unsafe fn look_again(this: *mut DatagramObject) {
    // SAFETY: alive, says the caller.
    unsafe {
        if let Some(core) = event_loop::any_native((*this).loop_) {
            let job = jobs::datagram_again(Ref::borrow(this.cast()));
            core.engine().schedule_as_event(job);
        } else {
            TransportObject::state(this).ahead.begins();
        }
    }
}

/// The job of a descriptor that is writable.
pub(crate) unsafe fn writable(this: *mut DatagramObject) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        run(this, Side::Write, |outcome, _| {
            report(this, outcome, names()._sendto_ready)
        })
    }
}

/// What a protocol raises when it is told of a datagram harms no transport. It is reported as the
/// error of a handle, which is what asyncio has here.
#[inline]
unsafe fn report(this: *mut DatagramObject, outcome: Res<()>, method: *mut PyObject) -> Res<()> {
    match outcome {
        Ok(()) => Ok(()),
        // SAFETY: alive, says the caller.
        Err(raised) => unsafe { report_as_handle(this, raised, method) },
    }
}

#[cold]
unsafe fn report_as_handle(
    this: *mut DatagramObject,
    raised: Raised,
    method: *mut PyObject,
) -> Res<()> {
    let exception = take_raised(raised);
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let core = event_loop::running_core()?;
        let callback = Ref::borrow(this.cast()).attr(method)?;
        let handle = handles::new_repeating(core, callback, &[], core::ptr::null_mut())?;
        handles::report(handle.ptr().cast(), exception)
    }
}

/// The descriptor is readable, and the protocol wants datagrams.
pub(super) unsafe fn read_ready(this: *mut DatagramObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        match receive_from(descriptor(this), MAX_DATAGRAM) {
            Ok(Ok((data, from))) => {
                let count = ffi::Py_SIZE(data.ptr()) as usize;
                if count >= NOTABLE {
                    TransportObject::core(this)?.engine().has_read(count);
                }
                TransportObject::state(this).ahead.got.set(Got::Datagram);
                let from = shown(this, &from)?;
                call_protocol(this, names().datagram_received, &[data.ptr(), from.ptr()])
            }
            Ok(Err(error)) if is_blocked(&error) => {
                TransportObject::state(this).ahead.got.set(Got::Nothing);
                Ok(())
            }
            Ok(Err(error)) => not_received(this, &error),
            Err(raised) => failed(this, raised, "Fatal read error on datagram transport"),
        }
    }
}

/// The sender as Python writes it.
#[inline]
unsafe fn shown(this: *mut DatagramObject, from: &Address) -> Res {
    // SAFETY: `this` is alive, says the caller; the state owns what it holds.
    unsafe {
        let state = TransportObject::state(this);
        let mut host = None;
        if let Some(last) = state.last_address.borrow().as_ref()
            && let Some(shown) = Ref::borrow_opt(state.last.get())
        {
            if last == from {
                return Ok(shown);
            }
            host = from.same_host(last, &shown);
        }
        // The class sees to it that the families are those that are known.
        let Some(shown) = from.to_python_with_host(host)? else {
            return Err(raise(ffi::PyExc_OSError, "unknown address family"));
        };
        state.last_address.replace(None);
        set_slot(state.last.as_ptr(), shown.clone().into_ptr());
        state.last_address.replace(Some(from.clone()));
        Ok(shown)
    }
}

#[cold]
unsafe fn not_received(this: *mut DatagramObject, error: &io::Error) -> Res<()> {
    let exception = take_raised(event_loop::os_error(error));
    // SAFETY: `this` is alive, says the caller.
    while_handling(&exception, || unsafe {
        call_protocol(this, names().error_received, &[exception.ptr()])
    })
}
