//! A server, as its program sees it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

#[cfg(doc)]
use super::Builder;
use super::inner::Inner;
use crate::exceptions::Cancelled;
use crate::tasks::yield_now;

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

impl Server {
    pub(super) fn of(inner: Inner) -> Server {
        Server {
            inner: Rc::new(inner),
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

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addresses", &self.local_addrs())
            .field("serving", &self.is_serving())
            .finish_non_exhaustive()
    }
}
