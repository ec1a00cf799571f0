//! A new transport: what it knows of its socket, and how the protocol comes to know of it.

use core::ffi::c_int;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::addresses::Address;
use super::methods::{set_protocol, set_socket};
use super::object::TransportObject;
use super::socket::Fd;
use crate::args::Signature;
use crate::boundary;
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, import, raised_matches, runtime_error, set_slot, take_raised,
};

struct Known {
    /// `asyncio.trsock.TransportSocket`
    transport_socket: Ref,
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
            if start(this, [loop_, sock, protocol], extra, server, context)? {
                // What a program writes goes out at once, and is not put off until more comes.
                Fd((*this).fd).set_no_delay();
            }
            announce(this, waiter, true)
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

/// What every kind of transport begins with. True for a socket of the internet.
pub(super) unsafe fn start<S>(
    this: *mut TransportObject<S>,
    [loop_, sock, protocol]: [*mut PyObject; 3],
    extra: *mut PyObject,
    server: *mut PyObject,
    context: *mut PyObject,
) -> Res<bool> {
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
        set_slot(&raw mut (*this).loop_, ffi::Py_NewRef(loop_));
        set_slot(&raw mut (*this).context, ffi::Py_XNewRef(context));
        set_socket(this, sock)?;
        let extra = match Ref::borrow_opt(extra) {
            Some(extra) => extra,
            None => Ref::dict()?,
        };
        set_slot(&raw mut (*this).extra, extra.clone().into_ptr());
        let is_internet = describe(this, &extra)?;
        set_protocol(this, protocol)?;
        if let Some(server) = Ref::borrow_opt(server) {
            set_slot(&raw mut (*this).server, server.clone().into_ptr());
            let method = names()._attach_to;
            Ref::borrow(this.cast()).call_method(method, &[server.ptr()])?;
        }
        let transports = Ref::borrow(loop_).attr(names()._transports)?;
        let number = Ref::int(i64::from(fd))?;
        check(ffi::PyObject_SetItem(
            transports.ptr(),
            number.ptr(),
            this.cast(),
        ))?;
        Ok(is_internet)
    }
}

/// Fills what `get_extra_info` answers. True for a socket of the internet.
unsafe fn describe<S>(this: *mut TransportObject<S>, extra: &Ref) -> Res<bool> {
    // SAFETY: alive, says the caller.
    unsafe {
        let sock = Ref::borrow((*this).sock);
        let put = |key, value: &Ref| check(ffi::PyObject_SetItem(extra.ptr(), key, value.ptr()));
        put(
            names().socket,
            &KNOWN.get().transport_socket.call1(sock.ptr())?,
        )?;
        let own = if (*this).plain_socket {
            Address::of_socket(Fd((*this).fd)).ok()
        } else {
            None
        };
        let is_internet = own.as_ref().is_some_and(Address::is_internet);
        put(names().sockname, &name(&sock, own, names().getsockname)?)?;
        match ffi::PySequence_Contains(extra.ptr(), names().peername) {
            -1 => return Err(Raised::set()),
            0 => {
                let peer = if (*this).plain_socket {
                    Address::of_peer(Fd((*this).fd)).ok()
                } else {
                    None
                };
                put(names().peername, &name(&sock, peer, names().getpeername)?)?;
            }
            _ => {}
        }
        Ok(is_internet)
    }
}

/// What the socket's method answers, of an address that may be known already; None without one.
fn name(sock: &Ref, known: Option<Address>, method: *mut PyObject) -> Res {
    if let Some(known) = known
        .map(|address| address.to_python())
        .transpose()?
        .flatten()
    {
        return Ok(known);
    }
    match sock.call_method(method, &[]) {
        // SAFETY: a static exception class.
        Err(raised) if raised_matches(&raised, unsafe { ffi::PyExc_OSError }) => {
            drop(take_raised(raised));
            Ok(Ref::none())
        }
        outcome => outcome,
    }
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
        transport_socket: named(c"asyncio.trsock", "TransportSocket")?,
        set_result: named(c"asyncio.futures", "_set_result_unless_cancelled")?,
    };
    // SAFETY: called once, before any reader, says the caller.
    unsafe { KNOWN.set(known) };
    Ok(())
}
