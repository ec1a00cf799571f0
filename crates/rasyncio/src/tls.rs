//! TLS (asyncio's `sslproto`): what happens when between an encrypted link and a protocol.
//!
//! | module | subject |
//! |---|---|
//! | [`state`] | one connection's state: handshake, data, closing, and what each event leads to |
//! | [`session`] | what the state works on: somebody's TLS, the link below and the application above |
//!
#![cfg_attr(feature = "tls", doc = include_str!("tls/rustls.md"))]
#![cfg_attr(
    not(feature = "tls"),
    doc = "With the feature `tls` there is TLS by rustls for transports and streams."
)]

#[cfg(feature = "tls")]
mod asked;
#[cfg(feature = "tls")]
pub(crate) mod config;
#[cfg(all(fuzzing, feature = "tls"))]
pub mod fuzzing;
#[cfg(feature = "tls")]
pub(crate) mod records;
pub mod session;
#[cfg(feature = "tls")]
mod start;
pub mod state;

#[cfg(feature = "tls")]
pub use config::{HANDSHAKE_TIMEOUT, SHUTDOWN_TIMEOUT, Tls, TlsInfo, error_of};
#[cfg(feature = "tls")]
pub use rustls;
/// There is none.
#[cfg(not(feature = "tls"))]
#[derive(Clone)]
pub(crate) enum Tls {}
pub use session::{Answer, Deadline, Delivery, During, Host, Session};
#[cfg(feature = "tls")]
pub use start::start_tls;
pub use state::TlsState;
