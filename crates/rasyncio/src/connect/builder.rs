//! How to connect: the keywords of asyncio's `create_connection`.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::net::SocketType;

#[cfg(feature = "tls")]
use super::encrypted;
use super::{ConnectErrors, interleave, made, race};
#[cfg(doc)]
use super::{
    connect_socket, create_connection, create_unix_connection, open_connection, open_socket,
    open_unix_connection,
};
use crate::net::{Family, Hints, TcpStream, ToAddrs, UnixStream, socket};
use crate::protocols::Protocol;
use crate::streams::{DEFAULT_LIMIT, Shared, StreamReader, StreamWriter};
use crate::tls::Tls;
use crate::transports::{Link, Transport};

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
    proto: i32,
    flags: i32,
    local_addr: Option<SocketAddr>,
    all_errors: bool,
    limit: Option<usize>,
    #[cfg(feature = "tls")]
    pub(super) tls: encrypted::Keywords,
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

    /// The protocol, by the system's number. Without one it is TCP.
    ///
    /// ```
    /// let _builder = rasyncio::connect::Builder::new().proto(libc::IPPROTO_TCP);
    /// ```
    pub fn proto(mut self, proto: i32) -> Builder {
        self.proto = proto;
        self
    }

    /// How a name is looked up, by the system's flags for `getaddrinfo`.
    ///
    /// ```
    /// use rasyncio::connect::Builder;
    ///
    /// rasyncio::run(async {
    ///     let builder = Builder::new().flags(libc::AI_NUMERICHOST);
    ///     assert!(builder.connect(("localhost", 80)).await.is_err());
    /// });
    /// ```
    pub fn flags(mut self, flags: i32) -> Builder {
        self.flags = flags;
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
        let hints = Hints {
            family: self.family,
            kind: libc::SOCK_STREAM,
            proto: self.proto,
            flags: self.flags,
        };
        let mut addresses = addresses.to_addrs_with(hints).await?;
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
    /// use rasyncio::{Protocol, connect::{Builder, Family}, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let host = ("localhost", listener.local_addr()?.port());
    ///     let builder = Builder::new().family(Family::Inet);
    ///     let (transport, _) = builder.create_connection(|| Rc::new(Quiet), host).await?;
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
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, connect::Builder, net::UnixListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let path = format!("\0rasyncio-builder-create-{}", std::process::id());
    ///     let listener = UnixListener::bind(&path)?;
    ///     let builder = Builder::new();
    ///     let (transport, _) = builder.create_unix_connection(|| Rc::new(Quiet), &path).await?;
    ///     let peer = listener.accept().await?;
    ///     transport.write(b"hello")?;
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use rasyncio::{connect::Builder, net::UnixListener};
    ///
    /// rasyncio::run(async {
    /// #     let path = format!("\0rasyncio-builder-open-{}", std::process::id());
    ///     let listener = UnixListener::bind(&path)?;
    ///     let builder = Builder::new().limit(1 << 20);
    ///     let (mut reader, _writer) = builder.open_unix_connection(&path).await?;
    ///     let peer = listener.accept().await?;
    ///     peer.write_all(b"a line\n").await?;
    ///     assert_eq!(reader.readline().await?, b"a line\n");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use std::net::TcpStream;
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, connect::Builder, servers};
    ///
    /// # #[cfg(not(feature = "tls"))]
    /// # fn main() {}
    /// # #[cfg(feature = "tls")]
    /// # fn main() {
    /// # struct Quiet;
    /// # impl Protocol for Quiet {}
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    /// #     let server = servers::Builder::new().ssl(server_config);
    /// #     let server = server.start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     // Connected by somebody else: through a proxy, perhaps.
    ///     let socket = TcpStream::connect(server.local_addrs()[0])?;
    ///     let builder = Builder::new().ssl(client_config).server_hostname("localhost");
    ///     let (transport, _) = builder.connect_socket(|| Rc::new(Quiet), socket).await?;
    ///     assert!(transport.tls_info().is_some());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// # }
    /// ```
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
    ///
    /// ```
    /// use std::os::unix::net::UnixStream;
    /// use rasyncio::connect::Builder;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixStream::pair()?;
    ///     let (_reader, writer) = Builder::new().open_socket(one).await?;
    ///     let (mut reader, _writer) = Builder::new().limit(5).open_socket(two).await?;
    ///     writer.write(b"too long\n")?;
    ///     assert!(reader.readline().await.is_err());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
        let proto = socket::protocol(self.proto)?;
        let socket = socket::open_with(socket::family(&address), SocketType::STREAM, proto)?;
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
