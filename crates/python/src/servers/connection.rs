//! The coroutine of the task in which a connection that was accepted gets its protocol.

use core::ffi::c_int;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::Listener;
use crate::coroutine::{CoroutineDef, Slots, await_future, coroutine, finally};
use crate::event_loop;
use crate::futures;
use crate::names::names;
use crate::object::{Raised, Ref, Res, check, raised_matches, take_raised, while_handling};
use crate::transports;

static DEF: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.selector_events>",
    c"_accept_connection2",
    c"BaseSelectorEventLoop._accept_connection2",
);

const LISTENER: usize = 0;
/// A transport that has not begun.
const ACCEPTED: usize = 1;
/// The connection's context, or NULL.
const CONTEXT: usize = 2;
const PROTOCOL: usize = 3;
const TRANSPORT: usize = 4;
const WAITER: usize = 5;

type ConnectionSlots = Slots<6>;

pub(super) unsafe fn serve(listener: *mut Listener, accepted: Ref, context: Option<Ref>) -> Res {
    // SAFETY: alive, says the caller.
    let listener = unsafe { Ref::borrow(listener.cast()) };
    let held = [Some(listener), Some(accepted), context, None, None, None];
    coroutine(&DEF, held, body)
}

async fn body(slots: ConnectionSlots) -> Res {
    let Err(raised) = begin(slots).await else {
        return Ok(Ref::none());
    };
    // SAFETY: static classes.
    let leaves = unsafe {
        raised_matches(&raised, ffi::PyExc_SystemExit)
            || raised_matches(&raised, ffi::PyExc_KeyboardInterrupt)
    };
    if leaves {
        return Err(raised);
    }
    report(slots, raised)?;
    Ok(Ref::none())
}

async fn begin(slots: ConnectionSlots) -> Res<()> {
    make(slots)?;
    if let Err(raised) = await_future(slots.get(WAITER)).await {
        // SAFETY: the slot keeps the transport alive.
        let transport = unsafe { Ref::borrow(slots.get(TRANSPORT)) };
        return finally(Err(raised), || {
            transport.call_method(names().close, &[]).map(drop)
        });
    }
    Ok(())
}

/// A protocol, and a transport for it.
fn make(slots: ConnectionSlots) -> Res<()> {
    let listener: *mut Listener = slots.get(LISTENER).cast();
    // SAFETY: the slots keep all of it alive.
    unsafe {
        let loop_ = (*listener).loop_;
        let protocol = slots.set(PROTOCOL, Ref::borrow((*listener).factory).call0()?);
        let waiter = slots.set(WAITER, futures::new_future(loop_)?);
        let accepted = slots.get(ACCEPTED);
        refuse_an_accepted_number(loop_, accepted)?;
        let begin = |protocol, waiter| {
            let server = (*listener).server;
            transports::begin(
                accepted,
                [loop_, protocol],
                waiter,
                server,
                slots.get(CONTEXT),
            )
        };
        let made = if (*listener).tls.is_null() {
            begin(protocol, waiter)?;
            Ref::borrow(accepted)
        } else {
            let secure = Ref::borrow(ffi::PyTuple_GET_ITEM((*listener).tls, 0));
            let between = secure.call(&[loop_, protocol, waiter])?;
            begin(between.ptr(), ptr::null_mut())?;
            between.attr(names()._app_transport)?
        };
        slots.set(TRANSPORT, made);
    }
    Ok(())
}

/// A socket may have been closed behind its transport's back, which then still has the number.
pub(crate) unsafe fn refuse_a_number_in_use(loop_: *mut PyObject, sock: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        if !is_in_use(loop_, ffi::PyObject_AsFileDescriptor(sock))? {
            return Ok(());
        }
        let loop_ = Ref::borrow(loop_);
        let method = names()._ensure_fd_no_transport;
        loop_.call_method(method, &[sock]).map(drop)
    }
}

unsafe fn refuse_an_accepted_number(loop_: *mut PyObject, accepted: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        if !is_in_use(loop_, transports::number_of(accepted))? {
            return Ok(());
        }
        let sock = transports::socket_of(accepted)?;
        refuse_a_number_in_use(loop_, sock.ptr())
    }
}

/// Whether a transport has that number; it may be closing.
unsafe fn is_in_use(loop_: *mut PyObject, fd: c_int) -> Res<bool> {
    if event_loop::any_native(loop_).is_some_and(|core| core.numbers().find(fd).is_some()) {
        return Ok(true);
    }
    // SAFETY: alive, says the caller.
    let loop_ = unsafe { Ref::borrow(loop_) };
    let known = loop_.attr(names()._transports)?.attr(names().data)?;
    let number = Ref::int(i64::from(fd))?;
    // SAFETY: both alive.
    match unsafe { ffi::PySequence_Contains(known.ptr(), number.ptr()) } {
        -1 => Err(Raised::set()),
        found => Ok(found != 0),
    }
}

/// There is nobody to tell but, in debug mode, the exception handler.
#[cold]
fn report(slots: ConnectionSlots, raised: Raised) -> Res<()> {
    let exception = take_raised(raised);
    let listener: *mut Listener = slots.get(LISTENER).cast();
    // SAFETY: the slots keep all of it alive.
    unsafe {
        let loop_ = Ref::borrow((*listener).loop_);
        if !event_loop::any_native(loop_.ptr()).is_some_and(|core| core.debug()) {
            return Ok(());
        }
        let context = Ref::dict()?;
        let message = Ref::str("Error on transport creation for incoming connection")?;
        for (key, value) in [
            (names().message, message.ptr()),
            (names().exception, exception.ptr()),
            (names().protocol, slots.get(PROTOCOL)),
            (names().transport, slots.get(TRANSPORT)),
        ] {
            if !value.is_null() && !ptr::eq(value, ffi::Py_None()) {
                check(ffi::PyDict_SetItem(context.ptr(), key, value))?;
            }
        }
        while_handling(&exception, || {
            loop_
                .call_method(names().call_exception_handler, &[context.ptr()])
                .map(drop)
        })
    }
}
