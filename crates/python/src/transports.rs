//! Transports of connected stream sockets, TCP and Unix.
//!
//! What happens when is decided in `rasyncio::transports` ([`StreamState`]); here are the
//! calls: of the system, of the protocol, of the loop. The class is the base of
//! `rasyncio.selector_events._SelectorSocketTransport`, which adds in Python what is cold.
//!
//! ```text
//! making.rs     a new transport, and what it knows of its socket
//! addresses.rs  addresses as Python writes them
//! object.rs     the layout, and its life as an object
//! socket.rs     the descriptor, and the system's calls on it
//! chunk.rs      bytes that wait to be written
//! watching.rs   readiness: watching for it, and the jobs that it schedules
//! reading.rs    from the socket to the protocol
//! pulling.rs    from the socket to a stream's reader that waits
//! writing.rs    from the program to the socket
//! closing.rs    the ends: close, abort, errors, connection_lost
//! methods.rs    the class as Python sees it
//! ```

mod addresses;
mod chunk;
mod closing;
mod making;
mod methods;
mod object;
mod pulling;
mod reading;
mod socket;
mod watching;
mod writing;

pub(crate) use addresses::Address;
pub(crate) use chunk::{View, bytes_of};
pub(crate) use methods::init;
pub(crate) use object::{TransportObject, as_direct};
pub(crate) use pulling::{Pulled, pull, settle_object};
pub(crate) use reading::receive;
pub(crate) use socket::{Fd, plain_descriptor};
pub(crate) use watching::{readable, writable};
pub(crate) use writing::write;
