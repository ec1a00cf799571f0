//! How to open a datagram socket: the keywords of asyncio's `create_datagram_endpoint`.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;

use rustix::net::{AddressFamily, SocketType, sockopt};

use super::datagrams::made;
#[cfg(doc)]
use super::{create_datagram_endpoint, datagram_endpoint};
use crate::net::{Family, Hints, ToAddrs, socket};
use crate::protocols::DatagramProtocol;
use crate::transports::DatagramTransport;

/// How to open a datagram socket: the keywords of asyncio's `create_datagram_endpoint`. Its `sock=` is
/// [`datagram_endpoint`], which takes no other.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{DatagramProtocol, connect::DatagramBuilder};
///
/// rasyncio::run(async {
///     struct Quiet;
///     impl DatagramProtocol for Quiet {}
///     let (transport, _) = DatagramBuilder::new()
///         .local_addr(("localhost", 0))
///         .reuse_port(true)
///         .create_datagram_endpoint(|| Rc::new(Quiet))
///         .await?;
///     assert!(transport.local_addr()?.ip().is_loopback());
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Default)]
pub struct DatagramBuilder<'a> {
    local_addr: Option<Rc<dyn LookUp + 'a>>,
    remote_addr: Option<Rc<dyn LookUp + 'a>>,
    family: Option<Family>,
    proto: i32,
    flags: i32,
    reuse_port: bool,
    allow_broadcast: bool,
}

/// What one socket is bound and connected to. All of these have the same family.
struct Pair {
    family: Family,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

impl<'a> DatagramBuilder<'a> {
    /// asyncio's defaults. There has to be an address, or a family.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::DatagramBuilder};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    ///     let nowhere = DatagramBuilder::new().create_datagram_endpoint(|| Rc::new(Quiet)).await;
    ///     assert_eq!(nowhere.err().unwrap().kind(), std::io::ErrorKind::InvalidInput);
    /// });
    /// ```
    pub fn new() -> DatagramBuilder<'a> {
        DatagramBuilder::default()
    }

    /// The address of this end. Of several that a name has, the last one of each family is tried.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::DatagramBuilder};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    ///     let builder = DatagramBuilder::new().local_addr("127.0.0.1:0");
    ///     let (transport, _) = builder.create_datagram_endpoint(|| Rc::new(Quiet)).await?;
    ///     assert_ne!(transport.local_addr()?.port(), 0);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(mut self, addresses: impl ToAddrs + 'a) -> DatagramBuilder<'a> {
        self.local_addr = Some(Rc::new(addresses));
        self
    }

    /// Where everything is sent to, and from where alone datagrams are received.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::DatagramBuilder, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    ///     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let builder = DatagramBuilder::new().remote_addr(peer.local_addr()?);
    ///     let (transport, _) = builder.create_datagram_endpoint(|| Rc::new(Quiet)).await?;
    ///     transport.sendto(b"hello", None)?;
    ///     assert_eq!(peer.recv(&mut [0; 16]).await?, 5);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn remote_addr(mut self, addresses: impl ToAddrs + 'a) -> DatagramBuilder<'a> {
        self.remote_addr = Some(Rc::new(addresses));
        self
    }

    /// Takes addresses of this family only.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::connect::{DatagramBuilder, Family};
    /// # use rasyncio::DatagramProtocol;
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    ///     let builder = DatagramBuilder::new().local_addr(("localhost", 0)).family(Family::Inet);
    ///     let (transport, _) = builder.create_datagram_endpoint(|| Rc::new(Quiet)).await?;
    ///     assert!(transport.local_addr()?.is_ipv4());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn family(mut self, family: Family) -> DatagramBuilder<'a> {
        self.family = Some(family);
        self
    }

    /// The protocol, by the system's number. Without one it is UDP.
    ///
    /// ```
    /// let _builder = rasyncio::connect::DatagramBuilder::new().proto(libc::IPPROTO_UDP);
    /// ```
    pub fn proto(mut self, proto: i32) -> DatagramBuilder<'a> {
        self.proto = proto;
        self
    }

    /// How names are looked up, by the system's flags for `getaddrinfo`.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::DatagramBuilder};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    ///     let builder = DatagramBuilder::new()
    ///         .local_addr(("localhost", 0))
    ///         .flags(libc::AI_NUMERICHOST);
    ///     assert!(builder.create_datagram_endpoint(|| Rc::new(Quiet)).await.is_err());
    /// });
    /// ```
    pub fn flags(mut self, flags: i32) -> DatagramBuilder<'a> {
        self.flags = flags;
        self
    }

    /// Whether others may be on the same address, if they all say so (false).
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::DatagramBuilder};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    ///     let builder = DatagramBuilder::new().reuse_port(true);
    ///     let first = builder.clone().local_addr("127.0.0.1:0");
    ///     let (one, _) = first.create_datagram_endpoint(|| Rc::new(Quiet)).await?;
    ///     let second = builder.local_addr(one.local_addr()?);
    ///     second.create_datagram_endpoint(|| Rc::new(Quiet)).await?;
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn reuse_port(mut self, reuse: bool) -> DatagramBuilder<'a> {
        self.reuse_port = reuse;
        self
    }

    /// Whether datagrams may go to broadcast addresses (false). If they may, the socket is not connected to
    /// the remote address, so that all who answer are heard.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::DatagramBuilder};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    ///     let builder = DatagramBuilder::new()
    ///         .remote_addr("127.255.255.255:9")
    ///         .allow_broadcast(true);
    ///     let (transport, _) = builder.create_datagram_endpoint(|| Rc::new(Quiet)).await?;
    ///     assert_eq!(transport.peer_addr(), None);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn allow_broadcast(mut self, allow: bool) -> DatagramBuilder<'a> {
        self.allow_broadcast = allow;
        self
    }

    /// See [`create_datagram_endpoint`]. With both addresses, those of one family belong together; each pair
    /// gets a socket, until one of them can be had.
    ///
    /// # Errors
    ///
    /// That of the first pair, if none can be had; that of a name that cannot be looked up; `NotFound` if it
    /// has no address. `InvalidInput` if there is neither an address nor a family, or if no two addresses
    /// belong together. A cancellation.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::DatagramBuilder, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    ///     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let builder = DatagramBuilder::new()
    ///         .local_addr(("localhost", 0))
    ///         .remote_addr(peer.local_addr()?);
    ///     let (transport, _) = builder.create_datagram_endpoint(|| Rc::new(Quiet)).await?;
    ///     assert!(transport.local_addr()?.is_ipv4());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn create_datagram_endpoint<P, F>(
        &self,
        factory: F,
    ) -> io::Result<(DatagramTransport, Rc<P>)>
    where
        P: DatagramProtocol + 'static,
        F: FnOnce() -> Rc<P>,
    {
        let mut first = None;
        for pair in self.pairs().await? {
            match self.open(&pair) {
                Ok(socket) => {
                    return made(factory(), socket.into(), pair.remote).await;
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| invalid("can not get address information")))
    }

    async fn pairs(&self) -> io::Result<Vec<Pair>> {
        let mut pairs: Vec<Pair> = Vec::new();
        if self.local_addr.is_none() && self.remote_addr.is_none() {
            let family = self.family;
            let family = family.ok_or_else(|| invalid("unexpected address family"))?;
            pairs.push(Pair::new(family));
        }
        if let Some(local) = &self.local_addr {
            for address in self.look_up(&**local).await? {
                Pair::among(&mut pairs, &address).local = Some(address);
            }
        }
        if let Some(remote) = &self.remote_addr {
            for address in self.look_up(&**remote).await? {
                Pair::among(&mut pairs, &address).remote = Some(address);
            }
        }
        pairs.retain(|pair| {
            pair.local.is_some() == self.local_addr.is_some()
                && pair.remote.is_some() == self.remote_addr.is_some()
        });
        Ok(pairs)
    }

    async fn look_up(&self, addresses: &dyn LookUp) -> io::Result<Vec<SocketAddr>> {
        let found = addresses.look_up(Hints {
            family: self.family,
            kind: libc::SOCK_DGRAM,
            proto: self.proto,
            flags: self.flags,
        });
        let found = found.await?;
        if found.is_empty() {
            let message = "getaddrinfo() returned empty list";
            return Err(io::Error::new(ErrorKind::NotFound, message));
        }
        Ok(found)
    }

    fn open(&self, pair: &Pair) -> io::Result<OwnedFd> {
        let family = match pair.family {
            Family::Inet => AddressFamily::INET,
            Family::Inet6 => AddressFamily::INET6,
        };
        let proto = socket::protocol(self.proto)?;
        let socket = socket::open_with(family, SocketType::DGRAM, proto)?;
        if self.reuse_port {
            sockopt::set_socket_reuseport(&socket, true)?;
        }
        if self.allow_broadcast {
            sockopt::set_socket_broadcast(&socket, true)?;
        }
        if let Some(local) = &pair.local {
            rustix::net::bind(&socket, local)?;
        }
        if let Some(remote) = &pair.remote
            && !self.allow_broadcast
        {
            rustix::net::connect(&socket, remote)?;
        }
        Ok(socket)
    }
}

impl Pair {
    fn new(family: Family) -> Pair {
        Pair {
            family,
            local: None,
            remote: None,
        }
    }

    /// The one of this family, at the end if it is new.
    fn among<'a>(pairs: &'a mut Vec<Pair>, address: &SocketAddr) -> &'a mut Pair {
        let family = Family::of(address);
        let place = pairs.iter().position(|pair| pair.family == family);
        let place = place.unwrap_or_else(|| {
            pairs.push(Pair::new(family));
            pairs.len() - 1
        });
        &mut pairs[place]
    }
}

impl fmt::Debug for DatagramBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramBuilder")
            .field("has_local_addr", &self.local_addr.is_some())
            .field("has_remote_addr", &self.remote_addr.is_some())
            .field("family", &self.family)
            .field("proto", &self.proto)
            .field("flags", &self.flags)
            .field("reuse_port", &self.reuse_port)
            .field("allow_broadcast", &self.allow_broadcast)
            .finish()
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, message)
}

/// [`ToAddrs`] of any type.
trait LookUp {
    fn look_up(&self, hints: Hints) -> LookingUp<'_>;
}

type LookingUp<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + 'a>>;

impl<T: ToAddrs> LookUp for T {
    fn look_up(&self, hints: Hints) -> LookingUp<'_> {
        Box::pin(self.to_addrs_with(hints))
    }
}
