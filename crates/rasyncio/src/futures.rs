//! Futures that are no tasks: results that somebody will bring, and futures from elsewhere (asyncio's
//! `futures`).

mod callbacks;
mod future;
mod promise;
mod shared;
mod state;

use std::future::Future as StdFuture;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

pub use future::Future;
pub use promise::{FutureError, InvalidStateError, Promise, create_future};
pub use shared::Shared;

use crate::exceptions::Cancelled;
use crate::scope;

/// Makes any future an await that a cancellation is delivered at (the counterpart of asyncio's
/// `wrap_future`). The future is dropped then.
///
/// Futures that know nothing of asyncio's cancellation, such as channels of other crates, let
/// it wait until the task awaits something else. Wrap them where they wait long.
///
/// ```
/// use std::future::pending;
/// use rasyncio::{cancellable, create_task, yield_now};
///
/// rasyncio::run(async {
///     let task = create_task(cancellable(pending::<()>()));
///     yield_now().await.unwrap();
///     task.cancel();
///     assert!(task.await.unwrap_err().cancelled().is_some());
/// });
/// ```
pub fn cancellable<F: StdFuture>(future: F) -> Cancellable<F> {
    Cancellable {
        future: Some(future),
        suspended: false,
    }
}

pin_project! {
    /// What [`cancellable`] answers.
    ///
    /// ```
    /// use std::future::pending;
    /// use std::time::Duration;
    /// use rasyncio::{cancellable, timeout};
    ///
    /// rasyncio::run(async {
    ///     let never = cancellable(pending::<()>());
    ///     assert!(timeout(Duration::from_millis(1), never).await.is_err());
    /// });
    /// ```
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Cancellable<F> {
        #[pin]
        future: Option<F>,
        suspended: bool,
    }
}

impl<F: StdFuture> StdFuture for Cancellable<F> {
    type Output = Result<F::Output, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("a cancellable future was polled after it had ended");
        };
        if *this.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            this.future.set(None);
            return Poll::Ready(Err(cancelled));
        }
        match future.poll(cx) {
            Poll::Ready(output) => {
                this.future.set(None);
                Poll::Ready(Ok(output))
            }
            Poll::Pending => {
                *this.suspended = true;
                scope::suspend(cx);
                Poll::Pending
            }
        }
    }
}
