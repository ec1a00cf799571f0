//! A thread's pointer to a value on somebody's stack, for as long as a call lasts.
//!
//! "The running loop", "the current task" and "the current scope" are all of this kind:
//! set around a call, found by whatever runs inside it. Keeping the pointer behind
//! [`Scoped::set`] and [`Scoped::with`] lets everybody else do without `unsafe`.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;
use std::thread::LocalKey;

/// The thread-local memory of a [`Scoped`]. It has no destructor, so it is there even while
/// the thread's other memory is being torn down.
pub(crate) type Slot<T> = Cell<*const T>;

/// Found by [`Scoped::with`] inside [`Scoped::set`], and nowhere else.
pub(crate) struct Scoped<T: 'static>(&'static LocalKey<Slot<T>>);

impl<T> Scoped<T> {
    pub(crate) const fn new(key: &'static LocalKey<Slot<T>>) -> Scoped<T> {
        Scoped(key)
    }

    /// Calls `f`, and lets everything in it find `value`. What was set before is back afterwards.
    #[inline]
    pub(crate) fn set<R>(&self, value: Option<&T>, f: impl FnOnce() -> R) -> R {
        struct Restore<T: 'static>(&'static LocalKey<Slot<T>>, *const T);
        impl<T> Drop for Restore<T> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let value = value.map_or(ptr::null(), ptr::from_ref);
        let _restore = Restore(self.0, self.0.replace(value));
        f()
    }

    /// Calls `f` with the value of the innermost `set` around this call, if there is one.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(Option<&T>) -> R) -> R {
        let value = self.0.get();
        // SAFETY: a pointer that is not null was put there by a call to `set` in this thread
        // that has not returned (it restores the older one before), and that borrows the value
        // until then. This call returns sooner, and its reference cannot get out of `f`.
        f(unsafe { value.as_ref() })
    }

    /// Whether `value` is what `with` would give. For a pointer that may dangle.
    #[inline]
    pub(crate) fn is(&self, value: *const T) -> bool {
        ptr::eq(self.0.get(), value)
    }
}
