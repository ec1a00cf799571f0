//! Who awaits a result.

use std::error::Error;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::FutureError;
use super::state::{Ended, Outcome, State};
use crate::events::Handle;
use crate::exceptions::Cancelled;
use crate::scope::{self, Cancel};
use crate::tasks::DoneCallback;

/// Awaits a result (asyncio's `Future`): a [`std::future::Future`].
///
/// Cancelling the task that awaits it cancels the future, as in asyncio, and so the promise knows. So
/// does dropping it.
///
/// ```
/// use rasyncio::futures::{Future, create_future};
///
/// rasyncio::run(async {
///     let (promise, future): (_, Future<i32, ()>) = create_future();
///     promise.set_result(42).unwrap();
///     assert_eq!(future.await, Ok(42));
/// });
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Future<T: 'static, E: 'static = Box<dyn Error>> {
    pub(super) state: Rc<State<T, E>>,
    suspended: bool,
}

impl<T, E> Future<T, E> {
    pub(super) fn of(state: Rc<State<T, E>>) -> Future<T, E> {
        Future {
            state,
            suspended: false,
        }
    }

    /// Cancels the future (asyncio's `Future.cancel`). False if it has ended already.
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<_, ()>();
    /// assert!(future.cancel());
    /// assert!(promise.set_result(1).is_err());
    /// ```
    pub fn cancel(&self) -> bool {
        self.state.cancel(Cancelled::new())
    }

    /// Cancels the future, and says why (asyncio's `Future.cancel(msg)`). False if it has ended already.
    ///
    /// ```
    /// use rasyncio::futures::{FutureError, create_future};
    ///
    /// rasyncio::run(async {
    ///     let (_promise, future) = create_future::<(), ()>();
    ///     assert!(future.cancel_with("changed my mind"));
    ///     let Err(FutureError::Cancelled(cancelled)) = future.await else { unreachable!() };
    ///     assert_eq!(cancelled.message(), Some("changed my mind"));
    /// });
    /// ```
    pub fn cancel_with(&self, message: impl Into<Arc<str>>) -> bool {
        self.state.cancel(Cancelled::with_message(message))
    }

    /// Whether the future has ended, in whatever way (asyncio's `Future.done`).
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<_, ()>();
    /// promise.set_result(1).unwrap();
    /// assert!(future.done());
    /// ```
    pub fn done(&self) -> bool {
        self.state.ended.get() != Ended::No
    }

    /// Whether the future was cancelled (asyncio's `Future.cancelled`).
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<(), ()>();
    /// promise.cancel();
    /// assert!(future.cancelled());
    /// ```
    pub fn cancelled(&self) -> bool {
        self.state.ended.get() == Ended::Cancelled
    }

    /// Calls `callback` in the turn after the future's end, or in the next one if it has ended (asyncio's
    /// `Future.add_done_callback`). A panic in it goes to the exception handler.
    ///
    /// ```
    /// use rasyncio::{create_task, futures::create_future, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let (promise, future) = create_future::<u32, ()>();
    ///     let (told, called) = create_future::<(), ()>();
    ///     future.add_done_callback(move || told.set_result(()).unwrap());
    ///     promise.set_result(1).unwrap();
    ///     called.await.unwrap();
    ///     assert!(future.done() && !future.cancelled());
    /// });
    /// ```
    #[track_caller]
    pub fn add_done_callback(&self, callback: impl FnOnce() + 'static) -> DoneCallback {
        self.state.add_done_callback(Handle::new(callback))
    }

    /// What awaiting it would give; `None` before the end (asyncio's `Future.result` and
    /// `Future.exception`, and `InvalidStateError`).
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<_, ()>();
    /// assert_eq!(future.result(), None);
    /// promise.set_result(1).unwrap();
    /// assert_eq!(future.result(), Some(Ok(1)));
    /// ```
    pub fn result(&self) -> Option<Result<T, FutureError<E>>>
    where
        T: Clone,
        E: Clone,
    {
        match &*self.state.outcome.borrow() {
            Outcome::Ended(outcome) => Some(outcome.clone()),
            Outcome::Pending | Outcome::Taken => None,
        }
    }

    /// Nobody awaits it here any more.
    pub(super) fn leave(&mut self) {
        if mem::take(&mut self.suspended) {
            let target: Rc<dyn Cancel> = self.state.clone();
            scope::leave(&target);
        }
        drop(self.state.waker.take());
    }
}

impl<T, E> std::future::Future for Future<T, E> {
    type Output = Result<T, FutureError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.state.ended.get() == Ended::No {
            if self.suspended
                && let Some(cancelled) = scope::take_refused()
            {
                return Poll::Ready(Err(FutureError::Cancelled(cancelled)));
            }
            self.suspended = true;
            let former = self.state.waker.replace(Some(cx.waker().clone()));
            if former.is_none() {
                self.state.came.set(self.state.callbacks.place());
            }
            drop(former);
            scope::suspend_on(self.state.clone());
            return Poll::Pending;
        }
        if mem::take(&mut self.suspended)
            && let Some(cancelled) = scope::take_cancellation()
        {
            return Poll::Ready(Err(FutureError::Cancelled(cancelled)));
        }
        match self.state.outcome.replace(Outcome::Taken) {
            Outcome::Ended(outcome) => {
                if let Err(FutureError::Cancelled(cancelled)) = &outcome {
                    scope::delivered(cancelled);
                }
                Poll::Ready(outcome)
            }
            Outcome::Pending | Outcome::Taken => {
                panic!("a future was awaited again after it had given its result")
            }
        }
    }
}

impl<T: 'static, E: 'static> Drop for Future<T, E> {
    fn drop(&mut self) {
        self.leave();
        self.state
            .cancel(Cancelled::with_message("the future was dropped"));
        drop(self.state.outcome.replace(Outcome::Taken));
    }
}

impl<T, E> fmt::Debug for Future<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}
