//! Awaiting several at once.
//!
//! A gathering is decided by the end of one of its tasks: the first that fails, or the last.
//! As with asyncio's future of that name, the decision is taken note of one turn later, and
//! who awaits it runs one turn after that.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::waiters::{OnDone, Told, Waiter};
use super::{AnyTask, Task, waker};
use crate::events;
use crate::exceptions::{Cancelled, TaskError};
use crate::scope::{self, Cancel};

use first_exception::HasErr;
pub use first_exception::{FallibleGroup, GatherFirst};
pub use groups::{Gatherable, Gathered, IntoTask};
use groups::{result, value};

mod first_exception;
mod groups;

/// Runs several futures at once and answers all their outputs, in order, or the first error
/// (asyncio's `gather`).
///
/// Takes a tuple (of up to twelve), an array or a `Vec` of futures and [`Task`]s; for other
/// collections and iterators there is [`gather_iter`]. Futures become tasks at once, not when
/// the gathering is awaited.
///
/// - An error is a [`TaskError`]. The other tasks run on after it. What the futures resolve to
///   is for the caller to look at, should it be a `Result`; or
///   [`first_exception`](Gathering::first_exception) ends with the first `Err` as well.
/// - Cancelling the task that awaits the gathering cancels all its tasks.
/// - [`return_exceptions`](Gathering::return_exceptions) waits for all, and answers one result
///   for each.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::{create_task, gather};
///
/// rasyncio::run(async {
///     let (one, two) = gather((create_task(async { 1 }), async { "two" })).await?;
///     assert_eq!((one, two), (1, "two"));
///     let squares = gather([2, 3].map(|n| async move { n * n })).await?;
///     assert_eq!(squares, [4, 9]);
///     Ok::<_, rasyncio::TaskError>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn gather<G: Gatherable>(group: G) -> Gathering<G::Tasks> {
    Gathering::new(group.into_tasks())
}

/// [`gather`] for anything that gives futures or tasks.
///
/// ```
/// rasyncio::run(async {
///     let sum: i32 = rasyncio::gather_iter((1..=3).map(|n| async move { n })).await?.iter().sum();
///     assert_eq!(sum, 6);
///     Ok::<_, rasyncio::TaskError>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn gather_iter<I>(group: I) -> Gathering<Vec<Task<<I::Item as IntoTask>::Output>>>
where
    I: IntoIterator<Item: IntoTask>,
{
    Gathering::new(group.into_iter().map(IntoTask::into_task).collect())
}

/// What [`gather`] answers. Dropped before it has ended, it detaches its tasks.
///
/// ```
/// use rasyncio::gather;
///
/// rasyncio::run(async {
///     // The tasks are made here, and awaited later.
///     let both = gather((async { 1 }, async { 2 }));
///     assert_eq!(both.await?, (1, 2));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Gathering<G> {
    tasks: G,
    state: Rc<State>,
    suspended: bool,
}

/// What [`Gathering::return_exceptions`] answers.
///
/// ```
/// use rasyncio::gather;
///
/// rasyncio::run(async {
///     let results = gather([async { 1 }]).return_exceptions().await?;
///     assert!(matches!(results, [Ok(1)]));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct GatherResults<G>(Gathering<G>);

/// What the tasks know of their gathering.
struct State {
    tasks: Vec<AnyTask>,
    unfinished: Cell<usize>,
    failed: Cell<Option<usize>>,
    return_exceptions: Cell<bool>,
    /// How to find an `Err` that counts as a failure: none does, if this is empty.
    has_err: Cell<&'static [HasErr]>,
    /// Somebody has asked all tasks to end.
    cancelled: Cell<Option<Cancelled>>,
    /// The decision was taken note of.
    over: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl<G: Gathered> Gathering<G> {
    fn new(group: G) -> Gathering<G> {
        let mut tasks = Vec::with_capacity(group.count());
        group.visit(&mut |task| tasks.push(task.clone()));
        let state = Rc::new(State {
            unfinished: Cell::new(tasks.len()),
            tasks,
            failed: Cell::new(None),
            return_exceptions: Cell::new(false),
            has_err: Cell::new(&[]),
            cancelled: Cell::new(None),
            over: Cell::new(false),
            waker: Cell::new(None),
        });
        let listener = Told::new(state.clone());
        for task in &state.tasks {
            if task.done() {
                state.note(task);
            } else {
                task.set_owner(Waiter::Callback(listener.clone()));
            }
        }
        state.over.set(state.is_decided());
        Gathering {
            tasks: group,
            state,
            suspended: false,
        }
    }

    /// Waits for all, and answers one result for each (the `return_exceptions` of asyncio's
    /// `gather`). The error of the whole is that the gathering itself was cancelled.
    ///
    /// ```
    /// use rasyncio::gather;
    ///
    /// rasyncio::run(async {
    ///     let (bad, good) = gather((async { panic!("oops") }, async { 1 }))
    ///         .return_exceptions()
    ///         .await?;
    ///     assert!(bad.is_err());
    ///     assert_eq!(good.unwrap(), 1);
    ///     Ok::<_, rasyncio::Cancelled>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn return_exceptions(self) -> GatherResults<G> {
        self.state.return_exceptions.set(true);
        self.state.over.set(self.state.is_decided());
        GatherResults(self)
    }

    /// Ready when all is decided, with an error if this await or the gathering was cancelled.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Cancelled>> {
        if !self.state.over.get() {
            self.suspended = true;
            drop(self.state.waker.replace(Some(cx.waker().clone())));
            scope::suspend_on(self.state.clone());
            return Poll::Pending;
        }
        if self.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            return Poll::Ready(Err(cancelled));
        }
        if self.state.unfinished.get() == 0
            && self.state.error().is_none()
            && let Some(cancelled) = self.state.cancelled.take()
        {
            scope::delivered(&cancelled);
            return Poll::Ready(Err(cancelled));
        }
        Poll::Ready(Ok(()))
    }
}

impl<G> Drop for Gathering<G> {
    fn drop(&mut self) {
        if self.suspended {
            let target: Rc<dyn Cancel> = self.state.clone();
            scope::leave(&target);
        }
    }
}

impl<G: Gathered> Future for Gathering<G> {
    type Output = Result<G::Values, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.poll_over(cx).map(|over| {
            over?;
            match this.state.error().and_then(|which| this.tasks.error(which)) {
                None => Ok(this.tasks.values()),
                Some(error) => {
                    if let TaskError::Cancelled(cancelled) = &error {
                        scope::delivered(cancelled);
                    }
                    Err(error)
                }
            }
        })
    }
}

impl<G: Gathered> Future for GatherResults<G> {
    type Output = Result<G::Results, Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gathering = &mut self.get_mut().0;
        gathering
            .poll_over(cx)
            .map(|over| over.map(|()| gathering.tasks.results()))
    }
}

impl State {
    /// The task whose error is that of the gathering.
    fn error(&self) -> Option<usize> {
        self.failed.get().filter(|_| !self.return_exceptions.get())
    }

    fn is_decided(&self) -> bool {
        self.unfinished.get() == 0 || self.error().is_some()
    }

    /// Whether the end of the task is a failure.
    fn fails_by(&self, task: &AnyTask) -> bool {
        task.has_failed() || self.has_err(task)
    }

    fn note(&self, task: &AnyTask) {
        self.unfinished.set(self.unfinished.get() - 1);
        if self.failed.get().is_none() && self.fails_by(task) {
            let which = self.tasks.iter().position(|it| it == task);
            self.failed.set(which);
        }
    }

    fn end(&self) {
        self.over.set(self.is_decided());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl OnDone for State {
    fn on_done(self: Rc<Self>, task: &AnyTask) {
        let was_decided = self.is_decided();
        self.note(task);
        if was_decided || !self.is_decided() {
            return;
        }
        events::note_next_turn(move || self.end());
    }

    fn awaiter(&self) -> Option<AnyTask> {
        waker::waiting(&self.waker)
    }
}

impl Cancel for State {
    fn cancel(&self, cancelled: &Cancelled) -> bool {
        if self.over.get() {
            return false;
        }
        let mut asked = false;
        for task in &self.tasks {
            asked |= task.request(cancelled.clone());
        }
        if asked {
            self.cancelled.set(Some(cancelled.clone()));
        }
        asked
    }
}

impl<G> fmt::Debug for Gathering<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gathering").field(&self.state.tasks).finish()
    }
}

impl<G> fmt::Debug for GatherResults<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
