//! Names and addresses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};
use std::sync::OnceLock;
use std::thread;

use dns_lookup::AddrInfoHints;
use rasyncio_engine::WorkerPool;

use crate::exceptions::TaskError;
use crate::threads::run_in_executor;

/// How many threads ask for names at most, besides one for each processor.
const THREADS: usize = 4;

/// The addresses that a host and a port have (asyncio's `getaddrinfo`), asked of the system by
/// a thread. Addresses in numbers are not asked for.
///
/// # Errors
///
/// What the system says, and a cancellation.
///
/// ```
/// rasyncio::run(async {
///     let addresses = rasyncio::net::getaddrinfo("127.0.0.1", 80).await?;
///     assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub async fn getaddrinfo(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    ask(move || Ok((host.as_str(), port).to_socket_addrs()?.collect())).await
}

/// A family of addresses.
///
/// ```
/// use rasyncio::connect::Builder;
/// use rasyncio::net::Family;
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
    pub(crate) fn of(address: &SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::Inet,
            SocketAddr::V6(_) => Family::Inet6,
        }
    }
}

/// For what addresses are looked up: the keywords of asyncio's `getaddrinfo`. All but the family are the
/// system's numbers, and 0 says nothing.
///
/// ```
/// use rasyncio::net::{Family, Hints, getaddrinfo_with};
///
/// rasyncio::run(async {
///     let hints = Hints { family: Some(Family::Inet), kind: libc::SOCK_DGRAM, ..Hints::default() };
///     let addresses = getaddrinfo_with("localhost", 53, hints).await?;
///     assert_eq!(addresses, ["127.0.0.1:53".parse().unwrap()]);
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// Addresses of this family only.
    pub family: Option<Family>,
    /// The kind of socket, such as `SOCK_DGRAM` (asyncio's `type`).
    pub kind: i32,
    /// The protocol, such as `IPPROTO_UDP`.
    pub proto: i32,
    /// How to look up: `AI_NUMERICHOST` and its like.
    pub flags: i32,
}

impl Hints {
    fn is_for(&self, address: &SocketAddr) -> bool {
        self.family
            .is_none_or(|family| family == Family::of(address))
    }
}

/// As [`getaddrinfo`], for sockets of a certain kind. Each address is there once.
///
/// # Errors
///
/// As there, and if what is hinted at does not go together.
///
/// ```
/// use rasyncio::net::{Hints, getaddrinfo_with};
///
/// rasyncio::run(async {
///     let hints = Hints { flags: libc::AI_NUMERICHOST, ..Hints::default() };
///     assert!(getaddrinfo_with("localhost", 80, hints).await.is_err());
/// });
/// ```
pub async fn getaddrinfo_with(host: &str, port: u16, hints: Hints) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>()
        && [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP].contains(&hints.proto)
    {
        let address = SocketAddr::new(address, port);
        if hints.is_for(&address) {
            return Ok(vec![address]);
        }
    }
    // Also what is wrong with other numbers.
    let host = host.to_owned();
    ask(move || look_up(&host, port, hints)).await
}

fn look_up(host: &str, port: u16, hints: Hints) -> io::Result<Vec<SocketAddr>> {
    let hints = AddrInfoHints {
        flags: hints.flags,
        address: match hints.family {
            None => libc::AF_UNSPEC,
            Some(Family::Inet) => libc::AF_INET,
            Some(Family::Inet6) => libc::AF_INET6,
        },
        socktype: hints.kind,
        protocol: hints.proto,
    };
    let mut addresses = Vec::new();
    for found in dns_lookup::getaddrinfo(Some(host), Some(&port.to_string()), Some(hints))? {
        let address = found?.sockaddr;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

/// The names of an address: of its host and of its port (asyncio's `getnameinfo`), asked of the system by
/// a thread. `flags` are the system's, such as `NI_NUMERICHOST`; 0 are none.
///
/// # Errors
///
/// What the system says, and a cancellation.
///
/// ```
/// rasyncio::run(async {
///     let numbers = libc::NI_NUMERICHOST | libc::NI_NUMERICSERV;
///     let names = rasyncio::net::getnameinfo("127.0.0.1:80".parse().unwrap(), numbers).await?;
///     assert_eq!(names, ("127.0.0.1".to_owned(), "80".to_owned()));
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub async fn getnameinfo(address: SocketAddr, flags: i32) -> io::Result<(String, String)> {
    ask(move || dns_lookup::getnameinfo(&address, flags).map_err(io::Error::from)).await
}

async fn ask<T, F>(lookup: F) -> io::Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> io::Result<T> + Send + 'static,
{
    match run_in_executor(Some(resolvers()), lookup).await {
        Ok(answer) => answer,
        Err(TaskError::Cancelled(cancelled)) => Err(cancelled.into()),
        Err(TaskError::Panicked(panic)) => Err(io::Error::other(panic.message().to_owned())),
    }
}

/// One pool for the process, as name servers are: no loop waits in its end for a name that nobody
/// asks for any more.
fn resolvers() -> &'static WorkerPool {
    static POOL: OnceLock<WorkerPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        WorkerPool::new("rasyncio-resolver", (THREADS + processors).min(32))
    })
}

/// What stands for addresses: as [`ToSocketAddrs`], but looked up by a thread if it has
/// to be.
///
/// ```
/// use rasyncio::net::{TcpListener, ToAddrs};
///
/// rasyncio::run(async {
///     async fn listen(addresses: impl ToAddrs) -> std::io::Result<TcpListener> {
///         TcpListener::bind(addresses).await
///     }
///     listen("127.0.0.1:0").await?;
///     listen(("localhost", 0)).await?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub trait ToAddrs {
    /// The addresses.
    fn to_addrs(&self) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;

    /// The addresses for sockets of a certain kind. If nothing else is said here, the family is all that
    /// is looked at.
    fn to_addrs_with(&self, hints: Hints) -> impl Future<Output = io::Result<Vec<SocketAddr>>> {
        async move {
            let mut addresses = self.to_addrs().await?;
            addresses.retain(|address| hints.is_for(address));
            Ok(addresses)
        }
    }

    /// The name or the number of the host, if it is one: what the certificate has to be for when a
    /// connection is encrypted.
    fn host(&self) -> Option<String> {
        None
    }
}

/// `host:port`.
impl ToAddrs for str {
    async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        match self.parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => host_and_port(self)?.to_addrs().await,
        }
    }

    async fn to_addrs_with(&self, hints: Hints) -> io::Result<Vec<SocketAddr>> {
        match self.parse::<SocketAddr>() {
            Ok(address) => address.to_addrs_with(hints).await,
            Err(_) => host_and_port(self)?.to_addrs_with(hints).await,
        }
    }

    fn host(&self) -> Option<String> {
        match self.parse::<SocketAddr>() {
            Ok(address) => address.host(),
            Err(_) => Some(self.rsplit_once(':')?.0.to_owned()),
        }
    }
}

impl ToAddrs for String {
    async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_addrs().await
    }

    async fn to_addrs_with(&self, hints: Hints) -> io::Result<Vec<SocketAddr>> {
        self.as_str().to_addrs_with(hints).await
    }

    fn host(&self) -> Option<String> {
        self.as_str().host()
    }
}

impl ToAddrs for (&str, u16) {
    async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        getaddrinfo(self.0, self.1).await
    }

    async fn to_addrs_with(&self, hints: Hints) -> io::Result<Vec<SocketAddr>> {
        getaddrinfo_with(self.0, self.1, hints).await
    }

    fn host(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

impl ToAddrs for [SocketAddr] {
    async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.to_vec())
    }
}

macro_rules! one_address {
    ($($type:ty),*) => {$(
        impl ToAddrs for $type {
            async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
                Ok(vec![SocketAddr::from(*self)])
            }

            fn host(&self) -> Option<String> {
                Some(SocketAddr::from(*self).ip().to_string())
            }
        }
    )*};
}

one_address!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl<T: ToAddrs + ?Sized> ToAddrs for &T {
    async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        (**self).to_addrs().await
    }

    async fn to_addrs_with(&self, hints: Hints) -> io::Result<Vec<SocketAddr>> {
        (**self).to_addrs_with(hints).await
    }

    fn host(&self) -> Option<String> {
        (**self).host()
    }
}

fn host_and_port(address: &str) -> io::Result<(&str, u16)> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "invalid socket address");
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    Ok((host, port.parse().map_err(|_| invalid())?))
}

/// Tries one address after the other, and answers the last error.
pub(crate) async fn each_addr<T, F>(addresses: impl ToAddrs, mut f: F) -> io::Result<T>
where
    F: AsyncFnMut(SocketAddr) -> io::Result<T>,
{
    let mut last = None;
    for address in addresses.to_addrs().await? {
        match f(address).await {
            Ok(done) => return Ok(done),
            Err(error) if crate::Cancelled::of(&error).is_some() => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "could not resolve to any address",
        )
    }))
}
