//! Synchronization between tasks (asyncio's `locks`).
//!
//! A primitive owns its state, with nothing counted in it; sharing it is up to you: by
//! reference, in an `Rc`, or as an object of another language. It belongs to one thread.

mod event;
mod waiters;

pub use event::{Event, Wait};
