//! A loop that somebody else turns.

use std::fmt;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use rasyncio_engine::EventLoop;

use crate::events::LoopState;

/// What rasyncio needs on a loop that somebody else turns: its tasks, and its exception
/// handler.
///
/// Tasks run only while the loop is entered. Dropping the host drops the futures of its
/// unfinished tasks, which then count as cancelled.
///
/// ```
/// use rasyncio::runners::Host;
/// use rasyncio::create_task;
/// use rasyncio_engine::{EventLoop, PlainDriver};
///
/// let engine = EventLoop::new()?;
/// let host = Host::new(&engine);
/// let task = host.enter(&engine, || create_task(async { 1 }));
/// while !task.done() {
///     let Ok(_) = host.enter(&engine, || engine.turn(&mut PlainDriver));
/// }
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Host {
    // Counted so that the host may move while tasks point to the state.
    pub(super) state: Rc<LoopState>,
}

impl Host {
    /// A host for `engine`. There should be but one for each.
    ///
    /// ```
    /// use rasyncio::runners::Host;
    /// use rasyncio_engine::EventLoop;
    ///
    /// let engine = EventLoop::new()?;
    /// let host = Host::new(&engine);
    /// assert!(host.enter(&engine, rasyncio::events::is_running));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn new(engine: &EventLoop) -> Host {
        Host {
            state: LoopState::new(engine.remote()),
        }
    }

    /// Calls `f` with the loop as the running one of this thread: that is where tasks are
    /// created and timers set, and where wakers are at home. `engine` is the one that the host
    /// was made for.
    ///
    /// ```
    /// use rasyncio::runners::Host;
    /// use rasyncio_engine::EventLoop;
    ///
    /// let engine = EventLoop::new()?;
    /// let host = Host::new(&engine);
    /// let task = host.enter(&engine, || rasyncio::create_task(async {}));
    /// assert!(!task.done());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn enter<R>(&self, engine: &EventLoop, f: impl FnOnce() -> R) -> R {
        self.state.enter(engine, f)
    }

    /// Ends all tasks, and those that are created from now on. None of them may be running.
    pub(super) fn close(&self) {
        self.state.closed.set(true);
        self.state.home.closed.store(true, Ordering::Relaxed);
        self.state.tasks.abandon_all();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // None is running, for that is inside of `enter`, which borrows the host.
        self.close();
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}
