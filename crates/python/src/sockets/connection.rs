//! `loop.create_connection` and `loop.create_unix_connection`, called as they mostly are: with an
//! address that is numbers, or a path, and nothing else. All other calls are the standard library's,
//! which comes back to `sock_connect`.

use core::cell::Cell;
use core::ffi::{c_int, c_uint};
use core::ptr;
use std::io;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::connect::{connect, goes_on, outcome};
use super::opening;
use super::watch::{descriptor, wait_to_write};
use super::{ARGUMENT, KNOWN, LOOP, SECOND, SOCKET, SockSlots, WAITER, WATCH};
use crate::boundary;
use crate::coroutine::{CoroutineDef, await_future, coroutine, finally};
use crate::event_loop;
use crate::futures;
use crate::global::Global;
use crate::names::names;
use crate::object::{Raised, Ref, Res, check, import, runtime_error};
use crate::servers::refuse_a_number_in_use;
use crate::transports::{Address, Fd, audit};

static CREATE: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.base_events>",
    c"create_connection",
    c"BaseEventLoop.create_connection",
);
static CREATE_UNIX: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.unix_events>",
    c"create_unix_connection",
    c"_UnixSelectorEventLoop.create_unix_connection",
);

// What the coroutine holds: the factory, and later what has been made, in the places of what
// connecting needs.
const FACTORY: usize = SECOND;
const PROTOCOL: usize = ARGUMENT;
const TRANSPORT: usize = WATCH;

struct Stock {
    /// `asyncio.unix_events._UnixSelectorEventLoop`
    class: Ref,
    socket_module: Ref,
}

static STOCK: Global<Stock> = Global::new();

pub(super) unsafe extern "C" fn create_connection(
    slf: *mut PyObject,
    args: *const *mut PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: vectorcall's contract, and an instance of the class.
    boundary::object(|| unsafe {
        let wanted = [names().protocol_factory, names().host, names().port];
        let [factory, host, port] = given(args, nargs, kwnames, wanted);
        if !host.is_null()
            && !port.is_null()
            && !factory.is_null()
            && let Some(address) = numbers(host, port)?
            && is_usual(slf)?
        {
            return begin(&CREATE, slf, factory, address);
        }
        by_stock(slf, names().create_connection, args, nargs, kwnames)
    })
}

pub(super) unsafe extern "C" fn create_unix_connection(
    slf: *mut PyObject,
    args: *const *mut PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: vectorcall's contract, and an instance of the class.
    boundary::object(|| unsafe {
        let wanted = [names().protocol_factory, names().path];
        let [factory, path] = given(args, nargs, kwnames, wanted);
        if !path.is_null()
            && !factory.is_null()
            && Address::of_python(libc::AF_UNIX, path).is_some()
            && is_usual(slf)?
        {
            return begin(&CREATE_UNIX, slf, factory, Ref::borrow(path));
        }
        by_stock(slf, names().create_unix_connection, args, nargs, kwnames)
    })
}

/// The arguments of those names, if there are no others; NULL for what is missing, and all NULL
/// for a call that is not as simple as that.
unsafe fn given<const N: usize>(
    args: *const *mut PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut PyObject,
    wanted: [*mut PyObject; N],
) -> [*mut PyObject; N] {
    let mut found = [ptr::null_mut(); N];
    let nargs = nargs as usize;
    if nargs > N {
        return found;
    }
    // SAFETY: vectorcall's contract: names of keywords are interned by who calls, mostly.
    unsafe {
        for (at, slot) in found.iter_mut().enumerate().take(nargs) {
            *slot = *args.add(at);
        }
        if kwnames.is_null() {
            return found;
        }
        for at in 0..ffi::PyTuple_GET_SIZE(kwnames) {
            let name = ffi::PyTuple_GET_ITEM(kwnames, at);
            match wanted.iter().position(|&known| ptr::eq(known, name)) {
                Some(slot) if found[slot].is_null() => {
                    found[slot] = *args.add(nargs + at as usize);
                }
                _ => return [ptr::null_mut(); N],
            }
        }
    }
    found
}

/// The address that asyncio makes of a host that is numbers and a port; `None` for all others.
fn numbers(host: *mut PyObject, port: *mut PyObject) -> Res<Option<Ref>> {
    let short = Ref::tuple(&[host, port])?;
    if Address::of_python(libc::AF_INET, short.ptr()).is_some() {
        return Ok(Some(short));
    }
    if Address::of_python(libc::AF_INET6, short.ptr()).is_none() {
        return Ok(None);
    }
    let nothing = Ref::int(0)?;
    Ref::tuple(&[host, port, nothing.ptr(), nothing.ptr()]).map(Some)
}

unsafe fn by_stock(
    slf: *mut PyObject,
    method: *mut PyObject,
    args: *const *mut PyObject,
    nargs: ffi::Py_ssize_t,
    kwnames: *mut PyObject,
) -> Res {
    // SAFETY: vectorcall's contract.
    unsafe {
        let keywords = if kwnames.is_null() {
            0
        } else {
            ffi::PyTuple_GET_SIZE(kwnames)
        };
        let mut all = vec![slf];
        all.extend((0..nargs + keywords).map(|at| *args.add(at as usize)));
        STOCK.get().class.attr(method)?.call_kw(&all, kwnames)
    }
}

/// Whether all that the native way goes past is as it was: methods of the class and of the loop,
/// debug mode, and the class of sockets.
unsafe fn is_usual(loop_: *mut PyObject) -> Res<bool> {
    // SAFETY: alive, says the caller.
    unsafe {
        let core = event_loop::any_native(loop_);
        if !core.is_some_and(|core| core.is_native() && !core.debug()) {
            return Ok(false);
        }
        let own = Ref::borrow(loop_).attr(names().__dict__)?;
        if ffi::PyDict_Size(own.ptr()) > 0 {
            for name in passed() {
                if ffi::PyDict_Contains(own.ptr(), name) != 0 {
                    ffi::PyErr_Clear();
                    return Ok(false);
                }
            }
        }
        let sockets = STOCK.get().socket_module.attr(names().socket)?;
        Ok(sockets.is(KNOWN.get().plain.ptr()) && USUAL.is(ffi::Py_TYPE(loop_))?)
    }
}

/// The methods that the standard library's would call.
fn passed() -> [*mut PyObject; 6] {
    let names = names();
    [
        names._ensure_resolved,
        names._connect_sock,
        names._create_connection_transport,
        names._make_socket_transport,
        names._ensure_fd_no_transport,
        names.sock_connect,
    ]
}

/// The class of loops that was looked at last, its version then, and the class of its transports.
struct Usual {
    class: Cell<*mut PyTypeObject>,
    version: Cell<c_uint>,
    /// Owned, for ever.
    transport: Cell<*mut PyObject>,
}

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Usual {}

static USUAL: Usual = Usual {
    class: Cell::new(ptr::null_mut()),
    version: Cell::new(0),
    transport: Cell::new(ptr::null_mut()),
};

impl Usual {
    /// Whether the class overrides none of [`passed`].
    #[inline]
    unsafe fn is(&self, class: *mut PyTypeObject) -> Res<bool> {
        // SAFETY: alive, says the caller.
        unsafe {
            let version = (*class).tp_version_tag;
            if class == self.class.get() && version == self.version.get() && version != 0 {
                return Ok(true);
            }
            self.look(class)
        }
    }

    #[cold]
    unsafe fn look(&self, class: *mut PyTypeObject) -> Res<bool> {
        let ours = import(c"rasyncio.selector_events")?;
        let methods = ours.attr(Ref::str("SocketMethods")?.ptr())?;
        // SAFETY: alive, says the caller.
        unsafe {
            for name in passed() {
                let usual = if name == names().sock_connect {
                    Ref::borrow(event_loop::base_class().cast()).attr(name)?
                } else if name == names()._make_socket_transport {
                    methods.attr(name)?
                } else {
                    STOCK.get().class.attr(name)?
                };
                if !Ref::borrow(class.cast()).attr(name)?.is(usual.ptr()) {
                    return Ok(false);
                }
            }
            if self.transport.get().is_null() {
                let transport = ours.attr(Ref::str("_SelectorSocketTransport")?.ptr())?;
                self.transport.set(transport.into_ptr());
            }
            self.class.set(class);
            // Looking it up has given the class a version.
            self.version.set((*class).tp_version_tag);
        }
        Ok(true)
    }
}

unsafe fn begin(
    def: &'static CoroutineDef,
    loop_: *mut PyObject,
    factory: *mut PyObject,
    address: Ref,
) -> Res {
    // SAFETY: all alive, says the caller.
    let held = unsafe {
        [
            Some(Ref::borrow(loop_)),
            None,
            Some(address),
            None,
            None,
            Some(Ref::borrow(factory)),
        ]
    };
    coroutine(def, held, body)
}

async fn body(slots: SockSlots) -> Res {
    if let Err(raised) = reach(slots).await {
        return close_after(slots, raised);
    }
    if let Err(raised) = make(slots) {
        return close_after(slots, raised);
    }
    if let Err(raised) = await_future(slots.get(WAITER)).await {
        // SAFETY: the slot keeps the transport alive.
        let transport = unsafe { Ref::borrow(slots.get(TRANSPORT)) };
        return finally(Err(raised), || {
            transport.call_method(names().close, &[]).map(drop)
        });
    }
    Ref::tuple(&[slots.get(TRANSPORT), slots.get(PROTOCOL)])
}

/// Nobody will have the socket.
fn close_after(slots: SockSlots, raised: Raised) -> Res {
    finally(Err(raised), || match slots.take(SOCKET) {
        Some(sock) => sock.call_method(names().close, &[]).map(drop),
        None => Ok(()),
    })
}

/// A socket that is connected.
async fn reach(slots: SockSlots) -> Res<()> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let Some(core) = event_loop::any_native(slots.get(LOOP)) else {
            return Err(runtime_error("the loop is gone"));
        };
        let (fd, begun) = start(slots)?;
        match begun {
            Ok(()) => Ok(()),
            Err(error) if goes_on(&error) => {
                wait_to_write(slots, core, fd).await?;
                outcome(descriptor(slots)?, slots.get(ARGUMENT)).map(drop)
            }
            Err(error) => Err(event_loop::os_error(&error)),
        }
    }
}

/// A new socket, and what the system says of connecting it.
unsafe fn start(slots: SockSlots) -> Res<(Fd, io::Result<()>)> {
    // SAFETY: the slots keep what they hold alive.
    unsafe {
        let given = slots.get(ARGUMENT);
        let found = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX]
            .into_iter()
            .find_map(|family| Some((family, Address::of_python(family, given)?)));
        let Some((family, address)) = found else {
            return Err(runtime_error("the address has changed"));
        };
        let fd = new_socket(slots, family)?;
        audit(c"socket.connect", slots.get(SOCKET), given)?;
        Ok((fd, connect(fd, &address)))
    }
}

/// A `socket.socket` that does not block, and knows it.
unsafe fn new_socket(slots: SockSlots, family: c_int) -> Res<Fd> {
    let proto = if family == libc::AF_UNIX {
        0
    } else {
        libc::IPPROTO_TCP
    };
    let kind = [family, libc::SOCK_STREAM, proto];
    let sock = opening::open(&KNOWN.get().plain, kind, None)?;
    let sock = slots.set(SOCKET, sock);
    // SAFETY: the slot keeps the socket alive.
    let number = unsafe { ffi::PyObject_AsFileDescriptor(sock) };
    check(number.min(0))?;
    Ok(Fd(number))
}

/// A protocol, and a transport for it.
fn make(slots: SockSlots) -> Res<()> {
    // SAFETY: the slots keep all of it alive; the class lives for ever.
    unsafe {
        let factory = Ref::borrow(slots.get(FACTORY));
        let protocol = slots.set(PROTOCOL, factory.call0()?);
        let loop_ = slots.get(LOOP);
        let waiter = slots.set(WAITER, futures::new_future(loop_)?);
        let sock = slots.get(SOCKET);
        refuse_a_number_in_use(loop_, sock)?;
        let none = ffi::Py_None();
        let context = if cfg!(Py_3_15) {
            Ref::checked(ffi::PyContext_CopyCurrent())?
        } else {
            Ref::none()
        };
        let arguments = [loop_, sock, protocol, waiter, none, none, context.ptr()];
        let class = Ref::borrow(USUAL.transport.get());
        slots.set(TRANSPORT, class.call(&arguments)?);
    }
    Ok(())
}

/// Finds what is the standard library's; called once by the module's initialisation.
pub(super) unsafe fn init() -> Res<()> {
    let named = |module, name| import(module)?.attr(Ref::str(name)?.ptr());
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        STOCK.set(Stock {
            class: named(c"asyncio.unix_events", "_UnixSelectorEventLoop")?,
            socket_module: import(c"socket")?,
        });
    }
    Ok(())
}
