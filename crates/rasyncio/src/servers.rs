//! Servers (asyncio's `create_server`, `start_server` and `Server`).
//!
//! [`create_server`] calls a protocol for each connection, [`start_server`] runs a task for each.
//! [`Builder`] has the keywords.

pub mod accept;
mod builder;
#[cfg(feature = "tls")]
mod encrypted;
mod inner;
mod listener;
mod server;

use std::io;
use std::path::Path;
use std::rc::Rc;

use crate::net::ToAddrs;
use crate::protocols::Protocol;
use crate::streams::{StreamReader, StreamWriter};

pub use builder::Builder;
pub(crate) use inner::Attached;
pub use server::Server;

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
