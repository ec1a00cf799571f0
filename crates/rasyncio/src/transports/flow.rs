//! Water marks: when a protocol has to pause writing, and when it may go on.

use std::cell::Cell;
use std::error::Error;
use std::fmt;

/// When nothing is said, asyncio's high-water mark.
pub const DEFAULT_HIGH: usize = 64 * 1024;

/// The two water marks of a write buffer, and whether the protocol is paused.
///
/// The protocol pauses when more than `high` bytes wait, and goes on once `low` or fewer do.
///
/// ```
/// use rasyncio::transports::flow::Flow;
///
/// let flow = Flow::new();
/// flow.set_limits(Some(100), None)?;
/// assert_eq!(flow.limits(), (25, 100));
/// assert!(!flow.grown(100));
/// assert!(flow.grown(101), "pause now");
/// assert!(!flow.grown(500), "it is paused already");
/// assert!(!flow.shrunk(26));
/// assert!(flow.shrunk(25), "go on");
/// # Ok::<_, rasyncio::transports::flow::LimitsError>(())
/// ```
pub struct Flow {
    low: Cell<usize>,
    high: Cell<usize>,
    paused: Cell<bool>,
}

/// Water marks that are none: `high >= low >= 0` must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsError {
    /// The high mark, given or derived.
    pub high: i64,
    /// The low mark, given or derived.
    pub low: i64,
}

impl Flow {
    /// Asyncio's defaults: 64 KiB and a quarter of that.
    pub const fn new() -> Flow {
        Flow {
            low: Cell::new(DEFAULT_HIGH / 4),
            high: Cell::new(DEFAULT_HIGH),
            paused: Cell::new(false),
        }
    }

    /// Sets the marks (asyncio's `set_write_buffer_limits`). Without `low`, that is a quarter of
    /// `high`; without `high`, that is four times `low`; without both, the defaults. The face asks
    /// [`Flow::grown`] afterwards.
    ///
    /// # Errors
    ///
    /// Where the marks are in the wrong order or negative. Nothing is changed then.
    pub fn set_limits(&self, high: Option<i64>, low: Option<i64>) -> Result<(), LimitsError> {
        let high = match (high, low) {
            (Some(high), _) => high,
            (None, Some(low)) => low.saturating_mul(4),
            (None, None) => DEFAULT_HIGH as i64,
        };
        let low = low.unwrap_or_else(|| high.div_euclid(4));
        let error = LimitsError { high, low };
        if high < low {
            return Err(error);
        }
        // Not negative, and then the other is not either.
        self.low.set(usize::try_from(low).map_err(|_| error)?);
        self.high.set(usize::try_from(high).map_err(|_| error)?);
        Ok(())
    }

    /// The marks, the low one first (asyncio's `get_write_buffer_limits`).
    pub fn limits(&self) -> (usize, usize) {
        (self.low.get(), self.high.get())
    }

    /// Whether the protocol was told to pause, and not yet to go on.
    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// `size` bytes wait now, which may be more than before. True: the protocol must be told to
    /// pause writing.
    #[must_use = "the protocol must be told"]
    pub fn grown(&self, size: usize) -> bool {
        size > self.high.get() && !self.paused.replace(true)
    }

    /// As [`Flow::grown`] where the high mark itself is too much already, as it is for TLS.
    #[must_use = "the protocol must be told"]
    pub fn reached(&self, size: usize) -> bool {
        size >= self.high.get() && !self.paused.replace(true)
    }

    /// `size` bytes wait now, which may be less than before. True: the protocol must be told to
    /// resume writing.
    #[must_use = "the protocol must be told"]
    pub fn shrunk(&self, size: usize) -> bool {
        size <= self.low.get() && self.paused.replace(false)
    }
}

impl Default for Flow {
    fn default() -> Flow {
        Flow::new()
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("low", &self.low.get())
            .field("high", &self.high.get())
            .field("paused", &self.paused.get())
            .finish()
    }
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LimitsError { high, low } = self;
        write!(f, "high ({high}) must be >= low ({low}) must be >= 0")
    }
}

impl Error for LimitsError {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_mark_follows_from_the_other() {
        let flow = Flow::new();
        assert_eq!(flow.limits(), (16 * 1024, 64 * 1024));
        flow.set_limits(None, Some(10)).unwrap();
        assert_eq!(flow.limits(), (10, 40));
        flow.set_limits(Some(10), None).unwrap();
        assert_eq!(flow.limits(), (2, 10));
        flow.set_limits(Some(0), None).unwrap();
        assert_eq!(flow.limits(), (0, 0));
        flow.set_limits(None, None).unwrap();
        assert_eq!(flow.limits(), (16 * 1024, 64 * 1024));
    }

    #[test]
    fn wrong_marks_change_nothing_and_are_named() {
        let flow = Flow::new();
        let error = flow.set_limits(Some(5), Some(6)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "high (5) must be >= low (6) must be >= 0"
        );
        let error = flow.set_limits(Some(-1), None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "high (-1) must be >= low (-1) must be >= 0"
        );
        let error = flow.set_limits(Some(1), Some(-1)).unwrap_err();
        assert_eq!(error, LimitsError { high: 1, low: -1 });
        assert_eq!(flow.limits(), (16 * 1024, 64 * 1024));
    }

    #[test]
    fn marks_of_zero_pause_at_the_first_byte() {
        let flow = Flow::new();
        flow.set_limits(Some(0), None).unwrap();
        assert!(!flow.grown(0));
        assert!(flow.grown(1));
        assert!(flow.shrunk(0));
        assert!(!flow.shrunk(0));
    }
}
