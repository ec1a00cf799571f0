//! Transports of pipes: one for each direction.
//!
//! They have the layout and the state of a socket's transport; what differs is here. The pipe is any
//! object with `fileno()`, whose number is taken once: asyncio does so, too. The classes are the bases
//! of those in `rasyncio.unix_events`, which add in Python what is cold.
//!
//! ```text
//! making.rs     a new transport, and what may be one's pipe
//! descriptor.rs the system's calls
//! reading.rs    from the pipe to the protocol, and the end
//! writing.rs    from the program to the pipe, and that its reader has gone
//! methods.rs    the two classes as Python sees them
//! ```

mod descriptor;
mod making;
mod methods;
mod reading;
mod writing;

use super::object::TransportObject;
use crate::object::Res;

pub(super) use methods::{as_direct, init};
pub(super) use reading::read_ready;
pub(super) use writing::{peer_has_gone, write, write_ready};

/// Whether something is to be done about a pipe for writing that shows as readable.
pub(super) unsafe fn may_hear_of_peer(this: *mut TransportObject) -> bool {
    // SAFETY: alive, says the caller.
    unsafe {
        (*this).kind == super::object::Kind::WritePipe && !TransportObject::state(this).is_lost()
    }
}

/// What is said of a transport in debug mode, at the level of information.
unsafe fn log_info(this: *mut TransportObject, format: &str) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe { super::closing::log(this, crate::names::names().info, format) }
}
