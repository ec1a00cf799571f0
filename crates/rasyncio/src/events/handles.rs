//! Callbacks, and the right to take them back.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::{Watch, callback_job, note_next_turn, time, with_running};
use crate::contextvars::{self, Context};
use crate::timer::{Timer, nanoseconds};

/// Calls `callback` in the next turn of the running loop (asyncio's `loop.call_soon`). A panic
/// in it goes to the exception handler.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::{events, yield_now};
/// use std::{cell::Cell, rc::Rc};
///
/// rasyncio::run(async {
///     let called = Rc::new(Cell::new(false));
///     events::call_soon({ let called = called.clone(); move || called.set(true) });
///     assert!(!called.get());
///     yield_now().await?;
///     assert!(called.get());
///     Ok::<_, rasyncio::Cancelled>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn call_soon(callback: impl FnOnce() + 'static) -> Handle {
    let handle = Handle::new(callback);
    handle.schedule();
    handle
}

/// Calls `callback` after `delay` (asyncio's `loop.call_later`). A panic in it goes to the exception
/// handler.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{events, sleep};
///
/// rasyncio::run(async {
///     let hour = Duration::from_secs(3600);
///     let timer = events::call_later(hour, || unreachable!("it is taken back"));
///     assert!(timer.when() >= events::time());
///     timer.cancel();
///     assert!(timer.cancelled());
/// });
/// ```
#[track_caller]
pub fn call_later(delay: Duration, callback: impl FnOnce() + 'static) -> TimerHandle {
    call_at(time().saturating_add(delay), callback)
}

/// Calls `callback` when the loop's [time] is `when` (asyncio's `loop.call_at`), never earlier.
/// Callbacks for the same moment are called in the order in which they were made. A panic in one goes
/// to the exception handler.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::futures::create_future;
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     let (promise, future) = create_future::<_, std::convert::Infallible>();
///     let when = events::time() + Duration::from_millis(1);
///     events::call_at(when, move || promise.set_result(()).unwrap());
///     future.await?;
///     assert!(events::time() >= when);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn call_at(when: Duration, callback: impl FnOnce() + 'static) -> TimerHandle {
    let handle = Handle::new(callback);
    let job = callback_job(handle.caller());
    TimerHandle {
        timer: Timer::set(nanoseconds(when), job),
        when,
        handle,
    }
}

/// A callback that waits to be called (asyncio's `Handle`). Clones are the same; dropping them lets it
/// be called.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     let handle = events::call_soon(|| unreachable!("it is taken back"));
///     handle.cancel();
/// });
/// ```
#[derive(Clone)]
pub struct Handle {
    callback: Rc<dyn Callback>,
}

/// A callback that waits for its time (asyncio's `TimerHandle`). Clones are the same; dropping them
/// lets it be called.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     let timer = events::call_later(Duration::from_secs(60), || unreachable!("it is taken back"));
///     timer.cancel();
/// });
/// ```
#[derive(Clone)]
pub struct TimerHandle {
    handle: Handle,
    timer: Timer,
    when: Duration,
}

struct Call<F> {
    function: Cell<Option<F>>,
    context: Option<Context>,
    made: &'static Location<'static>,
    cancelled: Cell<bool>,
}

/// A call of whatever function.
trait Callback {
    fn call(&self);
    fn cancel(&self);
    fn cancelled(&self) -> bool;
}

impl<F: FnOnce()> Callback for Call<F> {
    fn call(&self) {
        if let Some(function) = self.function.take() {
            let watch = Watch::start_here();
            match &self.context {
                Some(context) => context.run(function),
                None => function(),
            }
            watch.end(None, self.made);
        }
    }

    fn cancel(&self) {
        self.cancelled.set(true);
        drop(self.function.take());
    }

    fn cancelled(&self) -> bool {
        self.cancelled.get()
    }
}

impl Handle {
    /// Scheduled by whoever has made it.
    #[track_caller]
    pub(crate) fn new(callback: impl FnOnce() + 'static) -> Handle {
        Handle {
            callback: Rc::new(Call {
                function: Cell::new(Some(callback)),
                context: contextvars::inherit(),
                made: Location::caller(),
                cancelled: Cell::new(false),
            }),
        }
    }

    /// Has it called in the next turn.
    ///
    /// # Panics
    ///
    /// If no loop is running.
    #[track_caller]
    pub(crate) fn schedule(&self) {
        let job = callback_job(self.caller());
        with_running(|_, engine| engine.schedule(job));
    }

    /// Has it called in the next turn or, where no loop is running, calls it.
    pub(crate) fn schedule_or_call(&self) {
        note_next_turn(self.caller());
    }

    fn caller(&self) -> impl FnOnce() + use<> {
        let callback = self.callback.clone();
        move || callback.call()
    }

    /// Takes the callback back, and drops it (asyncio's `Handle.cancel`). After the call that changes
    /// nothing.
    ///
    /// ```
    /// use rasyncio::{events, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let handle = events::call_soon(|| unreachable!("it is taken back"));
    ///     handle.cancel();
    ///     yield_now().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn cancel(&self) {
        self.callback.cancel();
    }

    /// Whether it was taken back, be it too late (asyncio's `Handle.cancelled`).
    ///
    /// ```
    /// use rasyncio::events;
    ///
    /// rasyncio::run(async {
    ///     let handle = events::call_soon(|| {});
    ///     assert!(!handle.cancelled());
    ///     handle.cancel();
    ///     assert!(handle.cancelled());
    /// });
    /// ```
    pub fn cancelled(&self) -> bool {
        self.callback.cancelled()
    }
}

impl TimerHandle {
    /// Takes the callback back, and drops it (asyncio's `TimerHandle.cancel`). After the call that
    /// changes nothing.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::events;
    ///
    /// rasyncio::run(async {
    ///     let timer = events::call_later(Duration::ZERO, || unreachable!("it is taken back"));
    ///     timer.cancel();
    /// });
    /// ```
    pub fn cancel(&self) {
        self.timer.cancel();
        self.handle.cancel();
    }

    /// Whether it was taken back, be it too late.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::events;
    ///
    /// rasyncio::run(async {
    ///     let timer = events::call_later(Duration::from_secs(60), || {});
    ///     timer.cancel();
    ///     assert!(timer.cancelled());
    /// });
    /// ```
    pub fn cancelled(&self) -> bool {
        self.handle.cancelled()
    }

    /// The moment, by the loop's [time] (asyncio's `TimerHandle.when`).
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::events;
    ///
    /// rasyncio::run(async {
    ///     let now = events::time();
    ///     let timer = events::call_later(Duration::from_secs(60), || {});
    ///     assert!(timer.when() >= now + Duration::from_secs(60));
    /// });
    /// ```
    pub fn when(&self) -> Duration {
        self.when
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("cancelled", &self.cancelled())
            .finish()
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerHandle")
            .field("when", &self.when)
            .field("cancelled", &self.cancelled())
            .finish()
    }
}
