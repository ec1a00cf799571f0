//! Several tasks, in the order of their ends.
//!
//! As with asyncio's function of that name, an end is taken note of one turn later, and who waits
//! for it runs one turn after that.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use super::gather::IntoTask;
use super::waiters::{OnDone, Told, Waiter};
use super::{AnyTask, Task, waker};
use crate::events;
use crate::exceptions::Cancelled;
use crate::scope;
use crate::timer::Timer;

/// Runs several futures at once, and gives their tasks in the order of their ends (asyncio's
/// `as_completed`). What it gives has ended, so that awaiting it takes no time.
///
/// Futures become tasks at once. Dropping the iteration detaches those that it has not given;
/// they run on.
///
/// It is a [`Stream`] as well.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{as_completed, sleep};
///
/// rasyncio::run(async {
///     let mut ends = as_completed([5, 1, 3].map(|n| async move {
///         sleep(Duration::from_millis(n)).await?;
///         Ok::<_, rasyncio::Cancelled>(n)
///     }));
///     let mut order = Vec::new();
///     while let Some(task) = ends.next().await? {
///         order.push(task.await.unwrap().unwrap());
///     }
///     assert_eq!(order, [1, 3, 5]);
///     Ok::<_, rasyncio::tasks::AsCompletedError>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn as_completed<I>(group: I) -> AsCompleted<<I::Item as IntoTask>::Output>
where
    I: IntoIterator<Item: IntoTask>,
{
    let tasks: Vec<_> = group.into_iter().map(IntoTask::into_task).collect();
    let mut places: Vec<_> = (0..)
        .zip(&tasks)
        .map(|(which, task)| (task.address(), which))
        .collect();
    places.sort_unstable();
    let state = Rc::new(State {
        places,
        left: Cell::new(tasks.len()),
        ended: RefCell::default(),
        timer: Cell::new(None),
        timed_out: Cell::new(false),
        waker: Cell::new(None),
    });
    let listener = Told::new(state.clone());
    for task in &tasks {
        if task.done() {
            state.clone().on_done(task);
        } else {
            task.set_owner(Waiter::Callback(listener.clone()));
        }
    }
    AsCompleted {
        tasks: tasks.into_iter().map(Some).collect(),
        state,
        suspended: false,
    }
}

/// What [`as_completed`] answers.
///
/// ```
/// use rasyncio::as_completed;
///
/// rasyncio::run(async {
///     let mut ends = as_completed([async { 1 }]);
///     let first = ends.next().await?.unwrap();
///     assert_eq!(first.await?, 1);
///     assert!(ends.next().await?.is_none());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "it gives nothing unless it is asked"]
pub struct AsCompleted<T> {
    /// Those that were not given yet.
    tasks: Vec<Option<Task<T>>>,
    state: Rc<State>,
    suspended: bool,
}

struct State {
    /// Which task is where, by address.
    places: Vec<(*const (), u32)>,
    /// How many have not ended, or how many errors are to be given once the time is over.
    left: Cell<usize>,
    ended: RefCell<VecDeque<u32>>,
    timer: Cell<Option<Timer>>,
    timed_out: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl<T> AsCompleted<T> {
    /// Limits the time, counted from now, that all of it may take (the `timeout` of asyncio's
    /// `as_completed`). Afterwards there is one [`AsCompletedError::TimedOut`] for each task that
    /// has not ended. These run on.
    ///
    /// # Panics
    ///
    /// If there is a limit and no loop is running.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::tasks::AsCompletedError;
    /// use rasyncio::{as_completed, sleep};
    ///
    /// rasyncio::run(async {
    ///     let mut ends = as_completed([sleep(Duration::from_secs(3600))]).timeout(Duration::from_millis(1));
    ///     assert_eq!(ends.next().await.unwrap_err(), AsCompletedError::TimedOut);
    /// });
    /// ```
    #[track_caller]
    pub fn timeout(self, timeout: impl Into<Option<Duration>>) -> AsCompleted<T> {
        self.state.cancel_timer();
        if let Some(timeout) = timeout.into()
            && self.state.left.get() > 0
        {
            let state = self.state.clone();
            let timer = Timer::after(timeout, move || state.time_is_over());
            self.state.timer.set(Some(timer));
        }
        self
    }

    /// The next task that has ended; `None` when all were given.
    ///
    /// ```
    /// use rasyncio::as_completed;
    ///
    /// rasyncio::run(async {
    ///     let mut ends = as_completed([async { 1 }]);
    ///     while let Some(task) = ends.next().await? {
    ///         assert_eq!(task.await?, 1);
    ///     }
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    #[allow(clippy::should_implement_trait, reason = "that is the name everywhere")]
    pub fn next(&mut self) -> Next<'_, T> {
        self.suspended = false;
        Next { ends: self }
    }

    /// The tasks that were not given yet, in their order.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{as_completed, sleep};
    ///
    /// rasyncio::run(async {
    ///     let mut ends = as_completed([1, 3600].map(|n| sleep(Duration::from_millis(n))));
    ///     ends.next().await?;
    ///     for late in ends.into_rest() {
    ///         late.cancel();
    ///     }
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn into_rest(mut self) -> Vec<Task<T>> {
        let rest = std::mem::take(&mut self.tasks).into_iter().flatten();
        rest.inspect(|task| task.clear_owner()).collect()
    }

    fn poll_task(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Task<T>, AsCompletedError>>> {
        if std::mem::take(&mut self.suspended)
            && let Some(cancelled) = scope::take_cancellation()
        {
            return Poll::Ready(Some(Err(cancelled.into())));
        }
        let state = &self.state;
        let ended = state.ended.borrow_mut().pop_front();
        if let Some(task) = ended.and_then(|which| self.tasks[which as usize].take()) {
            return Poll::Ready(Some(Ok(task)));
        }
        let left = state.left.get();
        if left == 0 {
            return Poll::Ready(None);
        }
        if state.timed_out.get() {
            state.left.set(left - 1);
            return Poll::Ready(Some(Err(AsCompletedError::TimedOut)));
        }
        self.suspended = true;
        drop(state.waker.replace(Some(cx.waker().clone())));
        scope::suspend(cx);
        Poll::Pending
    }
}

/// What [`AsCompleted::next`] answers.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Next<'a, T> {
    ends: &'a mut AsCompleted<T>,
}

impl<T> Future for Next<'_, T> {
    type Output = Result<Option<Task<T>>, AsCompletedError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.ends.poll_task(cx).map(Option::transpose)
    }
}

/// Errors are given as items, and the stream goes on after them.
impl<T> Stream for AsCompleted<T> {
    type Item = Result<Task<T>, AsCompletedError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_task(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.state.ended.borrow().len() + self.state.left.get();
        (rest, None)
    }
}

impl State {
    fn ended(&self, which: u32) {
        if self.timed_out.get() {
            return;
        }
        self.ended.borrow_mut().push_back(which);
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.cancel_timer();
        }
        self.wake();
    }

    fn time_is_over(&self) {
        self.timer.set(None);
        self.timed_out.set(true);
        self.wake();
    }

    fn cancel_timer(&self) {
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl OnDone for State {
    fn on_done(self: Rc<Self>, task: &AnyTask) {
        let found = self
            .places
            .binary_search_by_key(&task.address(), |&(address, _)| address);
        let Ok(found) = found else {
            return;
        };
        let which = self.places[found].1;
        events::note_next_turn(move || self.ended(which));
    }

    fn awaiter(&self) -> Option<AnyTask> {
        waker::waiting(&self.waker)
    }
}

impl<T> Drop for AsCompleted<T> {
    fn drop(&mut self) {
        self.state.cancel_timer();
        drop(self.state.waker.take());
    }
}

/// Why [`AsCompleted::next`] gave no task.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::tasks::AsCompletedError;
/// use rasyncio::{as_completed, sleep};
///
/// rasyncio::run(async {
///     let mut ends = as_completed([sleep(Duration::from_secs(3600))]).timeout(Duration::ZERO);
///     assert_eq!(ends.next().await.unwrap_err(), AsCompletedError::TimedOut);
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsCompletedError {
    /// Whoever waits was cancelled.
    Cancelled(Cancelled),
    /// The time was over before the task had ended.
    TimedOut,
}

impl From<Cancelled> for AsCompletedError {
    fn from(cancelled: Cancelled) -> AsCompletedError {
        AsCompletedError::Cancelled(cancelled)
    }
}

impl fmt::Display for AsCompletedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AsCompletedError::Cancelled(cancelled) => cancelled.fmt(f),
            AsCompletedError::TimedOut => f.write_str("timed out"),
        }
    }
}

impl Error for AsCompletedError {}

impl<T> fmt::Debug for AsCompleted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.tasks.iter().flatten();
        f.debug_list().entries(tasks).finish()
    }
}
