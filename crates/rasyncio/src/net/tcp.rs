//! TCP.

use std::io::{self, IoSlice};
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rasyncio_engine::Direction;
use rustix::net::{SocketType, sockopt};

use super::Watched;
use super::resolve::{ToAddrs, each_addr};
use super::socket;

/// A TCP connection.
///
/// ```
/// use rasyncio::net::{TcpListener, TcpStream};
///
/// rasyncio::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (server, _) = listener.accept().await?;
///     client.write_all(b"hello").await?;
///     let mut buffer = [0; 5];
///     server.read_exact(&mut buffer).await?;
///     assert_eq!(&buffer, b"hello");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct TcpStream {
    io: Watched<net::TcpStream>,
}

/// A TCP socket that waits for connections.
///
/// ```
/// use rasyncio::net::{TcpListener, TcpStream};
///
/// rasyncio::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let client = TcpStream::connect(listener.local_addr()?).await?;
///     let (_server, address) = listener.accept().await?;
///     assert_eq!(address, client.local_addr()?);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct TcpListener {
    io: Watched<net::TcpListener>,
}

/// How many connections may wait to be accepted, where nothing is said.
const BACKLOG: i32 = 1024;

impl TcpStream {
    #[cfg(feature = "_poll-io")]
    pub(crate) fn watched(&self) -> &Watched<net::TcpStream> {
        &self.io
    }

    /// Connects to the first of the addresses that answers, one after the other. For more say in it
    /// see [`connect`](crate::connect).
    ///
    /// # Errors
    ///
    /// That of the last address.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("localhost:0").await?;
    ///     let stream = TcpStream::connect(listener.local_addr()?).await?;
    ///     assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn connect(addresses: impl ToAddrs) -> io::Result<TcpStream> {
        each_addr(addresses, async |address| {
            let socket = socket::open(socket::family(&address), SocketType::STREAM)?;
            TcpStream::connect_socket(socket, address).await
        })
        .await
    }

    /// Connects a socket that was made, and bound perhaps, before.
    pub(crate) async fn connect_socket(
        socket: OwnedFd,
        address: SocketAddr,
    ) -> io::Result<TcpStream> {
        let io = Watched::new(net::TcpStream::from(socket));
        socket::connect(&io, &address).await?;
        Ok(TcpStream { io })
    }

    /// Takes a connection over, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    ///
    /// ```
    /// use rasyncio::net::TcpStream;
    ///
    /// rasyncio::run(async {
    ///     let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    ///     let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
    ///     TcpStream::from_std(stream)?.write_all(b"hello").await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn from_std(stream: net::TcpStream) -> io::Result<TcpStream> {
        stream.set_nonblocking(true)?;
        Ok(TcpStream::new(stream))
    }

    /// The connection must not block.
    pub(crate) fn new(stream: net::TcpStream) -> TcpStream {
        TcpStream {
            io: Watched::new(stream),
        }
    }

    /// The connection, to be used by other means. It is non-blocking still.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let stream = TcpStream::connect(listener.local_addr()?).await?.into_std();
    ///     stream.set_nonblocking(false)?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn into_std(self) -> net::TcpStream {
        self.io.into_inner()
    }

    /// Reads what there is, at most as much as the buffer holds (asyncio's `sock_recv_into`). 0 is
    /// the end.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     let mut buffer = [0; 16];
    ///     two.write_all(b"hello").await?;
    ///     let count = one.read(&mut buffer).await?;
    ///     assert_eq!(&buffer[..count], b"hello");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn read<'a>(
        &'a self,
        buffer: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + 'a {
        socket::read(&self.io, buffer)
    }

    /// Reads until the buffer is full.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the end comes before, the system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     let mut buffer = [0; 3];
    ///     two.write_all(b"hello").await?;
    ///     one.read_exact(&mut buffer).await?;
    ///     assert_eq!(&buffer, b"hel");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn read_exact(&self, buffer: &mut [u8]) -> io::Result<()> {
        socket::read_exact(&self.io, buffer).await
    }

    /// Looks at what there is without taking it.
    ///
    /// # Errors
    ///
    /// As [`TcpStream::read`].
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     let mut buffer = [0; 16];
    ///     two.write_all(b"hello").await?;
    ///     assert_eq!(one.peek(&mut buffer).await?, 5);
    ///     assert_eq!(one.read(&mut buffer).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let io = &self.io;
        io.when_ready(Direction::Read, || io.get().peek(buffer))
            .await
    }

    /// Writes as much as goes, and answers how much that was.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     assert_eq!(one.write(b"hello").await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn write<'a>(&'a self, data: &'a [u8]) -> impl Future<Output = io::Result<usize>> + 'a {
        socket::write(&self.io, data)
    }

    /// Writes as much as goes of several slices.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    /// use std::io::IoSlice;
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     let slices = [IoSlice::new(b"hello "), IoSlice::new(b"world")];
    ///     assert_eq!(one.write_vectored(&slices).await?, 11);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        socket::write_vectored(&self.io, slices).await
    }

    /// Writes everything (asyncio's `sock_sendall`).
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation. Some of the data may have been written.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     one.write_all(b"hello").await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn write_all<'a>(&'a self, data: &'a [u8]) -> impl Future<Output = io::Result<()>> + 'a {
        socket::write_all(&self.io, data)
    }

    /// Sends `count` bytes of a file from `offset` on, or all the rest, and answers how many that
    /// were (asyncio's `sock_sendfile`). The system moves them where it can. The position of the
    /// file is neither used nor moved.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation. Some of the file may have been sent.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    /// use std::fs::File;
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     let file = File::open("Cargo.toml")?;
    ///     assert_eq!(one.sendfile(&file, 0, Some(9)).await?, 9);
    ///     let mut buffer = [0; 16];
    ///     let count = two.read(&mut buffer).await?;
    ///     assert_eq!(&buffer[..count], b"[package]");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn sendfile(
        &self,
        file: impl AsFd,
        offset: u64,
        count: Option<u64>,
    ) -> io::Result<u64> {
        socket::sendfile(&self.io, file, offset, count).await
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    /// use std::net::Shutdown;
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     one.shutdown(Shutdown::Write)?;
    ///     assert_eq!(two.read(&mut [0; 1]).await?, 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().shutdown(how)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     assert_eq!(one.local_addr()?, two.peer_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     assert_eq!(one.peer_addr()?, two.local_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }

    /// Whether small writes go out at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     assert!(!one.nodelay()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get().nodelay()
    }

    /// Sets whether small writes go out at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// #     let one = TcpStream::connect(listener.local_addr()?).await?;
    /// #     let (two, _) = listener.accept().await?;
    ///     one.set_nodelay(true)?;
    ///     assert!(one.nodelay()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get().set_nodelay(nodelay)
    }
}

impl TcpListener {
    /// Listens on the first of the addresses that can be had, with `SO_REUSEADDR`. For more say in
    /// it see [`servers`](crate::servers).
    ///
    /// # Errors
    ///
    /// That of the last address.
    ///
    /// ```
    /// use rasyncio::net::TcpListener;
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     assert_ne!(listener.local_addr()?.port(), 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn bind(addresses: impl ToAddrs) -> io::Result<TcpListener> {
        each_addr(addresses, async |address| {
            let socket = socket::open(socket::family(&address), SocketType::STREAM)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            rustix::net::bind(&socket, &address)?;
            rustix::net::listen(&socket, BACKLOG)?;
            Ok(TcpListener::new(socket.into()))
        })
        .await
    }

    /// Takes a listening socket over, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    ///
    /// ```
    /// use rasyncio::net::TcpListener;
    ///
    /// rasyncio::run(async {
    ///     let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    ///     let address = listener.local_addr()?;
    ///     assert_eq!(TcpListener::from_std(listener)?.local_addr()?, address);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn from_std(listener: net::TcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        Ok(TcpListener::new(listener))
    }

    fn new(listener: net::TcpListener) -> TcpListener {
        TcpListener {
            io: Watched::new(listener),
        }
    }

    /// The socket, to be used by other means. It is non-blocking still.
    ///
    /// ```
    /// use rasyncio::net::TcpListener;
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?.into_std();
    ///     assert!(listener.local_addr()?.ip().is_loopback());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn into_std(self) -> net::TcpListener {
        self.io.into_inner()
    }

    /// Waits for a connection (asyncio's `sock_accept`), and answers it with its address.
    ///
    /// # Errors
    ///
    /// The system's, such as there being no descriptor left, and a cancellation. The listener is
    /// good for another attempt.
    ///
    /// ```
    /// use rasyncio::net::{TcpListener, TcpStream};
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let client = TcpStream::connect(listener.local_addr()?).await?;
    ///     let (_stream, address) = listener.accept().await?;
    ///     assert_eq!(address, client.local_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, address) = socket::accept(&self.io).await?;
        let stream = net::TcpStream::from(socket);
        let address = match address.and_then(|address| address.try_into().ok()) {
            Some(address) => address,
            None => stream.peer_addr()?,
        };
        Ok((TcpStream::new(stream), address))
    }

    /// The address that it listens on.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::TcpListener;
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     assert!(listener.local_addr()?.ip().is_loopback());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl From<TcpStream> for OwnedFd {
    fn from(socket: TcpStream) -> OwnedFd {
        socket.into_std().into()
    }
}

impl From<TcpListener> for OwnedFd {
    fn from(socket: TcpListener) -> OwnedFd {
        socket.into_std().into()
    }
}
