//! What a time limit does to the future that it limits.
//!
//! The future is polled in a scope of its own ([`Nested`]), where the deadline makes its request.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::RescheduleError;
use crate::events;
use crate::exceptions::Cancelled;
use crate::scope::{self, Inner, Nested};
use crate::timer::{Timer, nanoseconds};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Created,
    Active,
    /// The time is over, and the future was asked to end.
    Expiring,
    Expired,
    Finished,
}

/// A time limit, shared by who set it, the future under it, and the timer.
pub(super) struct Limit {
    state: Cell<State>,
    when: Cell<Option<Duration>>,
    /// In place of `when`, until somebody enters.
    delay: Cell<Option<Duration>>,
    timer: Cell<Option<Timer>>,
    nested: Nested,
}

impl Limit {
    pub(super) fn new(when: Option<Duration>) -> Limit {
        Limit {
            state: Cell::new(State::Created),
            when: Cell::new(when),
            delay: Cell::new(None),
            timer: Cell::new(None),
            nested: Nested::default(),
        }
    }

    /// The limit will be `delay` from the moment of entering.
    pub(super) fn set_delay(&self, delay: Option<Duration>) {
        self.delay.set(delay);
    }

    pub(super) fn when(&self) -> Option<Duration> {
        self.when.get()
    }

    pub(super) fn has_expired(&self) -> bool {
        matches!(self.state.get(), State::Expiring | State::Expired)
    }

    pub(super) fn reschedule(
        self: &Rc<Self>,
        when: Option<Duration>,
    ) -> Result<(), RescheduleError> {
        match self.state.get() {
            State::Created => {
                self.delay.set(None);
                self.when.set(when);
            }
            State::Active => {
                self.when.set(when);
                self.set_timer();
            }
            State::Expiring | State::Expired => return Err(RescheduleError::Expired),
            State::Finished => return Err(RescheduleError::Finished),
        }
        Ok(())
    }

    /// The future is about to be polled for the first time.
    pub(super) fn enter(self: Rc<Self>) -> Visit {
        assert!(
            self.state.get() == State::Created,
            "Timeout has already been entered"
        );
        self.state.set(State::Active);
        match self.delay.take() {
            Some(Duration::ZERO) => self.expire(),
            Some(delay) => {
                self.when.set(Some(events::time().saturating_add(delay)));
                self.set_timer();
            }
            None => self.set_timer(),
        }
        Visit(scope::Visit::enter(self))
    }

    /// Sets the timer for `when`, in place of the one that there is. A moment that has passed
    /// means the next turn.
    fn set_timer(self: &Rc<Self>) {
        self.cancel_timer();
        let Some(when) = self.when.get() else {
            return;
        };
        let limit = self.clone();
        let job = events::callback_job(move || {
            limit.timer.set(None);
            limit.expire();
        });
        self.timer.set(Some(Timer::set(nanoseconds(when), job)));
    }

    fn cancel_timer(&self) {
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
    }

    fn expire(&self) {
        if self.state.get() == State::Active {
            self.state.set(State::Expiring);
            self.nested.request(Cancelled::new());
        }
    }
}

impl Inner for Limit {
    fn nested(&self) -> &Nested {
        &self.nested
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("state", &self.state.get())
            .field("when", &self.when.get())
            .finish()
    }
}

/// The time that a future spends under a limit.
pub(super) struct Visit(scope::Visit<Limit>);

impl Visit {
    /// Polls the future.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.0.poll(cx, poll)
    }

    /// The future has ended. Whether it has done so in time, or for other reasons.
    pub(super) fn end(self) -> bool {
        let timed_out = self.0.inner().has_expired() && self.0.was_ended_from_inside();
        !timed_out
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let limit = self.0.inner();
        limit.cancel_timer();
        limit.state.set(match limit.state.get() {
            State::Expiring => State::Expired,
            _ => State::Finished,
        });
    }
}
