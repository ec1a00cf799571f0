//! Connecting (asyncio's `create_connection` and `open_connection`), with happy eyeballs (RFC 8305).
//!
//! [`create_connection`] gives the connection to a protocol, [`open_connection`] gives two ends to
//! await. [`Builder`] has the keywords.

mod builder;
mod datagram_builder;
mod datagrams;
#[cfg(feature = "tls")]
mod encrypted;
mod errors;
mod order;
mod pipes;
mod race;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

pub use crate::net::Family;
use crate::net::ToAddrs;
use crate::protocols::Protocol;
use crate::streams::{StreamReader, StreamWriter};
use crate::tls::Tls;
use crate::transports::{Link, Transport};
pub use builder::Builder;
pub use datagram_builder::DatagramBuilder;
pub use datagrams::{create_datagram_endpoint, create_unix_datagram_endpoint, datagram_endpoint};
pub use errors::ConnectErrors;
pub use order::interleave;
pub use pipes::{connect_read_pipe, connect_write_pipe};

/// Connects, and has a protocol called (asyncio's `loop.create_connection`).
///
/// # Errors
///
/// If no address answers, and a cancellation.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Protocol, create_connection, net::TcpListener};
///
/// rasyncio::run(async {
/// #     struct Quiet;
/// #     impl Protocol for Quiet {}
/// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
/// #     let (peer, _) = listener.accept().await?;
///     transport.write(b"hello")?;
///     assert_eq!(peer.read(&mut [0; 16]).await?, 5);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn create_connection<P, F>(
    factory: F,
    addresses: impl ToAddrs,
) -> io::Result<(Transport, Rc<P>)>
where
    P: Protocol + 'static,
    F: FnOnce() -> Rc<P>,
{
    Builder::new().create_connection(factory, addresses).await
}

/// Connects, and gives the two ends of the stream (asyncio's `open_connection`).
///
/// # Errors
///
/// If no address answers, and a cancellation.
///
/// ```
/// use rasyncio::{net::TcpListener, open_connection};
///
/// rasyncio::run(async {
/// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
///     let (peer, _) = listener.accept().await?;
///     writer.write(b"hello")?;
///     assert_eq!(peer.read(&mut [0; 16]).await?, 5);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn open_connection(addresses: impl ToAddrs) -> io::Result<(StreamReader, StreamWriter)> {
    Builder::new().open_connection(addresses).await
}

/// As [`create_connection`], through a Unix socket (asyncio's `loop.create_unix_connection`).
///
/// # Errors
///
/// If nobody listens there, and a cancellation.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Protocol, create_unix_connection, net::UnixListener};
///
/// rasyncio::run(async {
///     struct Quiet;
///     impl Protocol for Quiet {}
///     let name = format!("\0rasyncio-create-{}", std::process::id());
///     let _listener = UnixListener::bind(&name)?;
///     let (transport, _) = create_unix_connection(|| Rc::new(Quiet), &name).await?;
///     transport.write(b"hello")?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn create_unix_connection<P, F>(
    factory: F,
    path: impl AsRef<Path>,
) -> io::Result<(Transport, Rc<P>)>
where
    P: Protocol + 'static,
    F: FnOnce() -> Rc<P>,
{
    Builder::new().create_unix_connection(factory, path).await
}

/// As [`open_connection`], through a Unix socket (asyncio's `open_unix_connection`).
///
/// # Errors
///
/// If nobody listens there, and a cancellation.
///
/// ```
/// use rasyncio::{net::UnixListener, open_unix_connection};
///
/// rasyncio::run(async {
///     let name = format!("\0rasyncio-open-{}", std::process::id());
///     let _listener = UnixListener::bind(&name)?;
///     let (_reader, writer) = open_unix_connection(&name).await?;
///     writer.write(b"hello")?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn open_unix_connection(
    path: impl AsRef<Path>,
) -> io::Result<(StreamReader, StreamWriter)> {
    Builder::new().open_unix_connection(path).await
}

/// Gives a connected socket to a protocol, as a server does with what it accepts (asyncio's
/// `connect_accepted_socket`, and the `sock` of `create_connection`).
///
/// # Errors
///
/// A cancellation.
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use std::rc::Rc;
/// use rasyncio::{Protocol, connect::connect_socket};
///
/// rasyncio::run(async {
///     struct Quiet;
///     impl Protocol for Quiet {}
///     let (one, _two) = UnixStream::pair()?;
///     let (transport, _) = connect_socket(|| Rc::new(Quiet), one).await?;
///     transport.write(b"hello")?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn connect_socket<P, F>(
    factory: F,
    socket: impl Into<OwnedFd>,
) -> io::Result<(Transport, Rc<P>)>
where
    P: Protocol + 'static,
    F: FnOnce() -> Rc<P>,
{
    Builder::new().connect_socket(factory, socket).await
}

/// Gives the two ends of a connected socket (asyncio's `open_connection(sock=)`).
///
/// # Errors
///
/// A cancellation.
///
/// ```
/// use std::os::unix::net::UnixStream;
/// use rasyncio::connect::open_socket;
///
/// rasyncio::run(async {
///     let (one, two) = UnixStream::pair()?;
///     let (_reader, writer) = open_socket(one).await?;
///     let (mut reader, _writer) = open_socket(two).await?;
///     writer.write(b"hello\n")?;
///     assert_eq!(reader.readline().await?, b"hello\n");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn open_socket(socket: impl Into<OwnedFd>) -> io::Result<(StreamReader, StreamWriter)> {
    Builder::new().open_socket(socket).await
}

/// Opens the transport, and waits until the protocol has been told.
pub(crate) async fn made<P>(
    link: Link,
    protocol: Rc<P>,
    tls: Option<&Tls>,
) -> io::Result<(Transport, Rc<P>)>
where
    P: Protocol + 'static,
{
    let transport = Transport::open_with(link, Rc::clone(&protocol) as _, None, tls)?;
    let guard = Guard::new(&transport, Transport::abort);
    transport.made().await?;
    guard.keep();
    Ok((transport, protocol))
}

/// Ends a transport that nobody has got to see: whoever wanted it was cancelled or dropped.
pub(crate) struct Guard<'a, T>(Option<&'a T>, fn(&T));

impl<'a, T> Guard<'a, T> {
    pub(crate) fn new(transport: &'a T, end: fn(&T)) -> Guard<'a, T> {
        Guard(Some(transport), end)
    }

    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if let Some(transport) = self.0 {
            (self.1)(transport);
        }
    }
}
