//! Connecting (asyncio's `create_connection` and `open_connection`), with happy eyeballs (RFC 8305).
//!
//! [`create_connection`] gives the connection to a protocol, [`open_connection`] gives two ends to
//! await. [`Builder`] has the keywords.

#[cfg(feature = "tls")]
mod encrypted;
mod order;
mod pipes;
mod race;

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::SocketType;

use crate::net::{TcpStream, ToAddrs, UdpSocket, UnixStream, socket};
use crate::protocols::{DatagramProtocol, Protocol};
use crate::streams::{DEFAULT_LIMIT, Shared, StreamReader, StreamWriter};
use crate::tasks::yield_now;
use crate::tls::Tls;
use crate::transports::{DatagramTransport, Link, Transport};
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

/// A datagram socket with a protocol (asyncio's `loop.create_datagram_endpoint`): on the address
/// `local`, connected to `remote`, or both.
///
/// # Errors
///
/// If an address cannot be had; `InvalidInput` if there is none.
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
    let Some(address) = local.or(remote) else {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "unexpected address family",
        ));
    };
    let socket = socket::open(socket::family(&address), SocketType::DGRAM)?;
    if let Some(local) = local {
        rustix::net::bind(&socket, &local)?;
    }
    if let Some(remote) = remote {
        rustix::net::connect(&socket, &remote)?;
    }
    datagram_endpoint(factory, UdpSocket::from_std(socket.into())?).await
}

/// As [`create_datagram_endpoint`], with a socket of your own (asyncio's `sock=`), which may have
/// options of its own.
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
pub async fn datagram_endpoint<P, F>(
    factory: F,
    socket: UdpSocket,
) -> io::Result<(DatagramTransport, Rc<P>)>
where
    P: DatagramProtocol + 'static,
    F: FnOnce() -> Rc<P>,
{
    let protocol = factory();
    let transport = DatagramTransport::open(socket.into_std(), Rc::clone(&protocol) as _);
    let guard = Guard::new(&transport, DatagramTransport::abort);
    yield_now().await?;
    guard.keep();
    Ok((transport, protocol))
}

const NO_HOST: &str = "You must set server_hostname when using ssl without a host";

/// How to connect: the keywords of asyncio's `create_connection` and `open_connection`.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::connect::Builder;
///
/// rasyncio::run(async {
///     let server = rasyncio::start_server(async |_, _| {}, "127.0.0.1:0").await?;
///     let port = server.local_addrs()[0].port();
///     let (reader, _writer) = Builder::new()
///         .happy_eyeballs_delay(Duration::from_millis(250))
///         .open_connection(("localhost", port))
///         .await?;
///     assert!(!reader.at_eof());
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    happy_eyeballs_delay: Option<Duration>,
    interleave: Option<usize>,
    family: Option<Family>,
    local_addr: Option<SocketAddr>,
    all_errors: bool,
    limit: Option<usize>,
    #[cfg(feature = "tls")]
    tls: encrypted::Keywords,
}

/// A family of addresses.
///
/// ```
/// use rasyncio::connect::{Builder, Family};
///
/// let _builder = Builder::new().family(Family::Inet6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 (`AF_INET`).
    Inet,
    /// IPv6 (`AF_INET6`).
    Inet6,
}

impl Family {
    fn of(address: &SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::Inet,
            SocketAddr::V6(_) => Family::Inet6,
        }
    }
}

impl Builder {
    /// asyncio's defaults: one address after the other, as they come.
    ///
    /// ```
    /// use rasyncio::{connect::Builder, net::TcpListener};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     Builder::new().connect(listener.local_addr()?).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Tries the next address when the last attempt has taken so long, and goes on with those before;
    /// the first that answers wins. Also interleaves the addresses, unless told otherwise.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{connect::Builder, net::TcpListener};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let builder = Builder::new().happy_eyeballs_delay(Duration::from_millis(250));
    ///     builder.connect(("localhost", listener.local_addr()?.port())).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn happy_eyeballs_delay(mut self, delay: Duration) -> Builder {
        self.happy_eyeballs_delay = Some(delay);
        self
    }

    /// Has the families of addresses take turns, after so many of the first; 0 leaves them as they
    /// come.
    ///
    /// ```
    /// let _builder = rasyncio::connect::Builder::new().interleave(1);
    /// ```
    pub fn interleave(mut self, first_count: usize) -> Builder {
        self.interleave = Some(first_count);
        self
    }

    /// Tries addresses of this family only.
    ///
    /// ```
    /// use rasyncio::connect::{Builder, Family};
    /// use rasyncio::net::TcpListener;
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let builder = Builder::new().family(Family::Inet);
    ///     builder.connect(("localhost", listener.local_addr()?.port())).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn family(mut self, family: Family) -> Builder {
        self.family = Some(family);
        self
    }

    /// The address to connect from.
    ///
    /// ```
    /// use rasyncio::{connect::Builder, net::TcpListener};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let builder = Builder::new().local_addr("127.0.0.1:0".parse()?);
    ///     let stream = builder.connect(listener.local_addr()?).await?;
    ///     assert!(stream.local_addr()?.ip().is_loopback());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(mut self, address: SocketAddr) -> Builder {
        self.local_addr = Some(address);
        self
    }

    /// Has the error be a [`ConnectErrors`] always. Otherwise it is one only if there were several
    /// that say different things.
    ///
    /// ```
    /// use rasyncio::connect::{Builder, ConnectErrors};
    ///
    /// rasyncio::run(async {
    ///     let builder = Builder::new().all_errors(true);
    ///     let error = builder.connect("127.0.0.1:1").await.unwrap_err();
    ///     assert_eq!(ConnectErrors::of(&error).map(<[_]>::len), Some(1));
    /// });
    /// ```
    pub fn all_errors(mut self, all: bool) -> Builder {
        self.all_errors = all;
        self
    }

    /// The limit of the stream reader (64 KiB).
    ///
    /// ```
    /// use rasyncio::{connect::Builder, net::TcpListener};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let builder = Builder::new().limit(8);
    ///     let (mut reader, _writer) = builder.open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     peer.write_all(b"a line that is too long\n").await?;
    ///     assert!(reader.readline().await.is_err());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn limit(mut self, limit: usize) -> Builder {
        self.limit = Some(limit);
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// If no address answers (see [`ConnectErrors`]), and a cancellation.
    ///
    /// ```
    /// use rasyncio::{connect::Builder, net::TcpListener};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let stream = Builder::new().connect(listener.local_addr()?).await?;
    ///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn connect(&self, addresses: impl ToAddrs) -> io::Result<TcpStream> {
        let mut addresses = addresses.to_addrs().await?;
        if let Some(family) = self.family {
            addresses.retain(|address| Family::of(address) == family);
        }
        if addresses.is_empty() {
            return Err(io::Error::new(
                ErrorKind::NotFound,
                "getaddrinfo() returned empty list",
            ));
        }
        let happy = self.happy_eyeballs_delay;
        match self.interleave.unwrap_or(usize::from(happy.is_some())) {
            0 => {}
            first => addresses = interleave(addresses, Family::of, first),
        }
        let connect = |address| self.connect_to(address);
        match race::race(addresses, happy, connect).await? {
            Ok(stream) => Ok(stream),
            Err(errors) => Err(ConnectErrors::sum_up(errors, self.all_errors)),
        }
    }

    /// See [`create_connection`].
    ///
    /// # Errors
    ///
    /// As [`Builder::connect`].
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
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn create_connection<P, F>(
        &self,
        factory: F,
        addresses: impl ToAddrs,
    ) -> io::Result<(Transport, Rc<P>)>
    where
        P: Protocol + 'static,
        F: FnOnce() -> Rc<P>,
    {
        let tls = self.tls(addresses.host(), NO_HOST)?;
        let socket = self.connect(addresses).await?;
        socket.set_nodelay(true)?;
        let link = Link::Socket(socket.into_std().into());
        made(link, factory(), tls.as_ref()).await
    }

    /// See [`open_connection`].
    ///
    /// # Errors
    ///
    /// As [`Builder::connect`].
    ///
    /// ```
    /// use rasyncio::{connect::Builder, net::TcpListener};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (_reader, writer) = Builder::new().open_connection(listener.local_addr()?).await?;
    ///     writer.write(b"hello")?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn open_connection(
        &self,
        addresses: impl ToAddrs,
    ) -> io::Result<(StreamReader, StreamWriter)> {
        let shared = || self.shared();
        let (transport, shared) = self.create_connection(shared, addresses).await?;
        Ok(shared.ends(&transport))
    }

    /// See [`create_unix_connection`].
    ///
    /// # Errors
    ///
    /// If nobody listens there, and a cancellation.
    pub async fn create_unix_connection<P, F>(
        &self,
        factory: F,
        path: impl AsRef<Path>,
    ) -> io::Result<(Transport, Rc<P>)>
    where
        P: Protocol + 'static,
        F: FnOnce() -> Rc<P>,
    {
        let tls = self.tls(None, "you have to pass server_hostname when using ssl")?;
        let socket = UnixStream::connect(path).await?.into_std();
        made(Link::Socket(socket.into()), factory(), tls.as_ref()).await
    }

    /// See [`open_unix_connection`].
    ///
    /// # Errors
    ///
    /// If nobody listens there, and a cancellation.
    pub async fn open_unix_connection(
        &self,
        path: impl AsRef<Path>,
    ) -> io::Result<(StreamReader, StreamWriter)> {
        let shared = || self.shared();
        let (transport, shared) = self.create_unix_connection(shared, path).await?;
        Ok(shared.ends(&transport))
    }

    /// See [`connect_socket`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn connect_socket<P, F>(
        &self,
        factory: F,
        socket: impl Into<OwnedFd>,
    ) -> io::Result<(Transport, Rc<P>)>
    where
        P: Protocol + 'static,
        F: FnOnce() -> Rc<P>,
    {
        let tls = self.tls(None, NO_HOST)?;
        let socket = socket.into();
        rustix::io::ioctl_fionbio(&socket, true)?;
        made(Link::Socket(socket), factory(), tls.as_ref()).await
    }

    /// See [`open_socket`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn open_socket(
        &self,
        socket: impl Into<OwnedFd>,
    ) -> io::Result<(StreamReader, StreamWriter)> {
        let shared = || self.shared();
        let (transport, shared) = self.connect_socket(shared, socket).await?;
        Ok(shared.ends(&transport))
    }

    fn shared(&self) -> Rc<Shared> {
        Shared::new(self.limit.unwrap_or(DEFAULT_LIMIT))
    }

    /// How to encrypt, if it is to be. `missing` is what to say if nobody has named the host.
    fn tls(&self, host: Option<String>, missing: &str) -> io::Result<Option<Tls>> {
        #[cfg(feature = "tls")]
        return self.tls.tls(host, missing);
        #[cfg(not(feature = "tls"))]
        {
            let _ = (host, missing);
            Ok(None)
        }
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = socket::open(socket::family(&address), SocketType::STREAM)?;
        if let Some(local) = self.local_addr {
            if Family::of(&local) != Family::of(&address) {
                let message = format!(
                    "no matching local address with family={:?} found",
                    Family::of(&address)
                );
                return Err(io::Error::new(ErrorKind::AddrNotAvailable, message));
            }
            rustix::net::bind(&socket, &local)?;
        }
        TcpStream::connect_socket(socket, address).await
    }
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

/// What connecting to several addresses has failed with, inside of an [`io::Error`].
///
/// ```
/// use rasyncio::connect::{Builder, ConnectErrors};
///
/// rasyncio::run(async {
///     let error = Builder::new().all_errors(true).connect("127.0.0.1:1").await.unwrap_err();
///     for error in ConnectErrors::of(&error).unwrap() {
///         assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
///     }
/// });
/// ```
#[derive(Debug)]
pub struct ConnectErrors {
    errors: Vec<io::Error>,
}

impl ConnectErrors {
    /// The errors inside of one, if it has some.
    ///
    /// ```
    /// use rasyncio::connect::{Builder, ConnectErrors};
    ///
    /// rasyncio::run(async {
    ///     let error = Builder::new().all_errors(true).connect("127.0.0.1:1").await.unwrap_err();
    ///     assert!(ConnectErrors::of(&error).is_some());
    /// });
    /// ```
    pub fn of(error: &io::Error) -> Option<&[io::Error]> {
        let errors: &ConnectErrors = error.get_ref()?.downcast_ref()?;
        Some(&errors.errors)
    }

    fn sum_up(mut errors: Vec<io::Error>, all: bool) -> io::Error {
        let same = errors
            .windows(2)
            .all(|pair| pair[0].to_string() == pair[1].to_string());
        if same && !all {
            return errors.swap_remove(0);
        }
        let kind = errors[0].kind();
        io::Error::new(kind, ConnectErrors { errors })
    }
}

impl fmt::Display for ConnectErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Multiple exceptions: ")?;
        for (place, error) in self.errors.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{error}")?;
        }
        Ok(())
    }
}

impl Error for ConnectErrors {}
