//! A result that several wait for.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::callbacks::{Key, Told};
use super::state::Ended;
use super::{Future, FutureError};
use crate::events::Handle;
use crate::scope::{self, Cancel};
use crate::tasks::DoneCallback;

/// A [`Future`](struct@Future) that several may await, and whose result may be asked for as often as one
/// likes, as asyncio's may: made by [`Future::shared`]. Clones are the same future.
///
/// As in asyncio, cancelling a task that awaits it cancels the future, and so all that await it. Dropping a
/// clone leaves the others alone; dropping the last one cancels the future.
///
/// ```
/// use rasyncio::{gather, futures::create_future, yield_now};
///
/// rasyncio::run(async {
///     let (promise, future) = create_future::<_, ()>();
///     let future = future.shared();
///     promise.set_result(42).unwrap();
///     let (one, other) = gather((future.clone(), future.clone())).await?;
///     assert_eq!((one, other), (Ok(42), Ok(42)));
///     assert_eq!(future.result(), Some(Ok(42)));
///     Ok::<_, rasyncio::TaskError>(())
/// })
/// .unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Shared<T: 'static, E: 'static = Box<dyn std::error::Error>> {
    future: Rc<Future<T, E>>,
    waiting: Option<Key>,
}

impl<T, E> Future<T, E> {
    /// Makes it a future that several may await.
    ///
    /// ```
    /// use rasyncio::{create_task, futures::create_future, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let (promise, future) = create_future::<_, ()>();
    ///     let future = future.shared();
    ///     let tasks = [create_task(future.clone()), create_task(future)];
    ///     yield_now().await.unwrap();
    ///     promise.set_result("for all").unwrap();
    ///     for task in tasks {
    ///         assert_eq!(task.await.unwrap(), Ok("for all"));
    ///     }
    /// });
    /// ```
    pub fn shared(mut self) -> Shared<T, E> {
        self.leave();
        Shared {
            future: Rc::new(self),
            waiting: None,
        }
    }
}

impl<T, E> Shared<T, E> {
    /// Cancels the future (asyncio's `Future.cancel`). False if it has ended already.
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<_, ()>();
    /// assert!(future.shared().cancel());
    /// assert!(promise.set_result(1).is_err());
    /// ```
    pub fn cancel(&self) -> bool {
        self.future.cancel()
    }

    /// Cancels the future, and says why (asyncio's `Future.cancel(msg)`). False if it has ended already.
    ///
    /// ```
    /// use rasyncio::futures::{FutureError, create_future};
    ///
    /// rasyncio::run(async {
    ///     let (_promise, future) = create_future::<(), ()>();
    ///     let future = future.shared();
    ///     assert!(future.cancel_with("changed my mind"));
    ///     let Err(FutureError::Cancelled(cancelled)) = future.await else { unreachable!() };
    ///     assert_eq!(cancelled.message(), Some("changed my mind"));
    /// });
    /// ```
    pub fn cancel_with(&self, message: impl Into<std::sync::Arc<str>>) -> bool {
        self.future.cancel_with(message)
    }

    /// Whether the future has ended, in whatever way (asyncio's `Future.done`).
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<_, ()>();
    /// promise.set_result(1).unwrap();
    /// assert!(future.shared().done());
    /// ```
    pub fn done(&self) -> bool {
        self.future.done()
    }

    /// Whether the future was cancelled (asyncio's `Future.cancelled`).
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<(), ()>();
    /// promise.cancel();
    /// assert!(future.shared().cancelled());
    /// ```
    pub fn cancelled(&self) -> bool {
        self.future.cancelled()
    }

    /// What awaiting it would give; `None` before the end (asyncio's `Future.result` and
    /// `Future.exception`, and `InvalidStateError`).
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<_, ()>();
    /// let future = future.shared();
    /// assert_eq!(future.result(), None);
    /// promise.set_result(1).unwrap();
    /// assert_eq!(future.result(), Some(Ok(1)));
    /// ```
    pub fn result(&self) -> Option<Result<T, FutureError<E>>>
    where
        T: Clone,
        E: Clone,
    {
        self.future.result()
    }

    /// Calls `callback` in the turn after the future's end, or in the next one if it has ended (asyncio's
    /// `Future.add_done_callback`). Until then it counts as one more clone. A panic in it goes to the
    /// exception handler.
    ///
    /// ```
    /// use rasyncio::{futures::create_future, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let (promise, future) = create_future::<u32, ()>();
    ///     let future = future.shared();
    ///     future.add_done_callback(|future| assert_eq!(future.result(), Some(Ok(1))));
    ///     promise.set_result(1).unwrap();
    ///     yield_now().await.unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn add_done_callback(
        &self,
        callback: impl FnOnce(&Shared<T, E>) + 'static,
    ) -> DoneCallback {
        let shared = self.clone();
        let handle = Handle::new(move || callback(&shared));
        self.future.state.add_done_callback(handle)
    }
}

impl<T, E> Clone for Shared<T, E> {
    fn clone(&self) -> Shared<T, E> {
        Shared {
            future: self.future.clone(),
            waiting: None,
        }
    }
}

impl<T: Clone, E: Clone> std::future::Future for Shared<T, E> {
    type Output = Result<T, FutureError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = self.future.state.clone();
        if state.ended.get() == Ended::No {
            if self.waiting.is_some()
                && let Some(cancelled) = scope::take_refused()
            {
                return Poll::Ready(Err(FutureError::Cancelled(cancelled)));
            }
            let waker = Told::Waker(cx.waker().clone());
            match self.waiting {
                Some(key) => state.callbacks.replace(key, waker),
                None => self.waiting = Some(state.callbacks.add(waker)),
            }
            scope::suspend_on(state);
            return Poll::Pending;
        }
        if self.waiting.take().is_some()
            && let Some(cancelled) = scope::take_cancellation()
        {
            return Poll::Ready(Err(FutureError::Cancelled(cancelled)));
        }
        match self.future.result() {
            Some(outcome) => {
                if let Err(FutureError::Cancelled(cancelled)) = &outcome {
                    scope::delivered(cancelled);
                }
                Poll::Ready(outcome)
            }
            None => panic!("a future was awaited again after it had given its result"),
        }
    }
}

impl<T: 'static, E: 'static> Drop for Shared<T, E> {
    fn drop(&mut self) {
        if let Some(key) = mem::take(&mut self.waiting) {
            let target: Rc<dyn Cancel> = self.future.state.clone();
            scope::leave(&target);
            drop(self.future.state.callbacks.remove(key));
        }
    }
}

impl<T, E> fmt::Debug for Shared<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.future.fmt(f)
    }
}
