//! What the fuzz targets do: bytes are read as a program of calls, and what is fuzzed runs beside a model
//! too simple to be wrong, or has to keep what it promises.
//!
//! A target is a function that panics if the two differ, so that it can be called with a single input as
//! well.

mod input;
pub mod stream_reader;
pub mod tls_state;
pub mod write_buffer;
