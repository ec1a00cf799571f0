//! The semaphores.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::line::Ticket;
use super::sleeper::Sleeper;
use super::states::SemaphoreState;
use crate::exceptions::Cancelled;

/// A number of permits that tasks can take and give back (asyncio's `Semaphore`). Who waits gets
/// one first come, first served.
///
/// ```
/// use std::rc::Rc;
/// use std::time::Duration;
/// use rasyncio::{Semaphore, gather_iter, sleep};
///
/// rasyncio::runners::run_virtual(async {
///     let at_once = Rc::new(Semaphore::new(3));
///     let start = rasyncio::events::time();
///     let downloads = (0..9).map(|_| {
///         let at_once = at_once.clone();
///         async move {
///             let _permit = at_once.acquire().await?;
///             sleep(Duration::from_secs(1)).await
///         }
///     });
///     gather_iter(downloads).await.unwrap();
///     assert_eq!(rasyncio::events::time() - start, Duration::from_secs(3));
/// });
/// ```
pub struct Semaphore {
    state: SemaphoreState<Sleeper>,
}

/// A semaphore whose permits cannot become more than there were in the beginning (asyncio's
/// `BoundedSemaphore`).
///
/// ```
/// let semaphore = rasyncio::BoundedSemaphore::new(1);
/// semaphore.try_acquire().unwrap().forget();
/// assert!(semaphore.release().is_ok());
/// assert!(semaphore.release().is_err());
/// ```
pub struct BoundedSemaphore {
    state: SemaphoreState<Sleeper>,
    bound: i64,
}

/// The permit goes back when this is dropped, which is what `async with semaphore` does in
/// asyncio.
///
/// Its owner may [`forget`](Self::forget) it and later give the permit back by hand.
///
/// ```
/// use rasyncio::Semaphore;
///
/// rasyncio::run(async {
///     let semaphore = Semaphore::new(1);
///     let permit = semaphore.acquire().await?;
///     assert!(semaphore.locked());
///     drop(permit);
///     assert_eq!(semaphore.value(), 1);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "the permit goes back at once if it is not kept"]
pub struct Permit<'a> {
    state: &'a SemaphoreState<Sleeper>,
    /// So many permits there may be afterwards.
    bound: i64,
}

/// More permits were given back to a [`BoundedSemaphore`] than were taken (the `ValueError` of
/// asyncio's `BoundedSemaphore.release`).
///
/// ```
/// use rasyncio::BoundedSemaphore;
///
/// let error = BoundedSemaphore::new(1).release().unwrap_err();
/// assert_eq!(error.to_string(), "BoundedSemaphore released too many times");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasedTooOften;

const UNBOUNDED: i64 = i64::MAX;

const fn permits(value: usize) -> i64 {
    if value > i64::MAX as usize {
        i64::MAX
    } else {
        value as i64
    }
}

fn available(state: &SemaphoreState<Sleeper>) -> usize {
    usize::try_from(state.value()).unwrap_or(0)
}

fn locked(state: &SemaphoreState<Sleeper>) -> bool {
    let Ok(locked) = state.is_locked();
    locked
}

fn try_acquire(state: &SemaphoreState<Sleeper>, bound: i64) -> Option<Permit<'_>> {
    let Ok(acquired) = state.try_acquire();
    acquired.then(|| Permit { state, bound })
}

#[inline]
fn release(state: &SemaphoreState<Sleeper>, bound: i64) -> Result<(), ReleasedTooOften> {
    if state.value() >= bound {
        return Err(ReleasedTooOften);
    }
    let Ok(()) = state.release();
    Ok(())
}

fn debug(state: &SemaphoreState<Sleeper>, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_struct(name)
        .field("value", &state.value())
        .field("waiters", &state.line().len())
        .finish()
}

impl Semaphore {
    /// A semaphore with `value` permits.
    ///
    /// ```
    /// assert_eq!(rasyncio::Semaphore::new(3).value(), 3);
    /// ```
    pub const fn new(value: usize) -> Semaphore {
        Semaphore {
            state: SemaphoreState::new(permits(value)),
        }
    }

    /// How many permits there are.
    ///
    /// ```
    /// let semaphore = rasyncio::Semaphore::new(3);
    /// let _permit = semaphore.try_acquire();
    /// assert_eq!(semaphore.value(), 2);
    /// ```
    pub fn value(&self) -> usize {
        available(&self.state)
    }

    /// Whether a permit cannot be had at once (asyncio's `locked`): there is none, or others
    /// have waited longer.
    ///
    /// ```
    /// let semaphore = rasyncio::Semaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some() && semaphore.locked());
    /// ```
    pub fn locked(&self) -> bool {
        locked(&self.state)
    }

    /// Waits for a permit and takes it (asyncio's `acquire`). Does not suspend if one can be had
    /// at once.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if the task was while it waited.
    ///
    /// ```
    /// use rasyncio::Semaphore;
    ///
    /// rasyncio::run(async {
    ///     let semaphore = Semaphore::new(2);
    ///     let _first = semaphore.acquire().await?;
    ///     let _second = semaphore.acquire().await?;
    ///     assert!(semaphore.locked());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn acquire(&self) -> AcquirePermit<'_> {
        AcquirePermit::new(&self.state, UNBOUNDED)
    }

    /// Takes a permit, if one can be had at once.
    ///
    /// ```
    /// let semaphore = rasyncio::Semaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some() && semaphore.try_acquire().is_none());
    /// ```
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        try_acquire(&self.state, UNBOUNDED)
    }

    /// Gives a permit back by hand, or one more than there were (asyncio's `release`).
    ///
    /// ```
    /// let semaphore = rasyncio::Semaphore::new(0);
    /// semaphore.release();
    /// assert_eq!(semaphore.value(), 1);
    /// ```
    pub fn release(&self) {
        let Ok(()) = self.state.release();
    }
}

impl BoundedSemaphore {
    /// A semaphore with `value` permits.
    ///
    /// ```
    /// assert_eq!(rasyncio::BoundedSemaphore::new(3).value(), 3);
    /// ```
    pub const fn new(value: usize) -> BoundedSemaphore {
        BoundedSemaphore {
            state: SemaphoreState::new(permits(value)),
            bound: permits(value),
        }
    }

    /// How many permits there are.
    ///
    /// ```
    /// let semaphore = rasyncio::BoundedSemaphore::new(3);
    /// let _permit = semaphore.try_acquire();
    /// assert_eq!(semaphore.value(), 2);
    /// ```
    pub fn value(&self) -> usize {
        available(&self.state)
    }

    /// Whether a permit cannot be had at once (asyncio's `locked`): there is none, or others
    /// have waited longer.
    ///
    /// ```
    /// let semaphore = rasyncio::BoundedSemaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some() && semaphore.locked());
    /// ```
    pub fn locked(&self) -> bool {
        locked(&self.state)
    }

    /// Waits for a permit and takes it (asyncio's `acquire`). Does not suspend if one can be had
    /// at once.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if the task was while it waited.
    ///
    /// ```
    /// use rasyncio::BoundedSemaphore;
    ///
    /// rasyncio::run(async {
    ///     let semaphore = BoundedSemaphore::new(1);
    ///     let permit = semaphore.acquire().await?;
    ///     assert!(semaphore.locked());
    ///     drop(permit);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn acquire(&self) -> AcquirePermit<'_> {
        AcquirePermit::new(&self.state, self.bound)
    }

    /// Takes a permit, if one can be had at once.
    ///
    /// ```
    /// let semaphore = rasyncio::BoundedSemaphore::new(1);
    /// let permit = semaphore.try_acquire();
    /// assert!(permit.is_some() && semaphore.try_acquire().is_none());
    /// ```
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        try_acquire(&self.state, self.bound)
    }

    /// Gives a permit back by hand (asyncio's `release`).
    ///
    /// # Errors
    ///
    /// [`ReleasedTooOften`], if all permits are there.
    ///
    /// ```
    /// let semaphore = rasyncio::BoundedSemaphore::new(1);
    /// semaphore.try_acquire().unwrap().forget();
    /// semaphore.release().unwrap();
    /// assert!(semaphore.release().is_err());
    /// ```
    pub fn release(&self) -> Result<(), ReleasedTooOften> {
        release(&self.state, self.bound)
    }
}

impl Permit<'_> {
    /// Goes without giving the permit back.
    ///
    /// ```
    /// let semaphore = rasyncio::Semaphore::new(1);
    /// semaphore.try_acquire().unwrap().forget();
    /// assert_eq!(semaphore.value(), 0);
    /// ```
    pub fn forget(self) {
        std::mem::forget(self);
    }

    /// Gives the permit back, as dropping does.
    ///
    /// ```
    /// let semaphore = rasyncio::Semaphore::new(1);
    /// semaphore.try_acquire().unwrap().release();
    /// assert_eq!(semaphore.value(), 1);
    /// ```
    pub fn release(self) {}
}

impl Drop for Permit<'_> {
    #[inline]
    fn drop(&mut self) {
        // Somebody may have done that by hand.
        let _ = release(self.state, self.bound);
    }
}

/// What [`Semaphore::acquire`] and [`BoundedSemaphore::acquire`] answer.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Semaphore, timeout};
///
/// rasyncio::run(async {
///     let semaphore = Semaphore::new(0);
///     assert!(timeout(Duration::from_millis(1), semaphore.acquire()).await.is_err());
/// });
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct AcquirePermit<'a> {
    state: &'a SemaphoreState<Sleeper>,
    bound: i64,
    ticket: Option<Ticket>,
}

impl<'a> AcquirePermit<'a> {
    fn new(state: &'a SemaphoreState<Sleeper>, bound: i64) -> AcquirePermit<'a> {
        AcquirePermit {
            state,
            bound,
            ticket: None,
        }
    }

    #[inline]
    fn give_up(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.leave(ticket);
        }
    }

    #[cold]
    fn leave(&self, ticket: Ticket) {
        let woken = self.state.line().is_woken(ticket);
        let Ok(()) = self.state.gave_up(ticket, woken);
    }
}

impl<'a> Future for AcquirePermit<'a> {
    type Output = Result<Permit<'a>, Cancelled>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (state, bound) = (self.state, self.bound);
        if let Some(ticket) = self.ticket {
            if let Err(cancelled) = ready!(state.line().poll_woken(ticket, cx)) {
                self.give_up();
                return Poll::Ready(Err(cancelled));
            }
            self.ticket = None;
            let Ok(()) = state.resumed(ticket);
            return Poll::Ready(Ok(Permit { state, bound }));
        }
        match try_acquire(state, bound) {
            Some(permit) => Poll::Ready(Ok(permit)),
            None => {
                self.ticket = Some(state.line().suspend(cx));
                Poll::Pending
            }
        }
    }
}

impl Drop for AcquirePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(&self.state, "Semaphore", f)
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(&self.state, "BoundedSemaphore", f)
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

impl fmt::Debug for AcquirePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquirePermit")
            .field("waiting", &self.ticket.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ReleasedTooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoundedSemaphore released too many times")
    }
}

impl Error for ReleasedTooOften {}
