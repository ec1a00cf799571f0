//! `loop.sock_recv`, `sock_recv_into` and `sock_sendall` of plain sockets.
//!
//! Each tries at once. Where nothing has come yet, the descriptor is watched, and the job of the
//! watch reads and completes the waiter, as in asyncio. The watch then stays: mostly the next call
//! waits for the same socket, and telling the kernel twice for each would cost two system calls. It
//! goes when it fires without a waiter.
//!
//! **A watch that stays must not be mistaken.** Numbers of descriptors are used again, and so are
//! addresses of objects. So it knows its socket by a weak reference, which a new socket in the
//! same place does not have.
//!
//! ```text
//! recv.rs      `sock_recv` and `sock_recv_into`
//! sendall.rs   `sock_sendall`
//! watch.rs     the watch, and who waits for it
//! ```
//!
//! What is not the common case is left to the standard library's methods: other classes of
//! sockets, debug mode, a send that does not fit.

mod recv;
mod sendall;
mod watch;

use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::coroutine::{FunctionDef, Slots, add_methods, await_object};
use crate::event_loop::{self, LoopCore};
use crate::global::Global;
use crate::object::{Ref, Res, import};
use crate::transports::{Fd, plain_descriptor};

use recv::{sock_recv, sock_recv_into};
use sendall::sock_sendall;
pub(crate) use watch::{is_idle_watch, readable};

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

static METHODS: [&FunctionDef; 3] = [
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
];

const LOOP: usize = 0;
const SOCKET: usize = 1;
const ARGUMENT: usize = 2;
/// What an attempt has done; then the watch, or the rare way's coroutine.
const WATCH: usize = 3;
const WAITER: usize = 4;

type SockSlots = Slots<5>;

unsafe fn held(
    loop_: *mut PyObject,
    sock: *mut PyObject,
    argument: *mut PyObject,
) -> [Option<Ref>; 5] {
    // SAFETY: all alive, says the caller.
    let of = |object| Some(unsafe { Ref::borrow(object) });
    [of(loop_), of(sock), of(argument), None, None]
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
    let function = KNOWN.get().stock.attr(method)?;
    let made = function.call(&[slots.get(LOOP), slots.get(SOCKET), argument.ptr()])?;
    drop((function, argument));
    let made = slots.set(WATCH, made);
    await_object(made).await
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
        add_methods(event_loop::base_class(), &METHODS)
    }
}
