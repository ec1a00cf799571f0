//! The writing end of a stream.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::shared::Shared;
#[cfg(feature = "tls")]
use crate::connect::Guard;
use crate::tasks::yield_now;
use crate::transports::Transport;
use crate::transports::stream::WriteRefused;

/// The writing end of a stream (asyncio's `StreamWriter`). Dropping it closes the connection, after
/// everything was written, for both ends, as asyncio does with a writer that nobody has any more: the reader
/// gives what it has received, and then the end. Whoever only reads keeps the writer all the same; to say that
/// no more comes, and read on, there is [`StreamWriter::write_eof`]. Dropping the reader closes nothing.
///
/// ```
/// use rasyncio::{net::TcpListener, open_connection};
///
/// rasyncio::run(async {
/// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
///     let (peer, _) = listener.accept().await?;
///     writer.write(b"hello")?;
///     writer.drain().await?;
///     assert_eq!(peer.read(&mut [0; 16]).await?, 5);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct StreamWriter {
    pub(super) shared: Rc<Shared>,
    pub(super) transport: Transport,
}

impl StreamWriter {
    /// Writes without waiting; see [`Transport::write`]. [`StreamWriter::drain`] once in a while
    /// keeps what waits small.
    ///
    /// # Errors
    ///
    /// After [`StreamWriter::write_eof`].
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     writer.write(b"hello")?;
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn write(&self, data: &[u8]) -> Result<(), WriteRefused> {
        self.transport.write(data)
    }

    /// Writes several pieces without waiting; see [`Transport::writelines`].
    ///
    /// # Errors
    ///
    /// After [`StreamWriter::write_eof`].
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     writer.writelines(["one\n", "two\n"])?;
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 8);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn writelines<T>(&self, data: impl IntoIterator<Item = T>) -> Result<(), WriteRefused>
    where
        T: Into<Vec<u8>>,
    {
        self.transport.writelines(data)
    }

    /// Waits until it is sensible to write more: until what waits has sunk to the low-water
    /// mark, if it had risen above the high one.
    ///
    /// # Errors
    ///
    /// `ConnectionReset` if the connection is lost, or what it has failed with; a cancellation.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     for _ in 0..3 {
    ///         writer.write(b"a piece of much")?;
    ///         writer.drain().await?;
    ///     }
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn drain(&self) -> io::Result<()> {
        self.shared.check()?;
        if self.transport.is_closing() {
            // So that who writes in a loop hears of the loss.
            yield_now().await?;
        }
        loop {
            if self.shared.lost.get() {
                self.shared.check()?;
                return Err(io::Error::new(
                    ErrorKind::ConnectionReset,
                    "Connection lost",
                ));
            }
            if self.shared.resumed.is_set() {
                return Ok(());
            }
            self.shared.resumed.wait().await?;
        }
    }

    /// Speaks TLS over the connection from now on (asyncio's `StreamWriter.start_tls`); what the
    /// [`StreamReader`](super::StreamReader) has and nobody has read is taken for a part of that.
    ///
    /// # Errors
    ///
    /// The handshake's, and a cancellation; the connection is closed then.
    ///
    /// ```
    /// use rasyncio::connect::open_socket;
    /// use rasyncio::tls::Tls;
    /// use std::os::unix::net::UnixStream;
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    ///     let (one, two) = UnixStream::pair()?;
    ///     rasyncio::create_task(async move {
    ///         let (mut reader, mut writer) = open_socket(one).await?;
    ///         assert_eq!(reader.readline().await.unwrap(), b"STARTTLS\n");
    ///         writer.start_tls(&Tls::server(server_config)).await?;
    ///         writer.write(b"now nobody else can read\n")?;
    ///         writer.drain().await?;
    ///         Ok::<_, Box<dyn std::error::Error>>(())
    ///     });
    ///     let (mut reader, mut writer) = open_socket(two).await?;
    ///     writer.write(b"STARTTLS\n")?;
    ///     writer.start_tls(&Tls::client(client_config, "localhost")?).await?;
    ///     assert_eq!(reader.readline().await?, b"now nobody else can read\n");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    #[cfg(feature = "tls")]
    pub async fn start_tls(&mut self, tls: &crate::tls::Tls) -> io::Result<()> {
        self.drain().await?;
        let begun = self.shared.take_all();
        let protocol = Rc::clone(&self.shared);
        let secure = Transport::upgrade(&self.transport, protocol, tls, &begun)?;
        let guard = Guard::new(&secure, Transport::abort);
        self.shared.upgraded.replace(Some(secure.downgrade()));
        secure.made().await?;
        guard.keep();
        self.transport = secure;
        Ok(())
    }

    /// What is known of the encryption; see [`Transport::tls_info`].
    ///
    /// ```
    /// use rasyncio::tls::rustls::ProtocolVersion;
    /// use rasyncio::{connect, servers};
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    /// #     let server = servers::Builder::new().ssl(server_config);
    /// #     let server = server.start_server(async |_, _| {}, "127.0.0.1:0").await?;
    /// #     let port = server.local_addrs()[0].port();
    ///     let builder = connect::Builder::new().ssl(client_config);
    ///     let (_reader, writer) = builder.open_connection(("localhost", port)).await?;
    ///     let info = writer.tls_info().unwrap();
    ///     assert_eq!(info.protocol_version, Some(ProtocolVersion::TLSv1_3));
    ///     assert_eq!(info.peer_certificates.len(), 1);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_info(&self) -> Option<crate::tls::TlsInfo> {
        self.transport.tls_info()
    }

    /// Sends a file, or a part of it; see [`Transport::sendfile`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// ```
    /// use rasyncio::connect::open_socket;
    /// use std::fs::File;
    /// use std::os::unix::net::UnixStream;
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = UnixStream::pair()?;
    ///     let (_reader, writer) = open_socket(one).await?;
    ///     let (mut reader, _writer) = open_socket(two).await?;
    ///     writer.write(b"a file: ")?;
    ///     assert_eq!(writer.sendfile(File::open("Cargo.toml")?, 0, Some(9)).await?, 9);
    ///     assert_eq!(reader.read(100).await?, b"a file: [package]");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn sendfile(
        &self,
        file: impl AsFd,
        offset: u64,
        count: Option<u64>,
    ) -> io::Result<u64> {
        self.transport.sendfile(file, offset, count).await
    }

    /// Ends the writing half; see [`Transport::write_eof`].
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     writer.write_eof()?;
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn write_eof(&self) -> io::Result<()> {
        self.transport.write_eof()
    }

    /// Whether [`StreamWriter::write_eof`] leaves the reading half open.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     assert!(writer.can_write_eof());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn can_write_eof(&self) -> bool {
        self.transport.can_write_eof()
    }

    /// Closes the connection, after everything was written.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     writer.close();
    ///     writer.wait_closed().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn close(&self) {
        self.transport.close();
    }

    /// Whether the connection is closing or closed.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     writer.close();
    ///     assert!(writer.is_closing());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn is_closing(&self) -> bool {
        self.transport.is_closing()
    }

    /// Waits until the connection is closed.
    ///
    /// # Errors
    ///
    /// What the connection has failed with, and a cancellation.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     writer.close();
    ///     writer.wait_closed().await?;
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn wait_closed(&self) -> io::Result<()> {
        self.shared.closed.wait().await?;
        self.shared.check()
    }

    /// The transport (asyncio's `transport`).
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     assert_eq!(writer.transport().get_write_buffer_size(), 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// As [`Transport::local_addr`].
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     assert_eq!(writer.local_addr()?, peer.peer_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.transport.local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// As [`Transport::peer_addr`].
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     assert_eq!(writer.peer_addr()?, listener.local_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.transport.peer_addr()
    }
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.transport.close();
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamWriter")
            .field("transport", &self.transport)
            .finish()
    }
}
