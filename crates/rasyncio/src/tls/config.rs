//! How to speak TLS, and what is known of a connection that does.

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ClientConfig, CommonState, HandshakeKind, ProtocolVersion, ServerConfig, SupportedCipherSuite,
};

use super::asked;

/// How long a handshake may take, where nothing is said (asyncio's `SSL_HANDSHAKE_TIMEOUT`).
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long closing may take, where nothing is said (asyncio's `SSL_SHUTDOWN_TIMEOUT`).
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(30);

/// How one side of a connection speaks TLS: a configuration of [rustls](super::rustls), and
/// asyncio's keywords for it.
///
/// ```
/// use rasyncio::connect::open_socket;
/// use rasyncio::tls::Tls;
/// use std::os::unix::net::UnixStream;
/// use std::time::Duration;
///
/// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
/// # let (server_config, client_config) = examples::localhost();
/// rasyncio::run(async {
///     let tls = Tls::client(client_config, "localhost")?
///         .handshake_timeout(Duration::from_millis(10));
///     let (_silent, socket) = UnixStream::pair()?;
///     let (_reader, mut writer) = open_socket(socket).await?;
///     assert!(writer.start_tls(&tls).await.is_err());
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone)]
pub struct Tls {
    side: Side,
    pub(crate) limits: Limits,
}

#[derive(Clone)]
pub(crate) enum Side {
    Client(Arc<ClientConfig>, ServerName<'static>),
    Server(Arc<ServerConfig>),
}

/// The two time limits of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) handshake: Duration,
    pub(crate) shutdown: Duration,
}

impl Limits {
    pub(crate) fn checked(self) -> io::Result<Limits> {
        for (name, limit) in [("handshake", self.handshake), ("shutdown", self.shutdown)] {
            if limit.is_zero() {
                let message = format!("ssl_{name}_timeout should be a positive number, got 0");
                return Err(io::Error::new(ErrorKind::InvalidInput, message));
            }
        }
        Ok(self)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            handshake: HANDSHAKE_TIMEOUT,
            shutdown: SHUTDOWN_TIMEOUT,
        }
    }
}

impl Tls {
    /// The side that connects, to a server whose certificate has to be for this name or address.
    /// A name is also what the server is told, so that one with several certificates can choose
    /// (SNI).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is neither a name nor an address.
    ///
    /// ```
    /// use rasyncio::tls::Tls;
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// let tls = Tls::client(client_config, "example.org").unwrap();
    /// # let (_, client_config) = examples::localhost();
    /// assert!(Tls::client(client_config, "no name").is_err());
    /// ```
    pub fn client(config: impl Into<Arc<ClientConfig>>, server_hostname: &str) -> io::Result<Tls> {
        let name = ServerName::try_from(server_hostname)
            .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?
            .to_owned();
        Ok(Tls::new(Side::Client(config.into(), name)))
    }

    /// The side that was connected to.
    ///
    /// ```
    /// use rasyncio::tls::Tls;
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// let tls = Tls::server(server_config);
    /// ```
    pub fn server(config: impl Into<Arc<ServerConfig>>) -> Tls {
        Tls::new(Side::Server(asked::noting(config.into())))
    }

    fn new(side: Side) -> Tls {
        Tls {
            side,
            limits: Limits::default(),
        }
    }

    /// How long the handshake may take: 60 seconds ([`HANDSHAKE_TIMEOUT`]) unless told otherwise.
    ///
    /// ```
    /// use rasyncio::tls::Tls;
    /// use std::time::Duration;
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// let tls = Tls::server(server_config).handshake_timeout(Duration::from_secs(5));
    /// ```
    pub fn handshake_timeout(mut self, limit: Duration) -> Tls {
        self.limits.handshake = limit;
        self
    }

    /// How long the peer may take to answer the close: 30 seconds ([`SHUTDOWN_TIMEOUT`]) unless told
    /// otherwise.
    ///
    /// ```
    /// use rasyncio::tls::Tls;
    /// use std::time::Duration;
    ///
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// let tls = Tls::server(server_config).shutdown_timeout(Duration::from_secs(5));
    /// ```
    pub fn shutdown_timeout(mut self, limit: Duration) -> Tls {
        self.limits.shutdown = limit;
        self
    }

    pub(crate) fn side(&self) -> &Side {
        &self.side
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.side {
            Side::Client(_, name) => f.debug_tuple("Tls::client").field(name).finish(),
            Side::Server(_) => f.write_str("Tls::server"),
        }
    }
}

/// What is known of an encrypted connection once its handshake is done (asyncio's
/// `get_extra_info` of `peercert`, `cipher` and so on).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The peer's certificates, its own first. A server has some only if it asks for them.
    pub peer_certificates: Vec<CertificateDer<'static>>,
    /// What ALPN has come to.
    pub alpn_protocol: Option<Vec<u8>>,
    /// TLS 1.2 or 1.3.
    pub protocol_version: Option<ProtocolVersion>,
    /// The ciphers that were agreed on.
    pub cipher_suite: Option<SupportedCipherSuite>,
    /// Whether an earlier session was gone on with.
    pub handshake_kind: Option<HandshakeKind>,
    /// The name that the client has asked for (SNI), in lower case; what Python's `sni_callback` is told.
    /// On the server's side only, and if the client knows it by a name.
    pub server_name: Option<String>,
}

impl TlsInfo {
    pub(crate) fn of(connection: &CommonState, server_name: Option<String>) -> TlsInfo {
        TlsInfo {
            peer_certificates: connection
                .peer_certificates()
                .map(|all| all.iter().map(|it| it.clone().into_owned()).collect())
                .unwrap_or_default(),
            alpn_protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
            protocol_version: connection.protocol_version(),
            cipher_suite: connection.negotiated_cipher_suite(),
            handshake_kind: connection.handshake_kind(),
            server_name,
        }
    }
}

/// What rustls has said, inside of an [`io::Error`], if it is from there: that a certificate is not
/// trusted, for example.
///
/// ```
/// use rasyncio::tls::error_of;
/// use rasyncio::tls::rustls::Error;
/// use rasyncio::{connect, servers};
///
/// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
/// # let (server_config, client_config) = examples::localhost();
/// # let (_, stranger) = examples::localhost();
/// rasyncio::run(async {
/// #     let server = servers::Builder::new().ssl(server_config);
/// #     let server = server.start_server(async |_, _| {}, "127.0.0.1:0").await?;
/// #     let host = ("localhost", server.local_addrs()[0].port());
///     // One that does not trust the server's certificate.
///     let builder = connect::Builder::new().ssl(stranger);
///     let error = builder.open_connection(host).await.unwrap_err();
///     assert!(matches!(error_of(&error), Some(Error::InvalidCertificate(_))));
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub fn error_of(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

pub(crate) fn to_io(error: rustls::Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
