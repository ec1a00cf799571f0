//! UDP.

use std::io;
use std::net::{self, SocketAddr};

use rasyncio_engine::Direction;
use rustix::net::{RecvFlags, SocketType};

use super::Watched;
use super::resolve::{ToAddrs, each_addr};
use super::socket::{self, owns_descriptor};

/// A UDP socket.
///
/// ```
/// use rasyncio::net::UdpSocket;
///
/// rasyncio::run(async {
///     let one = UdpSocket::bind("127.0.0.1:0").await?;
///     let two = UdpSocket::bind("127.0.0.1:0").await?;
///     one.send_to(b"hello", two.local_addr()?).await?;
///     let mut buffer = [0; 64];
///     let (length, from) = two.recv_from(&mut buffer).await?;
///     assert_eq!((&buffer[..length], from), (&b"hello"[..], one.local_addr()?));
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct UdpSocket {
    io: Watched<net::UdpSocket>,
}

impl UdpSocket {
    /// A socket on the first of the addresses that can be had.
    ///
    /// # Errors
    ///
    /// That of the last address.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     assert_ne!(socket.local_addr()?.port(), 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn bind(addresses: impl ToAddrs) -> io::Result<UdpSocket> {
        each_addr(addresses, async |address| {
            let socket = socket::open(socket::family(&address), SocketType::DGRAM)?;
            rustix::net::bind(&socket, &address)?;
            Ok(UdpSocket {
                io: Watched::new(socket.into()),
            })
        })
        .await
    }

    /// Takes a socket over, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let socket = UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    ///     assert!(socket.local_addr()?.ip().is_loopback());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn from_std(socket: net::UdpSocket) -> io::Result<UdpSocket> {
        socket.set_nonblocking(true)?;
        Ok(UdpSocket {
            io: Watched::new(socket),
        })
    }

    /// The socket, to be used by other means. It is non-blocking still.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?.into_std();
    ///     socket.set_nonblocking(false)?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn into_std(self) -> net::UdpSocket {
        self.io.into_inner()
    }

    /// Sets where [`UdpSocket::send`] sends to, and from where alone datagrams are received.
    ///
    /// # Errors
    ///
    /// That of the last address.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let one = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let two = UdpSocket::bind("127.0.0.1:0").await?;
    ///     one.connect(two.local_addr()?).await?;
    ///     one.send(b"hello").await?;
    ///     assert_eq!(two.recv(&mut [0; 16]).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn connect(&self, addresses: impl ToAddrs) -> io::Result<()> {
        each_addr(addresses, async |address| {
            Ok(rustix::net::connect(self.io.get(), &address)?)
        })
        .await
    }

    /// Receives a datagram (asyncio's `sock_recvfrom_into`), cut to the length of the buffer, and
    /// answers its length and where it came from.
    ///
    /// # Errors
    ///
    /// The system's, such as that nobody has received an earlier one, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let one = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let two = UdpSocket::bind("127.0.0.1:0").await?;
    ///     one.send_to(b"hello", two.local_addr()?).await?;
    ///     let (count, from) = two.recv_from(&mut [0; 16]).await?;
    ///     assert_eq!((count, from), (5, one.local_addr()?));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let io = &self.io;
        io.when_ready(Direction::Read, || io.get().recv_from(buffer))
            .await
    }

    /// Receives a datagram from the address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// As [`UdpSocket::recv_from`].
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let one = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let two = UdpSocket::bind("127.0.0.1:0").await?;
    ///     one.send_to(b"hello", two.local_addr()?).await?;
    ///     assert_eq!(two.recv(&mut [0; 16]).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let io = &self.io;
        io.when_ready(Direction::Read, || {
            Ok(rustix::net::recv(io.get(), &mut *buffer, RecvFlags::empty())?.1)
        })
        .await
    }

    /// Sends a datagram (asyncio's `sock_sendto`).
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let one = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let two = UdpSocket::bind("127.0.0.1:0").await?;
    ///     assert_eq!(one.send_to(b"hello", two.local_addr()?).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn send_to(&self, data: &[u8], address: SocketAddr) -> io::Result<usize> {
        let io = &self.io;
        io.when_ready(Direction::Write, || io.get().send_to(data, address))
            .await
    }

    /// Sends a datagram to the address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let one = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let two = UdpSocket::bind("127.0.0.1:0").await?;
    ///     one.connect(two.local_addr()?).await?;
    ///     assert_eq!(one.send(b"hello").await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn send(&self, data: &[u8]) -> io::Result<usize> {
        let io = &self.io;
        io.when_ready(Direction::Write, || io.get().send(data))
            .await
    }

    /// Sets whether datagrams may go to broadcast addresses.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let one = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let two = UdpSocket::bind("127.0.0.1:0").await?;
    ///     one.set_broadcast(true)?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.io.get().set_broadcast(broadcast)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let one = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let two = UdpSocket::bind("127.0.0.1:0").await?;
    ///     assert_ne!(one.local_addr()?, two.local_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().local_addr()
    }

    /// The address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// The system's, and if there is none.
    ///
    /// ```
    /// use rasyncio::net::UdpSocket;
    ///
    /// rasyncio::run(async {
    ///     let one = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let two = UdpSocket::bind("127.0.0.1:0").await?;
    ///     one.connect(two.local_addr()?).await?;
    ///     assert_eq!(one.peer_addr()?, two.local_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }
}

owns_descriptor!(UdpSocket);
