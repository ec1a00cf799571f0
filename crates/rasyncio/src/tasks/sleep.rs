//! Waiting for time to pass, or for a turn of the loop.

use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::waker;
use crate::events;
use crate::exceptions::Cancelled;
use crate::scope;
use crate::timer::{Timer, nanoseconds};

/// Suspends the task for `duration` (asyncio's `sleep`), counted from the first poll. A
/// duration of zero is [`yield_now`].
///
/// # Panics
///
/// When it is awaited and no loop is running.
///
/// ```
/// use std::time::Duration;
///
/// rasyncio::run(async {
///     rasyncio::sleep(Duration::from_millis(1)).await
/// })
/// .unwrap();
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(if duration.is_zero() {
        Stage::Yield
    } else {
        Stage::For(duration)
    })
}

/// Suspends the task until the loop's [time](events::time) is `when`; a moment, if it is already.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{events, tasks::sleep_until};
///
/// rasyncio::run(async {
///     let when = events::time() + Duration::from_millis(1);
///     sleep_until(when).await?;
///     assert!(events::time() >= when);
///     Ok::<_, rasyncio::Cancelled>(())
/// })
/// .unwrap();
/// ```
pub fn sleep_until(when: Duration) -> Sleep {
    Sleep::new(Stage::Until(nanoseconds(when)))
}

/// What [`sleep`] answers.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{events, sleep};
///
/// rasyncio::run(async {
///     let start = events::time();
///     let slept = sleep(Duration::from_millis(1));
///     slept.await?;
///     assert!(events::time() > start);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    stage: Stage,
    /// The timer lives in the loop of this thread.
    here: PhantomData<*mut ()>,
}

#[derive(Debug)]
enum Stage {
    /// Not polled yet.
    For(Duration),
    Until(u64),
    /// Not polled yet, and there is nothing to wait for.
    Yield,
    Yielded,
    Waiting {
        timer: Timer,
        when: u64,
    },
    Over,
}

impl Sleep {
    fn new(stage: Stage) -> Sleep {
        Sleep {
            stage,
            here: PhantomData,
        }
    }

    fn set_timer(&mut self, when: u64, cx: &mut Context<'_>) -> Poll<Result<(), Cancelled>> {
        let job = waker::into_job(cx.waker().clone());
        let timer = Timer::set(when, job);
        self.stage = Stage::Waiting { timer, when };
        scope::suspend(cx);
        Poll::Pending
    }

    /// Takes the timer back. False if it has fired, or is out of reach.
    fn cancel_timer(&mut self) -> bool {
        let Stage::Waiting { timer, .. } = self.stage else {
            return false;
        };
        self.stage = Stage::Over;
        timer.cancel()
    }
}

impl Future for Sleep {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match this.stage {
            Stage::For(duration) => {
                let now = events::with_running(|_, engine| engine.now());
                this.set_timer(now.saturating_add(nanoseconds(duration)), cx)
            }
            Stage::Until(when) => this.set_timer(when, cx),
            Stage::Yield => {
                this.stage = Stage::Yielded;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Stage::Yielded => {
                this.stage = Stage::Over;
                Poll::Ready(match scope::take_cancellation() {
                    Some(cancelled) => Err(cancelled),
                    None => Ok(()),
                })
            }
            Stage::Waiting { when, .. } => {
                let pending = this.cancel_timer();
                if let Some(cancelled) = scope::take_cancellation() {
                    Poll::Ready(Err(cancelled))
                } else if pending {
                    // Something else has woken us, perhaps with another waker.
                    this.set_timer(when, cx)
                } else {
                    Poll::Ready(Ok(()))
                }
            }
            Stage::Over => panic!("sleep was polled after it had ended"),
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel_timer();
    }
}

/// Lets all others have their turn first (asyncio's `sleep(0)`).
///
/// ```
/// rasyncio::run(rasyncio::yield_now()).unwrap();
/// ```
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// What [`yield_now`] answers.
///
/// ```
/// use rasyncio::{create_task, yield_now};
///
/// rasyncio::run(async {
///     let other = create_task(async {});
///     yield_now().await?;
///     assert!(other.done());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = Result<(), Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.yielded {
            return Poll::Ready(scope::take_cancellation().map_or(Ok(()), Err));
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
