//! TLS over any transport, by the `ssl` module's own sessions in memory.
//!
//! What happens when is decided in `rasyncio::tls` ([`TlsState`](rasyncio::tls::TlsState)); here
//! are the calls. There are two classes, as in asyncio: the protocol of the transport below, which
//! has everything, and the transport that the application sees. They are the bases of
//! `rasyncio.sslproto.SSLProtocol` and `_SSLProtocolTransport`, which add in Python what is cold.
//!
//! ```text
//! object.rs     the protocol's layout, and its life as an object
//! session.rs    the calls of the `ssl` module
//! window.rs     memory lent to those calls
//! scratch.rs    memory that decrypted data passes through
//! reading.rs    from the session to the application
//! host.rs       what the state asks of the link, the application and the loop
//! protocol.rs   the protocol as Python and the transport below see it
//! transport.rs  the transport as the application sees it
//! ```

mod host;
mod object;
mod protocol;
mod reading;
mod scratch;
mod session;
mod transport;
mod window;

use pyo3::ffi::PyObject;

pub(crate) use object::is_protocol;
pub(crate) use protocol::received;

use crate::object::Res;

/// Makes the classes; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        session::init()?;
        window::init(module)?;
        protocol::init(module)?;
        transport::init(module)
    }
}
