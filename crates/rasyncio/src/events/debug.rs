//! Debug mode: who takes the loop for too long.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{LOOP, LoopState, quietly, with_running};
use crate::tasks::AnyTask;

/// asyncio's `loop.slow_callback_duration`.
const PATIENCE: Duration = Duration::from_millis(100);

pub(super) type SlowHandler = dyn Fn(&SlowCallback<'_>);

/// A step of a task, or a callback, has taken long: meanwhile nobody else could run.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     events::set_slow_callback_handler(|slow| {
///         eprintln!("{:?} has taken {:?}", slow.task.map(|task| task.name()), slow.took);
///     });
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct SlowCallback<'a> {
    /// The task; `None` for a callback.
    pub task: Option<&'a AnyTask>,
    /// Where the task was created, or the callback made.
    pub created_at: &'static Location<'static>,
    /// How long it has taken, in real time.
    pub took: Duration,
}

impl fmt::Display for SlowCallback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executing ")?;
        match self.task {
            Some(task) => write!(f, "{task:?}")?,
            None => f.write_str("a callback")?,
        }
        let took = self.took.as_secs_f64();
        write!(f, " created at {} took {took:.3} seconds", self.created_at)
    }
}

/// Makes the running loop tell when a step of a task or a callback takes 100 ms and more (asyncio's
/// `loop.set_debug`): to the handler of [`set_slow_callback_handler`] or, without one, to stderr.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::{cell::RefCell, rc::Rc, thread, time::Duration};
/// use rasyncio::{events, tasks::Builder};
///
/// rasyncio::run(async {
///     let told = Rc::new(RefCell::new(String::new()));
///     events::set_debug(true);
///     events::set_slow_callback_duration(Duration::from_millis(1));
///     events::set_slow_callback_handler({
///         let told = told.clone();
///         move |slow| *told.borrow_mut() = slow.to_string()
///     });
///     let lazy = Builder::new().name("lazy");
///     lazy.create_task(async { thread::sleep(Duration::from_millis(2)) }).await.unwrap();
///     assert!(told.borrow().starts_with("Executing <Task finished name=\"lazy\"> created at "));
/// });
/// ```
#[track_caller]
pub fn set_debug(enabled: bool) {
    let patience = if enabled { nanoseconds(PATIENCE) } else { 0 };
    with_running(|state, _| state.patience.set(patience));
}

/// Whether the running loop is in debug mode (asyncio's `loop.get_debug`).
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     assert!(!events::get_debug());
///     events::set_debug(true);
///     assert!(events::get_debug());
/// });
/// ```
#[track_caller]
pub fn get_debug() -> bool {
    with_running(|state, _| state.patience.get() != 0)
}

/// Sets how long a step may take until debug mode tells of it (asyncio's
/// `loop.slow_callback_duration`). Out of debug mode that changes nothing.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     events::set_debug(true);
///     events::set_slow_callback_duration(Duration::from_secs(1));
/// });
/// ```
#[track_caller]
pub fn set_slow_callback_duration(duration: Duration) {
    with_running(|state, _| {
        if state.patience.get() != 0 {
            state.patience.set(nanoseconds(duration));
        }
    });
}

/// Makes the running loop call `handler` for what [`set_debug`] tells.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     events::set_slow_callback_handler(|slow| eprintln!("{slow}"));
/// });
/// ```
#[track_caller]
pub fn set_slow_callback_handler(handler: impl Fn(&SlowCallback<'_>) + 'static) {
    let old = with_running(|state, _| state.slow_handler.replace(Some(Rc::new(handler))));
    drop(old);
}

/// Never zero, which is for ever.
fn nanoseconds(duration: Duration) -> u64 {
    crate::timer::nanoseconds(duration).max(1)
}

/// Takes the time of a step, in debug mode.
pub(crate) struct Watch(Option<(Instant, u64)>);

impl Watch {
    /// For the running loop, if there is one.
    pub(super) fn start_here() -> Watch {
        LOOP.with(|state| state.map_or(Watch(None), Watch::start))
    }

    /// Whether the loop is in debug mode.
    #[inline]
    pub(crate) fn is_wanted(state: &LoopState) -> bool {
        state.patience.get() != 0
    }

    #[inline]
    pub(crate) fn start(state: &LoopState) -> Watch {
        let patience = state.patience.get();
        Watch((patience != 0).then(|| (Instant::now(), patience)))
    }

    #[inline]
    pub(crate) fn end(self, task: Option<&AnyTask>, created_at: &'static Location<'static>) {
        if let Some((start, patience)) = self.0 {
            let took = start.elapsed();
            if took >= Duration::from_nanos(patience) {
                tell(&SlowCallback {
                    task,
                    created_at,
                    took,
                });
            }
        }
    }
}

#[cold]
fn tell(slow: &SlowCallback<'_>) {
    use std::io::Write;
    let handler = LOOP.with(|state| state.and_then(|state| state.slow_handler.borrow().clone()));
    match handler {
        Some(handler) => quietly("Panic in the handler of slow callbacks", || handler(slow)),
        // As with the exception handler: there is nobody left to tell of a closed stderr.
        #[cfg(feature = "tracing")]
        None if crate::adapters::tracing::slow(slow) => {}
        None => drop(writeln!(std::io::stderr(), "rasyncio: {slow}")),
    }
}
