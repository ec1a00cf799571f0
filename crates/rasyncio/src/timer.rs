//! A timer of the running loop, which may be taken back as long as that loop runs.

use std::time::Duration;

use rasyncio_engine::{Job, TimerKey};

use crate::events;

/// Names a timer. Dropping it lets the timer fire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    key: TimerKey,
    /// The loop that has it.
    owner: u64,
}

impl Timer {
    /// Has the running loop schedule `job` when its time is `when`.
    #[inline]
    #[track_caller]
    pub(crate) fn set(when: u64, job: Job) -> Timer {
        events::with_running(|owner, engine| Timer {
            key: engine.set_timer(when, job),
            owner: owner.id,
        })
    }

    /// [`Timer::set`] with a callback, `delay` from now.
    #[track_caller]
    pub(crate) fn after(delay: Duration, callback: impl FnOnce() + 'static) -> Timer {
        let when = events::time().saturating_add(delay);
        Timer::set(nanoseconds(when), events::callback_job(callback))
    }

    /// Takes the timer back. False if it has fired, or is out of reach.
    #[inline]
    pub(crate) fn cancel(self) -> bool {
        let job = events::try_with_running(|owner, engine| {
            (owner.id == self.owner)
                .then(|| engine.cancel_timer(self.key))
                .flatten()
        });
        job.flatten().is_some()
    }
}

/// As the engine counts time.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
