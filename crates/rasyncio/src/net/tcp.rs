//! TCP.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::OwnedFd;

use rasyncio_engine::Direction;
use rustix::net::{SocketType, sockopt};

use super::Watched;
use super::resolve::{ToAddrs, each_addr};
use super::socket::{self, owns_descriptor};
use super::stream::stream_methods;

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

stream_methods!(
    TcpStream,
    net::TcpStream,
    uses: "use rasyncio::net::{TcpListener, TcpStream};",
    pair: r#"
#     let listener = TcpListener::bind("127.0.0.1:0").await?;
#     let one = TcpStream::connect(listener.local_addr()?).await?;
#     let (two, _) = listener.accept().await?;"#,
);

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

owns_descriptor!(TcpStream, TcpListener);
