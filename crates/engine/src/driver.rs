//! What the floor above does around a turn.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use crate::job::{Flow, Job};

/// What a clock of the floor above says, in nanoseconds of the scale that timers are set in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// What time it is.
    pub now: u64,
    /// The last deadline that is due: later than `now` by what the clock cannot tell apart.
    pub due: u64,
}

/// The floor above, where a turn meets it: it lets go of its locks while the loop
/// blocks, and looks at signals.
pub trait Driver {
    /// Why a turn was broken off.
    type Error;

    /// Whether every turn looks for events, as asyncio does, even while work is ready.
    const EVERY_TURN: bool = false;

    /// Whether nobody calls the loop while it waits, but by a [`Remote`](crate::Remote). Not so where a lock
    /// covers the loop, and another thread may watch a descriptor meanwhile. It makes waiting cheaper when
    /// there is no descriptor to watch.
    const ALONE: bool = false;

    /// Calls `block`, which may take long. The place to release the GIL.
    fn park<R>(&mut self, block: impl FnOnce() -> R) -> R;

    /// Runs a job of the turn. The place for what lies between two jobs.
    #[inline]
    fn run(&mut self, job: Job) -> Flow {
        job.run()
    }

    /// A signal has cut the wait short. An error leaves the turn; no event is lost.
    fn interrupted(&mut self) -> Result<(), Self::Error>;

    /// The poller does not work any more, for instance because somebody closed its
    /// descriptor. The answer leaves the turn.
    fn poll_failed(&mut self, error: io::Error) -> Self::Error;

    /// The time by which timers are due, where the floor above has a clock of its own. `None`
    /// leaves it to the loop's clock.
    #[inline]
    fn time(&mut self) -> Result<Option<Time>, Self::Error> {
        Ok(None)
    }

    /// Waits in the loop's place, and answers whether it has: by calling
    /// [`EventLoop::wait`](crate::EventLoop::wait), with whatever patience, as often as it likes.
    #[inline]
    fn select(&mut self, patience: Option<Duration>) -> Result<bool, Self::Error> {
        let _ = patience;
        Ok(false)
    }

    /// Whether [`Driver::select`] waits in the loop's place. With [`Driver::EVERY_TURN`] it then is called
    /// in every turn.
    #[inline]
    fn selects(&self) -> bool {
        false
    }

    /// Called every 61 jobs or 4 ms while work is ready, and before the loop waits.
    fn tick(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The driver of a plain Rust program: blocks in place and leaves signals alone.
///
/// A poller that fails is a panic, since there is nobody to return it to.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainDriver;

impl Driver for PlainDriver {
    type Error = Infallible;

    // It has the loop for itself, for a loop does not leave its thread.
    const ALONE: bool = true;

    fn park<R>(&mut self, block: impl FnOnce() -> R) -> R {
        block()
    }

    fn interrupted(&mut self) -> Result<(), Infallible> {
        Ok(())
    }

    fn poll_failed(&mut self, error: io::Error) -> Infallible {
        panic!("the event loop cannot poll: {error}")
    }
}
