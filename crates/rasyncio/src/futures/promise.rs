//! A result that is not there yet, and whoever will bring it.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::callbacks::{Callbacks, Key, Told};
use crate::events::Handle;
use crate::exceptions::Cancelled;
use crate::scope::{self, Cancel};
use crate::tasks::DoneCallback;

/// A result that is not there yet, in two parts (asyncio's `loop.create_future`): who has the
/// [`Promise`] sets it, and who has the [`Future`](struct@Future) awaits it.
///
/// ```
/// use rasyncio::{create_task, futures::create_future};
///
/// rasyncio::run(async {
///     let (promise, future) = create_future::<_, std::io::Error>();
///     create_task(async move { promise.set_result(42).unwrap() });
///     assert_eq!(future.await.unwrap(), 42);
/// });
/// ```
pub fn create_future<T, E>() -> (Promise<T, E>, Future<T, E>) {
    let state = Rc::new(State {
        outcome: RefCell::new(Outcome::Pending),
        ended: Cell::new(Ended::No),
        waker: Cell::new(None),
        came: Cell::default(),
        callbacks: Callbacks::default(),
    });
    let promise = Promise {
        state: state.clone(),
    };
    let future = Future {
        state,
        suspended: false,
    };
    (promise, future)
}

/// Brings a result. Dropped without one, it cancels the future: nobody will bring it then.
///
/// ```
/// use rasyncio::futures::create_future;
///
/// rasyncio::run(async {
///     let (promise, future) = create_future::<i32, std::io::Error>();
///     drop(promise);
///     assert!(future.await.is_err());
/// });
/// ```
pub struct Promise<T, E = Box<dyn Error>> {
    state: Rc<State<T, E>>,
}

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

pub(super) struct State<T, E> {
    outcome: RefCell<Outcome<T, E>>,
    pub(super) ended: Cell<Ended>,
    /// Of whoever awaits the `Future`, and when that began.
    waker: Cell<Option<Waker>>,
    came: Cell<Key>,
    pub(super) callbacks: Callbacks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    No,
    Finished,
    Cancelled,
}

enum Outcome<T, E> {
    Pending,
    Ended(Result<T, FutureError<E>>),
    Taken,
}

/// Why a future gave no result.
///
/// ```
/// use rasyncio::futures::{FutureError, create_future};
///
/// rasyncio::run(async {
///     let (promise, future) = create_future::<(), &str>();
///     promise.set_exception("no disk").unwrap();
///     assert_eq!(future.await, Err(FutureError::Exception("no disk")));
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FutureError<E> {
    /// It was cancelled, or who awaits it was, or the promise was dropped.
    Cancelled(Cancelled),
    /// What was given to [`Promise::set_exception`].
    Exception(E),
}

/// The future has a result already, or was cancelled (asyncio's `InvalidStateError`). What was to be
/// set comes back.
///
/// ```
/// use rasyncio::futures::{InvalidStateError, create_future};
///
/// let (promise, _future) = create_future::<_, ()>();
/// promise.set_result(1).unwrap();
/// assert_eq!(promise.set_result(2), Err(InvalidStateError(2)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InvalidStateError<T>(pub T);

impl<T, E> State<T, E> {
    /// # Errors
    ///
    /// If it has ended before. The outcome comes back.
    fn end(&self, outcome: Result<T, FutureError<E>>) -> Result<(), Result<T, FutureError<E>>> {
        if self.ended.get() != Ended::No {
            return Err(outcome);
        }
        self.ended.set(match outcome {
            Err(FutureError::Cancelled(_)) => Ended::Cancelled,
            Ok(_) | Err(FutureError::Exception(_)) => Ended::Finished,
        });
        self.outcome.replace(Outcome::Ended(outcome));
        self.callbacks.tell(self.waker.take(), self.came.get());
        Ok(())
    }

    fn cancel(&self, cancelled: Cancelled) -> bool {
        self.end(Err(FutureError::Cancelled(cancelled))).is_ok()
    }
}

impl<T: 'static, E: 'static> State<T, E> {
    pub(super) fn add_done_callback(self: &Rc<Self>, handle: Handle) -> DoneCallback {
        if self.ended.get() != Ended::No {
            handle.schedule_or_call();
            return DoneCallback::called();
        }
        let key = self.callbacks.add(Told::Callback(handle));
        let state = Rc::downgrade(self);
        DoneCallback::new(move || {
            let state = state.upgrade();
            state.is_some_and(|state| state.callbacks.remove(key).is_some())
        })
    }
}

impl<T, E> Cancel for State<T, E> {
    fn cancel(&self, cancelled: &Cancelled) -> bool {
        State::cancel(self, cancelled.clone())
    }
}

impl<T, E> Promise<T, E> {
    /// Ends the future with a result (asyncio's `Future.set_result`).
    ///
    /// # Errors
    ///
    /// If it has ended already.
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// rasyncio::run(async {
    ///     let (promise, future) = create_future::<_, ()>();
    ///     promise.set_result(42).unwrap();
    ///     assert_eq!(future.await, Ok(42));
    /// });
    /// ```
    pub fn set_result(&self, result: T) -> Result<(), InvalidStateError<T>> {
        match self.state.end(Ok(result)) {
            Err(Ok(result)) => Err(InvalidStateError(result)),
            _ => Ok(()),
        }
    }

    /// Ends the future with an error (asyncio's `Future.set_exception`).
    ///
    /// # Errors
    ///
    /// If it has ended already.
    ///
    /// ```
    /// use rasyncio::futures::{FutureError, InvalidStateError, create_future};
    ///
    /// rasyncio::run(async {
    ///     let (promise, future) = create_future::<(), _>();
    ///     promise.set_exception("no luck").unwrap();
    ///     assert_eq!(promise.set_exception("late"), Err(InvalidStateError("late")));
    ///     assert_eq!(future.await, Err(FutureError::Exception("no luck")));
    /// });
    /// ```
    pub fn set_exception(&self, exception: E) -> Result<(), InvalidStateError<E>> {
        match self.state.end(Err(FutureError::Exception(exception))) {
            Err(Err(FutureError::Exception(exception))) => Err(InvalidStateError(exception)),
            _ => Ok(()),
        }
    }

    /// Cancels the future (asyncio's `Future.cancel`). False if it has ended already.
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// rasyncio::run(async {
    ///     let (promise, future) = create_future::<(), ()>();
    ///     assert!(promise.cancel());
    ///     assert!(future.cancelled() && future.await.is_err());
    /// });
    /// ```
    pub fn cancel(&self) -> bool {
        self.state.cancel(Cancelled::new())
    }

    /// Whether the future has ended, in whatever way (asyncio's `Future.done`).
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, _future) = create_future::<_, ()>();
    /// assert!(!promise.done());
    /// promise.set_result(1).unwrap();
    /// assert!(promise.done());
    /// ```
    pub fn done(&self) -> bool {
        self.state.ended.get() != Ended::No
    }

    /// Whether the future was cancelled (asyncio's `Future.cancelled`): nobody wants the result.
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// let (promise, future) = create_future::<(), ()>();
    /// drop(future);
    /// assert!(promise.cancelled());
    /// ```
    pub fn cancelled(&self) -> bool {
        self.state.ended.get() == Ended::Cancelled
    }

    /// Calls `callback` in the turn after the future's end, or in the next one if it has ended (asyncio's
    /// `Future.add_done_callback`). A panic in it goes to the exception handler.
    ///
    /// ```
    /// use rasyncio::futures::create_future;
    ///
    /// rasyncio::run(async {
    ///     let (promise, future) = create_future::<i32, ()>();
    ///     promise.add_done_callback(|| println!("nobody waits any more"));
    ///     drop(future);
    ///     assert!(promise.cancelled());
    /// });
    /// ```
    #[track_caller]
    pub fn add_done_callback(&self, callback: impl FnOnce() + 'static) -> DoneCallback
    where
        T: 'static,
        E: 'static,
    {
        self.state.add_done_callback(Handle::new(callback))
    }
}

impl<T, E> Future<T, E> {
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

impl<T, E> Drop for Promise<T, E> {
    fn drop(&mut self) {
        self.state
            .cancel(Cancelled::with_message("the promise was dropped"));
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

impl<T, E> fmt::Debug for State<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.ended.get() {
            Ended::No => "<Future pending>",
            Ended::Finished => "<Future finished>",
            Ended::Cancelled => "<Future cancelled>",
        })
    }
}

impl<T, E> fmt::Debug for Future<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

impl<T, E> fmt::Debug for Promise<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Promise").field(&self.state).finish()
    }
}

impl<E: fmt::Display> fmt::Display for FutureError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FutureError::Cancelled(cancelled) => cancelled.fmt(f),
            FutureError::Exception(exception) => exception.fmt(f),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> Error for FutureError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            FutureError::Cancelled(cancelled) => Some(cancelled),
            FutureError::Exception(_) => None,
        }
    }
}

impl<T> fmt::Debug for InvalidStateError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InvalidStateError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for InvalidStateError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the future has ended already")
    }
}

impl<T> Error for InvalidStateError<T> {}
