//! Process-wide state, set once at import and read from then on.
//!
//! The extension refuses a second interpreter (PyO3 does), and all access happens with the
//! interpreter attached, so a plain cell under the GIL serves where a lock would cost.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

/// A value that is set once, when the module is imported, and lives until the process ends.
pub(crate) struct Global<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: written once during import, before any reader exists (see `set`); afterwards
// only shared references are handed out, always under the GIL.
unsafe impl<T> Sync for Global<T> {}

impl<T> Global<T> {
    pub(crate) const fn new() -> Global<T> {
        Global(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Stores the value. To be called once, from the module's initialisation.
    pub(crate) unsafe fn set(&self, value: T) {
        // SAFETY: nobody reads before initialisation is over, says the caller.
        unsafe { (*self.0.get()).write(value) };
    }

    /// The value.
    #[inline]
    pub(crate) fn get(&'static self) -> &'static T {
        // SAFETY: every entry into the crate comes after the module's initialisation.
        unsafe { (*self.0.get()).assume_init_ref() }
    }
}
