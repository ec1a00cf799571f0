//! A new transport: what it knows of its socket, and how the protocol comes to know of it.

use core::ffi::c_int;
use core::ptr;
use std::os::fd::{IntoRawFd, OwnedFd};

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::stream::StreamState;

use super::addresses::Address;
use super::chunk::Chunk;
use super::clients;
use super::described;
use super::expected::LastReads;
use super::methods::{set_protocol, set_socket};
use super::object::{self, TransportObject};
use super::socket::Fd;
use super::watching::{Side, watch_in};
use crate::args::Signature;
use crate::audit;
use crate::boundary;
use crate::event_loop;
use crate::futures;
use crate::global::Global;
use crate::handles::{self, HandleContext};
use crate::jobs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, check, counts, import, runtime_error, set_slot};

struct Known {
    /// `asyncio.futures._set_result_unless_cancelled`
    set_result: Ref,
}

static KNOWN: Global<Known> = Global::new();

static INIT: Signature = Signature::required("SocketTransport", &["loop", "sock", "protocol"])
    .optional(&["waiter", "extra", "server", "context"]);

/// `__init__(loop, sock, protocol, waiter=None, extra=None, server=None, context=None)`
///
/// The protocol's `connection_made` is called in the next turn, reading begins after that, and
/// then `waiter` is given its result.
pub(super) unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: a live instance; the slots' contract.
        unsafe {
            let [loop_, sock, protocol, rest @ ..] = INIT.parse_tuple::<7>(args, kwargs)?;
            let [waiter, extra, server, context] = rest.map(|value| given(value));
            let this = slf.cast::<TransportObject>();
            start(this, [loop_, sock, protocol], extra, server, context)?;
            let kind = Fd((*this).fd).kind();
            (*this).last_reads.set(LastReads::of_socket(kind));
            if described::is_internet(this) {
                // What a program writes goes out at once, and is not put off until more comes.
                Fd((*this).fd).set_no_delay();
            }
            announce_stream(this, waiter)
        }
    })
}

/// NULL for None.
pub(super) unsafe fn given(value: *mut PyObject) -> *mut PyObject {
    // SAFETY: None lives for ever.
    if unsafe { ptr::eq(value, ffi::Py_None()) } {
        ptr::null_mut()
    } else {
        value
    }
}

/// What every kind of transport begins with.
pub(super) unsafe fn start<S>(
    this: *mut TransportObject<S>,
    [loop_, sock, protocol]: [*mut PyObject; 3],
    extra: *mut PyObject,
    server: *mut PyObject,
    context: *mut PyObject,
) -> Res<()> {
    // SAFETY: all alive or NULL, says the caller.
    unsafe {
        if !(*this).loop_.is_null() {
            return Err(runtime_error("the transport is initialised already"));
        }
        let fd = ffi::PyObject_AsFileDescriptor(sock);
        if fd < 0 {
            return Err(Raised::set());
        }
        (*this).fd = fd;
        set_socket(this, sock)?;
        set_slot(&raw mut (*this).extra, counts::new_ref_opt(extra));
        described::describe(this)?;
        join(this, [loop_, protocol], server, context)
    }
}

/// The loop, the protocol and the server come to know of it.
unsafe fn join<S>(
    this: *mut TransportObject<S>,
    [loop_, protocol]: [*mut PyObject; 2],
    server: *mut PyObject,
    context: *mut PyObject,
) -> Res<()> {
    // SAFETY: all alive or NULL, says the caller.
    unsafe {
        set_slot(&raw mut (*this).loop_, counts::new_ref(loop_));
        set_slot(&raw mut (*this).context, counts::new_ref_opt(context));
        set_protocol(this, protocol)?;
        if let Some(server) = Ref::borrow_opt(server) {
            set_slot(&raw mut (*this).server, server.clone().into_ptr());
            if !clients::join(this, &server)? {
                let method = names()._attach_to;
                Ref::borrow(this.cast()).call_method(method, &[server.ptr()])?;
            }
        }
        if let Some(core) = event_loop::any_native(loop_) {
            core.numbers().note((*this).fd, this.cast());
            return Ok(());
        }
        let transports = Ref::borrow(loop_).attr(names()._transports)?;
        let number = Ref::int(i64::from((*this).fd))?;
        check(ffi::PyObject_SetItem(
            transports.ptr(),
            number.ptr(),
            this.cast(),
        ))
    }
}

/// The transport of a connection that was accepted, of which nobody knows yet. It is of that class,
/// which adds no `__init__`; `kind` is what its socket object will be made with.
pub(crate) unsafe fn accepted(
    class: *mut PyObject,
    fd: OwnedFd,
    kind: [c_int; 3],
    peer: &Address,
) -> Res {
    // SAFETY: a class that derives from ours, says the caller.
    unsafe {
        let made =
            object::tp_new::<StreamState<Chunk>>(class.cast(), ptr::null_mut(), ptr::null_mut());
        let made = Ref::checked(made)?;
        let this = made.ptr().cast::<TransportObject>();
        (*this).last_reads.set(LastReads::of_socket(kind[1]));
        described::of_accepted(this, fd.into_raw_fd(), kind, peer)?;
        // Whoever hears of what is made expects a socket when it would be made.
        if audit::is_heard() {
            described::socket(this)?;
        }
        Ok(made)
    }
}

/// What `__init__` would do for such a transport; all may be NULL but loop and protocol.
pub(crate) unsafe fn begin(
    transport: *mut PyObject,
    [loop_, protocol]: [*mut PyObject; 2],
    waiter: *mut PyObject,
    server: *mut PyObject,
    context: *mut PyObject,
) -> Res<()> {
    let this = transport.cast::<TransportObject>();
    // SAFETY: all alive or NULL, says the caller.
    unsafe {
        join(this, [loop_, protocol], given(server), given(context))?;
        if described::is_internet(this) {
            Fd((*this).fd).set_no_delay();
        }
        announce_stream(this, given(waiter))
    }
}

/// Schedules what follows: the same, where nobody can see whether the loop's method is called.
unsafe fn announce_stream(this: *mut TransportObject, waiter: *mut PyObject) -> Res<()> {
    // SAFETY: all alive or NULL, says the caller.
    unsafe {
        let core = event_loop::native((*this).loop_).filter(|core| !core.debug());
        let (Some(core), Some(_)) = (core, object::as_direct(this.cast())) else {
            return announce(this, waiter, true);
        };
        core.check_closed()?;
        let made = Ref::borrow((*this).protocol).attr(names().connection_made)?;
        let context = HandleContext::given((*this).context)?;
        let handle = handles::new_handle(core, made, &[this.cast()], context)?;
        core.engine().schedule(jobs::handle(handle));
        let context = match Ref::borrow_opt((*this).context) {
            Some(given) => given,
            None => Ref::checked(ffi::PyContext_CopyCurrent())?,
        };
        let transport = Ref::borrow(this.cast());
        let call = handles::native_call2(begin_reading, transport, context)?;
        core.engine().schedule(jobs::native_call(call));
        if !waiter.is_null() {
            // Whoever waits goes on when the protocol knows of the connection.
            let call = handles::native_call1(is_ready, Ref::borrow(waiter))?;
            core.engine().schedule(jobs::native_call(call));
        }
        Ok(())
    }
}

/// `_start_reading()` in that context.
unsafe fn begin_reading(transport: *mut PyObject, context: *mut PyObject) -> Res<()> {
    let this = transport.cast::<TransportObject>();
    // SAFETY: both alive, says the caller.
    unsafe {
        if !TransportObject::state(this).wants_read() {
            return Ok(());
        }
        watch_in(this, Side::Read, Ref::borrow(context))
    }
}

unsafe fn is_ready(waiter: *mut PyObject) -> Res<()> {
    futures::set_result_unless_cancelled(waiter, Ref::none().ptr())
}

/// The number of such a transport.
pub(crate) unsafe fn number_of(transport: *mut PyObject) -> c_int {
    // SAFETY: alive, says the caller.
    unsafe { (*transport.cast::<TransportObject>()).fd }
}

/// The socket of such a transport.
pub(crate) unsafe fn socket_of(transport: *mut PyObject) -> Res {
    // SAFETY: alive, says the caller.
    unsafe { described::socket(transport.cast::<TransportObject>()) }
}

/// Schedules what follows, by the public way: a program may look at it in debug mode.
pub(super) unsafe fn announce<S>(
    this: *mut TransportObject<S>,
    waiter: *mut PyObject,
    watched: bool,
) -> Res<()> {
    // SAFETY: all alive or NULL, says the caller.
    unsafe {
        let call_soon = Ref::borrow((*this).loop_).attr(names().call_soon)?;
        let kwnames = Ref::tuple(&[names().context])?;
        let context = Ref::borrow_opt((*this).context).unwrap_or_else(Ref::none);
        let soon = |arguments: &[*mut PyObject]| {
            let all: Vec<_> = arguments.iter().copied().chain([context.ptr()]).collect();
            call_soon.call_kw(&all, kwnames.ptr()).map(drop)
        };
        let made = Ref::borrow((*this).protocol).attr(names().connection_made)?;
        soon(&[made.ptr(), this.cast()])?;
        if watched {
            let start_reading = Ref::borrow(this.cast()).attr(names()._start_reading)?;
            soon(&[start_reading.ptr()])?;
        }
        if waiter.is_null() {
            return Ok(());
        }
        // Whoever waits goes on when the protocol knows of the connection.
        soon(&[KNOWN.get().set_result.ptr(), waiter, ffi::Py_None()])
    }
}

/// Finds what is needed; called once by the module's initialisation.
pub(super) unsafe fn init() -> Res<()> {
    let named = |module, name| import(module)?.attr(Ref::str(name)?.ptr());
    let known = Known {
        set_result: named(c"asyncio.futures", "_set_result_unless_cancelled")?,
    };
    // SAFETY: called once, before any reader, says the caller.
    unsafe { KNOWN.set(known) };
    Ok(())
}
