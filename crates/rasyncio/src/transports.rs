//! Transports (asyncio's `transports`): what carries bytes between a protocol and a descriptor.
//!
//! [`Transport`] is the Rust one. The modules here are *states*: how much waits to be written, when the protocol has to
//! pause, what closing means just now. They neither wait nor call anybody. Each method says
//! what whoever wraps the state (its *face*) has to do, and the face does the calling: a
//! Rust `Protocol` or a Python one.
//!
//! | module | subject |
//! |---|---|
//! | [`chunks`] | bytes that wait to be written |
//! | [`flow`] | water marks |
//! | [`datagram`] | datagrams that wait to be sent |
//! | [`stream`] | one connected stream: reading, writing, half close, close, abort |

pub mod chunks;
pub mod datagram;
mod datagram_address;
mod datagram_room;
mod datagram_transport;
pub mod flow;
mod kinds;
mod link;
mod plain;
pub(crate) mod sendfile;
pub mod stream;
#[cfg(feature = "tls")]
mod tls;
mod transport;

pub use crate::subprocess::SubprocessTransport;
pub use datagram_address::{DatagramAddress, DatagramSocket};
pub use datagram_transport::DatagramTransport;
pub(crate) use kinds::WeakTransport;
pub(crate) use link::Link;
pub use transport::Transport;
