//! What time it is, for the loop.
//!
//! The clock is a parameter so that tests run on virtual time, where an hour of sleeping
//! takes no time. Real time is the clock of Python's `time.monotonic()`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

#[cfg(not(target_vendor = "apple"))]
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The clock of a loop.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The clock of Python's `time.monotonic()`.
    #[default]
    Monotonic,
    /// A clock that stands still while jobs run, and jumps to the next timer whenever the
    /// loop would otherwise wait.
    Virtual(VirtualClock),
}

impl Clock {
    /// Nanoseconds, since a moment that is the clock's own business.
    #[inline]
    pub fn now(&self) -> u64 {
        match self {
            Clock::Monotonic => monotonic(),
            Clock::Virtual(clock) => clock.now(),
        }
    }

    /// How long to wait in real time for what is `patience` away (`None`: for ever).
    #[inline]
    pub(crate) fn patience(&self, patience: Option<Duration>) -> Option<Duration> {
        match self {
            Clock::Monotonic => patience,
            Clock::Virtual(clock) => clock.patience(patience),
        }
    }
}

/// Time that moves only when told. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock {
    state: Rc<VirtualState>,
}

#[derive(Debug, Default)]
struct VirtualState {
    now: Cell<u64>,
    holds: Cell<usize>,
}

/// Keeps a virtual clock from jumping; see [`VirtualClock::hold`].
#[derive(Debug)]
#[must_use = "the clock is held only as long as this lives"]
pub struct ClockHold {
    clock: VirtualClock,
}

impl VirtualClock {
    /// A clock that shows zero.
    pub fn new() -> VirtualClock {
        VirtualClock::default()
    }

    /// Nanoseconds since the clock was made, if nobody set it further.
    #[inline]
    pub fn now(&self) -> u64 {
        self.state.now.get()
    }

    /// Lets `nanoseconds` pass.
    pub fn advance(&self, nanoseconds: u64) {
        self.state
            .now
            .set(self.state.now.get().saturating_add(nanoseconds));
    }

    /// Keeps the loop from jumping to the next timer: it waits, in real time, for descriptors
    /// and other threads. For as long as something goes on outside (work on another thread, a
    /// child process) that must not be overtaken by a timeout.
    pub fn hold(&self) -> ClockHold {
        self.state.holds.set(self.state.holds.get() + 1);
        ClockHold {
            clock: self.clone(),
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.state.holds.get() > 0
    }

    /// Not at all, for what is away comes by jumping; or, if the clock is held, until something happens.
    fn patience(&self, patience: Option<Duration>) -> Option<Duration> {
        if self.is_held() {
            None
        } else {
            patience.map(|_| Duration::ZERO)
        }
    }

    /// Moves the clock forward to `when`; it never goes back.
    pub fn advance_to(&self, when: u64) {
        self.state.now.set(self.state.now.get().max(when));
    }
}

impl Drop for ClockHold {
    fn drop(&mut self) {
        let holds = &self.clock.state.holds;
        holds.set(holds.get() - 1);
    }
}

/// `time.monotonic()` in nanoseconds; about 20 ns to read.
#[cfg(not(target_vendor = "apple"))]
#[inline]
fn monotonic() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Python reads `mach_absolute_time()`, which stands still while the machine sleeps, as this
/// clock does and `CLOCK_MONOTONIC` does not.
#[cfg(target_vendor = "apple")]
#[inline]
fn monotonic() -> u64 {
    // SAFETY: plain system call, no pointers.
    unsafe { libc::clock_gettime_nsec_np(libc::CLOCK_UPTIME_RAW) }
}

/// The monotonic clock as of the last tick of the kernel (1 to 10 ms ago); about 5 ns to read.
///
/// Where there is no such clock, this is the precise one.
#[inline]
pub(crate) fn monotonic_coarse() -> u64 {
    #[cfg(target_os = "linux")]
    return nanoseconds(clock_gettime(ClockId::MonotonicCoarse));
    #[cfg(not(target_os = "linux"))]
    return monotonic();
}

#[cfg(not(target_vendor = "apple"))]
#[inline]
fn nanoseconds(time: Timespec) -> u64 {
    (time.tv_sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(time.tv_nsec as u64)
}
