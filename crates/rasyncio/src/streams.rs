//! Streams (asyncio's `streams`): reading and writing a connection by awaiting.
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
pub mod reader;
pub mod search;
