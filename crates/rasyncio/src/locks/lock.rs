//! The lock.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::line::Ticket;
use super::sleeper::Sleeper;
use super::states::LockState;
use crate::exceptions::Cancelled;

/// Mutual exclusion of tasks across awaits (asyncio's `Lock`). Who waits gets it first come,
/// first served.
///
/// It guards no value, for tasks of one thread can share a `Cell` or `RefCell`; it guards the
/// time between two awaits.
///
/// ```
/// use std::cell::Cell;
/// use rasyncio::{Lock, gather_iter, yield_now};
/// use std::rc::Rc;
///
/// rasyncio::run(async {
///     let shared = Rc::new((Lock::new(), Cell::new(0)));
///     let workers = (0..10).map(|_| {
///         let shared = shared.clone();
///         async move {
///             let (lock, count) = &*shared;
///             let _guard = lock.acquire().await?;
///             let seen = count.get();
///             yield_now().await?;
///             count.set(seen + 1);
///             Ok::<_, rasyncio::Cancelled>(())
///         }
///     });
///     gather_iter(workers).await.unwrap();
///     assert_eq!(shared.1.get(), 10);
/// });
/// ```
#[derive(Default)]
pub struct Lock {
    pub(super) state: LockState<Sleeper>,
}

/// The lock is released when this is dropped, which is what `async with lock` does in asyncio.
///
/// Its owner may [`forget`](Self::forget) it and later release the lock by hand.
///
/// ```
/// use rasyncio::Lock;
///
/// rasyncio::run(async {
///     let lock = Lock::new();
///     let guard = lock.acquire().await?;
///     assert!(lock.locked());
///     drop(guard);
///     assert!(!lock.locked());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "the lock is released at once if the guard is not kept"]
pub struct LockGuard<'a> {
    lock: &'a Lock,
    /// Not while a condition's wait has released the lock, and after such a wait was dropped.
    held: bool,
}

/// Something was released, or was to be used, that nobody has acquired (the `RuntimeError` of
/// asyncio's `Lock.release` and `Condition.notify`).
///
/// ```
/// use rasyncio::Lock;
///
/// let error = Lock::new().release().unwrap_err();
/// assert_eq!(error.to_string(), "the lock is not acquired");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAcquired;

impl Lock {
    /// A lock that is free.
    ///
    /// ```
    /// thread_local! {
    ///     static LOCK: rasyncio::Lock = const { rasyncio::Lock::new() };
    /// }
    /// LOCK.with(|lock| assert!(!lock.locked()));
    /// ```
    pub const fn new() -> Lock {
        Lock {
            state: LockState::new(),
        }
    }

    /// Whether somebody has the lock (asyncio's `locked`).
    ///
    /// ```
    /// use rasyncio::Lock;
    ///
    /// rasyncio::run(async {
    ///     let lock = Lock::new();
    ///     let _guard = lock.acquire().await?;
    ///     assert!(lock.locked());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn locked(&self) -> bool {
        self.state.is_locked()
    }

    /// Waits until the lock is free, and takes it (asyncio's `acquire`). Does not suspend if it is
    /// free and nobody has waited longer.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if the task was while it waited.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Lock, create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let lock = Rc::new(Lock::new());
    ///     let guard = lock.acquire().await?;
    ///     let other = create_task({
    ///         let lock = lock.clone();
    ///         async move { drop(lock.acquire().await) }
    ///     });
    ///     yield_now().await?;
    ///     assert!(!other.done());
    ///     drop(guard);
    ///     other.await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire {
            lock: self,
            acquiring: Acquiring(None),
        }
    }

    /// Takes the lock, if it is free and nobody has waited longer.
    ///
    /// ```
    /// let lock = rasyncio::Lock::new();
    /// let guard = lock.try_acquire().unwrap();
    /// assert!(lock.try_acquire().is_none());
    /// drop(guard);
    /// assert!(!lock.locked());
    /// ```
    pub fn try_acquire(&self) -> Option<LockGuard<'_>> {
        let Ok(acquired) = self.state.try_acquire();
        acquired.then(|| LockGuard {
            lock: self,
            held: true,
        })
    }

    /// Releases the lock by hand, for a guard that was [forgotten](LockGuard::forget) (asyncio's
    /// `release`). Any task may do that.
    ///
    /// # Errors
    ///
    /// [`NotAcquired`], if nobody has it.
    ///
    /// ```
    /// let lock = rasyncio::Lock::new();
    /// lock.try_acquire().unwrap().forget();
    /// assert!(lock.locked());
    /// assert!(lock.release().is_ok());
    /// assert!(lock.release().is_err());
    /// ```
    pub fn release(&self) -> Result<(), NotAcquired> {
        self.state.release().map_err(|_| NotAcquired)
    }
}

impl<'a> LockGuard<'a> {
    /// The lock.
    ///
    /// ```
    /// use rasyncio::Lock;
    ///
    /// rasyncio::run(async {
    ///     let lock = Lock::new();
    ///     let guard = lock.acquire().await?;
    ///     assert!(guard.lock().locked());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn lock(&self) -> &'a Lock {
        self.lock
    }

    /// Whether the lock is held. It is, but after a [`Condition::wait`](super::Condition::wait)
    /// that was dropped; then the guard is of no more use.
    ///
    /// ```
    /// use rasyncio::Lock;
    ///
    /// rasyncio::run(async {
    ///     let lock = Lock::new();
    ///     let guard = lock.acquire().await?;
    ///     assert!(guard.is_held());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Goes without releasing the lock. Somebody should [do that](Lock::release).
    ///
    /// ```
    /// use rasyncio::Lock;
    ///
    /// rasyncio::run(async {
    ///     let lock = Lock::new();
    ///     lock.acquire().await?.forget();
    ///     assert!(lock.locked());
    ///     lock.release()?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn forget(mut self) {
        self.held = false;
    }

    /// Releases the lock, as dropping does.
    ///
    /// ```
    /// use rasyncio::Lock;
    ///
    /// rasyncio::run(async {
    ///     let lock = Lock::new();
    ///     lock.acquire().await?.release();
    ///     assert!(!lock.locked());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn release(self) {}

    pub(super) fn unlock(&mut self) {
        if std::mem::take(&mut self.held) {
            // Somebody may have done that by hand.
            let _ = self.lock.release();
        }
    }

    pub(super) fn locked_again(&mut self) {
        self.held = true;
    }
}

impl Drop for LockGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.unlock();
    }
}

/// The way to a lock, for several futures. Who holds it calls `give_up` at the end.
pub(super) struct Acquiring(Option<Ticket>);

impl Acquiring {
    pub(super) const fn new() -> Acquiring {
        Acquiring(None)
    }

    #[inline]
    pub(super) fn poll(
        &mut self,
        lock: &Lock,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Cancelled>> {
        let state = &lock.state;
        if let Some(ticket) = self.0 {
            if let Err(cancelled) = ready!(state.line().poll_woken(ticket, cx)) {
                self.give_up(lock);
                return Poll::Ready(Err(cancelled));
            }
            self.0 = None;
            state.resumed(ticket);
            return Poll::Ready(Ok(()));
        }
        let Ok(acquired) = state.try_acquire();
        if acquired {
            return Poll::Ready(Ok(()));
        }
        self.0 = Some(state.line().suspend(cx));
        Poll::Pending
    }

    #[inline]
    pub(super) fn give_up(&mut self, lock: &Lock) {
        if let Some(ticket) = self.0.take() {
            let Ok(()) = lock.state.gave_up(ticket);
        }
    }
}

/// What [`Lock::acquire`] answers.
///
/// ```
/// use rasyncio::{Lock, timeout};
/// use std::time::Duration;
///
/// rasyncio::run(async {
///     let lock = Lock::new();
///     let _guard = lock.acquire().await?;
///     // To be dropped, or asked to end, at any time.
///     assert!(timeout(Duration::from_millis(1), lock.acquire()).await.is_err());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Acquire<'a> {
    lock: &'a Lock,
    acquiring: Acquiring,
}

impl<'a> Future for Acquire<'a> {
    type Output = Result<LockGuard<'a>, Cancelled>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let lock = self.lock;
        let result = ready!(self.acquiring.poll(lock, cx));
        Poll::Ready(result.map(|()| LockGuard { lock, held: true }))
    }
}

impl Drop for Acquire<'_> {
    #[inline]
    fn drop(&mut self) {
        self.acquiring.give_up(self.lock);
    }
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("locked", &self.locked())
            .field("waiters", &self.state.line().len())
            .finish()
    }
}

impl fmt::Debug for LockGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("waiting", &self.acquiring.0.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for NotAcquired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is not acquired")
    }
}

impl Error for NotAcquired {}
