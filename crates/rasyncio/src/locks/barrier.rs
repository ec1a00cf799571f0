//! The barrier.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::line::Ticket;
use super::sleeper::Sleeper;
use super::states::BarrierState;
use crate::exceptions::Cancelled;

/// A place where a number of tasks wait for each other, again and again (asyncio's `Barrier`).
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Barrier, create_task};
///
/// rasyncio::run(async {
///     let barrier = Rc::new(Barrier::new(3));
///     let others = [(); 2].map(|()| {
///         let barrier = barrier.clone();
///         create_task(async move { barrier.wait().await })
///     });
///     // The others have not started yet, so this comes first.
///     assert_eq!(barrier.wait().await, Ok(0));
///     for other in others {
///         other.await.unwrap().unwrap();
///     }
/// });
/// ```
pub struct Barrier {
    state: BarrierState<Sleeper>,
}

/// Why [`Barrier::wait`] did not pass.
///
/// ```
/// use rasyncio::Barrier;
/// use rasyncio::locks::BarrierError;
///
/// rasyncio::run(async {
///     let barrier = Barrier::new(2);
///     barrier.abort();
///     assert!(matches!(barrier.wait().await, Err(BarrierError::BrokenBarrier)));
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BarrierError {
    /// The task was cancelled while it waited.
    Cancelled(Cancelled),
    /// The barrier is broken, or was reset (asyncio's `BrokenBarrierError`).
    BrokenBarrier,
}

impl Barrier {
    /// A barrier for `parties` tasks.
    ///
    /// # Panics
    ///
    /// If `parties` is zero.
    ///
    /// ```
    /// assert_eq!(rasyncio::Barrier::new(3).parties(), 3);
    /// ```
    pub const fn new(parties: usize) -> Barrier {
        assert!(parties > 0, "parties must be >= 1");
        Barrier {
            state: BarrierState::new(parties),
        }
    }

    /// Waits until as many tasks wait as there are [`parties`](Self::parties), and answers how
    /// many came before (asyncio's `wait`). The last to come does not suspend.
    ///
    /// Who comes while those of the round before have not all gone waits for that first. Who is
    /// cancelled or dropped does not count any more.
    ///
    /// # Errors
    ///
    /// [`BarrierError`].
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Barrier, gather_iter};
    ///
    /// rasyncio::run(async {
    ///     let barrier = Rc::new(Barrier::new(3));
    ///     let waits = (0..3).map(|_| {
    ///         let barrier = barrier.clone();
    ///         async move { barrier.wait().await.unwrap() }
    ///     });
    ///     let mut places = gather_iter(waits).await?;
    ///     places.sort();
    ///     assert_eq!(places, [0, 1, 2]);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn wait(&self) -> BarrierWait<'_> {
        BarrierWait {
            state: &self.state,
            stage: Stage::Begin,
        }
    }

    /// Empties the barrier (asyncio's `reset`): those who wait get
    /// [`BrokenBarrier`](BarrierError::BrokenBarrier), and it may be used again, even if it was
    /// broken.
    ///
    /// ```
    /// let barrier = rasyncio::Barrier::new(2);
    /// barrier.abort();
    /// barrier.reset();
    /// assert!(!barrier.broken());
    /// ```
    pub fn reset(&self) {
        let Ok(()) = self.state.reset();
    }

    /// Breaks the barrier (asyncio's `abort`): those who wait, and those who come until it is
    /// [`reset`](Self::reset), get [`BrokenBarrier`](BarrierError::BrokenBarrier).
    ///
    /// ```
    /// use rasyncio::Barrier;
    /// use rasyncio::locks::BarrierError;
    ///
    /// rasyncio::run(async {
    ///     let barrier = Barrier::new(1);
    ///     barrier.abort();
    ///     assert!(barrier.broken());
    ///     assert_eq!(barrier.wait().await, Err(BarrierError::BrokenBarrier));
    ///     barrier.reset();
    ///     assert_eq!(barrier.wait().await, Ok(0));
    /// });
    /// ```
    pub fn abort(&self) {
        let Ok(()) = self.state.abort();
    }

    /// How many tasks have to come (asyncio's `parties`).
    ///
    /// ```
    /// assert_eq!(rasyncio::Barrier::new(3).parties(), 3);
    /// ```
    pub fn parties(&self) -> usize {
        self.state.parties()
    }

    /// How many wait for the others (asyncio's `n_waiting`).
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Barrier, create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let barrier = Rc::new(Barrier::new(2));
    ///     create_task({
    ///         let barrier = barrier.clone();
    ///         async move { barrier.wait().await }
    ///     });
    ///     yield_now().await?;
    ///     assert_eq!(barrier.n_waiting(), 1);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn n_waiting(&self) -> usize {
        self.state.waiting()
    }

    /// Whether the barrier is broken (asyncio's `broken`).
    ///
    /// ```
    /// let barrier = rasyncio::Barrier::new(2);
    /// barrier.abort();
    /// assert!(barrier.broken());
    /// ```
    pub fn broken(&self) -> bool {
        self.state.is_broken()
    }
}

/// What [`Barrier::wait`] answers.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Barrier, timeout};
///
/// rasyncio::run(async {
///     let barrier = Barrier::new(2);
///     assert!(timeout(Duration::from_millis(1), barrier.wait()).await.is_err());
/// });
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct BarrierWait<'a> {
    state: &'a BarrierState<Sleeper>,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Begin,
    /// Waits to be let in.
    Blocked(Ticket),
    /// Has entered with this index, and waits for the others.
    Entered(usize, Ticket),
}

impl BarrierWait<'_> {
    /// Leaves whatever it is in.
    fn leave(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Begin) {
            Stage::Begin => {}
            Stage::Blocked(ticket) => self.state.left(ticket),
            Stage::Entered(_, ticket) => {
                self.state.left(ticket);
                let Ok(()) = self.state.exit();
            }
        }
    }

    /// Whether the wait in the line is over.
    fn poll_woken(
        &mut self,
        ticket: Ticket,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BarrierError>> {
        let woken = ready!(self.state.line().poll_woken(ticket, cx));
        Poll::Ready(woken.map_err(|cancelled| {
            self.leave();
            BarrierError::Cancelled(cancelled)
        }))
    }

    /// Goes in, if the barrier lets one.
    fn enter(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, BarrierError>> {
        let state = self.state;
        if state.is_blocked() {
            self.stage = Stage::Blocked(state.line().suspend(cx));
            return Poll::Pending;
        }
        let Ok(index) = state.enter();
        let Some(index) = index else {
            return Poll::Ready(Err(BarrierError::BrokenBarrier));
        };
        if state.is_filling() {
            self.stage = Stage::Entered(index, state.line().suspend(cx));
            return Poll::Pending;
        }
        let Ok(()) = state.exit();
        Poll::Ready(Ok(index))
    }
}

impl Future for BarrierWait<'_> {
    type Output = Result<usize, BarrierError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let state = this.state;
        match this.stage {
            Stage::Begin => this.enter(cx),
            Stage::Blocked(ticket) => {
                ready!(this.poll_woken(ticket, cx))?;
                this.leave();
                this.enter(cx)
            }
            Stage::Entered(index, ticket) => {
                ready!(this.poll_woken(ticket, cx))?;
                if state.is_filling() {
                    // Woken by those who went before, and too early.
                    state.left(ticket);
                    this.stage = Stage::Entered(index, state.line().suspend(cx));
                    return Poll::Pending;
                }
                let result = match state.is_failed() {
                    true => Err(BarrierError::BrokenBarrier),
                    false => Ok(index),
                };
                this.leave();
                Poll::Ready(result)
            }
        }
    }
}

impl Drop for BarrierWait<'_> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

impl BarrierError {
    /// The cancellation, if this is one.
    ///
    /// ```
    /// use rasyncio::Cancelled;
    /// use rasyncio::locks::BarrierError;
    ///
    /// let error = BarrierError::from(Cancelled::new());
    /// assert_eq!(error.cancelled(), Some(&Cancelled::new()));
    /// ```
    pub fn cancelled(&self) -> Option<&Cancelled> {
        match self {
            BarrierError::Cancelled(cancelled) => Some(cancelled),
            BarrierError::BrokenBarrier => None,
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("phase", &self.state.phase())
            .field("waiting", &self.n_waiting())
            .field("parties", &self.parties())
            .finish()
    }
}

impl fmt::Debug for BarrierWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierWait")
            .field("waiting", &!matches!(self.stage, Stage::Begin))
            .finish_non_exhaustive()
    }
}

impl From<Cancelled> for BarrierError {
    fn from(cancelled: Cancelled) -> BarrierError {
        BarrierError::Cancelled(cancelled)
    }
}

impl fmt::Display for BarrierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BarrierError::Cancelled(cancelled) => cancelled.fmt(f),
            BarrierError::BrokenBarrier => f.write_str("the barrier is broken"),
        }
    }
}

impl Error for BarrierError {}
