//! `loop.sock_recv` and its like, of plain sockets.
//!
//! Each tries at once. Where nothing has come yet, the descriptor is watched, and the job of the
//! watch wakes who waits, who reads when its turn comes: so what many wait for is not in memory at
//! once, and a cancelled wait takes nothing from the socket. The watch then stays: mostly the next
//! call waits for the same socket, and telling the kernel twice for each would cost two system calls.
//! It goes when it fires without a waiter.
//!
//! **A watch that stays must not be mistaken.** Numbers of descriptors are used again, and so are
//! addresses of objects. So it knows its socket by a weak reference, which a new socket in the
//! same place does not have.
//!
//! ```text
//! recv.rs      `sock_recv` and `sock_recv_into`
//! sendall.rs   `sock_sendall`
//! datagrams.rs `sock_recvfrom`, `sock_recvfrom_into` and `sock_sendto`
//! accept.rs    `sock_accept`
//! connect.rs   `sock_connect`
//! connection.rs  `create_connection` and `create_unix_connection`
//! watch.rs     the watch, and who waits for it
//! ```
//!
//! What is not the common case is left to the standard library's methods: other classes of
//! sockets, debug mode, a send that does not fit.

mod accept;
mod connect;
mod connection;
mod datagrams;
pub(crate) mod opening;
mod recv;
mod sendall;
mod watch;

use core::ffi::c_int;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::coroutine::{FunctionDef, Slots, add_methods, await_object};
use crate::event_loop::{self, LoopCore};
use crate::global::Global;
use crate::names::names;
use crate::object::{Ref, Res, import};
use crate::transports::{Fd, plain_descriptor};

use accept::sock_accept;
use connect::sock_connect;
use connection::{create_connection, create_unix_connection};
use datagrams::{sock_recvfrom, sock_recvfrom_into, sock_sendto};
use recv::{sock_recv, sock_recv_into};
use sendall::sock_sendall;
pub(crate) use watch::{is_idle_watch, readable, writable};

struct Known {
    /// `socket.socket`
    plain: Ref,
    /// The standard library's loop, whose methods do what is rare.
    stock: Ref,
}

static KNOWN: Global<Known> = Global::new();

macro_rules! method {
    ($name:literal, $signature:literal, $doc:literal, $call:ident) => {
        &FunctionDef {
            name: $name,
            module: c"rasyncio.selector_events",
            doc: $doc,
            signature: $signature,
            call: $call,
        }
    };
}

static METHODS: [&FunctionDef; 8] = [
    method!(
        c"sock_recv",
        "(self, sock, n)",
        c"Return up to n bytes from a socket, as soon as there are some.",
        sock_recv
    ),
    method!(
        c"sock_recv_into",
        "(self, sock, buf)",
        c"Fill a buffer from a socket, as soon as something comes; return how many bytes that were.",
        sock_recv_into
    ),
    method!(
        c"sock_sendall",
        "(self, sock, data)",
        c"Send all of data to a socket.",
        sock_sendall
    ),
    method!(
        c"sock_recvfrom",
        "(self, sock, bufsize)",
        c"Return a datagram, of at most bufsize bytes, and the address of its sender, once there is one.",
        sock_recvfrom
    ),
    method!(
        c"sock_recvfrom_into",
        "(self, sock, buf, nbytes=0)",
        c"Put a datagram into a buffer; return how many bytes it has and the address of its sender.",
        sock_recvfrom_into
    ),
    method!(
        c"sock_sendto",
        "(self, sock, data, address)",
        c"Send a datagram to an address; return how many bytes that were.",
        sock_sendto
    ),
    method!(
        c"sock_accept",
        "(self, sock)",
        c"Return a connection to a listening socket, and the address of who has made it.",
        sock_accept
    ),
    method!(
        c"sock_connect",
        "(self, sock, address)",
        c"Connect a socket to an address.",
        sock_connect
    ),
];

static CONNECTIONS: [&FunctionDef; 2] = [
    &FunctionDef {
        name: c"create_connection",
        module: c"rasyncio.base_events",
        doc: c"Connect to a TCP server; return the transport and the protocol.",
        signature: "(self, protocol_factory, host=None, port=None, **kwargs)",
        call: create_connection,
    },
    &FunctionDef {
        name: c"create_unix_connection",
        module: c"rasyncio.unix_events",
        doc: c"Connect to a server on a Unix socket; return the transport and the protocol.",
        signature: "(self, protocol_factory, path=None, **kwargs)",
        call: create_unix_connection,
    },
];

const LOOP: usize = 0;
const SOCKET: usize = 1;
const ARGUMENT: usize = 2;
/// What an attempt has done; then the watch, or the rare way's coroutine.
const WATCH: usize = 3;
const WAITER: usize = 4;

/// A second argument.
const SECOND: usize = 5;

type SockSlots = Slots<6>;

unsafe fn held(
    loop_: *mut PyObject,
    sock: *mut PyObject,
    argument: *mut PyObject,
) -> [Option<Ref>; 6] {
    // SAFETY: all alive, says the caller.
    let of = |object| Some(unsafe { Ref::borrow(object) });
    [of(loop_), of(sock), of(argument), None, None, None]
}

/// The descriptor, if the call is the common case.
unsafe fn common(slots: SockSlots) -> Option<(&'static LoopCore, Fd)> {
    // SAFETY: the slots keep the loop and the socket alive.
    unsafe {
        let core = event_loop::any_native(slots.get(LOOP)).filter(|core| !core.debug())?;
        let sock = slots.get(SOCKET);
        if !ptr::eq(ffi::Py_TYPE(sock).cast(), KNOWN.get().plain.ptr()) {
            return None;
        }
        Some((core, plain_descriptor(sock)?))
    }
}

/// Notes, for the coroutine's body, that it was tried already, and how much that has done.
fn tried(slots: SockSlots, done: usize) -> Option<Res> {
    match Ref::int(done as i64) {
        Ok(done) => {
            slots.set(WATCH, done);
            None
        }
        Err(raised) => Some(Err(raised)),
    }
}

/// Whether it was the common case, and did not succeed at once.
fn was_tried(slots: SockSlots) -> bool {
    !slots.get(WATCH).is_null()
}

/// Awaits the standard library's method of that name.
async fn rarely(slots: SockSlots, method: *mut PyObject, argument: Ref) -> Res {
    let made = KNOWN.get().stock.attr(method)?.call(&[
        slots.get(LOOP),
        slots.get(SOCKET),
        argument.ptr(),
    ])?;
    drop(argument);
    let made = slots.set(WATCH, made);
    await_object(made).await
}

/// The same of a method that takes none but the socket, or two.
async fn rarely_as_given(slots: SockSlots, method: *mut PyObject) -> Res {
    let given: Vec<_> = [LOOP, SOCKET, ARGUMENT, SECOND]
        .into_iter()
        .map(|slot| slots.get(slot))
        .filter(|given| !given.is_null())
        .collect();
    let made = KNOWN.get().stock.attr(method)?.call(&given)?;
    drop(given);
    let made = slots.set(WATCH, made);
    await_object(made).await
}

/// Whether the socket does not block. What takes no flag that says so must ask first.
unsafe fn never_blocks(sock: *mut PyObject) -> Res<bool> {
    // SAFETY: a live socket, says the caller, whose timeout is None or a float.
    unsafe {
        let timeout = Ref::borrow(sock).call_method(names().gettimeout, &[])?;
        Ok(!timeout.is_none() && ffi::PyFloat_AsDouble(timeout.ptr()) == 0.0)
    }
}

/// Whether addresses of that family can be read and written here.
fn is_known(family: c_int) -> bool {
    matches!(family, libc::AF_INET | libc::AF_INET6 | libc::AF_UNIX)
}

fn argument(slots: SockSlots) -> Ref {
    // SAFETY: the slot keeps it alive, and it is never empty.
    unsafe { Ref::borrow(slots.get(ARGUMENT)) }
}

/// Makes the type, and adds the methods; called once by the module's initialisation, after the
/// transports'.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let plain = import(c"socket")?.attr(Ref::str("socket")?.ptr())?;
    let stock =
        import(c"asyncio.selector_events")?.attr(Ref::str("BaseSelectorEventLoop")?.ptr())?;
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        watch::init(module)?;
        KNOWN.set(Known { plain, stock });
        connection::init()?;
        add_methods(event_loop::base_class(), &METHODS)?;
        add_methods(event_loop::base_class(), &CONNECTIONS)
    }
}
