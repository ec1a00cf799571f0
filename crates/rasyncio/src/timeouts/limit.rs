//! What a time limit does to the future that it limits.
//!
//! The future is polled in a [`Scope`] of its own, where the deadline makes its request. Around
//! it is the scope of whoever polls, mostly a task's: requests made there go on to the inner one,
//! in the same instant ([`Cancel`]), and what becomes of them is told to the outer one.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rasyncio_engine::TimerKey;

use super::RescheduleError;
use crate::events;
use crate::exceptions::Cancelled;
use crate::scope::{self, Cancel, Requested, Scope};

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
    scope: Scope,
    /// Whoever polls the future, while it is suspended.
    waker: Cell<Option<Waker>>,
}

struct Timer {
    key: TimerKey,
    /// The loop that has it.
    owner: u64,
}

impl Limit {
    pub(super) fn new(when: Option<Duration>) -> Limit {
        Limit {
            state: Cell::new(State::Created),
            when: Cell::new(when),
            delay: Cell::new(None),
            timer: Cell::new(None),
            scope: Scope::new(),
            waker: Cell::new(None),
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
        Visit {
            requests_before: scope::cancelling(),
            suspended: false,
            told: false,
            limit: self,
        }
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
        let nanoseconds = u64::try_from(when.as_nanos()).unwrap_or(u64::MAX);
        events::with_running(|owner, engine| {
            self.timer.set(Some(Timer {
                key: engine.set_timer(nanoseconds, job),
                owner: owner.id,
            }));
        });
    }

    fn cancel_timer(&self) {
        let Some(timer) = self.timer.take() else {
            return;
        };
        let job = events::try_with_running(|owner, engine| {
            (owner.id == timer.owner)
                .then(|| engine.cancel_timer(timer.key))
                .flatten()
        });
        drop(job);
    }

    fn expire(&self) {
        if self.state.get() == State::Active {
            self.state.set(State::Expiring);
            self.request(Cancelled::new());
        }
    }

    fn request(&self, cancelled: Cancelled) {
        if let Requested::Waiting = self.scope.request(cancelled)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

impl Cancel for Limit {
    fn cancel(&self, cancelled: &Cancelled) -> bool {
        self.request(cancelled.clone());
        true
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
pub(super) struct Visit {
    limit: Rc<Limit>,
    /// How many requests the outer scope had on entry.
    requests_before: u32,
    suspended: bool,
    /// The outer scope knows that a request of its own was delivered.
    told: bool,
}

impl Visit {
    /// Polls the future in its own scope, and tells the outer one what it needs to know.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            // It could not be forwarded, because somebody beside us suspended later.
            let _ = self.limit.scope.request(cancelled);
        }
        let polled = self.limit.scope.enter(|| poll(cx));
        self.tell();
        if polled.is_pending() {
            self.suspended = true;
            drop(self.limit.waker.replace(Some(cx.waker().clone())));
            scope::suspend_on(self.limit.clone());
        }
        polled
    }

    /// Somebody else wants the task to end.
    fn others(&self) -> bool {
        scope::cancelling() > self.requests_before
    }

    fn tell(&mut self) {
        let others = self.others();
        if self.told && !others {
            self.limit.scope.forgive();
            self.told = false;
        } else if others
            && !self.told
            && let Some(cancelled) = self.limit.scope.delivered()
        {
            scope::delivered(&cancelled);
            self.told = true;
        }
    }

    /// The future has ended. Whether it has done so in time, or for other reasons.
    pub(super) fn end(self) -> bool {
        let timed_out =
            self.limit.has_expired() && self.limit.scope.delivered().is_some() && !self.others();
        !timed_out
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.limit.cancel_timer();
        let state = match self.limit.state.get() {
            State::Expiring => State::Expired,
            _ => State::Finished,
        };
        self.limit.state.set(state);
        drop(self.limit.waker.take());
        if self.suspended {
            let target: Rc<dyn Cancel> = self.limit.clone();
            scope::leave(&target);
        }
        let untaken = self.limit.scope.take_untaken();
        if let Some(cancelled) = untaken
            && self.others()
        {
            scope::give_back(cancelled);
        }
        self.limit.scope.clear();
    }
}
