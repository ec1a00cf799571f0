//! Transports of datagram sockets: of the internet and of Unix.
//!
//! What waits, and when the protocol has to pause, is known to [`DatagramState`]; an object is laid
//! out as that of a stream is (`object.rs`). As in asyncio there is one datagram for each event: what
//! a protocol schedules runs before it is told of the next one.
//!
//! An address that is numbers is handed to the system; any other (a name, or what is none) to the
//! socket's own method, which resolves it or says what is wrong with it.
//!
//! ```text
//! sending.rs     from the program to the socket
//! receiving.rs   from the socket to the protocol, and the jobs
//! methods.rs     the class as Python sees it
//! ```

mod methods;
mod receiving;
mod sending;

use core::cell::{Cell, RefCell};
use core::ffi::c_int;
use core::ptr;

use pyo3::ffi::{self, PyObject};
use rasyncio::transports::datagram::DatagramState;
use rasyncio::transports::stream::Closing;
use rasyncio_engine::Job;

use super::addresses::Address;
use super::chunk::Chunk;
use super::object::{State, TransportObject};
use super::watching::Side;
use crate::jobs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, raised_matches, set_slot};

pub(crate) use methods::init;
pub(crate) use receiving::{readable, writable};
use sending::Target;
pub(crate) use sending::audit;

/// A datagram transport.
pub(crate) type DatagramObject = TransportObject<Datagrams>;

/// What it has beyond what all transports have.
pub(crate) struct Datagrams {
    queue: DatagramState<Chunk, Target>,
    /// `_address`: where everything goes. Owned; NULL without one.
    address: Cell<*mut PyObject>,
    /// The system knows the peer: `send`, not `sendto`.
    connected: Cell<bool>,
    /// Until 3.12 asyncio drops empty datagrams.
    sends_empty: Cell<bool>,
    /// `AF_*`
    family: Cell<c_int>,
    /// Who sent last, as the system and as Python writes it: mostly that is who sends again, or who
    /// is answered. Owned; NULL before the first.
    last: Cell<*mut PyObject>,
    last_address: RefCell<Option<Address>>,
}

impl Datagrams {
    /// `_address`, if that says anything.
    fn address(&self) -> Res<Option<Ref>> {
        // SAFETY: owned by the state, hence alive.
        match unsafe { Ref::borrow_opt(self.address.get()) } {
            Some(address) if address.truth()? => Ok(Some(address)),
            _ => Ok(None),
        }
    }
}

impl State for Datagrams {
    fn new() -> Self {
        Datagrams {
            queue: DatagramState::new(),
            address: Cell::new(ptr::null_mut()),
            connected: Cell::new(false),
            sends_empty: Cell::new(true),
            family: Cell::new(libc::AF_UNSPEC),
            last: Cell::new(ptr::null_mut()),
            last_address: RefCell::new(None),
        }
    }

    #[inline]
    unsafe fn wants(this: *mut DatagramObject, side: Side) -> bool {
        // SAFETY: `this` is alive, says the caller.
        let queue = unsafe { &TransportObject::state(this).queue };
        match side {
            Side::Read => queue.is_reading(),
            // Also when nothing waits: a datagram that could not be sent may have been the last one.
            Side::Write => !queue.is_lost(),
        }
    }

    fn close(&self) -> Closing {
        self.queue.close()
    }

    fn abort(&self) -> bool {
        self.queue.abort()
    }

    fn clear(&self) {
        self.queue.clear();
        for slot in [&self.address, &self.last] {
            // SAFETY: the cell owns what it holds.
            unsafe { set_slot(slot.as_ptr(), ptr::null_mut()) };
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        for held in [self.address.get(), self.last.get()] {
            if !held.is_null() {
                visit(held);
            }
        }
        self.queue.for_each(|data, target| {
            for held in [data.object(), target.object()].into_iter().flatten() {
                visit(held);
            }
        });
    }

    fn job(side: Side, transport: Ref) -> Job {
        match side {
            Side::Read => jobs::datagram_readable(transport),
            Side::Write => jobs::datagram_writable(transport),
        }
    }

    fn method(side: Side) -> *mut PyObject {
        match side {
            Side::Read => names()._read_ready,
            Side::Write => names()._sendto_ready,
        }
    }

    #[inline]
    unsafe fn ready(this: *mut DatagramObject, side: Side) -> Res<()> {
        // SAFETY: `this` is alive, says the caller.
        unsafe {
            match side {
                Side::Read => receiving::read_ready(this),
                Side::Write => sending::write_ready(this),
            }
        }
    }
}

/// `protocol.name(*args)`; the protocol is None after the end, which has no methods.
unsafe fn call_protocol(
    this: *mut DatagramObject,
    name: *mut PyObject,
    args: &[*mut PyObject],
) -> Res<()> {
    // SAFETY: all alive, says the caller; the protocol is held over the call.
    unsafe {
        let protocol = Ref::borrow_opt((*this).protocol).unwrap_or_else(Ref::none);
        protocol.call_method(name, args).map(drop)
    }
}

/// Whether a pending exception means that a call would have to wait.
fn is_blocked(raised: &Raised) -> bool {
    // SAFETY: static exception classes.
    unsafe {
        raised_matches(raised, ffi::PyExc_BlockingIOError)
            || raised_matches(raised, ffi::PyExc_InterruptedError)
    }
}
