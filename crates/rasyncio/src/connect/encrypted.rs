//! The keywords of encryption.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use super::Builder;
use crate::tls::Tls;

#[derive(Clone, Debug, Default)]
pub(super) struct Keywords {
    config: Option<Arc<ClientConfig>>,
    server_hostname: Option<String>,
    handshake_timeout: Option<Duration>,
    shutdown_timeout: Option<Duration>,
}

impl Builder {
    /// Encrypts the connection (asyncio's `ssl`); see [`tls`](crate::tls).
    ///
    /// ```
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
    ///     assert!(writer.tls_info().is_some());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn ssl(mut self, config: impl Into<Arc<ClientConfig>>) -> Builder {
        self.tls.config = Some(config.into());
        self
    }

    /// Whom the server's certificate has to be for, if it is not the host that is connected to.
    ///
    /// ```
    /// use rasyncio::tls::error_of;
    /// use rasyncio::{connect, servers};
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    /// #     let server = servers::Builder::new().ssl(server_config);
    /// #     let server = server.start_server(async |_, _| {}, "127.0.0.1:0").await?;
    /// #     let address = server.local_addrs()[0];
    ///     let builder = connect::Builder::new().ssl(client_config);
    ///     // The certificate is for a name, not for the address.
    ///     let refused = builder.open_connection(address).await.unwrap_err();
    ///     assert!(error_of(&refused).is_some());
    ///     builder.server_hostname("localhost").open_connection(address).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn server_hostname(mut self, name: impl Into<String>) -> Builder {
        self.tls.server_hostname = Some(name.into());
        self
    }

    /// How long the TLS handshake may take (60 seconds).
    ///
    /// ```
    /// use std::io::ErrorKind;
    /// use std::os::unix::net::UnixStream;
    /// use std::time::Duration;
    /// use rasyncio::connect::Builder;
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    ///     let (silent, socket) = UnixStream::pair()?;
    ///     let builder = Builder::new()
    ///         .ssl(client_config)
    ///         .server_hostname("localhost")
    ///         .ssl_handshake_timeout(Duration::from_millis(1));
    ///     let error = builder.open_socket(socket).await.unwrap_err();
    ///     assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn ssl_handshake_timeout(mut self, limit: Duration) -> Builder {
        self.tls.handshake_timeout = Some(limit);
        self
    }

    /// How long the peer may take to answer the close (30 seconds).
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{connect, servers};
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// rasyncio::run(async {
    /// #     let server = servers::Builder::new().ssl(server_config);
    /// #     let server = server.start_server(async |_, _| {}, "127.0.0.1:0").await?;
    /// #     let port = server.local_addrs()[0].port();
    ///     let builder = connect::Builder::new()
    ///         .ssl(client_config)
    ///         .ssl_shutdown_timeout(Duration::from_secs(2));
    ///     let (_reader, writer) = builder.open_connection(("localhost", port)).await?;
    ///     writer.close();
    ///     // Not longer than two seconds, whatever the server does.
    ///     writer.wait_closed().await
    /// })
    /// .unwrap();
    /// ```
    pub fn ssl_shutdown_timeout(mut self, limit: Duration) -> Builder {
        self.tls.shutdown_timeout = Some(limit);
        self
    }
}

impl Keywords {
    pub(super) fn tls(&self, host: Option<String>, missing: &str) -> io::Result<Option<Tls>> {
        let invalid = |message: &str| io::Error::new(ErrorKind::InvalidInput, message);
        let Some(config) = &self.config else {
            let without = [
                ("server_hostname", self.server_hostname.is_some()),
                ("ssl_handshake_timeout", self.handshake_timeout.is_some()),
                ("ssl_shutdown_timeout", self.shutdown_timeout.is_some()),
            ];
            return match without.iter().find(|(_, given)| *given) {
                Some((name, _)) => Err(invalid(&format!("{name} is only meaningful with ssl"))),
                None => Ok(None),
            };
        };
        let name = self.server_hostname.clone().or(host);
        let name = name.ok_or_else(|| invalid(missing))?;
        let mut tls = Tls::client(config.clone(), &name)?;
        if let Some(limit) = self.handshake_timeout {
            tls = tls.handshake_timeout(limit);
        }
        if let Some(limit) = self.shutdown_timeout {
            tls = tls.shutdown_timeout(limit);
        }
        Ok(Some(tls))
    }
}
