//! The loop that runs in this thread, and what rasyncio keeps for it (asyncio's `events`).
//!
//! These functions speak of the running loop, as asyncio's `get_running_loop()` does, and
//! panic with [`NO_RUNNING_LOOP`] where there is none.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rasyncio_engine::{EventLoop, Job, Remote};

use crate::exceptions::Panic;
use crate::scoped::{Scoped, Slot};
use crate::tasks::{AnyTask, TaskList};

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
}

/// What rasyncio keeps for a loop, beside its engine.
pub(crate) struct LoopState {
    pub(crate) home: Arc<Home>,
    /// Never used again, unlike an address: for what may outlive the loop.
    pub(crate) id: u64,
    pub(crate) tasks: TaskList,
    /// Some tasks could not run because nobody had entered the loop.
    pub(crate) stranded: Cell<bool>,
    pub(crate) closed: Cell<bool>,
    named: Cell<u64>,
    handler: RefCell<Option<Rc<Handler>>>,
}

type Handler = dyn Fn(&ExceptionContext<'_>);

impl LoopState {
    pub(crate) fn new(remote: Remote) -> LoopState {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        LoopState {
            home: Arc::new(Home { remote }),
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            tasks: TaskList::default(),
            stranded: Cell::new(false),
            closed: Cell::new(false),
            named: Cell::new(0),
            handler: RefCell::new(None),
        }
    }

    /// The number of the next task without a name.
    pub(crate) fn next_number(&self) -> u64 {
        let number = self.named.get() + 1;
        self.named.set(number);
        number
    }

    /// Calls `f` with this as the running loop.
    pub(crate) fn enter<R>(&self, engine: &EventLoop, f: impl FnOnce() -> R) -> R {
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
pub fn call_soon(callback: impl FnOnce() + 'static) {
    let job = callback_job(callback);
    with_running(|_, engine| engine.schedule(job));
}

pub(crate) fn callback_job(callback: impl FnOnce() + 'static) -> Job {
    Job::from_fn(move || quietly("Panic in a callback", callback))
}

/// Calls `note` in the next turn, as asyncio calls what waits for a future's end. Where the loop
/// is going that is at once: nobody will run, but whoever polls should see it.
pub(crate) fn note_next_turn(note: impl FnOnce() + 'static) {
    if is_running() {
        call_soon(note);
    } else {
        note();
    }
}

/// What an exception handler is told.
#[non_exhaustive]
pub struct ExceptionContext<'a> {
    /// What has happened.
    pub message: &'a str,
    /// The task that it has happened to.
    pub task: Option<&'a AnyTask>,
    /// The panic.
    pub panic: &'a Panic,
}

impl fmt::Display for ExceptionContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)?;
        if let Some(task) = self.task {
            write!(f, ": task {:?}", task.name())?;
        }
        write!(f, ": {}", self.panic)
    }
}

impl fmt::Debug for ExceptionContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExceptionContext")
            .field("message", &self.message)
            .field("task", &self.task)
            .field("panic", &self.panic)
            .finish()
    }
}

/// Makes the running loop call `handler` for a panic that nobody else will ever see (asyncio's
/// `loop.set_exception_handler`): that of a task whose [`Task`](crate::Task) was dropped, or
/// of a callback. Without one, and if the handler itself panics, a line goes to stderr.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use rasyncio::{create_task, events, yield_now};
///
/// rasyncio::run(async {
///     let seen = Rc::new(RefCell::new(String::new()));
///     events::set_exception_handler({
///         let seen = seen.clone();
///         move |context| *seen.borrow_mut() = context.panic.message().to_owned()
///     });
///     drop(create_task(async { panic!("nobody awaits me") }));
///     yield_now().await?;
///     assert_eq!(*seen.borrow(), "nobody awaits me");
///     Ok::<_, rasyncio::Cancelled>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn set_exception_handler(handler: impl Fn(&ExceptionContext<'_>) + 'static) {
    let old = with_running(|state, _| state.handler.replace(Some(Rc::new(handler))));
    drop(old);
}

/// Tells the running loop's exception handler (asyncio's `loop.call_exception_handler`), or
/// stderr. Never panics.
pub(crate) fn report(context: &ExceptionContext<'_>) {
    let handler = LOOP.with(|state| state.and_then(|state| state.handler.borrow().clone()));
    let Some(handler) = handler else {
        return print(context);
    };
    let called = catch_unwind(AssertUnwindSafe(|| {
        handler(context);
        drop(handler);
    }));
    if let Err(payload) = called {
        print(context);
        print(&ExceptionContext {
            message: "Panic in the exception handler",
            task: None,
            panic: &Panic::new(payload),
        });
    }
}

/// Tells the running loop's exception handler of an error of the system that nobody awaits. For
/// the handler it is as if somebody had panicked with it.
pub(crate) fn report_error(message: &str, error: &std::io::Error) {
    report(&ExceptionContext {
        message,
        task: None,
        panic: &Panic::new(Box::new(error.to_string())),
    });
}

fn print(context: &ExceptionContext<'_>) {
    use std::io::Write;
    // Unlike `eprintln`, this does not panic. There is nobody left to tell of a closed stderr.
    let _ = writeln!(std::io::stderr(), "rasyncio: {context}");
}

/// Calls `f` where a panic must not get out; it is reported instead.
#[inline]
pub(crate) fn quietly(message: &str, f: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(f)) {
        let panic = Panic::new(payload);
        report(&ExceptionContext {
            message,
            task: None,
            panic: &panic,
        });
        // Even a payload may panic when it is dropped. What that panics with can only be leaked.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            mem::forget(payload);
        }
    }
}
