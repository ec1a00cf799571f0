//! Which name a client asks a server for (SNI).
//!
//! rustls's unbuffered connections do not tell, but whoever chooses the certificate is told.

use std::cell::Cell;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

thread_local! {
    /// The name in the greeting that this thread has looked at last.
    static ASKED: Cell<Option<Box<str>>> = const { Cell::new(None) };
}

/// Chooses as another one does, and notes the name.
#[derive(Debug)]
struct Noting(Arc<dyn ResolvesServerCert>);

impl ResolvesServerCert for Noting {
    fn resolve(&self, greeting: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        ASKED.set(greeting.server_name().map(Box::from));
        self.0.resolve(greeting)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.0.only_raw_public_keys()
    }
}

/// The same configuration, where names are noted.
pub(super) fn noting(config: Arc<ServerConfig>) -> Arc<ServerConfig> {
    let mut config = Arc::unwrap_or_clone(config);
    config.cert_resolver = Arc::new(Noting(config.cert_resolver));
    Arc::new(config)
}

/// The name in the greeting that was looked at since the last call, if there is one.
pub(super) fn take() -> Option<Box<str>> {
    ASKED.take()
}
