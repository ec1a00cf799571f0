//! What a promise and its future share.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::task::Waker;

use super::FutureError;
use super::callbacks::{Callbacks, Key, Told};
use crate::events::Handle;
use crate::exceptions::Cancelled;
use crate::scope::Cancel;
use crate::tasks::DoneCallback;

pub(super) struct State<T, E> {
    pub(super) outcome: RefCell<Outcome<T, E>>,
    pub(super) ended: Cell<Ended>,
    /// Of whoever awaits the `Future`, and when that began.
    pub(super) waker: Cell<Option<Waker>>,
    pub(super) came: Cell<Key>,
    pub(super) callbacks: Callbacks,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    No,
    Finished,
    Cancelled,
}

pub(super) enum Outcome<T, E> {
    Pending,
    Ended(Result<T, FutureError<E>>),
    Taken,
}

impl<T, E> State<T, E> {
    pub(super) fn new() -> State<T, E> {
        State {
            outcome: RefCell::new(Outcome::Pending),
            ended: Cell::new(Ended::No),
            waker: Cell::new(None),
            came: Cell::default(),
            callbacks: Callbacks::default(),
        }
    }

    /// # Errors
    ///
    /// If it has ended before. The outcome comes back.
    pub(super) fn end(
        &self,
        outcome: Result<T, FutureError<E>>,
    ) -> Result<(), Result<T, FutureError<E>>> {
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

    pub(super) fn cancel(&self, cancelled: Cancelled) -> bool {
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

impl<T, E> fmt::Debug for State<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.ended.get() {
            Ended::No => "<Future pending>",
            Ended::Finished => "<Future finished>",
            Ended::Cancelled => "<Future cancelled>",
        })
    }
}
