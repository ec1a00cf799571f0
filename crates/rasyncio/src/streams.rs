//! Streams (asyncio's `streams`): reading and writing a connection by awaiting.
//!
//! [`open_connection`] and [`start_server`] give a [`StreamReader`] and a [`StreamWriter`].
//!
//! The modules here are *states*, which neither wait nor call anybody; see
//! [`transports`](crate::transports).
//!
//! | module | subject |
//! |---|---|
//! | [`buffer`] | bytes that wait to be read |
//! | [`search`] | looking for separators, a piece at a time |
//! | [`reader`] | what a reader waits for, when reading pauses |

pub mod buffer;
mod duplex;
mod errors;
#[cfg(feature = "_poll-io")]
mod polled;
pub mod reader;
pub mod search;
mod shared;
mod stream_reader;
mod stream_writer;

pub use duplex::Duplex;
#[cfg(feature = "tls")]
pub(crate) use errors::copy as copy_error;
pub use errors::{IncompleteReadError, LimitOverrunError, ReadError};
pub use reader::DEFAULT_LIMIT;
pub(crate) use shared::{Accepted, Shared};
pub use stream_reader::StreamReader;
pub use stream_writer::StreamWriter;

pub use crate::connect::{open_connection, open_unix_connection};
pub use crate::servers::{start_server, start_unix_server};
