//! A server's listening socket: `loop._start_serving` of a plain socket.
//!
//! What an `accept` that fails means is said by `rasyncio::servers::accept`. Each connection gets a
//! task, as in asyncio, in which the protocol factory is called (`connection.rs`); in debug mode
//! the standard library's method does all of it, which writes to the log.

mod connection;

use core::ffi::{c_int, c_void};
use core::ptr;
use std::io::{self, ErrorKind};
use std::os::fd::{FromRawFd, OwnedFd};

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::servers::accept::AcceptError;

use crate::args::Signature;
use crate::boundary;
use crate::event_loop::{self, LoopCore};
use crate::global::Global;
use crate::jobs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, check, counts, import, set_slot, take_raised, type_error};
use crate::transports::{self, Address, plain_descriptor};
use crate::types::{TypeBuilder, free_instance};

pub(crate) use connection::refuse_a_number_in_use;

/// What a listening socket's watch holds. All pointers are owned; only `context` and `tls` may be NULL.
#[repr(C)]
pub(crate) struct Listener {
    ob_base: PyObject,
    loop_: *mut PyObject,
    sock: *mut PyObject,
    factory: *mut PyObject,
    server: *mut PyObject,
    transport_class: *mut PyObject,
    /// The server's own, of which each connection gets a copy (since 3.15).
    context: *mut PyObject,
    /// NULL without TLS. Otherwise a tuple: a function `(loop, protocol, waiter)` that makes the
    /// protocol between, and what the standard library's method wants instead: the `SSLContext` and
    /// two time limits.
    tls: *mut PyObject,
    /// The one in which connections are accepted.
    current: *mut PyObject,
    /// Arguments of `socket.socket()` but the descriptor.
    kind: [c_int; 3],
    backlog: i64,
}

struct Known {
    class: *mut PyTypeObject,
    /// `asyncio.trsock.TransportSocket`
    transport_socket: Ref,
    /// `asyncio.constants`
    constants: Ref,
}

static KNOWN: Global<Known> = Global::new();

static LISTEN: Signature = Signature::required(
    "_listen",
    &[
        "sock",
        "protocol_factory",
        "server",
        "backlog",
        "transport_class",
        "context",
        "tls",
    ],
);

// `loop._listen(sock, protocol_factory, server, backlog, transport_class, context, tls)`: accepts
// connections from now on. `context` and `tls` may be None. A socket that was closed meanwhile is none.
vectorcall!(listen, |slf, LISTEN [sock, factory, server, backlog, transport_class, context, tls]| {
    let Some(core) = event_loop::any_native(slf) else {
        return Ok(Ref::none());
    };
    core.check_closed()?;
    let fd = ffi::PyObject_CallMethodNoArgs(sock, names().fileno);
    let fd = ffi::PyLong_AsLong(Ref::checked(fd)?.ptr()) as c_int;
    if fd < 0 {
        return Ok(Ref::none());
    }
    let made = Ref::checked(ffi::PyType_GenericAlloc(KNOWN.get().class, 0))?;
    let this = made.ptr().cast::<Listener>();
    (*this).loop_ = counts::new_ref(slf);
    (*this).sock = counts::new_ref(sock);
    (*this).factory = counts::new_ref(factory);
    (*this).server = counts::new_ref(server);
    (*this).transport_class = counts::new_ref(transport_class);
    if !ptr::eq(context, ffi::Py_None()) {
        (*this).context = counts::new_ref(context);
    }
    if !ptr::eq(tls, ffi::Py_None()) {
        if ffi::PyTuple_Check(tls) == 0 || ffi::PyTuple_GET_SIZE(tls) != 4 {
            return Err(type_error("tls must be a tuple of four"));
        }
        (*this).tls = counts::new_ref(tls);
    }
    (*this).current = Ref::checked(ffi::PyContext_CopyCurrent())?.into_ptr();
    (*this).kind = kind_of(sock)?;
    (*this).backlog = crate::object::saturating_int(backlog)?;
    let replaced = core.engine().set_reader(fd, jobs::connections(made));
    event_loop::forget_watcher(replaced.map_err(|error| event_loop::os_error(&error))?)?;
    Ok(Ref::none())
});

/// The sockets of connections do not block, and are told so when they are made.
unsafe fn kind_of(sock: *mut PyObject) -> Res<[c_int; 3]> {
    // SAFETY: alive, says the caller.
    let sock = unsafe { Ref::borrow(sock) };
    let number = |name| crate::object::saturating_int(sock.attr(name)?.ptr());
    let family = number(names().family)? as c_int;
    let kind = number(names().type_)? as c_int;
    let proto = number(names().proto)? as c_int;
    Ok([family, kind | libc::SOCK_NONBLOCK, proto])
}

/// The job of a listening socket that is readable.
pub(crate) unsafe fn connections(this: *mut Listener) -> Res<()> {
    // SAFETY: the job keeps `this` alive; the context is held while it is entered.
    unsafe {
        let Some(core) = event_loop::any_native((*this).loop_) else {
            return Ok(());
        };
        core.leave_stale_task()?;
        let context = Ref::borrow((*this).current);
        check(ffi::PyContext_Enter(context.ptr()))?;
        let outcome = boundary::result(|| accept_all(this, core));
        if ffi::PyContext_Exit(context.ptr()) < 0 {
            return Err(Raised::set());
        }
        event_loop::report_callback_error(outcome, this.cast())
    }
}

/// Accepts what waits, at most one more than may wait, as asyncio does.
unsafe fn accept_all(this: *mut Listener, core: &LoopCore) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        if core.debug() {
            return by_the_standard_library(this);
        }
        for _ in 0..=(*this).backlog {
            // A task that starts at once may have closed the server.
            let Some(fd) = plain_descriptor((*this).sock).filter(|fd| fd.0 >= 0) else {
                return Ok(());
            };
            let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            match Address::ask(|at, length| libc::accept4(fd.0, at, length, flags)) {
                Ok((peer, number)) => {
                    accepted(this, core, OwnedFd::from_raw_fd(number), &peer)?;
                }
                Err(error) => match AcceptError::of(&error) {
                    // It has gone again; there may be others.
                    AcceptError::Nothing if error.kind() == ErrorKind::ConnectionAborted => {}
                    AcceptError::Nothing => return Ok(()),
                    AcceptError::Exhausted => return rest(this, core, &error),
                    AcceptError::Fatal => return Err(event_loop::os_error(&error)),
                },
            }
        }
        Ok(())
    }
}

#[cold]
unsafe fn by_the_standard_library(this: *mut Listener) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let method = Ref::borrow((*this).loop_).attr(names()._accept_connection)?;
        let backlog = Ref::int((*this).backlog)?;
        let mut arguments = vec![
            (*this).factory,
            (*this).sock,
            ffi::Py_None(),
            (*this).server,
            backlog.ptr(),
        ];
        if !(*this).tls.is_null() {
            let given = |at| ffi::PyTuple_GET_ITEM((*this).tls, at);
            arguments[2] = given(1);
            arguments.extend([given(2), given(3)]);
        }
        if (*this).context.is_null() {
            return method.call(&arguments).map(drop);
        }
        let kwnames = Ref::tuple(&[names().context])?;
        arguments.push((*this).context);
        method.call_kw(&arguments, kwnames.ptr()).map(drop)
    }
}

/// A task for a new connection.
unsafe fn accepted(
    this: *mut Listener,
    core: &LoopCore,
    number: OwnedFd,
    peer: &Address,
) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let transport = transports::accepted((*this).transport_class, number, (*this).kind, peer)?;
        let context = if (*this).context.is_null() {
            None
        } else {
            Some(Ref::checked(ffi::PyContext_Copy((*this).context))?)
        };
        let given = context.as_ref().map_or(ptr::null_mut(), Ref::ptr);
        let coroutine = connection::serve(this, transport, context.clone())?;
        if core.is_native() {
            core.create_task(coroutine.ptr(), ptr::null_mut(), given, ptr::null_mut())?;
            return Ok(());
        }
        let create_task = Ref::borrow((*this).loop_).attr(names().create_task)?;
        if given.is_null() {
            return create_task.call1(coroutine.ptr()).map(drop);
        }
        let kwnames = Ref::tuple(&[names().context])?;
        create_task
            .call_kw(&[coroutine.ptr(), given], kwnames.ptr())
            .map(drop)
    }
}

/// The system has run out of something. The socket stays readable, so it is left alone for a while.
#[cold]
unsafe fn rest(this: *mut Listener, core: &LoopCore, error: &io::Error) -> Res<()> {
    // SAFETY: `this` is alive, says the caller: the job holds it.
    unsafe {
        let exception = take_raised(event_loop::os_error(error));
        let message = Ref::str("socket.accept() out of system resource")?;
        let sock = KNOWN.get().transport_socket.call1((*this).sock)?;
        let context = Ref::dict()?;
        for (key, value) in [
            (names().message, &message),
            (names().exception, &exception),
            (names().socket, &sock),
        ] {
            check(ffi::PyDict_SetItem(context.ptr(), key, value.ptr()))?;
        }
        let owner = Ref::borrow((*this).loop_);
        owner.call_method(names().call_exception_handler, &[context.ptr()])?;
        let Some(fd) = plain_descriptor((*this).sock).filter(|fd| fd.0 >= 0) else {
            return Ok(());
        };
        drop(core.engine().remove_reader(fd.0));
        let delay = KNOWN.get().constants.attr(names().ACCEPT_RETRY_DELAY)?;
        let again = owner.attr(names()._listen)?;
        let backlog = Ref::int((*this).backlog)?;
        let context = Ref::borrow_opt((*this).context).unwrap_or_else(Ref::none);
        let tls = Ref::borrow_opt((*this).tls).unwrap_or_else(Ref::none);
        owner.attr(names().call_later)?.call(&[
            delay.ptr(),
            again.ptr(),
            (*this).sock,
            (*this).factory,
            (*this).server,
            backlog.ptr(),
            (*this).transport_class,
            context.ptr(),
            tls.ptr(),
        ])?;
        Ok(())
    }
}

impl Listener {
    unsafe fn slots(this: *mut Listener) -> [*mut *mut PyObject; 8] {
        // SAFETY: addresses of fields of a live object.
        unsafe {
            [
                &raw mut (*this).loop_,
                &raw mut (*this).sock,
                &raw mut (*this).factory,
                &raw mut (*this).server,
                &raw mut (*this).transport_class,
                &raw mut (*this).context,
                &raw mut (*this).tls,
                &raw mut (*this).current,
            ]
        }
    }
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        for slot in Listener::slots(slf.cast()) {
            visit_opt!(*slot, visit, arg);
        }
    }
    0
}

// No `tp_clear`: the job of a watch may run as long as it is alive, and needs what it holds. A
// cycle through it is one through the loop, which lets go of its watches.
unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        // SAFETY: the object is dead; untracked before its fields go.
        unsafe {
            ffi::PyObject_GC_UnTrack(slf.cast());
            for slot in Listener::slots(slf.cast()) {
                set_slot(slot, ptr::null_mut());
            }
            free_instance(slf);
        }
    });
}

/// Makes the type, and adds `_listen` to `BaseLoop`; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<Listener>(c"rasyncio.Listener")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void);
    let named = |module, name| import(module)?.attr(Ref::str(name)?.ptr());
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        KNOWN.set(Known {
            class: builder.build(module, ptr::null_mut())?,
            transport_socket: named(c"asyncio.trsock", "TransportSocket")?,
            constants: import(c"asyncio.constants")?,
        });
    }
    Ok(())
}
