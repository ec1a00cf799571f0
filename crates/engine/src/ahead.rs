//! Memory that will be needed soon.
//!
//! With a thousand connections, what belongs to each has left the processor's second-level cache when its
//! turn comes, and every line of it costs 50 to 100 ns. A loop knows in advance whose turn comes next, so it
//! has the lines fetched meanwhile: with [fewer events at a time](crate::batch), so that they are still there
//! when they are needed, that took a quarter of our own time off a request (`bench/net_profile.py`).

/// The size of a line on all processors that have the instruction.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Has the processor fetch the first `LINES` lines of what is at `address`, while it goes on. Any address
/// will do: nothing is read, so a stale one costs no more than a useless fetch.
#[inline(always)]
pub fn fetch<const LINES: usize>(address: *const ()) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..LINES {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

        // SAFETY: the instruction never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast::<i8>().wrapping_add(line * LINE)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
