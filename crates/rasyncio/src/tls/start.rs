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
///
/// ```
/// use rasyncio::connect::connect_socket;
/// use rasyncio::tls::{Tls, start_tls};
/// use rasyncio::{Event, Protocol, Transport, create_task};
/// use std::os::unix::net::UnixStream;
/// use std::rc::Rc;
///
/// /// Notes that something came.
/// #[derive(Default)]
/// struct Noting(Event);
/// impl Protocol for Noting {
///     fn data_received(&self, _: &Transport, data: &[u8]) {
///         assert_eq!(data, b"secret");
///         self.0.set();
///     }
/// }
///
/// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
/// # let (server_config, client_config) = examples::localhost();
/// rasyncio::run(async {
///     let (one, two) = UnixStream::pair()?;
///     create_task(async move {
///         let (plain, protocol) = connect_socket(Rc::<Noting>::default, one).await?;
///         let secure = start_tls(&plain, protocol, &Tls::server(server_config)).await?;
///         secure.write(b"secret").map_err(std::io::Error::other)
///     });
///     let (plain, protocol) = connect_socket(Rc::<Noting>::default, two).await?;
///     let tls = Tls::client(client_config, "localhost")?;
///     let _secure = start_tls(&plain, Rc::clone(&protocol), &tls).await?;
///     protocol.0.wait().await?;
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
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
