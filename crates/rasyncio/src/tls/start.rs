//! Speaking TLS over a connection that there is.

use std::io;
use std::rc::Rc;

use super::Tls;
use crate::connect::Guard;
use crate::protocols::Protocol;
use crate::transports::Transport;

/// Speaks TLS over a connection from now on (asyncio's `loop.start_tls`), and answers the transport
/// to be used in place of the old one. Nobody may have received anything meanwhile that is for the
/// handshake: pause reading before telling the peer to begin.
///
/// The protocol is not told that a connection was made; it is the new transport's protocol from
/// now on.
///
/// # Errors
///
/// The handshake's, and a cancellation; the connection is closed then. `NotConnected` if it is
/// closing.
pub async fn start_tls<P>(
    transport: &Transport,
    protocol: Rc<P>,
    tls: &Tls,
) -> io::Result<Transport>
where
    P: Protocol + 'static,
{
    let secure = Transport::upgrade(transport, protocol, tls, &[])?;
    let guard = Guard::new(&secure, Transport::abort);
    secure.made().await?;
    guard.keep();
    Ok(secure)
}
