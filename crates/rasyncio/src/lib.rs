//! asyncio, in Rust.
#![deny(unsafe_code)]

pub mod events;
pub mod exceptions;
pub mod futures;
pub mod locks;
pub mod runners;
pub mod scope;
mod scoped;
pub mod tasks;

pub use exceptions::{Cancelled, Panic, RunError, TaskError};
pub use futures::cancellable;
pub use locks::Event;
pub use rasyncio_macros::{main, test};
pub use runners::{Runner, run, try_run};
pub use tasks::{
    AnyTask, Task, all_tasks, create_task, current_task, gather, gather_iter, sleep, yield_now,
};
