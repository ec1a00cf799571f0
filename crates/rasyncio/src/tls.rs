//! TLS (asyncio's `sslproto`): what happens when between an encrypted link and a protocol.
//!
//! | module | subject |
//! |---|---|
//! | [`state`] | one connection's state: handshake, data, closing, and what each event leads to |
//! | [`session`] | what the state works on: somebody's TLS, the link below and the application above |

pub mod session;
pub mod state;

pub use session::{Answer, Deadline, Delivery, During, Host, Session};
pub use state::TlsState;
