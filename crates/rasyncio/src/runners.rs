//! Running a program on a loop (asyncio's `runners`).
//!
//! [`run`] is for whole programs, [`run_interruptible`] for those that Ctrl-C should end in order, [`Runner`]
//! for several in a row on one loop, and [`Host`] for a loop that somebody else turns.

mod host;
mod interruptible;
mod runner;

use rasyncio_engine::{Clock, VirtualClock};

use crate::events;
use crate::exceptions::{RunError, TaskError};

pub use host::Host;
pub use interruptible::{run_interruptible, run_or_end};
pub use runner::Runner;

/// Runs `main` as the first task of a new loop, and answers what it resolves to (asyncio's
/// `run`).
///
/// When `main` has ended, all other tasks are cancelled and given the time to clean up; one that waits in
/// a future of another crate, which cannot hear of that, is dropped. Then the loop is closed. `main` may borrow from the caller. Should it panic, so does this.
///
/// # Panics
///
/// If a loop is running in this thread already, or the system gives none. [`try_run`] answers
/// that instead.
///
/// ```
/// let greeting = String::from("hello");
/// assert_eq!(rasyncio::run(async { greeting.len() }), 5);
/// ```
#[track_caller]
pub fn run<F: Future>(main: F) -> F::Output {
    match try_run(main) {
        Ok(output) => output,
        Err(error) => panic!("{error}"),
    }
}

/// [`run`], if that is possible.
///
/// # Errors
///
/// [`RunError::Nested`] if a loop is running in this thread already, and [`RunError::Io`] if
/// the system gives none. `main` is dropped then.
///
/// ```
/// use rasyncio::{RunError, try_run};
///
/// let nested = rasyncio::run(async { try_run(async {}) });
/// assert!(matches!(nested, Err(RunError::Nested)));
/// ```
pub fn try_run<F: Future>(main: F) -> Result<F::Output, RunError> {
    run_once(Clock::Monotonic, main)
}

/// [`run`] on virtual time: whenever nothing is ready, the clock jumps to the next timer. This
/// is what `#[rasyncio::test]` does.
///
/// # Panics
///
/// As [`run`].
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{events, runners::run_virtual, sleep};
///
/// let day = Duration::from_secs(86_400);
/// let slept = run_virtual(async {
///     let start = events::time();
///     sleep(day).await.unwrap();
///     events::time() - start
/// });
/// assert_eq!(slept, day);
/// ```
#[track_caller]
pub fn run_virtual<F: Future>(main: F) -> F::Output {
    match run_once(Clock::Virtual(VirtualClock::new()), main) {
        Ok(output) => output,
        Err(error) => panic!("{error}"),
    }
}

fn run_once<F: Future>(clock: Clock, main: F) -> Result<F::Output, RunError> {
    if events::is_running() {
        return Err(RunError::Nested);
    }
    let runner = Runner::with_clock(clock)?;
    let result = runner.run_to_end(main)?;
    // First, so that the other tasks clean up even if this one has panicked.
    drop(runner);
    Ok(output(result))
}

/// The output of a main task.
#[track_caller]
fn output<T>(result: Result<T, TaskError>) -> T {
    match result {
        Ok(output) => output,
        Err(TaskError::Panicked(panic)) => panic.resume(),
        // Only a task that an earlier run left behind can do that.
        Err(TaskError::Cancelled(_)) => panic!("the main task was cancelled before it started"),
    }
}
