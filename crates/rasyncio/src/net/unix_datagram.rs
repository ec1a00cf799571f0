//! Datagrams through Unix sockets.

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use rasyncio_engine::Direction;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketType};

use super::socket::{self, SEND, owns_descriptor};
use super::unix_room::{Obstacle, Room, when_writable};
use super::{Watched, unix_address};

/// A Unix socket for datagrams. They arrive whole, in order, and all of them: who sends faster than the
/// other receives has to wait.
///
/// ```
/// use rasyncio::net::UnixDatagram;
///
/// rasyncio::run(async {
///     let (one, two) = UnixDatagram::pair()?;
///     one.send(b"hello").await?;
///     let mut buffer = [0; 64];
///     let length = two.recv(&mut buffer).await?;
///     assert_eq!(&buffer[..length], b"hello");
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct UnixDatagram {
    io: Watched<net::UnixDatagram>,
}

impl UnixDatagram {
    /// A socket at `path`, which must be free; one that begins with a zero byte is an abstract name.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let path = std::env::temp_dir().join(format!("rasyncio-{}-bind", std::process::id()));
    ///     let socket = UnixDatagram::bind(&path)?;
    ///     assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    ///     std::fs::remove_file(&path)?;
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        let address = unix_address(path.as_ref())?;
        let socket = UnixDatagram::unbound()?;
        rustix::net::bind(&socket, &address)?;
        Ok(socket)
    }

    /// A socket that has no address, and so gets no answers.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let socket = UnixDatagram::unbound()?;
    ///     assert!(socket.local_addr()?.is_unnamed());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn unbound() -> io::Result<UnixDatagram> {
        let socket = socket::open(AddressFamily::UNIX, SocketType::DGRAM)?;
        Ok(UnixDatagram {
            io: Watched::new(socket.into()),
        })
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixDatagram::pair()?;
    ///     one.send(b"hello").await?;
    ///     let mut buffer = [0; 10];
    ///     assert_eq!(two.recv(&mut buffer).await?, 5);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, two) = net::UnixDatagram::pair()?;
        Ok((UnixDatagram::from_std(one)?, UnixDatagram::from_std(two)?))
    }

    /// Takes a socket over, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let (one, _two) = std::os::unix::net::UnixDatagram::pair()?;
    ///     let socket = UnixDatagram::from_std(one)?;
    ///     assert_eq!(socket.send(b"hello").await?, 5);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<UnixDatagram> {
        socket.set_nonblocking(true)?;
        Ok(UnixDatagram {
            io: Watched::new(socket),
        })
    }

    /// The socket, to be used by other means. It is non-blocking still.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let (one, _two) = UnixDatagram::pair()?;
    ///     assert_eq!(one.into_std().send(b"hello")?, 5);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn into_std(self) -> net::UnixDatagram {
        self.io.into_inner()
    }

    /// Sets where [`UnixDatagram::send`] sends to, and from where alone datagrams are received.
    ///
    /// # Errors
    ///
    /// The system's, such as that nobody is there.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let path = std::env::temp_dir().join(format!("rasyncio-{}-connect", std::process::id()));
    ///     let socket = UnixDatagram::bind(&path)?;
    ///     let other = UnixDatagram::unbound()?;
    ///     other.connect(&path)?;
    ///     other.send(b"hello").await?;
    ///     assert_eq!(socket.recv(&mut [0; 10]).await?, 5);
    ///     std::fs::remove_file(&path)?;
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let address = unix_address(path.as_ref())?;
        Ok(rustix::net::connect(self.io.get(), &address)?)
    }

    /// Receives a datagram, cut to the length of the buffer, and answers its length and where it came
    /// from.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixDatagram::pair()?;
    ///     one.send(b"too long").await?;
    ///     let mut buffer = [0; 3];
    ///     let (length, from) = two.recv_from(&mut buffer).await?;
    ///     assert_eq!(&buffer[..length], b"too");
    ///     assert!(from.is_unnamed());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let io = &self.io;
        io.when_ready(Direction::Read, || io.get().recv_from(buffer))
            .await
    }

    /// Receives a datagram.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixDatagram::pair()?;
    ///     one.send(b"").await?;
    ///     one.send(b"hello").await?;
    ///     assert_eq!(two.recv(&mut [0; 10]).await?, 0);
    ///     assert_eq!(two.recv(&mut [0; 10]).await?, 5);
    ///     Ok::<_, std::io::Error>(())
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

    /// Sends a datagram to the socket at `path`, once that has room. While it has none a second socket waits
    /// for that, for the system tells only who is connected.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let path = std::env::temp_dir().join(format!("rasyncio-{}-send-to", std::process::id()));
    ///     let socket = UnixDatagram::bind(&path)?;
    ///     UnixDatagram::unbound()?.send_to(b"hello", &path).await?;
    ///     assert_eq!(socket.recv(&mut [0; 10]).await?, 5);
    ///     std::fs::remove_file(&path)?;
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn send_to(&self, data: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let address = unix_address(path.as_ref())?;
        let mut found = None;
        loop {
            match rustix::net::sendto(self.io.get(), data, SEND, &address) {
                Err(Errno::AGAIN) => {}
                Err(Errno::INTR) => continue,
                result => return Ok(result?),
            }
            let room = match &found {
                Some(room) => room,
                None => found.insert(Room::at(&address)?),
            };
            match room.obstacle(self.io.get())? {
                Obstacle::Sender => when_writable(&self.io).await?,
                Obstacle::Receiver => room.wait().await?,
                Obstacle::Gone => {}
            }
        }
    }

    /// Sends a datagram to the address that the socket is connected to.
    ///
    /// # Errors
    ///
    /// The system's, and a cancellation.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixDatagram::pair()?;
    ///     assert_eq!(one.send(b"hello").await?, 5);
    ///     drop(two);
    ///     assert!(one.send(b"nobody").await.is_err());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn send(&self, data: &[u8]) -> io::Result<usize> {
        let io = &self.io;
        io.when_ready(Direction::Write, || {
            Ok(rustix::net::send(io.get(), data, SEND)?)
        })
        .await
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     let (one, _two) = UnixDatagram::pair()?;
    ///     assert!(one.local_addr()?.is_unnamed());
    ///     Ok::<_, std::io::Error>(())
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
    /// use rasyncio::net::UnixDatagram;
    ///
    /// rasyncio::run(async {
    ///     assert!(UnixDatagram::unbound()?.peer_addr().is_err());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get().peer_addr()
    }
}

owns_descriptor!(UnixDatagram);
