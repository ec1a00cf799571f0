//! Synchronization between tasks (asyncio's `locks`).
//!
//! A primitive owns its state, with nothing counted in it; sharing it is up to you: by
//! reference, in an `Rc`, or as an object of another language. It belongs to one thread.
//!
//! The algorithms are in [`states`], without awaiting, for whoever gives them another face.

mod event;
pub mod line;
pub(crate) mod sleeper;
pub mod states;

pub use event::{Event, Wait};
