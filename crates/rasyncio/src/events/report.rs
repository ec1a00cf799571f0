//! What becomes of an error that nobody awaits.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::{LOOP, with_running};
use crate::exceptions::Panic;
use crate::tasks::AnyTask;

/// What is said of an error of a task that nobody has looked at.
pub(crate) const UNRETRIEVED: &str = "Task exception was never retrieved";

/// What is called for errors that nobody awaits.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::events::ExceptionHandler;
///
/// let handler: ExceptionHandler = Rc::new(|context| eprintln!("{context}"));
/// ```
pub type ExceptionHandler = Rc<dyn Fn(&ExceptionContext<'_>)>;

/// What an exception handler is told.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     events::set_exception_handler(|context| {
///         let name = context.task.map(|task| task.name());
///         eprintln!("{}: {name:?}: {}", context.message, context.panic.message());
///     });
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[non_exhaustive]
pub struct ExceptionContext<'a> {
    /// What has happened.
    pub message: &'a str,
    /// The task that it has happened to.
    pub task: Option<&'a AnyTask>,
    /// The panic (asyncio's `exception`). Of an error that nobody has looked at, or of the system, it has
    /// the text.
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
/// of a callback. An error that nobody has looked at is told as well, if the task was made by
/// [`create_task!`](macro@crate::create_task) or its like. Without a handler, and if the handler itself
/// panics, [`default_exception_handler`] is called.
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

/// The running loop's exception handler, if one was set (asyncio's `loop.get_exception_handler`).
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     events::set_exception_handler(|context| eprintln!("{context}"));
///     // Another one, which tells this one of the rest.
///     let former = events::get_exception_handler().unwrap();
///     events::set_exception_handler(move |context| {
///         if context.message != "nothing to worry about" {
///             former(context);
///         }
///     });
/// });
/// ```
#[track_caller]
pub fn get_exception_handler() -> Option<ExceptionHandler> {
    with_running(|state, _| state.handler.borrow().clone())
}

/// Takes the running loop's exception handler away (asyncio's `loop.set_exception_handler(None)`), and
/// answers whether there was one.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     events::set_exception_handler(|context| eprintln!("{context}"));
///     assert!(events::remove_exception_handler());
///     assert!(events::get_exception_handler().is_none());
/// });
/// ```
#[track_caller]
pub fn remove_exception_handler() -> bool {
    with_running(|state, _| state.handler.take()).is_some()
}

/// Tells the running loop's exception handler of an error that has nobody to go to (asyncio's
/// `loop.call_exception_handler`). Where no loop is running, the default one is told. Never panics, unless
/// the error does when it is displayed.
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     let told = Rc::new(RefCell::new(String::new()));
///     events::set_exception_handler({
///         let told = told.clone();
///         move |context| *told.borrow_mut() = context.to_string()
///     });
///     events::call_exception_handler("a backup was left out", "no disk");
///     assert_eq!(*told.borrow(), "a backup was left out: no disk");
/// });
/// ```
pub fn call_exception_handler(message: &str, error: impl fmt::Display) {
    report(&ExceptionContext {
        message,
        task: None,
        panic: &Panic::of_error(error.to_string()),
    });
}

/// What happens where no handler was set (asyncio's `loop.default_exception_handler`), for handlers that
/// leave something to it: a line goes to stderr or, with the feature `tracing` and somebody who listens,
/// an event to him.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     events::set_exception_handler(|context| {
///         if context.task.is_none_or(|task| task.name() != "best effort") {
///             events::default_exception_handler(context);
///         }
///     });
/// });
/// ```
pub fn default_exception_handler(context: &ExceptionContext<'_>) {
    use std::io::Write;
    #[cfg(feature = "tracing")]
    if crate::adapters::tracing::error(context) {
        return;
    }
    // Unlike `eprintln`, this does not panic. There is nobody left to tell of a closed stderr.
    let _ = writeln!(std::io::stderr(), "rasyncio: {context}");
}

/// Tells the running loop's exception handler, or the default one. Never panics.
pub(crate) fn report(context: &ExceptionContext<'_>) {
    let handler = LOOP.with(|state| state.and_then(|state| state.handler.borrow().clone()));
    let Some(handler) = handler else {
        return default_exception_handler(context);
    };
    let called = catch_unwind(AssertUnwindSafe(|| {
        handler(context);
        drop(handler);
    }));
    if let Err(payload) = called {
        default_exception_handler(context);
        default_exception_handler(&ExceptionContext {
            message: "Panic in the exception handler",
            task: None,
            panic: &Panic::new(payload),
        });
    }
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
