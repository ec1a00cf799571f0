//! `asyncio.Lock`, `Event`, `Condition`, `Semaphore`, `BoundedSemaphore` and `Barrier`.
//!
//! The algorithms are `rasyncio::locks::states`, with futures for waiters. What is here is
//! Python's: classes, awaiting, errors, reprs, and what subclasses may override.
//!
//! ```text
//! waiter.rs     a future as one who waits
//! bound.rs      what all classes share: the loop, `__dict__`, life as objects
//! view.rs       `_waiters`
//! lock.rs, event.rs, semaphore.rs, condition.rs, barrier.rs
//! ```

mod barrier;
pub(crate) mod bound;
mod condition;
pub(crate) mod event;
mod lock;
mod semaphore;
pub(crate) mod view;
pub(crate) mod waiter;

use pyo3::ffi::PyObject;

use crate::object::{Ref, Res, type_error};

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
