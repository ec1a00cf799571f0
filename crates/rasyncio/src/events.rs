//! The loop that runs in this thread, and what rasyncio keeps for it (asyncio's `events`).
//!
//! These functions speak of the running loop, as asyncio's `get_running_loop()` does, and
//! panic with [`NO_RUNNING_LOOP`] where there is none.

mod debug;
mod descriptors;
mod handles;
mod report;
mod threadsafe;

use std::cell::{Cell, OnceCell, RefCell};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use rasyncio_engine::{EventLoop, Job, Remote};

use crate::scoped::{Scoped, Slot};
use crate::signals::SignalHandlers;
use crate::tasks::{Spare, TaskList};
use crate::threads::DefaultExecutor;
use debug::SlowHandler;
pub(crate) use debug::Watch;
pub use debug::{
    SlowCallback, get_debug, set_debug, set_slow_callback_duration, set_slow_callback_handler,
};
pub use descriptors::{add_reader, add_writer, remove_reader, remove_writer};
pub use handles::{Handle, TimerHandle, call_at, call_later, call_soon};
pub use report::{
    ExceptionContext, ExceptionHandler, call_exception_handler, default_exception_handler,
    get_exception_handler, remove_exception_handler, set_exception_handler,
};
pub(crate) use report::{UNRETRIEVED, quietly, report};
pub use threadsafe::{ConcurrentFuture, Loop, LoopClosed, ThreadsafeHandle, get_running_loop};

/// What a function that needs a running loop panics with.
pub const NO_RUNNING_LOOP: &str = "no running event loop";

thread_local! {
    static HOME_SLOT: Slot<Home> = const { Cell::new(ptr::null()) };
    static LOOP_SLOT: Slot<LoopState> = const { Cell::new(ptr::null()) };
    static ENGINE_SLOT: Slot<EventLoop> = const { Cell::new(ptr::null()) };
}

// The three are set together, by `enter`. They are three because the ways of a waker need but
// one each.

/// The running loop, as other threads see it. It tells a task whether it is at home.
pub(crate) static HOME: Scoped<Home> = Scoped::new(&HOME_SLOT);
/// The running loop's state.
static LOOP: Scoped<LoopState> = Scoped::new(&LOOP_SLOT);
/// The engine that turns the running loop.
pub(crate) static ENGINE: Scoped<EventLoop> = Scoped::new(&ENGINE_SLOT);

/// What a loop shares with other threads. Its address is its identity.
pub(crate) struct Home {
    pub(crate) remote: Remote,
    state: AtomicPtr<LoopState>,
    entered: AtomicBool,
    pub(crate) closed: AtomicBool,
}

impl Home {
    /// Where the loop's state is: for the loop's thread, as long as the loop is.
    #[inline]
    pub(crate) fn state(&self) -> *const LoopState {
        self.state.load(Ordering::Relaxed)
    }
}

/// What rasyncio keeps for a loop, beside its engine.
pub(crate) struct LoopState {
    pub(crate) home: Arc<Home>,
    /// Never used again, unlike an address: for what may outlive the loop.
    pub(crate) id: u64,
    pub(crate) tasks: TaskList,
    /// Behind the list of tasks, whose memory goes here.
    pub(crate) spare: Spare,
    /// Some tasks could not run because nobody had entered the loop.
    pub(crate) stranded: Cell<bool>,
    pub(crate) closed: Cell<bool>,
    /// Nobody knows how long it will run, and it may be [stopped](stop).
    pub(crate) forever: Cell<bool>,
    /// It was stopped when it was not running so.
    pub(crate) stopped: Cell<bool>,
    named: Cell<u64>,
    handler: RefCell<Option<ExceptionHandler>>,
    /// Real nanoseconds that a step or a callback may take without a word; zero is for ever.
    pub(crate) patience: Cell<u64>,
    slow_handler: RefCell<Option<Rc<SlowHandler>>>,
    pub(crate) executor: RefCell<DefaultExecutor>,
    pub(crate) signals: OnceCell<Rc<SignalHandlers>>,
}

impl LoopState {
    pub(crate) fn new(remote: Remote) -> Rc<LoopState> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let state = Rc::new(LoopState {
            home: Arc::new(Home {
                remote,
                state: AtomicPtr::default(),
                entered: AtomicBool::new(false),
                closed: AtomicBool::new(false),
            }),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            tasks: TaskList::default(),
            spare: Spare::new(),
            stranded: Cell::new(false),
            closed: Cell::new(false),
            forever: Cell::new(false),
            stopped: Cell::new(false),
            named: Cell::new(0),
            handler: RefCell::default(),
            patience: Cell::new(0),
            slow_handler: RefCell::default(),
            executor: RefCell::default(),
            signals: OnceCell::new(),
        });
        let address = Rc::as_ptr(&state).cast_mut();
        state.home.state.store(address, Ordering::Relaxed);
        state
    }

    /// The number of the next task without a name.
    pub(crate) fn next_number(&self) -> u64 {
        let number = self.named.get() + 1;
        self.named.set(number);
        number
    }

    /// Calls `f` with this as the running loop.
    pub(crate) fn enter<R>(&self, engine: &EventLoop, f: impl FnOnce() -> R) -> R {
        let _entered = Entered::now(&self.home);
        HOME.set(Some(&self.home), || {
            LOOP.set(Some(self), || {
                ENGINE.set(Some(engine), || {
                    if self.stranded.replace(false) {
                        self.tasks.schedule_stranded();
                    }
                    f()
                })
            })
        })
    }
}

/// A loop is entered as long as this is there, and as it was before afterwards.
struct Entered<'a> {
    home: &'a Home,
    before: bool,
}

impl Entered<'_> {
    fn now(home: &Home) -> Entered<'_> {
        let before = home.entered.swap(true, Ordering::Relaxed);
        Entered { home, before }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.home.entered.store(self.before, Ordering::Relaxed);
    }
}

/// Calls `f` with the running loop.
///
/// # Panics
///
/// If there is none.
#[track_caller]
pub(crate) fn with_running<R>(f: impl FnOnce(&LoopState, &EventLoop) -> R) -> R {
    match try_with_running(f) {
        Some(result) => result,
        None => panic!("{NO_RUNNING_LOOP}"),
    }
}

/// Calls `f` with the running loop, if there is one.
pub(crate) fn try_with_running<R>(f: impl FnOnce(&LoopState, &EventLoop) -> R) -> Option<R> {
    LOOP.with(|state| ENGINE.with(|engine| Some(f(state?, engine?))))
}

/// Whether a loop is running in this thread (asyncio's `get_running_loop()`, as a question).
///
/// ```
/// assert!(!rasyncio::events::is_running());
/// rasyncio::run(async { assert!(rasyncio::events::is_running()) });
/// ```
pub fn is_running() -> bool {
    LOOP.with(|state| state.is_some())
}

/// Whether a loop is running in this thread that has not been closed.
pub(crate) fn is_open() -> bool {
    LOOP.with(|state| state.is_some_and(|state| !state.closed.get()))
}

/// Makes [`Runner::run_forever`](crate::Runner::run_forever) return after this turn (asyncio's
/// `loop.stop`). In a run that ends with its main task, or while nothing runs, it makes the next
/// `run_forever` end after one turn.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Runner, events};
///
/// let runner = Runner::new()?;
/// runner.enter(|| drop(events::call_later(Duration::from_millis(1), events::stop)));
/// runner.run_forever();
/// # Ok::<_, rasyncio::RunError>(())
/// ```
#[track_caller]
pub fn stop() {
    with_running(|state, engine| match state.forever.get() {
        true => engine.stop(),
        false => state.stopped.set(true),
    });
}

/// The running loop's time (asyncio's `loop.time()`), since a moment of its own choosing.
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
///     let start = events::time();
///     sleep(Duration::from_millis(2)).await?;
///     assert!(events::time() - start >= Duration::from_millis(2));
///     Ok::<_, rasyncio::Cancelled>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn time() -> Duration {
    Duration::from_nanos(with_running(|_, engine| engine.now()))
}

pub(crate) fn callback_job(callback: impl FnOnce() + 'static) -> Job {
    Job::from_fn(move || quietly("Panic in a callback", callback))
}

/// Calls `note` in the next turn, as asyncio calls what waits for a future's end. Where the loop
/// is going that is at once: nobody will run, but whoever polls should see it.
pub(crate) fn note_next_turn(note: impl FnOnce() + 'static) {
    if is_running() {
        let job = callback_job(note);
        with_running(|_, engine| engine.schedule(job));
    } else {
        note();
    }
}
