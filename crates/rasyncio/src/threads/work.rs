//! A call that an executor makes, and who waits for what it returns.

use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use rasyncio_engine::ClockHold;

use super::Executor;
use crate::events;
use crate::exceptions::{Cancelled, Panic, TaskError};
use crate::scope;

/// What [`run_in_executor`](super::run_in_executor) answers.
///
/// ```
/// use rasyncio::run_in_executor;
///
/// rasyncio::run(async {
///     let call = run_in_executor(None, || 6 * 7);
///     assert_eq!(call.await?, 42);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "dropped, the function may not be called"]
pub struct InExecutor<T> {
    slot: Arc<Slot<T>>,
    suspended: bool,
    /// As long as the executor works for us.
    hold: Option<ClockHold>,
}

struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Waiting(Option<Waker>),
    Ended(Result<T, TaskError>),
    /// Nobody waits any more.
    Abandoned,
}

impl<T> Slot<T> {
    /// Nothing panics under this lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_abandoned(&self) -> bool {
        matches!(*self.lock(), State::Abandoned)
    }

    fn end(&self, result: Result<T, TaskError>) {
        let mut state = self.lock();
        if let State::Waiting(waker) = &mut *state {
            let waker = waker.take();
            *state = State::Ended(result);
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        } else {
            // Unlocked, for dropping the result may run anything.
            drop(state);
            drop(result);
        }
    }
}

/// Tells who waits, should the executor drop the work.
struct Unfinished<T>(Option<Arc<Slot<T>>>);

impl<T> Drop for Unfinished<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            let dropped = Cancelled::with_message("the executor has dropped the work");
            slot.end(Err(dropped.into()));
        }
    }
}

impl<T: Send + 'static> InExecutor<T> {
    #[track_caller]
    pub(super) fn new<F>(executor: &dyn Executor, function: F) -> InExecutor<T>
    where
        F: FnOnce() -> T + Send + 'static,
    {
        let hold = events::with_running(|_, engine| engine.hold_clock());
        let slot = Arc::new(Slot(Mutex::new(State::Waiting(None))));
        let mut unfinished = Unfinished(Some(Arc::clone(&slot)));
        let spawned = executor.spawn(Box::new(move || {
            let Some(slot) = unfinished.0.take() else {
                return;
            };
            if slot.is_abandoned() {
                return;
            }
            let result = panic::catch_unwind(AssertUnwindSafe(function));
            slot.end(result.map_err(|payload| TaskError::Panicked(Panic::new(payload))));
        }));
        if let Err(error) = spawned {
            let refused = Panic::new(Box::new(error.to_string()));
            *slot.lock() = State::Ended(Err(TaskError::Panicked(refused)));
        }
        InExecutor {
            slot,
            suspended: false,
            hold,
        }
    }
}

impl<T> Future for InExecutor<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            self.abandon();
            return Poll::Ready(Err(cancelled.into()));
        }
        let mut waker = Some(cx.waker().clone());
        let ended = {
            let mut state = self.slot.lock();
            match &mut *state {
                State::Waiting(old) => {
                    mem::swap(old, &mut waker);
                    None
                }
                State::Ended(_) => Some(mem::replace(&mut *state, State::Abandoned)),
                State::Abandoned => panic!("a call was awaited again after it had ended"),
            }
        };
        // Unlocked, for dropping a waker may run anything.
        drop(waker);
        if let Some(State::Ended(result)) = ended {
            self.hold = None;
            return Poll::Ready(result);
        }
        self.suspended = true;
        scope::suspend(cx);
        Poll::Pending
    }
}

impl<T> InExecutor<T> {
    fn abandon(&mut self) {
        let state = mem::replace(&mut *self.slot.lock(), State::Abandoned);
        // Unlocked, for dropping a waker or a result may run anything.
        drop(state);
        self.hold = None;
    }
}

impl<T> Drop for InExecutor<T> {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl<T> fmt::Debug for InExecutor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &*self.slot.lock() {
            State::Waiting(_) => "waiting",
            State::Ended(_) => "ended",
            State::Abandoned => "over",
        };
        f.debug_tuple("InExecutor").field(&state).finish()
    }
}
