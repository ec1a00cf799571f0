//! Synchronization between tasks (asyncio's `locks`).
//!
//! A primitive owns its state, with nothing counted in it; sharing it is up to you: by
//! reference, in an `Rc`, or as an object of another language. It belongs to one thread.
//!
//! All are fair: who waits is served in the order in which it came, and nobody gets ahead of
//! one who was woken and has not had its turn yet. Every await may be cancelled or dropped at any
//! time; if it had been woken, its turn goes to the next. An await that has nothing to wait for
//! does not suspend, and so is not cancelled either.
//!
//! The algorithms are in [`states`], without awaiting, for whoever gives them another face.

mod barrier;
mod condition;
mod event;
pub mod line;
mod lock;
mod semaphore;
pub(crate) mod sleeper;
pub mod states;

pub use barrier::{Barrier, BarrierError, BarrierWait};
pub use condition::{Condition, ConditionWait};
pub use event::{Event, Wait};
pub use lock::{Acquire, Lock, LockGuard, NotAcquired};
pub use semaphore::{AcquirePermit, BoundedSemaphore, Permit, ReleasedTooOften, Semaphore};
