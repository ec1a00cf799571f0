//! The floor of rasyncio that turns the loop: ready queue, timers, poller, inbox, worker
//! threads, child processes and signals.
//!
//! It knows no futures, no asyncio and no Python. All that it runs is a [`Job`]: two words,
//! a data pointer and a table of what can be done with it. The floors above make jobs of
//! their callbacks and of the steps of their tasks.
//!
//! ```
//! use rasyncio_engine::{EventLoop, Job, PlainDriver};
//! use std::rc::Rc;
//!
//! let event_loop = Rc::new(EventLoop::new()?);
//! event_loop.schedule(Job::from_fn(|| println!("soon")));
//! let stopper = Rc::clone(&event_loop);
//! let deadline = event_loop.now() + 1_000_000;
//! event_loop.set_timer(deadline, Job::from_fn(move || stopper.stop()));
//! let Ok(_) = event_loop.run(&mut PlainDriver);
//! assert!(event_loop.now() >= deadline);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # One thread
//!
//! A loop has no locks and no atomics on its own paths. It belongs to one thread at a time,
//! and other threads put jobs into its inbox through a [`Remote`]. Every method of
//! [`EventLoop`] takes `&self` and may be called from inside a job.
//!
//! # Where to look
//!
//! | what | where |
//! |---|---|
//! | one entry of the ready queue | [`Job`], [`JobVTable`] |
//! | asyncio's `_run_once` | [`EventLoop::turn`], [`EventLoop::run`], [`Driver`] |
//! | `call_soon`, `call_at`, `add_reader`, `add_writer` | [`EventLoop`] |
//! | `call_soon_threadsafe` | [`Remote::schedule`] |
//! | a descriptor watched for its whole life | [`Source`], [`EventLoop::wait_ready`] |
//! | time that jumps, for tests | [`VirtualClock`] |
//! | the default executor | [`WorkerPool`] |
//! | the child watcher | [`EventLoop::watch_child`] |
//! | `add_signal_handler` | [`Signals`] |
//! | what Ctrl-C does to a `Runner` | [`Interrupts`] |
//! | the loop for another shared object | [`EventLoop::abi`], [`ForeignLoop`] |
//!
//! # Features
//!
//! - `signals` (default): [`Signals`] and [`Interrupts`].
//! - `portable-poller`: on Linux, use the poller of other systems, in order to test it.

mod abi;
mod ahead;
mod batch;
mod child;
mod clock;
mod driver;
mod event_loop;
mod foreign;
mod inbox;
#[cfg(feature = "signals")]
mod interrupts;
mod job;
mod poller;
mod ready;
mod remote;
#[cfg(feature = "signals")]
mod signals;
mod sources;
mod thread_id;
mod timers;
mod turn;
mod watchers;
mod workers;

pub use abi::{ABI_VERSION, LoopAbi, RawJob, RemoveWatch, SetWatch};
pub use ahead::fetch;
pub use child::{Child, ChildWatch};
pub use clock::{Clock, ClockHold, VirtualClock};
pub use driver::{Driver, PlainDriver, Time};
pub use event_loop::EventLoop;
pub use foreign::{AbiError, ForeignLoop, ForeignRemote};
#[cfg(feature = "signals")]
pub use interrupts::Interrupts;
pub use job::{Flow, Job, JobVTable};
pub use remote::Remote;
#[cfg(feature = "signals")]
pub use signals::Signals;
pub use sources::{Direction, Source, WaitKey};
pub use timers::TimerKey;
pub use workers::{SpawnError, WorkerPool};
