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
    pub fn ssl(mut self, config: impl Into<Arc<ServerConfig>>) -> Builder {
        self.tls.config = Some(config.into());
        self
    }

    /// How long a TLS handshake may take (60 seconds).
    pub fn ssl_handshake_timeout(mut self, limit: Duration) -> Builder {
        self.tls.handshake_timeout = Some(limit);
        self
    }

    /// How long a peer may take to answer the close (30 seconds).
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
