//! Transports of connected stream sockets, TCP and Unix, of datagram sockets, and of pipes.
//!
//! What happens when is decided in `rasyncio::transports` ([`StreamState`], and `DatagramState` for
//! what is in `datagram.rs`); here are the calls: of the system, of the protocol, of the loop. The
//! classes are the bases of those in `rasyncio.selector_events`, which add in Python what is cold.
//!
//! ```text
//! making.rs     a new transport
//! described.rs  what it tells of its socket, which may have no object yet
//! addresses.rs  addresses as Python writes them
//! object.rs     the layout, and its life as an object
//! socket.rs     the descriptor, and the system's calls on it
//! chunk.rs      bytes that wait to be written
//! watching.rs   readiness: watching for it, and the jobs that it schedules
//! reading.rs    from the socket to the protocol
//! expected.rs   the same of as much as the last time, without a copy
//! large.rs      the same of much at once, without a copy
//! pulling.rs    from the socket to a stream's reader that waits
//! clients.rs    who is connected to a server
//! writing.rs    from the program to the socket
//! closing.rs    the ends: close, abort, errors, connection_lost
//! pipes.rs      the same of pipes
//! methods.rs    the class as Python sees it
//! datagram.rs   the same for datagrams, over what is the same
//! ```

mod addresses;
mod chunk;
mod clients;
mod closing;
mod datagram;
mod described;
mod expected;
mod large;
mod making;
mod methods;
mod object;
mod pipes;
mod pulling;
mod reading;
mod replaced;
mod socket;
mod watching;
mod writing;

pub(crate) use addresses::Address;
pub(crate) use chunk::{View, bytes_of};
pub(crate) use datagram::audit;
pub(crate) use datagram::{
    again as datagram_again, readable as datagram_readable, writable as datagram_writable,
};
pub(crate) use expected::LastReads;
pub(crate) use making::{accepted, begin, number_of, socket_of};
pub(crate) use object::{TransportObject, as_direct};
pub(crate) use pulling::{Pulled, pull, settle_object};
pub(crate) use reading::{receive, receive_from};
pub(crate) use socket::{Fd, Source, plain_descriptor, plain_kind};
pub(crate) use watching::{fetch_ahead, readable, writable};
pub(crate) use writing::{write, write_to};

use pyo3::ffi::PyObject;

use crate::object::Res;

/// Makes the classes; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: passed on.
    unsafe {
        replaced::init()?;
        clients::init(module)?;
        methods::init(module)?;
        pipes::init(module)?;
        datagram::init(module)
    }
}
