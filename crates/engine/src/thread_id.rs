//! Which thread this is, in one load from thread-local memory.
//!
//! `std::thread::current().id()` would do, but goes through a reference-counted handle.
//! Numbers are never reused.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static ID: Cell<u64> = const { Cell::new(0) };
}

#[inline]
pub(crate) fn current() -> u64 {
    match ID.get() {
        0 => assign(),
        id => id,
    }
}

#[cold]
fn assign() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    ID.set(id);
    id
}
