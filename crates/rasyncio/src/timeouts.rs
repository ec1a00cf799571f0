//! Time limits (asyncio's `timeouts`).
//!
//! [`timeout`] gives a future a limited time. When that is over, the future is not dropped but
//! asked to end, as a task is that is cancelled: the await where it is suspended resolves to
//! [`Cancelled`], and it may await its clean-up. When it has ended, the outcome is
//! `Err(TimeoutError)`.
//!
//! ```
//! use std::time::Duration;
//! use rasyncio::{TimeoutError, sleep, timeout};
//!
//! rasyncio::run(async {
//!     let hour = sleep(Duration::from_secs(3600));
//!     assert_eq!(timeout(Duration::from_millis(1), hour).await, Err(TimeoutError));
//!     assert_eq!(timeout(Duration::from_secs(3600), async { 5 }).await, Ok(5));
//! });
//! ```
//!
//! # Who was asked to end
//!
//! Only the future that has the limit. Others that the task polls beside it, by `select!` and
//! its like, hear nothing of it. A cancellation of the task reaches the future as it would
//! without a limit, and then the future's own output is the outcome, even if the time is over
//! meanwhile: it is not the limit that has ended it.
//!
//! # When the output is kept
//!
//! A future that ends in time, or that ends before it hears of the limit, gives its output. So
//! does one that waits for something that refuses to be cancelled: a [`Task`] that takes the
//! request back ends with a value, and that is what `timeout(delay, task)` gives. But a future
//! whose own await resolved to the cancellation has timed out, whatever it resolves to.

mod limit;

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::events;
#[cfg(doc)]
use crate::exceptions::Cancelled;
use crate::exceptions::TimeoutError;
#[cfg(doc)]
use crate::tasks::Task;
use limit::{Limit, Visit};

/// Limits the time of `future` to `delay` from now, or not at all if that is `None` (asyncio's
/// `timeout`).
///
/// A delay of zero lets the future run until it first suspends.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Cancelled, sleep, timeout};
///
/// async fn patient() -> Result<(), Cancelled> {
///     let slept = sleep(Duration::from_secs(3600)).await;
///     // The time is over. This is where to clean up.
///     slept
/// }
///
/// rasyncio::run(async {
///     assert!(timeout(Duration::from_millis(1), patient()).await.is_err());
/// });
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(
    delay: impl Into<Option<Duration>>,
    future: F,
) -> Within<F::IntoFuture> {
    Timeout::new(delay).run(future)
}

/// [`timeout`] at a moment of the loop's [time](events::time) (asyncio's `timeout_at`).
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{events, sleep, timeout_at};
///
/// rasyncio::run(async {
///     let end = events::time() + Duration::from_millis(1);
///     let hour = sleep(Duration::from_secs(3600));
///     assert!(timeout_at(end, hour).await.is_err());
///     assert!(events::time() >= end);
/// });
/// ```
pub fn timeout_at<F: IntoFuture>(
    when: impl Into<Option<Duration>>,
    future: F,
) -> Within<F::IntoFuture> {
    Timeout::at(when).run(future)
}

/// Waits for `future`, for `delay` at most counted from the first poll, or without limit if
/// that is `None` (asyncio's `wait_for`).
///
/// It is [`timeout`] the other way round, but for one thing: without any time, a future is asked
/// to end before it starts. So it gives what is there already, and has no time for anything else.
///
/// # Panics
///
/// When it is awaited and no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{create_task, sleep, wait_for, yield_now};
///
/// rasyncio::run(async {
///     let mut task = create_task(sleep(Duration::from_secs(3600)));
///     assert!(wait_for(&mut task, Duration::from_millis(1)).await.is_err());
///     assert!(task.cancelled());
///
///     let task = create_task(async { 5 });
///     yield_now().await.unwrap();
///     assert_eq!(wait_for(task, Duration::ZERO).await.unwrap().unwrap(), 5);
/// });
/// ```
pub fn wait_for<F: IntoFuture>(
    future: F,
    delay: impl Into<Option<Duration>>,
) -> Within<F::IntoFuture> {
    let timeout = Timeout::at(None);
    let delay = delay.into();
    timeout.limit.set_delay(delay);
    timeout.run(future)
}

/// A time limit that can be looked at and moved (asyncio's `Timeout`). Clones are the same.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{events, sleep, timeouts::Timeout};
///
/// rasyncio::run(async {
///     let limit = Timeout::new(Duration::from_millis(1));
///     let outcome = limit
///         .run(async {
///             limit.reschedule(events::time() + Duration::from_secs(3600)).unwrap();
///             sleep(Duration::from_millis(2)).await
///         })
///         .await;
///     assert_eq!(outcome, Ok(Ok(())));
///     assert!(!limit.expired());
/// });
/// ```
#[derive(Clone)]
pub struct Timeout {
    limit: Rc<Limit>,
}

impl Timeout {
    /// A limit that is `delay` from now, or none.
    ///
    /// # Panics
    ///
    /// If there is a delay and no loop is running.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::sleep;
    /// use rasyncio::timeouts::Timeout;
    ///
    /// rasyncio::run(async {
    ///     let limit = Timeout::new(Duration::from_millis(1));
    ///     assert!(limit.run(sleep(Duration::from_secs(60))).await.is_err());
    /// });
    /// ```
    #[track_caller]
    pub fn new(delay: impl Into<Option<Duration>>) -> Timeout {
        Timeout::at(
            delay
                .into()
                .map(|delay| events::time().saturating_add(delay)),
        )
    }

    /// A limit at a moment of the loop's [time](events::time), or none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{events, sleep};
    /// use rasyncio::timeouts::Timeout;
    ///
    /// rasyncio::run(async {
    ///     let limit = Timeout::at(events::time() + Duration::from_millis(1));
    ///     assert!(limit.run(sleep(Duration::from_secs(60))).await.is_err());
    /// });
    /// ```
    pub fn at(when: impl Into<Option<Duration>>) -> Timeout {
        Timeout {
            limit: Rc::new(Limit::new(when.into())),
        }
    }

    /// Runs `future` under this limit (asyncio's `async with timeout:`).
    ///
    /// # Panics
    ///
    /// When the answer is awaited, if something was run under this limit before, or if no loop
    /// is running.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::timeouts::Timeout;
    ///
    /// rasyncio::run(async {
    ///     let limit = Timeout::new(Duration::from_secs(60));
    ///     assert_eq!(limit.run(async { 42 }).await, Ok(42));
    /// });
    /// ```
    pub fn run<F: IntoFuture>(&self, future: F) -> Within<F::IntoFuture> {
        Within {
            limit: self.limit.clone(),
            visit: None,
            future: Some(future.into_future()),
        }
    }

    /// When the time is over, by the loop's [time](events::time); `None` if never.
    ///
    /// ```
    /// use rasyncio::timeouts::Timeout;
    ///
    /// assert_eq!(Timeout::new(None).when(), None);
    /// ```
    pub fn when(&self) -> Option<Duration> {
        self.limit.when()
    }

    /// Moves the limit to another moment, or takes it away.
    ///
    /// # Errors
    ///
    /// If it is too late for that.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{events, sleep};
    /// use rasyncio::timeouts::Timeout;
    ///
    /// rasyncio::run(async {
    ///     let limit = Timeout::new(None);
    ///     let late = limit.run(async {
    ///         limit.reschedule(events::time() + Duration::from_millis(1)).unwrap();
    ///         sleep(Duration::from_secs(60)).await
    ///     });
    ///     assert!(late.await.is_err());
    /// });
    /// ```
    pub fn reschedule(&self, when: impl Into<Option<Duration>>) -> Result<(), RescheduleError> {
        self.limit.reschedule(when.into())
    }

    /// Whether the time was over before the future had ended.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::sleep;
    /// use rasyncio::timeouts::Timeout;
    ///
    /// rasyncio::run(async {
    ///     let limit = Timeout::new(Duration::from_millis(1));
    ///     assert!(limit.run(sleep(Duration::from_secs(60))).await.is_err());
    ///     assert!(limit.expired());
    /// });
    /// ```
    pub fn expired(&self) -> bool {
        self.limit.has_expired()
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limit.fmt(f)
    }
}

/// Why [`Timeout::reschedule`] did nothing.
///
/// ```
/// use rasyncio::timeouts::{RescheduleError, Timeout};
///
/// rasyncio::run(async {
///     let limit = Timeout::new(None);
///     let _ = limit.run(async {}).await;
///     assert!(matches!(limit.reschedule(None), Err(RescheduleError::Finished)));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RescheduleError {
    /// The time is over.
    Expired,
    /// What was limited has ended.
    Finished,
}

impl fmt::Display for RescheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self {
            RescheduleError::Expired => "expired",
            RescheduleError::Finished => "finished",
        };
        write!(f, "Cannot change state of {state} Timeout")
    }
}

impl std::error::Error for RescheduleError {}

pin_project! {
    /// What [`timeout`], [`timeout_at`], [`wait_for`] and [`Timeout::run`] answer. Dropped before
    /// it has ended, it drops the future.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Within<F> {
        limit: Rc<Limit>,
        // From the first poll on. Dropped before the future, for it undoes what concerns others.
        visit: Option<Visit>,
        #[pin]
        future: Option<F>,
    }
}

impl<F: Future> Future for Within<F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a timeout was polled after it had ended");
        };
        let visit = this
            .visit
            .get_or_insert_with(|| Limit::enter(this.limit.clone()));
        match visit.poll(cx, |cx| future.poll(cx)) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(output) => {
                this.future.set(None);
                let in_time = this.visit.take().is_none_or(Visit::end);
                Poll::Ready(if in_time {
                    Ok(output)
                } else {
                    Err(TimeoutError)
                })
            }
        }
    }
}

impl<F> fmt::Debug for Within<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Within").field(&self.limit).finish()
    }
}
