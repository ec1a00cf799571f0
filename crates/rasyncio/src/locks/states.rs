//! The algorithms of the primitives, without any awaiting: state machines that are generic over
//! who waits.
//!
//! A face, which is [`Lock`](crate::Lock) and its like for Rust and other classes for other
//! languages, does the awaiting. It asks the state whether there is anything to wait for; if so
//! it puts a [`Waiter`](super::line::Waiter) into the line (`join`), and tells the state how
//! that went: it was woken and goes on (`resumed`), or was cancelled or dropped (`gave_up`), and
//! then its turn, if it had got one, goes to the next.
//!
//! ```
//! use std::cell::Cell;
//! use std::convert::Infallible;
//! use std::rc::Rc;
//! use rasyncio::locks::line::{Place, Waiter};
//! use rasyncio::locks::states::LockState;
//!
//! /// The simplest of waiters.
//! #[derive(Clone, Default)]
//! struct Flag(Rc<Cell<bool>>);
//!
//! impl Waiter for Flag {
//!     type Error = Infallible;
//!     fn wake(at: Place<'_, Flag>, first: impl FnOnce()) -> Result<bool, Infallible> {
//!         let flag = at.get().0;
//!         if flag.get() {
//!             return Ok(false);
//!         }
//!         first();
//!         flag.set(true);
//!         Ok(true)
//!     }
//!     fn wake_left(self) -> Result<bool, Infallible> {
//!         Ok(!self.0.replace(true))
//!     }
//!     fn is_cancelled(_: Place<'_, Flag>) -> Result<bool, Infallible> {
//!         Ok(false)
//!     }
//! }
//!
//! let lock = LockState::new();
//! assert!(lock.try_acquire().unwrap());
//! let next = Flag::default();
//! let ticket = lock.join(next.clone());
//! lock.release().unwrap();
//! assert!(next.0.get() && !lock.is_locked());
//! // Nobody gets ahead of who was woken.
//! assert!(!lock.try_acquire().unwrap());
//! lock.resumed(ticket);
//! assert!(lock.is_locked());
//! ```
//!
//! Where something fails, it is a waiter that has failed to be asked or woken, which waiters in
//! Rust do not. What happens then is what happens in asyncio, where it is an exception: the
//! change of the state that came before stays.

mod barrier;
mod condition;
mod event;
mod lock;
mod semaphore;

pub use barrier::{BarrierPhase, BarrierState};
pub use condition::ConditionState;
pub use event::EventState;
pub use lock::{LockState, ReleaseError};
pub use semaphore::SemaphoreState;
