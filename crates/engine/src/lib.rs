//! The floor that turns the loop: jobs, ready queue, timers, poller, inbox.
//!
//! This crate knows no futures, no asyncio policy and no Python; the floors above
//! it build all of that out of [`Job`]s.

mod abi;
mod child;
mod clock;
mod driver;
mod event_loop;
mod foreign;
mod inbox;
mod job;
mod poller;
mod ready;
mod remote;
#[cfg(feature = "signals")]
mod signals;
mod thread_id;
mod timers;
mod turn;
mod watchers;
mod workers;

pub use abi::{ABI_VERSION, LoopAbi, RawJob, RemoveWatch, SetWatch};
pub use child::{Child, ChildWatch};
pub use clock::{Clock, ClockHold, VirtualClock};
pub use driver::{Driver, PlainDriver};
pub use event_loop::EventLoop;
pub use foreign::{AbiError, ForeignLoop, ForeignRemote};
pub use job::{Flow, Job, JobVTable};
pub use remote::Remote;
#[cfg(feature = "signals")]
pub use signals::Signals;
pub use timers::TimerKey;
pub use workers::{SpawnError, WorkerPool};
