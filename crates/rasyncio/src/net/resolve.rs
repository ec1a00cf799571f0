//! Names and addresses.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};
use std::sync::OnceLock;
use std::thread;

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
    let lookup = move || Ok((host.as_str(), port).to_socket_addrs()?.collect());
    match run_in_executor(Some(resolvers()), lookup).await {
        Ok(addresses) => addresses,
        Err(TaskError::Cancelled(cancelled)) => Err(cancelled.into()),
        Err(TaskError::Panicked(panic)) => Err(io::Error::other(panic.message().to_owned())),
    }
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
    let lookup = move || dns_lookup::getnameinfo(&address, flags).map_err(io::Error::from);
    match run_in_executor(Some(resolvers()), lookup).await {
        Ok(names) => names,
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

    /// The name or the number of the host, if it is one: what the certificate has to be for when a
    /// connection is encrypted.
    fn host(&self) -> Option<String> {
        None
    }
}

/// `host:port`.
impl ToAddrs for str {
    async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.parse() {
            return Ok(vec![address]);
        }
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "invalid socket address");
        let (host, port) = self.rsplit_once(':').ok_or_else(invalid)?;
        getaddrinfo(host, port.parse().map_err(|_| invalid())?).await
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

    fn host(&self) -> Option<String> {
        self.as_str().host()
    }
}

impl ToAddrs for (&str, u16) {
    async fn to_addrs(&self) -> io::Result<Vec<SocketAddr>> {
        getaddrinfo(self.0, self.1).await
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

    fn host(&self) -> Option<String> {
        (**self).host()
    }
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
