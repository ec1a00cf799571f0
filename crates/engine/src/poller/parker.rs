//! A wait without the poller, for a loop that watches no descriptor: it goes by a futex.
//!
//! Waking somebody costs a system call either way, and waking up another; but those of an eventfd and
//! epoll are longer: at best a tenth of the whole hand-over (`cargo bench --bench tasks -- woken`).
//!
//! How threads meet: the loop [chooses](Parker::choose) before it announces in the inbox that it sleeps,
//! and whoever has to wake it reads the choice after it has seen that it sleeps (the inbox orders the
//! two). [`Parker::unpark`] takes the choice back and says whether it was there; if not, the waker goes
//! to the poller. A waker that comes late, when the loop has gone on for another reason, can wake it once
//! too often. It cannot keep it asleep: whoever takes the choice back also wakes, and the loop waits only
//! as long as the choice stands.

use std::time::Duration;

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, Ordering};

use super::futex::Futex;

const POLLER: u32 = 0;
const PARKED: u32 = 1;

pub(crate) struct Parker {
    futex: Futex,
}

impl Parker {
    pub(crate) fn new() -> Parker {
        Parker {
            futex: Futex::new(AtomicU32::new(POLLER)),
        }
    }

    /// How the next wait goes: by [`Parker::park`], or by the poller. For the loop, before it announces
    /// that it sleeps.
    pub(crate) fn choose(&self, park: bool) {
        let how = if park { PARKED } else { POLLER };
        // Relaxed: the announcement comes after it, and releases it.
        self.futex.word().store(how, Ordering::Relaxed);
    }

    /// Waits until somebody unparks, a signal arrives, or `timeout` (`None`: never) is over. For the loop,
    /// after it has chosen to.
    pub(crate) fn park(&self, timeout: Option<Duration>) -> std::io::Result<()> {
        // The kernel compares and falls asleep in one step. Acquire: what the waker has put into the inbox
        // comes before its word.
        while self.futex.word().load(Ordering::Acquire) == PARKED {
            if self.futex.wait(PARKED, timeout)? {
                break;
            }
        }
        Ok(())
    }

    /// Ends the loop's wait if it goes by parking, and says whether it does. For whoever has found that
    /// the loop sleeps.
    pub(crate) fn unpark(&self) -> bool {
        // Release, for the loop to find what is in the inbox.
        let parked = self.futex.word().load(Ordering::Relaxed) == PARKED
            && self.futex.word().swap(POLLER, Ordering::Release) == PARKED;
        if parked {
            self.futex.wake();
        }
        parked
    }
}
