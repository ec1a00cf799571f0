//! The condition.

use std::borrow::Borrow;
use std::fmt;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, ready};

use super::line::Ticket;
use super::lock::{Acquire, Acquiring, Lock, LockGuard, NotAcquired};
use super::sleeper::Sleeper;
use super::states::ConditionState;
use crate::exceptions::Cancelled;

/// A lock, and tasks that wait for a notification by who has it (asyncio's `Condition`).
///
/// The lock is the condition's own, or is shared with others: any `L` that lends one, such as
/// `&Lock` or `Rc<Lock>`.
///
/// ```
/// use std::cell::Cell;
/// use std::rc::Rc;
/// use rasyncio::{Condition, create_task};
///
/// rasyncio::run(async {
///     let stock = Rc::new((Condition::new(), Cell::new(0)));
///     let customer = create_task({
///         let stock = stock.clone();
///         async move {
///             let (changed, count) = &*stock;
///             let mut guard = changed.acquire().await?;
///             changed.wait_for(&mut guard, || count.get() > 0).await?;
///             count.set(count.get() - 1);
///             Ok::<_, rasyncio::Cancelled>(())
///         }
///     });
///     let (changed, count) = &*stock;
///     let guard = changed.acquire().await?;
///     count.set(1);
///     changed.notify(1).unwrap();
///     drop(guard);
///     customer.await.unwrap()
/// })
/// .unwrap();
/// ```
#[derive(Default)]
pub struct Condition<L: Borrow<Lock> = Lock> {
    state: ConditionState<Sleeper>,
    lock: L,
}

impl Condition {
    /// A condition with a lock of its own.
    ///
    /// ```
    /// let condition = rasyncio::Condition::new();
    /// assert!(!condition.locked());
    /// ```
    pub const fn new() -> Condition {
        Condition {
            state: ConditionState::new(),
            lock: Lock::new(),
        }
    }
}

impl<L: Borrow<Lock>> Condition<L> {
    /// A condition over a lock that others may use, too (asyncio's `Condition(lock)`).
    ///
    /// ```
    /// use rasyncio::{Condition, Lock};
    ///
    /// let lock = Lock::new();
    /// let (not_empty, not_full) = (Condition::with_lock(&lock), Condition::with_lock(&lock));
    /// let _guard = not_empty.lock().try_acquire();
    /// assert!(not_full.locked());
    /// ```
    pub const fn with_lock(lock: L) -> Condition<L> {
        Condition {
            state: ConditionState::new(),
            lock,
        }
    }

    /// The lock.
    ///
    /// ```
    /// use rasyncio::Condition;
    ///
    /// rasyncio::run(async {
    ///     let condition = Condition::new();
    ///     let _guard = condition.lock().acquire().await?;
    ///     assert!(condition.locked());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn lock(&self) -> &Lock {
        self.lock.borrow()
    }

    /// Whether somebody has the lock (asyncio's `locked`).
    ///
    /// ```
    /// use rasyncio::Condition;
    ///
    /// rasyncio::run(async {
    ///     let condition = Condition::new();
    ///     let _guard = condition.acquire().await?;
    ///     assert!(condition.locked());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn locked(&self) -> bool {
        self.lock().locked()
    }

    /// Acquires the lock: [`Lock::acquire`].
    ///
    /// # Errors
    ///
    /// [`Cancelled`], if the task was while it waited.
    ///
    /// ```
    /// use rasyncio::Condition;
    ///
    /// rasyncio::run(async {
    ///     let condition = Condition::new();
    ///     let _guard = condition.acquire().await?;
    ///     condition.notify_all()?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn acquire(&self) -> Acquire<'_> {
        self.lock().acquire()
    }

    /// Releases the lock by hand: [`Lock::release`].
    ///
    /// # Errors
    ///
    /// [`NotAcquired`], if nobody has it.
    ///
    /// ```
    /// use rasyncio::Condition;
    ///
    /// rasyncio::run(async {
    ///     let condition = Condition::new();
    ///     condition.acquire().await?.forget();
    ///     condition.release()?;
    ///     assert!(condition.release().is_err());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn release(&self) -> Result<(), NotAcquired> {
        self.lock().release()
    }

    /// Releases the lock, waits for a notification, and acquires the lock again (asyncio's
    /// `wait`).
    ///
    /// It acquires the lock again even if it is cancelled, however long that takes; only then it
    /// answers. But if this await is *dropped* while it waits, the lock stays released, and the
    /// guard is of no more use: [`is_held`](LockGuard::is_held) says so. In any case a
    /// notification that came too late for this one goes to another.
    ///
    /// When it answers, what was waited for may have passed. See
    /// [`wait_for`](Self::wait_for).
    ///
    /// # Errors
    ///
    /// [`Cancelled`], the latest if there were more.
    ///
    /// # Panics
    ///
    /// If `guard` is that of another lock, or [not held](LockGuard::is_held).
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Condition, create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let condition = Rc::new(Condition::new());
    ///     let waiter = create_task({
    ///         let condition = condition.clone();
    ///         async move {
    ///             let mut guard = condition.acquire().await?;
    ///             condition.wait(&mut guard).await
    ///         }
    ///     });
    ///     yield_now().await?;
    ///     let guard = condition.acquire().await?;
    ///     condition.notify(1)?;
    ///     drop(guard);
    ///     waiter.await??;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn wait<'a, 'l>(&'a self, guard: &'a mut LockGuard<'l>) -> ConditionWait<'a, 'l> {
        assert!(
            guard.is_held() && ptr::eq(guard.lock(), self.lock()),
            "cannot wait on un-acquired lock"
        );
        ConditionWait {
            state: &self.state,
            guard,
            stage: Stage::Begin,
            notified: false,
            cancelled: None,
        }
    }

    /// Waits until `predicate` is true (asyncio's `wait_for`): calls it, with the lock held, now
    /// and after every [`wait`](Self::wait).
    ///
    /// # Errors
    ///
    /// [`Cancelled`], with the lock held, as of `wait`.
    ///
    /// # Panics
    ///
    /// As `wait`.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use rasyncio::{Condition, create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let shared = Rc::new((Condition::new(), Cell::new(0)));
    ///     let waiter = create_task({
    ///         let shared = shared.clone();
    ///         async move {
    ///             let mut guard = shared.0.acquire().await?;
    ///             shared.0.wait_for(&mut guard, || shared.1.get() == 3).await
    ///         }
    ///     });
    ///     for _ in 0..3 {
    ///         yield_now().await?;
    ///         let _guard = shared.0.acquire().await?;
    ///         shared.1.set(shared.1.get() + 1);
    ///         shared.0.notify_all()?;
    ///     }
    ///     waiter.await??;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn wait_for(
        &self,
        guard: &mut LockGuard<'_>,
        mut predicate: impl FnMut() -> bool,
    ) -> Result<(), Cancelled> {
        while !predicate() {
            self.wait(guard).await?;
        }
        Ok(())
    }

    /// Wakes up to `count` of those who wait, in the order in which they came (asyncio's
    /// `notify`). They go on one after the other as they get the lock.
    ///
    /// # Errors
    ///
    /// [`NotAcquired`], if nobody has the lock.
    ///
    /// ```
    /// use rasyncio::Condition;
    ///
    /// rasyncio::run(async {
    ///     let condition = Condition::new();
    ///     assert!(condition.notify(1).is_err());
    ///     let _guard = condition.acquire().await?;
    ///     condition.notify(1)?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn notify(&self, count: usize) -> Result<(), NotAcquired> {
        if !self.locked() {
            return Err(NotAcquired);
        }
        let Ok(()) = self.state.notify(count);
        Ok(())
    }

    /// Wakes all who wait (asyncio's `notify_all`).
    ///
    /// # Errors
    ///
    /// [`NotAcquired`], if nobody has the lock.
    ///
    /// ```
    /// use rasyncio::Condition;
    ///
    /// rasyncio::run(async {
    ///     let condition = Condition::new();
    ///     let _guard = condition.acquire().await?;
    ///     condition.notify_all()?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn notify_all(&self) -> Result<(), NotAcquired> {
        self.notify(usize::MAX)
    }
}

/// What [`Condition::wait`] answers.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Condition, timeout};
///
/// rasyncio::run(async {
///     let condition = Condition::new();
///     let mut guard = condition.acquire().await?;
///     assert!(timeout(Duration::from_millis(1), condition.wait(&mut guard)).await.is_err());
///     assert!(guard.is_held());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct ConditionWait<'a, 'l> {
    state: &'a ConditionState<Sleeper>,
    guard: &'a mut LockGuard<'l>,
    stage: Stage,
    notified: bool,
    /// The latest cancellation. It is reported when the lock has been acquired.
    cancelled: Option<Cancelled>,
}

enum Stage {
    Begin,
    Waiting(Ticket),
    Acquiring(Acquiring),
    Over,
}

impl ConditionWait<'_, '_> {
    fn leave_line(&mut self, ticket: Ticket) {
        self.notified = self.state.line().is_woken(ticket);
        self.state.left(ticket);
    }

    /// Ends with the lock, for better or worse.
    fn conclude(&mut self) -> Result<(), Cancelled> {
        self.stage = Stage::Over;
        self.guard.locked_again();
        match self.cancelled.take() {
            None => Ok(()),
            Some(cancelled) => {
                self.pass_on();
                Err(cancelled)
            }
        }
    }

    fn pass_on(&mut self) {
        if self.notified {
            let Ok(()) = self.state.notify(1);
        }
    }
}

impl Future for ConditionWait<'_, '_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match &mut this.stage {
                Stage::Begin => {
                    this.guard.unlock();
                    this.stage = Stage::Waiting(this.state.line().suspend(cx));
                    return Poll::Pending;
                }
                &mut Stage::Waiting(ticket) => {
                    this.cancelled = ready!(this.state.line().poll_woken(ticket, cx)).err();
                    this.leave_line(ticket);
                    this.stage = Stage::Acquiring(Acquiring::new());
                }
                Stage::Acquiring(acquiring) => {
                    match ready!(acquiring.poll(this.guard.lock(), cx)) {
                        Ok(()) => return Poll::Ready(this.conclude()),
                        Err(cancelled) => this.cancelled = Some(cancelled),
                    }
                }
                Stage::Over => panic!("Condition::wait was polled after it had ended"),
            }
        }
    }
}

impl Drop for ConditionWait<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        match &mut self.stage {
            Stage::Begin | Stage::Over => return,
            &mut Stage::Waiting(ticket) => self.leave_line(ticket),
            Stage::Acquiring(acquiring) => acquiring.give_up(self.guard.lock()),
        }
        self.pass_on();
    }
}

impl<L: Borrow<Lock>> fmt::Debug for Condition<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition")
            .field("lock", self.lock())
            .field("waiters", &self.state.line().len())
            .finish()
    }
}

impl fmt::Debug for ConditionWait<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConditionWait")
            .field("notified", &self.notified)
            .finish_non_exhaustive()
    }
}
