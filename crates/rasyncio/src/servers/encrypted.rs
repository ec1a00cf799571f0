//! The keywords of encryption.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use super::Builder;
use crate::tls::Tls;

#[derive(Clone, Debug, Default)]
pub(super) struct Keywords {
    config: Option<Arc<ServerConfig>>,
    handshake_timeout: Option<Duration>,
    shutdown_timeout: Option<Duration>,
}

impl Builder {
    /// Encrypts the connections (asyncio's `ssl`); see [`tls`](crate::tls). A connection whose
    /// handshake fails goes without a word.
    ///
    /// ```
    /// use rasyncio::{connect, servers};
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    ///     let server = servers::Builder::new()
    ///         .ssl(server_config)
    ///         .start_server(async |_, writer| { writer.write(b"welcome\n").ok(); }, "127.0.0.1:0")
    ///         .await?;
    /// #     let port = server.local_addrs()[0].port();
    /// #     let builder = connect::Builder::new().ssl(client_config);
    ///     let (mut reader, _writer) = builder.open_connection(("localhost", port)).await?;
    ///     assert_eq!(reader.readline().await?, b"welcome\n");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn ssl(mut self, config: impl Into<Arc<ServerConfig>>) -> Builder {
        self.tls.config = Some(config.into());
        self
    }

    /// How long a TLS handshake may take (60 seconds).
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{open_connection, servers};
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    ///     let server = servers::Builder::new()
    ///         .ssl(server_config)
    ///         .ssl_handshake_timeout(Duration::from_millis(1))
    ///         .start_server(async |_, _| {}, "127.0.0.1:0")
    ///         .await?;
    ///     let (mut reader, _silent) = open_connection(server.local_addrs()[0]).await?;
    ///     assert_eq!(reader.read(1).await?, b"", "the server has hung up");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn ssl_handshake_timeout(mut self, limit: Duration) -> Builder {
        self.tls.handshake_timeout = Some(limit);
        self
    }

    /// How long a peer may take to answer the close (30 seconds).
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::servers::Builder;
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    ///     let server = Builder::new()
    ///         .ssl(server_config)
    ///         .ssl_shutdown_timeout(Duration::from_secs(2))
    ///         .start_server(async |_, writer| writer.close(), "127.0.0.1:0")
    ///         .await?;
    ///     assert!(server.is_serving());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn ssl_shutdown_timeout(mut self, limit: Duration) -> Builder {
        self.tls.shutdown_timeout = Some(limit);
        self
    }
}

impl Keywords {
    pub(super) fn tls(&self) -> io::Result<Option<Tls>> {
        let given = [
            ("ssl_handshake_timeout", self.handshake_timeout.is_some()),
            ("ssl_shutdown_timeout", self.shutdown_timeout.is_some()),
        ];
        let Some(config) = &self.config else {
            return match given.iter().find(|(_, given)| *given) {
                Some((name, _)) => Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    format!("{name} is only meaningful with ssl"),
                )),
                None => Ok(None),
            };
        };
        let mut tls = Tls::server(config.clone());
        if let Some(limit) = self.handshake_timeout {
            tls = tls.handshake_timeout(limit);
        }
        if let Some(limit) = self.shutdown_timeout {
            tls = tls.shutdown_timeout(limit);
        }
        tls.limits.checked()?;
        Ok(Some(tls))
    }
}
