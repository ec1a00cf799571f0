//! Servers (asyncio's `create_server`, `start_server` and `Server`).
//!
//! [`create_server`] calls a protocol for each connection, [`start_server`] runs a task for each.
//! [`Builder`] has the keywords.

pub mod accept;
mod builder;
#[cfg(feature = "tls")]
mod encrypted;
mod listener;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::net::sockopt;

use crate::events;
use crate::exceptions::Cancelled;
use crate::locks::Event;
use crate::net::ToAddrs;
use crate::protocols::Protocol;
use crate::streams::{StreamReader, StreamWriter};
use crate::tasks::yield_now;
use crate::tls::Tls;
use crate::transports::{Link, Transport, WeakTransport};
pub use builder::Builder;
use builder::SocketFile;
use listener::Listener;

/// Listens on all of the addresses, and has a protocol of its own for each connection (asyncio's
/// `loop.create_server`).
///
/// # Errors
///
/// If an address cannot be had.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Protocol, Transport, create_server};
///
/// rasyncio::run(async {
///     struct Echo;
///     impl Protocol for Echo {
///         fn data_received(&self, transport: &Transport, data: &[u8]) {
///             let _ = transport.write(data);
///         }
///     }
///     let server = create_server(|| Rc::new(Echo), "127.0.0.1:0").await?;
///     assert!(server.is_serving());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
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
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Protocol, create_unix_server};
///
/// rasyncio::run(async {
///     struct Quiet;
///     impl Protocol for Quiet {}
///     let name = format!("\0rasyncio-server-{}", std::process::id());
///     let server = create_unix_server(|| Rc::new(Quiet), &name).await?;
///     assert!(server.is_serving());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
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
///
/// ```
/// use rasyncio::{open_unix_connection, start_unix_server};
///
/// rasyncio::run(async {
///     let name = format!("\0rasyncio-start-{}", std::process::id());
///     let server = start_unix_server(async |_, writer| drop(writer.write(b"hello")), &name).await?;
///     let (mut reader, _writer) = open_unix_connection(&name).await?;
///     assert_eq!(reader.read_to_end().await?, b"hello");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn start_unix_server<H>(handler: H, path: impl AsRef<Path>) -> io::Result<Server>
where
    H: AsyncFn(StreamReader, StreamWriter) + 'static,
{
    Builder::new().start_unix_server(handler, path).await
}

/// A server (asyncio's `Server`). Clones are the same; it serves until it is closed, whether
/// anybody has a clone or not.
///
/// ```
/// use rasyncio::start_server;
///
/// rasyncio::run(async {
///     let server = start_server(async |_, _| {}, "127.0.0.1:0").await?;
///     server.close();
///     server.wait_closed().await?;
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone)]
pub struct Server {
    inner: Rc<Inner>,
}

struct Inner {
    listeners: RefCell<Vec<Rc<Listener>>>,
    factory: Box<dyn Fn() -> Rc<dyn Protocol>>,
    backlog: i32,
    tls: Option<Tls>,
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
    fn new(
        listeners: Vec<Rc<Listener>>,
        factory: Box<dyn Fn() -> Rc<dyn Protocol>>,
        backlog: i32,
        tls: Option<Tls>,
        internet: bool,
        file: Option<SocketFile>,
    ) -> Server {
        Server {
            inner: Rc::new(Inner {
                listeners: RefCell::new(listeners),
                factory,
                backlog,
                tls,
                internet,
                file: RefCell::new(file),
                clients: RefCell::default(),
                next: Cell::new(0),
                serving: Cell::new(false),
                closed: Cell::new(false),
                stopped: Event::new(),
                done: Event::new(),
            }),
        }
    }

    /// Accepts connections from now on, unless it does.
    ///
    /// # Errors
    ///
    /// The system's, `NotConnected` if the server is closed, and a cancellation.
    ///
    /// ```
    /// use rasyncio::servers::Builder;
    ///
    /// rasyncio::run(async {
    ///     let builder = Builder::new().start_serving(false);
    ///     let server = builder.start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     server.start_serving().await?;
    ///     assert!(server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{start_server, timeout};
    ///
    /// rasyncio::run(async {
    ///     let server = start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     assert!(timeout(Duration::from_millis(1), server.serve_forever()).await.is_err());
    ///     assert!(!server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use rasyncio::start_server;
    ///
    /// rasyncio::run(async {
    ///     let server = start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     assert!(server.is_serving());
    ///     server.close();
    ///     assert!(!server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn is_serving(&self) -> bool {
        self.inner.serving.get()
    }

    /// The addresses that it listens on. None after the close, and none of a Unix socket.
    ///
    /// ```
    /// use rasyncio::start_server;
    ///
    /// rasyncio::run(async {
    ///     let server = start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     assert!(server.local_addrs()[0].ip().is_loopback());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let listeners = self.inner.listeners.borrow();
        listeners.iter().filter_map(|it| it.local_addr()).collect()
    }

    /// Accepts no more connections. Those that there are go on.
    ///
    /// ```
    /// use rasyncio::start_server;
    ///
    /// rasyncio::run(async {
    ///     let server = start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     server.close();
    ///     assert!(!server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn close(&self) {
        self.inner.close();
    }

    /// Closes the connections that there are, after what they have to write.
    ///
    /// ```
    /// use rasyncio::start_server;
    ///
    /// rasyncio::run(async {
    ///     let server = start_server(async |mut reader, _| drop(reader.read(1).await), "127.0.0.1:0").await?;
    ///     server.close();
    ///     server.close_clients();
    ///     server.wait_closed().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn close_clients(&self) {
        for client in self.inner.clients() {
            client.close();
        }
    }

    /// Closes the connections that there are, now.
    ///
    /// ```
    /// use rasyncio::start_server;
    ///
    /// rasyncio::run(async {
    ///     let server = start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     server.close();
    ///     server.abort_clients();
    ///     server.wait_closed().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use rasyncio::start_server;
    ///
    /// rasyncio::run(async {
    ///     let server = start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     server.close();
    ///     server.wait_closed().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
        let link = Link::Socket(socket);
        let opened = Transport::open_with(link, protocol, Some(attached), self.tls.as_ref());
        if let Err(error) = opened {
            events::call_exception_handler(
                "Error on transport creation for incoming connection",
                &error,
            );
        }
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

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.local_addrs())
            .field("serving", &self.is_serving())
            .finish_non_exhaustive()
    }
}
