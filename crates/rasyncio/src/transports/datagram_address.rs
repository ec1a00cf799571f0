//! What is different between datagram sockets of the internet and Unix ones.

use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddr;

use crate::net::{UdpSocket, UnixDatagram};

/// Where datagrams go to and come from: [`std::net::SocketAddr`], or [`std::os::unix::net::SocketAddr`] for
/// Unix sockets. It decides the kind of the socket.
///
/// ```
/// use rasyncio::transports::{DatagramAddress, DatagramTransport};
///
/// fn is_closed<A: DatagramAddress>(transport: &DatagramTransport<A>) -> bool {
///     transport.local_addr().is_err()
/// }
/// # let _ = is_closed::<std::net::SocketAddr>;
/// ```
pub trait DatagramAddress: sealed::Address {}

impl DatagramAddress for SocketAddr {}

impl DatagramAddress for UnixAddr {}

/// A socket that a protocol can be given to.
///
/// ```
/// use std::io;
/// use std::rc::Rc;
/// use rasyncio::DatagramProtocol;
/// use rasyncio::connect::datagram_endpoint;
/// use rasyncio::transports::DatagramSocket;
///
/// async fn give<S, P>(socket: S, protocol: Rc<P>) -> io::Result<()>
/// where
///     S: DatagramSocket,
///     P: DatagramProtocol<S::Address> + 'static,
/// {
///     datagram_endpoint(|| protocol, socket).await?;
///     Ok(())
/// }
/// ```
pub trait DatagramSocket: sealed::Socket<Self::Address> {
    /// The type of its addresses.
    type Address: DatagramAddress;
}

impl DatagramSocket for UdpSocket {
    type Address = SocketAddr;
}

impl DatagramSocket for UnixDatagram {
    type Address = UnixAddr;
}

pub(crate) mod sealed {
    use std::fmt::Debug;
    use std::io;
    use std::net::{self, SocketAddr};
    use std::os::fd::{AsFd, OwnedFd};
    use std::os::unix::net::{self as unix, SocketAddr as UnixAddr};

    use rustix::net::SocketAddrUnix;

    use crate::net::{Room, UdpSocket, UnixDatagram};

    pub trait Address: Clone + Debug + 'static {
        type Socket: AsFd + From<OwnedFd>;

        fn is(&self, other: &Self) -> bool;
        fn local(socket: &Self::Socket) -> io::Result<Self>;
        fn peer(socket: &Self::Socket) -> io::Result<Self>;
        fn receive(socket: &Self::Socket, buffer: &mut [u8]) -> io::Result<(usize, Self)>;
        /// Sends to where the socket is connected to, if there is no address.
        fn send(socket: &Self::Socket, data: &[u8], to: Option<&Self>) -> io::Result<usize>;
        /// What tells of room for datagrams that go to here, if the sender is not told.
        fn room(&self) -> io::Result<Option<Room>>;
    }

    pub trait Socket<A: Address> {
        fn into_socket(self) -> A::Socket;
    }

    impl Address for SocketAddr {
        type Socket = net::UdpSocket;

        fn is(&self, other: &SocketAddr) -> bool {
            self == other
        }

        fn local(socket: &net::UdpSocket) -> io::Result<SocketAddr> {
            socket.local_addr()
        }

        fn peer(socket: &net::UdpSocket) -> io::Result<SocketAddr> {
            socket.peer_addr()
        }

        fn receive(socket: &net::UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
            socket.recv_from(buffer)
        }

        fn send(
            socket: &net::UdpSocket,
            data: &[u8],
            to: Option<&SocketAddr>,
        ) -> io::Result<usize> {
            match to {
                Some(to) => socket.send_to(data, to),
                None => socket.send(data),
            }
        }

        fn room(&self) -> io::Result<Option<Room>> {
            Ok(None)
        }
    }

    impl Address for UnixAddr {
        type Socket = unix::UnixDatagram;

        fn is(&self, other: &UnixAddr) -> bool {
            self.as_pathname() == other.as_pathname() && abstract_name(self) == abstract_name(other)
        }

        fn local(socket: &unix::UnixDatagram) -> io::Result<UnixAddr> {
            socket.local_addr()
        }

        fn peer(socket: &unix::UnixDatagram) -> io::Result<UnixAddr> {
            socket.peer_addr()
        }

        fn receive(
            socket: &unix::UnixDatagram,
            buffer: &mut [u8],
        ) -> io::Result<(usize, UnixAddr)> {
            socket.recv_from(buffer)
        }

        fn send(
            socket: &unix::UnixDatagram,
            data: &[u8],
            to: Option<&UnixAddr>,
        ) -> io::Result<usize> {
            match to {
                Some(to) => socket.send_to_addr(data, to),
                None => socket.send(data),
            }
        }

        fn room(&self) -> io::Result<Option<Room>> {
            let address = match (self.as_pathname(), abstract_name(self)) {
                (Some(path), _) => SocketAddrUnix::new(path)?,
                #[cfg(target_os = "linux")]
                (None, Some(name)) => SocketAddrUnix::new_abstract_name(name)?,
                _ => return Ok(None),
            };
            Room::at(&address).map(Some)
        }
    }

    #[cfg(target_os = "linux")]
    fn abstract_name(address: &UnixAddr) -> Option<&[u8]> {
        std::os::linux::net::SocketAddrExt::as_abstract_name(address)
    }

    #[cfg(not(target_os = "linux"))]
    fn abstract_name(_: &UnixAddr) -> Option<&[u8]> {
        None
    }

    impl Socket<SocketAddr> for UdpSocket {
        fn into_socket(self) -> net::UdpSocket {
            self.into_std()
        }
    }

    impl Socket<UnixAddr> for UnixDatagram {
        fn into_socket(self) -> unix::UnixDatagram {
            self.into_std()
        }
    }
}
