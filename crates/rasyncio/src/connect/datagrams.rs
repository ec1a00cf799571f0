//! Datagram sockets with a protocol.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::Path;
use std::rc::Rc;

use rustix::net::{AddressFamily, SocketType};

use super::{DatagramBuilder, Guard};
use crate::net::{remove_stale_socket, socket, unix_address};
use crate::protocols::DatagramProtocol;
use crate::tasks::yield_now;
use crate::transports::{DatagramAddress, DatagramSocket, DatagramTransport};

/// A datagram socket with a protocol (asyncio's `loop.create_datagram_endpoint`): on the address
/// `local`, connected to `remote`, or both. [`DatagramBuilder`] has the keywords, and takes names.
///
/// # Errors
///
/// If an address cannot be had; `InvalidInput` if there is none, or if the two are of different families.
///
/// ```
/// use std::cell::RefCell;
/// use std::net::SocketAddr;
/// use std::rc::Rc;
/// use rasyncio::{DatagramProtocol, DatagramTransport, Event, create_datagram_endpoint};
///
/// #[derive(Default)]
/// struct Inbox {
///     last: RefCell<Vec<u8>>,
///     came: Event,
/// }
///
/// impl DatagramProtocol for Inbox {
///     fn datagram_received(&self, _: &DatagramTransport, data: &[u8], _: SocketAddr) {
///         *self.last.borrow_mut() = data.to_vec();
///         self.came.set();
///     }
/// }
///
/// rasyncio::run(async {
///     let here = "127.0.0.1:0".parse().ok();
///     let (receiver, inbox) =
///         create_datagram_endpoint(Rc::<Inbox>::default, here, None).await?;
///     let there = receiver.local_addr()?;
///     let (sender, _) = create_datagram_endpoint(Rc::<Inbox>::default, None, Some(there)).await?;
///     sender.sendto(b"hello", None)?;
///     inbox.came.wait().await?;
///     assert_eq!(*inbox.last.borrow(), b"hello");
///     sender.close();
///     receiver.close();
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub async fn create_datagram_endpoint<P, F>(
    factory: F,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
) -> io::Result<(DatagramTransport, Rc<P>)>
where
    P: DatagramProtocol + 'static,
    F: FnOnce() -> Rc<P>,
{
    let mut builder = DatagramBuilder::new();
    if let Some(local) = local {
        builder = builder.local_addr(local);
    }
    if let Some(remote) = remote {
        builder = builder.remote_addr(remote);
    }
    builder.create_datagram_endpoint(factory).await
}

/// As [`create_datagram_endpoint`], with a socket of your own (asyncio's `sock=`), which may have
/// options of its own: a [`UdpSocket`](crate::net::UdpSocket) or a
/// [`UnixDatagram`](crate::net::UnixDatagram).
///
/// # Errors
///
/// A cancellation.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
///
/// rasyncio::run(async {
/// #     struct Quiet;
/// #     impl DatagramProtocol for Quiet {}
/// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
///     transport.close();
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn datagram_endpoint<S, P, F>(
    factory: F,
    socket: S,
) -> io::Result<(DatagramTransport<S::Address>, Rc<P>)>
where
    S: DatagramSocket,
    P: DatagramProtocol<S::Address> + 'static,
    F: FnOnce() -> Rc<P>,
{
    made(factory(), socket.into_socket(), None).await
}

/// A Unix datagram socket with a protocol (asyncio's `create_datagram_endpoint(family=AF_UNIX)`): at the path
/// `local`, connected to `remote`, or both. Without `local` nobody can answer. A socket that somebody has left
/// behind at `local` is removed; this one is left there, too. Paths that begin with a zero byte are abstract
/// names.
///
/// # Errors
///
/// If a path cannot be had, or nobody is at `remote`; and a cancellation.
///
/// ```
/// use std::cell::RefCell;
/// use std::os::unix::net::SocketAddr;
/// use std::path::Path;
/// use std::rc::Rc;
/// use rasyncio::connect::create_unix_datagram_endpoint;
/// use rasyncio::{DatagramProtocol, DatagramTransport, Event};
///
/// #[derive(Default)]
/// struct Inbox {
///     last: RefCell<Vec<u8>>,
///     came: Event,
/// }
///
/// impl DatagramProtocol<SocketAddr> for Inbox {
///     fn datagram_received(&self, _: &DatagramTransport<SocketAddr>, data: &[u8], _: SocketAddr) {
///         *self.last.borrow_mut() = data.to_vec();
///         self.came.set();
///     }
/// }
///
/// rasyncio::run(async {
///     let name = format!("\0rasyncio-endpoint-{}", std::process::id());
///     let path = Some(Path::new(&name));
///     let (_, inbox) = create_unix_datagram_endpoint(Rc::<Inbox>::default, path, None).await?;
///     let (sender, _) = create_unix_datagram_endpoint(Rc::<Inbox>::default, None, path).await?;
///     sender.sendto(b"hello", None)?;
///     inbox.came.wait().await?;
///     assert_eq!(*inbox.last.borrow(), b"hello");
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub async fn create_unix_datagram_endpoint<P, F>(
    factory: F,
    local: Option<&Path>,
    remote: Option<&Path>,
) -> io::Result<(DatagramTransport<UnixAddr>, Rc<P>)>
where
    P: DatagramProtocol<UnixAddr> + 'static,
    F: FnOnce() -> Rc<P>,
{
    let socket = socket::open(AddressFamily::UNIX, SocketType::DGRAM)?;
    if let Some(local) = local {
        let address = unix_address(local)?;
        remove_stale_socket(local);
        rustix::net::bind(&socket, &address)?;
    }
    if let Some(remote) = remote {
        rustix::net::connect(&socket, &unix_address(remote)?)?;
    }
    made(factory(), socket.into(), None).await
}

/// Opens the transport, and waits until the protocol has been told.
pub(super) async fn made<A, P>(
    protocol: Rc<P>,
    socket: A::Socket,
    remote: Option<A>,
) -> io::Result<(DatagramTransport<A>, Rc<P>)>
where
    A: DatagramAddress,
    P: DatagramProtocol<A> + 'static,
{
    let transport = DatagramTransport::open(socket, Rc::clone(&protocol) as _, remote);
    let guard = Guard::new(&transport, DatagramTransport::abort);
    yield_now().await?;
    guard.keep();
    Ok((transport, protocol))
}
