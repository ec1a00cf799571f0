//! Servers (asyncio's `create_server`, `start_server` and `Server`).
//!
//! [`create_server`] calls a protocol for each connection, [`start_server`] runs a task for each.
//! [`Builder`] has the keywords.

pub mod accept;
mod listener;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::exceptions::Cancelled;
use crate::locks::Event;
use crate::net::{ToAddrs, socket, unix_address};
use crate::protocols::Protocol;
use crate::streams::{self, DEFAULT_LIMIT, StreamReader, StreamWriter};
use crate::tasks::{create_task, yield_now};
use crate::transports::{Link, Transport, WeakTransport};
use listener::Listener;

/// Listens on all of the addresses, and has a protocol of its own for each connection (asyncio's
/// `loop.create_server`).
///
/// # Errors
///
/// If an address cannot be had.
pub async fn create_server<P, F>(factory: F, addresses: impl ToAddrs) -> io::Result<Server>
where
    P: Protocol + 'static,
    F: Fn() -> Rc<P> + 'static,
{
    Builder::new().create_server(factory, addresses).await
}

/// Listens on all of the addresses, and runs `handler` as a task for each connection (asyncio's
/// `start_server`).
///
/// # Errors
///
/// If an address cannot be had.
///
/// ```
/// rasyncio::run(async {
///     let server = rasyncio::start_server(
///         async |mut reader, writer| {
///             if let Ok(line) = reader.readline().await {
///                 writer.write(&line.to_ascii_uppercase()).ok();
///             }
///         },
///         "127.0.0.1:0",
///     )
///     .await?;
///     let (mut reader, writer) = rasyncio::open_connection(server.local_addrs()[0]).await?;
///     writer.write(b"hello\n")?;
///     assert_eq!(reader.readline().await?, b"HELLO\n");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn start_server<H>(handler: H, addresses: impl ToAddrs) -> io::Result<Server>
where
    H: AsyncFn(StreamReader, StreamWriter) + 'static,
{
    Builder::new().start_server(handler, addresses).await
}

/// As [`create_server`], on a Unix socket (asyncio's `loop.create_unix_server`).
///
/// # Errors
///
/// If the path cannot be had.
pub async fn create_unix_server<P, F>(factory: F, path: impl AsRef<Path>) -> io::Result<Server>
where
    P: Protocol + 'static,
    F: Fn() -> Rc<P> + 'static,
{
    Builder::new().create_unix_server(factory, path).await
}

/// As [`start_server`], on a Unix socket (asyncio's `start_unix_server`).
///
/// # Errors
///
/// If the path cannot be had.
pub async fn start_unix_server<H>(handler: H, path: impl AsRef<Path>) -> io::Result<Server>
where
    H: AsyncFn(StreamReader, StreamWriter) + 'static,
{
    Builder::new().start_unix_server(handler, path).await
}

/// How to serve: the keywords of asyncio's `create_server` and its like.
///
/// ```
/// use rasyncio::servers::Builder;
///
/// rasyncio::run(async {
///     let server = Builder::new()
///         .backlog(10)
///         .start_serving(false)
///         .start_server(async |_reader, _writer| {}, "127.0.0.1:0")
///         .await?;
///     assert!(!server.is_serving());
///     server.start_serving().await
/// })
/// .unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    backlog: i32,
    reuse_address: bool,
    reuse_port: bool,
    keep_alive: bool,
    start_serving: bool,
    cleanup_socket: bool,
    limit: usize,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            backlog: 100,
            reuse_address: true,
            reuse_port: false,
            keep_alive: false,
            start_serving: true,
            cleanup_socket: true,
            limit: DEFAULT_LIMIT,
        }
    }
}

impl Builder {
    /// asyncio's defaults.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// How many connections may wait to be accepted (100), and how many are accepted in one turn.
    pub fn backlog(mut self, backlog: i32) -> Builder {
        self.backlog = backlog;
        self
    }

    /// Whether an address can be taken that a closed connection still occupies (true).
    pub fn reuse_address(mut self, reuse: bool) -> Builder {
        self.reuse_address = reuse;
        self
    }

    /// Whether others may listen on the same address, if they all say so (false).
    pub fn reuse_port(mut self, reuse: bool) -> Builder {
        self.reuse_port = reuse;
        self
    }

    /// Whether the system looks from time to time if a silent peer is still there (false).
    pub fn keep_alive(mut self, keep_alive: bool) -> Builder {
        self.keep_alive = keep_alive;
        self
    }

    /// Whether to accept connections at once (true), or from [`Server::start_serving`] on.
    pub fn start_serving(mut self, start: bool) -> Builder {
        self.start_serving = start;
        self
    }

    /// Whether the file of a Unix socket goes with the server (true).
    pub fn cleanup_socket(mut self, cleanup: bool) -> Builder {
        self.cleanup_socket = cleanup;
        self
    }

    /// The limit of the stream readers (64 KiB); see [`StreamReader`].
    pub fn limit(mut self, limit: usize) -> Builder {
        self.limit = limit;
        self
    }

    /// See [`create_server`].
    ///
    /// # Errors
    ///
    /// If an address cannot be had.
    pub async fn create_server<P, F>(
        &self,
        factory: F,
        addresses: impl ToAddrs,
    ) -> io::Result<Server>
    where
        P: Protocol + 'static,
        F: Fn() -> Rc<P> + 'static,
    {
        let sockets = self.bind(addresses.to_addrs().await?)?;
        self.serve(sockets, true, None, factory).await
    }

    /// See [`start_server`].
    ///
    /// # Errors
    ///
    /// If an address cannot be had.
    pub async fn start_server<H>(&self, handler: H, addresses: impl ToAddrs) -> io::Result<Server>
    where
        H: AsyncFn(StreamReader, StreamWriter) + 'static,
    {
        let sockets = self.bind(addresses.to_addrs().await?)?;
        self.serve(sockets, true, None, self.handlers(handler))
            .await
    }

    /// See [`create_unix_server`].
    ///
    /// # Errors
    ///
    /// If the path cannot be had.
    pub async fn create_unix_server<P, F>(
        &self,
        factory: F,
        path: impl AsRef<Path>,
    ) -> io::Result<Server>
    where
        P: Protocol + 'static,
        F: Fn() -> Rc<P> + 'static,
    {
        let (socket, file) = self.bind_path(path.as_ref())?;
        self.serve(vec![socket], false, file, factory).await
    }

    /// See [`start_unix_server`].
    ///
    /// # Errors
    ///
    /// If the path cannot be had.
    pub async fn start_unix_server<H>(
        &self,
        handler: H,
        path: impl AsRef<Path>,
    ) -> io::Result<Server>
    where
        H: AsyncFn(StreamReader, StreamWriter) + 'static,
    {
        let (socket, file) = self.bind_path(path.as_ref())?;
        self.serve(vec![socket], false, file, self.handlers(handler))
            .await
    }

    fn handlers<H>(&self, handler: H) -> impl Fn() -> Rc<streams::Accepted> + 'static
    where
        H: AsyncFn(StreamReader, StreamWriter) + 'static,
    {
        let handler = Rc::new(handler);
        let limit = self.limit;
        move || {
            let handler = Rc::clone(&handler);
            streams::Accepted::new(limit, move |reader, writer| {
                drop(create_task(async move { handler(reader, writer).await }));
            })
        }
    }

    fn bind(&self, mut addresses: Vec<SocketAddr>) -> io::Result<Vec<OwnedFd>> {
        let mut seen = Vec::new();
        addresses.retain(|address| {
            let new = !seen.contains(address);
            seen.push(*address);
            new
        });
        let mut sockets = Vec::new();
        for address in &addresses {
            // A family that the system does not have is passed over.
            let Ok(socket) = socket::open(socket::family(address), SocketType::STREAM) else {
                continue;
            };
            if self.reuse_address {
                sockopt::set_socket_reuseaddr(&socket, true)?;
            }
            if self.reuse_port {
                sockopt::set_socket_reuseport(&socket, true)?;
            }
            if self.keep_alive {
                sockopt::set_socket_keepalive(&socket, true)?;
            }
            if address.is_ipv6() {
                // The other family has a socket of its own.
                sockopt::set_ipv6_v6only(&socket, true)?;
            }
            match rustix::net::bind(&socket, address) {
                Ok(()) => sockets.push(socket),
                Err(Errno::ADDRNOTAVAIL) => {}
                Err(error) => {
                    let message =
                        format!("error while attempting to bind on address {address}: {error}");
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
        if sockets.is_empty() {
            let message = format!("could not bind on any address out of {addresses:?}");
            return Err(io::Error::new(ErrorKind::AddrNotAvailable, message));
        }
        Ok(sockets)
    }

    fn bind_path(&self, path: &Path) -> io::Result<(OwnedFd, Option<SocketFile>)> {
        let address = unix_address(path)?;
        let socket = socket::open(AddressFamily::UNIX, SocketType::STREAM)?;
        // One that a server which has died left behind.
        if fs::metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
            fs::remove_file(path)?;
        }
        rustix::net::bind(&socket, &address)?;
        let file = if self.cleanup_socket {
            SocketFile::of(path)
        } else {
            None
        };
        Ok((socket, file))
    }

    async fn serve<P, F>(
        &self,
        sockets: Vec<OwnedFd>,
        internet: bool,
        file: Option<SocketFile>,
        factory: F,
    ) -> io::Result<Server>
    where
        P: Protocol + 'static,
        F: Fn() -> Rc<P> + 'static,
    {
        let listeners = sockets
            .into_iter()
            .map(|socket| Rc::new(Listener::new(socket)))
            .collect();
        let server = Server {
            inner: Rc::new(Inner {
                listeners: RefCell::new(listeners),
                factory: Box::new(move || factory()),
                backlog: self.backlog,
                internet,
                file: RefCell::new(file),
                clients: RefCell::default(),
                next: Cell::new(0),
                serving: Cell::new(false),
                closed: Cell::new(false),
                stopped: Event::new(),
                done: Event::new(),
            }),
        };
        if self.start_serving {
            server.start_serving().await?;
        }
        Ok(server)
    }
}

/// A server (asyncio's `Server`). Clones are the same; it serves until it is closed, whether
/// anybody has a clone or not.
#[derive(Clone)]
pub struct Server {
    inner: Rc<Inner>,
}

struct Inner {
    listeners: RefCell<Vec<Rc<Listener>>>,
    factory: Box<dyn Fn() -> Rc<dyn Protocol>>,
    backlog: i32,
    /// Not a Unix socket.
    internet: bool,
    file: RefCell<Option<SocketFile>>,
    clients: RefCell<BTreeMap<u64, WeakTransport>>,
    next: Cell<u64>,
    serving: Cell<bool>,
    closed: Cell<bool>,
    /// It was closed.
    stopped: Event,
    /// It was closed, and its connections are gone.
    done: Event,
}

impl Server {
    /// Accepts connections from now on, unless it does.
    ///
    /// # Errors
    ///
    /// The system's, `NotConnected` if the server is closed, and a cancellation.
    pub async fn start_serving(&self) -> io::Result<()> {
        self.inner.start_serving()?;
        Ok(yield_now().await?)
    }

    /// Accepts connections until the server is closed, or this is cancelled, which closes it and
    /// waits until its connections are gone.
    ///
    /// # Errors
    ///
    /// As [`Server::start_serving`].
    pub async fn serve_forever(&self) -> io::Result<()> {
        self.inner.start_serving()?;
        let stopped = self.inner.stopped.wait().await;
        if stopped.is_err() {
            self.close();
            self.wait_closed().await?;
        }
        Ok(stopped?)
    }

    /// Whether it accepts connections.
    pub fn is_serving(&self) -> bool {
        self.inner.serving.get()
    }

    /// The addresses that it listens on. None after the close, and none of a Unix socket.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let listeners = self.inner.listeners.borrow();
        listeners.iter().filter_map(|it| it.local_addr()).collect()
    }

    /// Accepts no more connections. Those that there are go on.
    pub fn close(&self) {
        self.inner.close();
    }

    /// Closes the connections that there are, after what they have to write.
    pub fn close_clients(&self) {
        for client in self.inner.clients() {
            client.close();
        }
    }

    /// Closes the connections that there are, now.
    pub fn abort_clients(&self) {
        for client in self.inner.clients() {
            client.abort();
        }
    }

    /// Waits until the server is closed and its connections are gone.
    ///
    /// # Errors
    ///
    /// A cancellation.
    pub async fn wait_closed(&self) -> Result<(), Cancelled> {
        self.inner.done.wait().await
    }
}

impl Inner {
    fn start_serving(self: &Rc<Inner>) -> io::Result<()> {
        if self.closed.get() {
            return Err(io::Error::new(
                ErrorKind::NotConnected,
                "the server is closed",
            ));
        }
        if !self.serving.replace(true) {
            let listeners = self.listeners.borrow().clone();
            for listener in listeners {
                listener.start(self)?;
            }
        }
        Ok(())
    }

    fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        self.serving.set(false);
        let listeners = self.listeners.take();
        for listener in &listeners {
            listener.close();
        }
        drop(listeners);
        drop(self.file.take());
        self.stopped.set();
        self.look_if_done();
    }

    fn look_if_done(&self) {
        if self.closed.get() && self.clients.borrow().is_empty() {
            self.done.set();
        }
    }

    fn clients(&self) -> Vec<Transport> {
        let clients = self.clients.borrow();
        clients
            .values()
            .filter_map(WeakTransport::upgrade)
            .collect()
    }

    /// Makes a connection of what was accepted.
    fn accepted(self: &Rc<Inner>, socket: OwnedFd) {
        if self.internet {
            // Small writes go out at once. Where that cannot be set, they do not.
            let _ = sockopt::set_tcp_nodelay(&socket, true);
        }
        let attached = Attached {
            id: self.next.get(),
            server: Rc::clone(self),
        };
        self.next.set(attached.id + 1);
        let protocol = (self.factory)();
        Transport::open(Link::Socket(socket), protocol, Some(attached));
    }
}

/// A connection's place in its server, which it leaves when this is dropped.
pub(crate) struct Attached {
    server: Rc<Inner>,
    id: u64,
}

impl Attached {
    pub(crate) fn attach(&self, transport: WeakTransport) {
        self.server.clients.borrow_mut().insert(self.id, transport);
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let client = self.server.clients.borrow_mut().remove(&self.id);
        drop(client);
        self.server.look_if_done();
    }
}

/// The file of a Unix socket, removed when this is dropped if it is the same one still.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn of(path: &Path) -> Option<SocketFile> {
        // None of an abstract name.
        let inode = fs::metadata(path).ok()?.ino();
        Some(SocketFile {
            path: path.to_owned(),
            inode,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // There is nobody to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.local_addrs())
            .field("serving", &self.is_serving())
            .finish_non_exhaustive()
    }
}
