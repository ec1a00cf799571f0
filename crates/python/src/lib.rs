//! The Python face of rasyncio: `rasyncio._rasyncio`.
//!
//! CPython types over [`rasyncio_engine`]: the loop, handles, futures, tasks, and asyncio's
//! vocabulary. The types of the hot path are raw heap types (`types.rs`); `object.rs` says
//! what the rest of the crate may assume about references and errors.

mod args;
mod global;
mod names;
mod object;
mod stdlib;
mod types;
