//! `asyncio.Lock`, `Event`, `Condition`, `Semaphore`, `BoundedSemaphore` and `Barrier`.
//!
//! The algorithms are `rasyncio::locks::states`, with futures for waiters. What is here is
//! Python's: classes, awaiting, errors, reprs, and what subclasses may override.
//!
//! ```text
//! waiter.rs     a future as one who waits
//! bound.rs      what all classes share: the loop, `__dict__`, life as objects
//! view.rs       `_waiters`
//! copying.rs    `copy` and `pickle`
//! lock.rs, event.rs, semaphore.rs, condition.rs, barrier.rs
//! ```

mod barrier;
pub(crate) mod bound;
mod condition;
mod copying;
pub(crate) mod event;
mod lock;
mod semaphore;
pub(crate) mod view;
pub(crate) mod waiter;

use pyo3::ffi::PyObject;

use crate::object::{Ref, Res, type_error};

/// The outcome of a coroutine whose first attempt has succeeded or failed; nothing if it has to
/// wait.
#[inline]
fn first_attempt(taken: Res<bool>, value: impl FnOnce() -> Ref) -> Option<Res> {
    match taken {
        Ok(true) => Some(Ok(value())),
        Ok(false) => None,
        Err(raised) => Some(Err(raised)),
    }
}

/// What is assigned to a flag: NULL for a deletion, which is refused.
pub(crate) fn truth(value: *mut PyObject) -> Res<bool> {
    if value.is_null() {
        return Err(type_error("this attribute cannot be deleted"));
    }
    // SAFETY: alive.
    unsafe { Ref::borrow(value) }.truth()
}

/// Adds the classes; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: once, before any reader, says the caller.
    unsafe {
        view::init(module)?;
        lock::init(module)?;
        event::init(module)?;
        semaphore::init(module)?;
        condition::init(module)?;
        barrier::init(module)
    }
}
