//! Memory that decrypted data passes through on its way to the application.
//!
//! The `ssl` module lets other threads run while it decrypts, and they may decrypt as well. So one
//! block is kept for whoever comes first, and another one is made when it is out.

use core::cell::Cell;

/// As much as a socket's transport reads at once.
pub(super) const SIZE: usize = 256 * 1024;

struct Kept(Cell<Option<Box<[u8]>>>);

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(Cell::new(None));

/// Calls `work` with a block of [`SIZE`] bytes that nobody else has meanwhile.
pub(super) fn with<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut block = KEPT
        .0
        .take()
        .unwrap_or_else(|| vec![0; SIZE].into_boxed_slice());
    let outcome = work(&mut block);
    KEPT.0.set(Some(block));
    outcome
}
