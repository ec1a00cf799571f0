//! asyncio, in Rust: its vocabulary and its rules, for Rust futures.
//!
//! ```
//! use std::time::Duration;
//! use rasyncio::{Cancelled, create_task, gather, sleep};
//!
//! async fn greet(name: &'static str, after: u64) -> Result<&'static str, Cancelled> {
//!     sleep(Duration::from_millis(after)).await?;
//!     Ok(name)
//! }
//!
//! #[rasyncio::main]
//! async fn main() -> Result<(), rasyncio::TaskError> {
//!     let (one, two) = gather((greet("one", 2), greet("two", 1))).await?;
//!     assert_eq!((one?, two?), ("one", "two"));
//!
//!     let task = create_task(greet("nobody", 60_000));
//!     sleep(Duration::from_millis(1)).await?;
//!     task.cancel();
//!     assert!(task.await.is_err());
//!     Ok(())
//! }
//! ```
//!
//! Who knows one of the two may begin with [coming from Python](guide::from_python) or [coming from
//! tokio](guide::from_tokio).
//!
//! # What is as in asyncio
//!
//! - **One thread.** A loop runs all its tasks in the thread that [`run`] was called in, so
//!   futures need not be `Send`, and between two awaits nobody interferes. Other threads wake
//!   tasks through the standard [`Waker`](std::task::Waker), which is safe to use anywhere.
//! - **Order.** Tasks and callbacks share one queue, first in, first out, and a turn runs what
//!   was in it when the turn began. What runs when is what asyncio guarantees.
//! - **Cancellation** is a request, delivered at the await where the task is suspended, which
//!   then answers `Err(Cancelled)`. The task may await its clean-up, and may refuse. See
//!   [`tasks`].
//! - **Names.** Modules and functions are called as there.
//!
//! # What is not
//!
//! - The loop owns its tasks. Dropping a [`Task`] detaches it.
//! - An `Err` is an output like others. Made by [`create_task!`](macro@create_task), a task has it treated as
//!   asyncio treats an exception: it is told if nobody retrieves it, and ends a wait for the first one.
//! - A panic takes the place of an exception: it is the task's error and, if nobody awaits the
//!   task, goes to the [exception handler](events::set_exception_handler).
//! - A task that was cancelled and does not take the request back ends as cancelled whatever
//!   its future resolves to. See [`tasks`].
//! - Any await may be dropped, by `select!` and its like, without losing anything.
//!
//! # Together with others
//!
//! Futures of other crates run as they are; [`cancellable`] makes them hear of cancellations. By
//! [`adapters`], sockets and streams have the traits of futures-io, tokio and hyper.
//! [`runners::Host`] runs tasks on a loop that somebody else turns, and [`scope`] says how a
//! host that has its own kind of task polls the futures of this crate.
//!
//! A task belongs to its thread, and so does everything that refers to it:
//!
//! ```compile_fail,E0277
//! rasyncio::run(async {
//!     let task = rasyncio::create_task(async {});
//!     std::thread::spawn(move || drop(task));
//! });
//! ```

#![deny(unsafe_code)]

pub mod adapters;
pub mod connect;
pub mod contextvars;
pub mod events;
pub mod exceptions;
pub mod futures;
pub mod graph;
#[cfg(any(doc, doctest))]
pub mod guide;
pub mod locks;
pub mod net;
mod place;
pub mod protocols;
pub mod queues;
pub mod runners;
pub mod scheduler;
pub mod scope;
mod scoped;
pub mod servers;
pub mod signals;
pub mod streams;
pub mod subprocess;
pub mod taskgroups;
pub mod tasks;
pub mod threads;
pub mod timeouts;
mod timer;
pub mod tls;
pub mod transports;

#[cfg(feature = "hyper")]
pub use adapters::hyper;
pub use connect::{
    create_connection, create_datagram_endpoint, create_unix_connection,
    create_unix_datagram_endpoint,
};
pub use contextvars::ContextVar;
pub use exceptions::{Cancelled, Panic, RunError, TaskError, TimeoutError};
pub use futures::cancellable;
pub use locks::{Barrier, BoundedSemaphore, Condition, Event, Lock, Semaphore};
pub use protocols::{DatagramProtocol, Protocol, SubprocessProtocol};
pub use queues::{LifoQueue, PriorityQueue, Queue};
/// Makes an `async fn main` the program's (asyncio's `asyncio.run(main())`): it is run by
/// [`run`].
///
/// ```
/// #[rasyncio::main]
/// async fn main() -> Result<(), rasyncio::Cancelled> {
///     rasyncio::yield_now().await
/// }
/// ```
///
/// What it answers decides the exit code, as that of any `main`: an `Err` is printed by its `Debug`.
///
/// Options are `debug` ([`events::set_debug`]), `clock = "virtual"` ([`runners::run_virtual`]), and
/// `interruptible`, with which Ctrl-C cancels the main task, as in asyncio ([`runners::run_or_end`]):
///
/// ```
/// #[rasyncio::main(interruptible, debug = true)]
/// async fn main() {
///     assert!(rasyncio::events::get_debug());
/// }
/// ```
///
/// ```compile_fail
/// #[rasyncio::main]
/// fn main() {} // not async
/// ```
///
/// ```compile_fail
/// #[rasyncio::main]
/// async fn main(arguments: Vec<String>) {}
/// ```
pub use rasyncio_macros::main;
/// Makes an `async fn` a test, on virtual time: it is run by [`runners::run_virtual`], where
/// sleeping takes no time (asyncio's `IsolatedAsyncioTestCase`, but for the clock).
///
/// ```
/// # use std::time::Duration;
/// #[rasyncio::test]
/// async fn a_day_passes_in_no_time() {
///     rasyncio::sleep(Duration::from_secs(86_400)).await.unwrap();
/// }
/// ```
///
/// Options are `debug` ([`events::set_debug`]) and `clock = "real"` ([`run`]):
///
/// ```
/// #[rasyncio::test(debug, clock = "real")]
/// async fn it_takes_its_time() -> Result<(), rasyncio::Cancelled> {
///     rasyncio::sleep(std::time::Duration::from_millis(1)).await
/// }
/// ```
pub use rasyncio_macros::test;
pub use runners::{Runner, run, try_run};
pub use servers::{Server, create_server, create_unix_server};
pub use signals::ctrl_c;
pub use streams::{
    StreamReader, StreamWriter, open_connection, open_unix_connection, start_server,
    start_unix_server,
};
pub use taskgroups::TaskGroup;
pub use tasks::{
    AnyTask, ReturnWhen, Task, all_tasks, as_completed, create_task, current_task, gather,
    gather_iter, shield, sleep, wait, yield_now,
};
pub use threads::{run_in_executor, to_thread};
pub use timeouts::{timeout, timeout_at, wait_for};
pub use transports::{DatagramTransport, SubprocessTransport, Transport};
