//! A result that is not there yet, and whoever will bring it.

use std::error::Error;
use std::fmt;
use std::rc::Rc;

use super::Future;
use super::state::{Ended, State};
use crate::events::Handle;
use crate::exceptions::Cancelled;
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
    let state = Rc::new(State::new());
    let promise = Promise {
        state: state.clone(),
    };
    (promise, Future::of(state))
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

impl<T, E> Drop for Promise<T, E> {
    fn drop(&mut self) {
        self.state
            .cancel(Cancelled::with_message("the promise was dropped"));
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
