//! The keywords of a server.

mod sockets;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use super::Server;
use super::inner::Inner;
use super::listener::Listener;
#[cfg(doc)]
use super::{create_server, create_unix_server, start_server, start_unix_server};
use crate::connect;
use crate::net::ToAddrs;
use crate::protocols::Protocol;
use crate::streams::{self, DEFAULT_LIMIT, StreamReader, StreamWriter};
use crate::tasks::create_task;
use crate::tls::Tls;
use crate::transports::{Link, Transport};
pub(super) use sockets::SocketFile;

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
    #[cfg(feature = "tls")]
    pub(super) tls: super::encrypted::Keywords,
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
            #[cfg(feature = "tls")]
            tls: Default::default(),
        }
    }
}

impl Builder {
    /// asyncio's defaults.
    ///
    /// ```
    /// use rasyncio::servers::Builder;
    ///
    /// rasyncio::run(async {
    ///     let server = Builder::new().start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     assert!(server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn new() -> Builder {
        Builder::default()
    }

    /// How many connections may wait to be accepted (100), and how many are accepted in one turn.
    ///
    /// ```
    /// let _builder = rasyncio::servers::Builder::new().backlog(1000);
    /// ```
    pub fn backlog(mut self, backlog: i32) -> Builder {
        self.backlog = backlog;
        self
    }

    /// Whether an address can be taken that a closed connection still occupies (true).
    ///
    /// ```
    /// let _builder = rasyncio::servers::Builder::new().reuse_address(false);
    /// ```
    pub fn reuse_address(mut self, reuse: bool) -> Builder {
        self.reuse_address = reuse;
        self
    }

    /// Whether others may listen on the same address, if they all say so (false).
    ///
    /// ```
    /// use rasyncio::servers::Builder;
    ///
    /// rasyncio::run(async {
    ///     let builder = Builder::new().reuse_port(true);
    ///     let one = builder.start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     builder.start_server(async |_, _| {}, one.local_addrs()[0]).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn reuse_port(mut self, reuse: bool) -> Builder {
        self.reuse_port = reuse;
        self
    }

    /// Whether the system looks from time to time if a silent peer is still there (false).
    ///
    /// ```
    /// let _builder = rasyncio::servers::Builder::new().keep_alive(true);
    /// ```
    pub fn keep_alive(mut self, keep_alive: bool) -> Builder {
        self.keep_alive = keep_alive;
        self
    }

    /// Whether to accept connections at once (true), or from [`Server::start_serving`] on.
    ///
    /// ```
    /// use rasyncio::servers::Builder;
    ///
    /// rasyncio::run(async {
    ///     let builder = Builder::new().start_serving(false);
    ///     let server = builder.start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     assert!(!server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn start_serving(mut self, start: bool) -> Builder {
        self.start_serving = start;
        self
    }

    /// Whether the file of a Unix socket goes with the server (true).
    ///
    /// ```
    /// let _builder = rasyncio::servers::Builder::new().cleanup_socket(false);
    /// ```
    pub fn cleanup_socket(mut self, cleanup: bool) -> Builder {
        self.cleanup_socket = cleanup;
        self
    }

    /// The limit of the stream readers (64 KiB); see [`StreamReader`].
    ///
    /// ```
    /// let _builder = rasyncio::servers::Builder::new().limit(1 << 20);
    /// ```
    pub fn limit(mut self, limit: usize) -> Builder {
        self.limit = limit;
        self
    }

    /// See [`create_server`].
    ///
    /// # Errors
    ///
    /// If an address cannot be had.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, servers::Builder};
    ///
    /// rasyncio::run(async {
    ///     struct Quiet;
    ///     impl Protocol for Quiet {}
    ///     let server = Builder::new().create_server(|| Rc::new(Quiet), "127.0.0.1:0").await?;
    ///     assert!(server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use rasyncio::servers::Builder;
    ///
    /// rasyncio::run(async {
    ///     let server = Builder::new().start_server(async |_, _| {}, "127.0.0.1:0").await?;
    ///     server.close();
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, servers::Builder};
    ///
    /// rasyncio::run(async {
    ///     struct Quiet;
    ///     impl Protocol for Quiet {}
    ///     let name = format!("\0rasyncio-protocols-{}", std::process::id());
    ///     let server = Builder::new().create_unix_server(|| Rc::new(Quiet), &name).await?;
    ///     assert!(server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use rasyncio::servers::Builder;
    ///
    /// rasyncio::run(async {
    ///     let name = format!("\0rasyncio-builder-{}", std::process::id());
    ///     let server = Builder::new().start_unix_server(async |_, _| {}, &name).await?;
    ///     server.close();
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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

    fn tls(&self) -> io::Result<Option<Tls>> {
        #[cfg(feature = "tls")]
        return self.tls.tls();
        #[cfg(not(feature = "tls"))]
        Ok(None)
    }

    /// Gives a socket that others have accepted to a protocol (asyncio's
    /// `connect_accepted_socket`), encrypted as the server would.
    ///
    /// # Errors
    ///
    /// That of a handshake, and a cancellation.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, net::TcpListener, open_connection, servers::Builder};
    ///
    /// struct Greeting;
    /// impl Protocol for Greeting {
    ///     fn connection_made(&self, transport: &rasyncio::Transport) {
    ///         transport.write(b"welcome\n").ok();
    ///     }
    /// }
    ///
    /// rasyncio::run(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, _writer) = open_connection(listener.local_addr()?).await?;
    ///     let (socket, _) = listener.accept().await?;
    ///     let builder = Builder::new();
    ///     builder.connect_accepted_socket(|| Rc::new(Greeting), socket.into_std()).await?;
    ///     assert_eq!(reader.readline().await?, b"welcome\n");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn connect_accepted_socket<P, F>(
        &self,
        factory: F,
        socket: impl Into<OwnedFd>,
    ) -> io::Result<(Transport, Rc<P>)>
    where
        P: Protocol + 'static,
        F: FnOnce() -> Rc<P>,
    {
        let tls = self.tls()?;
        let socket = socket.into();
        rustix::io::ioctl_fionbio(&socket, true)?;
        connect::made(Link::Socket(socket), factory(), tls.as_ref()).await
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
        let factory = Box::new(move || -> Rc<dyn Protocol> { factory() });
        let server = Server::of(Inner::new(
            listeners,
            factory,
            self.backlog,
            self.tls()?,
            internet,
            file,
        ));
        if self.start_serving {
            server.start_serving().await?;
        }
        Ok(server)
    }
}
