//! What can go wrong (asyncio's `exceptions`).

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic;
use std::sync::{Arc, Mutex, PoisonError};

use crate::tasks;

/// A request to cancel, delivered where the task was suspended (asyncio's `CancelledError`).
///
/// Let it travel up with `?`, after awaiting what there is to clean up. To go on in spite of
/// it, call [`uncancel`](crate::AnyTask::uncancel).
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Cancelled, create_task, sleep, yield_now};
///
/// async fn worker() -> Result<(), Cancelled> {
///     let result = sleep(Duration::from_secs(60)).await;
///     // Here goes the clean-up, which may await.
///     result
/// }
///
/// rasyncio::run(async {
///     let task = create_task(worker());
///     yield_now().await?;
///     task.cancel_with("no longer needed");
///     let error = task.await.unwrap_err();
///     assert_eq!(error.cancelled().unwrap().message(), Some("no longer needed"));
///     Ok::<_, Cancelled>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Seldom there. By two pointers, so that it takes one word in what tasks hold.
    message: Option<Arc<Arc<str>>>,
}

impl Cancelled {
    /// A cancellation without a message.
    ///
    /// ```
    /// assert_eq!(rasyncio::Cancelled::new().message(), None);
    /// ```
    pub const fn new() -> Cancelled {
        Cancelled { message: None }
    }

    /// A cancellation that says why.
    ///
    /// ```
    /// let cancelled = rasyncio::Cancelled::with_message("no longer needed");
    /// assert_eq!(cancelled.to_string(), "cancelled: no longer needed");
    /// ```
    pub fn with_message(message: impl Into<Arc<str>>) -> Cancelled {
        Cancelled {
            message: Some(Arc::new(message.into())),
        }
    }

    /// The cancellation inside of an [`io::Error`], if that is what it is.
    ///
    /// ```
    /// use std::io;
    /// use rasyncio::Cancelled;
    ///
    /// let error = io::Error::from(Cancelled::new());
    /// assert_eq!(Cancelled::of(&error), Some(&Cancelled::new()));
    /// assert_eq!(Cancelled::of(&io::ErrorKind::BrokenPipe.into()), None);
    /// ```
    pub fn of(error: &io::Error) -> Option<&Cancelled> {
        error.get_ref()?.downcast_ref()
    }

    /// The cancellation that an error is, or that is among its [sources](Error::source).
    ///
    /// ```
    /// use std::io;
    /// use rasyncio::{Cancelled, TaskError};
    ///
    /// let boxed: Box<dyn std::error::Error> = TaskError::from(Cancelled::new()).into();
    /// assert_eq!(Cancelled::source_of(&*boxed), Some(&Cancelled::new()));
    /// assert_eq!(Cancelled::source_of(&io::Error::other("no disk")), None);
    /// ```
    pub fn source_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Cancelled> {
        tasks::cancellation_in(error)
    }

    /// What was given to [`cancel_with`](crate::AnyTask::cancel_with).
    ///
    /// ```
    /// let cancelled = rasyncio::Cancelled::with_message("no longer needed");
    /// assert_eq!(cancelled.message(), Some("no longer needed"));
    /// ```
    pub fn message(&self) -> Option<&str> {
        self.message.as_ref().map(|message| &***message)
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => write!(f, "cancelled: {message}"),
            None => f.write_str("cancelled"),
        }
    }
}

impl Error for Cancelled {}

/// The time was over before what was awaited had ended (Python's `TimeoutError`). See
/// [`timeouts`](crate::timeouts).
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{TimeoutError, sleep, timeout};
///
/// rasyncio::run(async {
///     let late = timeout(Duration::from_millis(1), sleep(Duration::from_secs(60))).await;
///     assert_eq!(late, Err(TimeoutError));
/// });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutError;

impl fmt::Display for TimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl Error for TimeoutError {}

/// For calls that answer [`io::Error`]: a cancellation travels inside of one, and
/// [`Cancelled::of`] finds it there.
impl From<Cancelled> for io::Error {
    fn from(cancelled: Cancelled) -> io::Error {
        io::Error::other(cancelled)
    }
}

/// Why awaiting a task gave no value.
///
/// ```
/// use rasyncio::{TaskError, create_task};
///
/// rasyncio::run(async {
///     let task = create_task(async { panic!("oops") });
///     match task.await {
///         Err(TaskError::Panicked(panic)) => assert_eq!(panic.message(), "oops"),
///         other => unreachable!("{other:?}"),
///     }
/// });
/// ```
#[derive(Debug)]
pub enum TaskError {
    /// The task was cancelled, or its loop was closed before it had finished.
    Cancelled(Cancelled),
    /// The task's code panicked.
    Panicked(Panic),
}

impl TaskError {
    /// The cancellation, if this is one.
    ///
    /// ```
    /// use rasyncio::{Cancelled, TaskError};
    ///
    /// assert!(TaskError::from(Cancelled::new()).cancelled().is_some());
    /// ```
    pub fn cancelled(&self) -> Option<&Cancelled> {
        match self {
            TaskError::Cancelled(cancelled) => Some(cancelled),
            TaskError::Panicked(_) => None,
        }
    }

    /// The panic, if this is one.
    ///
    /// ```
    /// use rasyncio::create_task;
    ///
    /// rasyncio::run(async {
    ///     let error = create_task(async { panic!("oops") }).await.unwrap_err();
    ///     assert_eq!(error.panicked().unwrap().message(), "oops");
    /// });
    /// ```
    pub fn panicked(&self) -> Option<&Panic> {
        match self {
            TaskError::Cancelled(_) => None,
            TaskError::Panicked(panic) => Some(panic),
        }
    }
}

impl From<Cancelled> for TaskError {
    fn from(cancelled: Cancelled) -> TaskError {
        TaskError::Cancelled(cancelled)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Cancelled(cancelled) => cancelled.fmt(f),
            TaskError::Panicked(panic) => panic.fmt(f),
        }
    }
}

impl Error for TaskError {}

/// What a task panicked with. For an exception handler, also an error that somebody would have raised in
/// Python.
///
/// ```
/// use rasyncio::{TaskError, create_task};
///
/// rasyncio::run(async {
///     let task = create_task(async { std::panic::panic_any(42_u8) });
///     if let Err(TaskError::Panicked(panic)) = task.await {
///         assert_eq!(panic.into_payload().downcast_ref::<u8>(), Some(&42));
///     }
/// });
/// ```
pub struct Panic {
    // In a box, for every task has room for one.
    inner: Box<Inner>,
}

struct Inner {
    message: Cow<'static, str>,
    /// Nobody has panicked: it is an error on its way to an exception handler.
    is_error: bool,
    /// The lock is never contended: it makes the payload, which is only `Send`, `Sync`.
    payload: Mutex<Box<dyn Any + Send>>,
}

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Panic {
        let message = if let Some(message) = payload.downcast_ref::<&'static str>() {
            Cow::Borrowed(*message)
        } else if let Some(message) = payload.downcast_ref::<String>() {
            Cow::Owned(message.clone())
        } else {
            Cow::Borrowed("a value that is no text")
        };
        Panic::with_message(message, payload, false)
    }

    /// An error, as if somebody had panicked with its text.
    pub(crate) fn of_error(text: String) -> Panic {
        Panic::with_message(Cow::Owned(text.clone()), Box::new(text), true)
    }

    fn with_message(
        message: Cow<'static, str>,
        payload: Box<dyn Any + Send>,
        is_error: bool,
    ) -> Panic {
        Panic {
            inner: Box::new(Inner {
                message,
                is_error,
                payload: Mutex::new(payload),
            }),
        }
    }

    /// Whether nobody has panicked.
    #[cfg(feature = "tracing")]
    pub(crate) fn is_error(&self) -> bool {
        self.inner.is_error
    }

    /// The text that the code panicked with.
    ///
    /// ```
    /// use rasyncio::create_task;
    ///
    /// rasyncio::run(async {
    ///     let error = create_task(async { panic!("number {}", 7) }).await.unwrap_err();
    ///     assert_eq!(error.panicked().unwrap().message(), "number 7");
    /// });
    /// ```
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The value that the code panicked with, as [`std::panic::catch_unwind`] gives it.
    ///
    /// ```
    /// use rasyncio::{TaskError, create_task};
    ///
    /// rasyncio::run(async {
    ///     if let Err(TaskError::Panicked(panic)) = create_task(async { panic!("oops") }).await {
    ///         assert!(panic.into_payload().is::<&str>());
    ///     }
    /// });
    /// ```
    pub fn into_payload(self) -> Box<dyn Any + Send> {
        self.inner
            .payload
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on panicking, here.
    ///
    /// ```should_panic
    /// use rasyncio::{TaskError, create_task};
    ///
    /// rasyncio::run(async {
    ///     if let Err(TaskError::Panicked(panic)) = create_task(async { panic!("oops") }).await {
    ///         panic.resume();
    ///     }
    /// });
    /// ```
    pub fn resume(self) -> ! {
        panic::resume_unwind(self.into_payload())
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panic")
            .field("message", &self.inner.message)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.inner.is_error {
            return f.write_str(&self.inner.message);
        }
        write!(f, "panicked: {}", self.inner.message)
    }
}

/// Why [`try_run`](crate::try_run) did not run anything, or why a run has no output.
///
/// ```
/// use rasyncio::{RunError, try_run};
///
/// let nested = rasyncio::run(async { try_run(async {}).unwrap_err() });
/// assert!(matches!(nested, RunError::Nested));
/// assert_eq!(nested.to_string(), "rasyncio::run() cannot be called from a running event loop");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// A loop is running in this thread already.
    Nested,
    /// The system gave no loop.
    Io(io::Error),
    /// Ctrl-C was pressed, and the main task has ended of that (Python's `KeyboardInterrupt`). Only
    /// [`run_interruptible`](crate::runners::run_interruptible) answers this.
    Interrupted,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Nested => {
                f.write_str("rasyncio::run() cannot be called from a running event loop")
            }
            RunError::Io(error) => write!(f, "the event loop could not be made: {error}"),
            RunError::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl Error for RunError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            RunError::Nested | RunError::Interrupted => None,
            RunError::Io(error) => Some(error),
        }
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> RunError {
        RunError::Io(error)
    }
}
