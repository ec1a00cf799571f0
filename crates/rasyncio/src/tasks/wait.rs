//! Waiting for some of several tasks.
//!
//! As with asyncio's function of that name, the decision is taken note of one turn after the
//! task's end that brings it, and who waits runs one turn after that.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::fallible::Fallible;
use super::waiters::{Key, OnDone, Told, Waiter};
use super::{AnyTask, waker};
use crate::events;
use crate::exceptions::Cancelled;
use crate::scope;
use crate::timer::Timer;

/// When [`wait`] is over (asyncio's `return_when`).
///
/// ```
/// use rasyncio::{ReturnWhen, create_task, wait};
///
/// rasyncio::run(async {
///     let tasks = [create_task(async { 1 }), create_task(async { 2 })];
///     let (done, _) = wait(&tasks).return_when(ReturnWhen::FirstCompleted).await?;
///     assert!(!done.is_empty());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnWhen {
    /// As soon as one task has ended (asyncio's `FIRST_COMPLETED`).
    FirstCompleted,
    /// As soon as one task has failed, or all have ended (asyncio's `FIRST_EXCEPTION`). To fail is to
    /// panic or, for a task that was made by [`create_task!`](macro@crate::create_task) or by
    /// [`Builder::create_fallible_task`](super::Builder::create_fallible_task), to resolve to an `Err`
    /// that is no cancellation. For tasks that were made otherwise and resolve to a `Result` there is
    /// [`Wait::first_exception`].
    FirstException,
    /// When all tasks have ended (asyncio's `ALL_COMPLETED`).
    #[default]
    AllCompleted,
}

/// Waits for tasks, and answers those that have ended and those that have not, each in the order
/// given (asyncio's `wait`).
///
/// It takes anything that gives tasks, or references to tasks: what it answers is what it was
/// given. Tasks of different outputs can be waited for by their [`AnyTask`]. Unlike a gathering
/// it cancels nothing: neither when it is cancelled itself, nor when the time is over.
///
/// Given nothing, it answers at once (asyncio raises `ValueError`).
///
/// # Panics
///
/// When it is awaited and no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{ReturnWhen, create_task, sleep, wait};
///
/// rasyncio::run(async {
///     let tasks = [5_u64, 1].map(|n| create_task(sleep(Duration::from_millis(n))));
///     let (done, pending) = wait(&tasks).return_when(ReturnWhen::FirstCompleted).await?;
///     assert_eq!((done[0].name(), pending[0].name()), (tasks[1].name(), tasks[0].name()));
///
///     let (done, pending) = wait(tasks).timeout(Duration::from_secs(10)).await?;
///     assert_eq!((done.len(), pending.len()), (2, 0));
///     Ok::<_, rasyncio::Cancelled>(())
/// })
/// .unwrap();
/// ```
pub fn wait<I>(tasks: I) -> Wait<I::Item>
where
    I: IntoIterator<Item: AsRef<AnyTask>>,
{
    Wait {
        tasks: tasks.into_iter().collect(),
        return_when: ReturnWhen::AllCompleted,
        timeout: None,
        failed: Look::AT_THE_STATE,
        waiting: None,
    }
}

/// What [`wait`] answers.
///
/// ```
/// use rasyncio::{create_task, wait};
///
/// rasyncio::run(async {
///     let (done, pending) = wait([create_task(async { 1 })]).await?;
///     assert_eq!((done.len(), pending.len()), (1, 0));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Wait<W> {
    tasks: Vec<W>,
    return_when: ReturnWhen,
    timeout: Option<Duration>,
    /// Whether a task that has ended has failed.
    failed: Look,
    /// From the first poll on.
    waiting: Option<Waiting>,
}

/// Whether a task that is waited for has failed.
#[derive(Clone, Copy)]
struct Look(unsafe fn(&AnyTask) -> bool);

impl Look {
    /// For all tasks.
    const AT_THE_STATE: Look = Look(AnyTask::has_raised);

    /// For what a `W` refers to.
    fn at_the_result<W: Fallible>() -> Look {
        Look(W::has_failed)
    }

    #[allow(unsafe_code)]
    fn failed(self, task: &AnyTask) -> bool {
        // SAFETY: a `Wait<W>` has a look at the tasks of its `W`s only.
        unsafe { (self.0)(task) }
    }
}

struct Waiting {
    state: Rc<State>,
    /// Those that had not ended, and the right to take the wait back.
    keys: Vec<(AnyTask, Key)>,
    timer: Option<Timer>,
}

struct State {
    return_when: ReturnWhen,
    failed: Look,
    unfinished: Cell<usize>,
    decided: Cell<bool>,
    over: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl<W> Wait<W> {
    /// What to wait for: for all, unless said.
    ///
    /// ```
    /// use rasyncio::{ReturnWhen, create_task, wait};
    ///
    /// rasyncio::run(async {
    ///     let tasks = [create_task(async { panic!("oops") }), create_task(std::future::pending::<()>())];
    ///     let (done, pending) = wait(&tasks).return_when(ReturnWhen::FirstException).await?;
    ///     assert_eq!((done.len(), pending.len()), (1, 1));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn return_when(mut self, return_when: ReturnWhen) -> Wait<W> {
        self.return_when = return_when;
        self
    }

    /// How long to wait at most, counted from the first poll. The end of that time is no error.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{create_task, sleep, wait};
    ///
    /// rasyncio::run(async {
    ///     let late = create_task(sleep(Duration::from_secs(3600)));
    ///     let (done, pending) = wait([&late]).timeout(Duration::from_millis(1)).await?;
    ///     assert_eq!((done.len(), pending.len()), (0, 1));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Wait<W> {
        self.timeout = timeout.into();
        self
    }
}

impl<W: Fallible> Wait<W> {
    /// Waits until one task has panicked or resolved to an `Err` that is no cancellation, or all have
    /// ended: [`ReturnWhen::FirstException`], whichever way the tasks were made.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{Cancelled, create_task, sleep, wait};
    ///
    /// async fn fetch(page: &str) -> Result<(), String> {
    ///     let time = Duration::from_secs(if page == "missing" { 0 } else { 3600 });
    ///     sleep(time).await.map_err(|cancelled| cancelled.to_string())?;
    ///     Err(format!("there is no page {page}"))
    /// }
    ///
    /// rasyncio::run(async {
    ///     let tasks = ["slow", "missing"].map(|page| create_task(fetch(page)));
    ///     let (done, pending) = wait(tasks).first_exception().await?;
    ///     assert_eq!((done.len(), pending.len()), (1, 1));
    ///     Ok::<_, Cancelled>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn first_exception(mut self) -> Wait<W> {
        self.return_when = ReturnWhen::FirstException;
        self.failed = Look::at_the_result::<W>();
        self
    }
}

impl Waiting {
    fn begin<W: AsRef<AnyTask>>(
        tasks: &[W],
        return_when: ReturnWhen,
        timeout: Option<Duration>,
        failed: Look,
    ) -> Waiting {
        let state = Rc::new(State {
            return_when,
            failed,
            unfinished: Cell::new(tasks.len()),
            decided: Cell::new(false),
            over: Cell::new(false),
            waker: Cell::new(None),
        });
        let timer = timeout.map(|timeout| {
            let state = state.clone();
            Timer::after(timeout, move || state.end())
        });
        let mut keys = Vec::with_capacity(tasks.len());
        let listener = Told::new(state.clone());
        for task in tasks.iter().map(W::as_ref) {
            if task.done() {
                state.note(state.failed.failed(task));
            } else {
                let key = task.add_waiter(Waiter::Callback(listener.clone()));
                keys.push((task.clone(), key));
            }
        }
        Waiting { state, keys, timer }
    }
}

// Nothing is pinned through it.
impl<W> Unpin for Wait<W> {}

impl<W: AsRef<AnyTask>> Future for Wait<W> {
    type Output = Result<(Vec<W>, Vec<W>), Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if this.tasks.is_empty() {
            return Poll::Ready(Ok(Default::default()));
        }
        if this.waiting.is_some()
            && let Some(cancelled) = scope::take_cancellation()
        {
            this.waiting = None;
            return Poll::Ready(Err(cancelled));
        }
        let waiting = this.waiting.get_or_insert_with(|| {
            Waiting::begin(&this.tasks, this.return_when, this.timeout, this.failed)
        });
        if !waiting.state.over.get() {
            drop(waiting.state.waker.replace(Some(cx.waker().clone())));
            scope::suspend(cx);
            return Poll::Pending;
        }
        this.waiting = None;
        let tasks = std::mem::take(&mut this.tasks).into_iter();
        Poll::Ready(Ok(tasks.partition(|task| task.as_ref().done())))
    }
}

impl State {
    /// A task has ended.
    fn note(self: &Rc<Self>, failed: bool) {
        self.unfinished.set(self.unfinished.get() - 1);
        let decisive = self.unfinished.get() == 0
            || match self.return_when {
                ReturnWhen::FirstCompleted => true,
                ReturnWhen::FirstException => failed,
                ReturnWhen::AllCompleted => false,
            };
        if decisive && !self.decided.replace(true) {
            let state = self.clone();
            events::note_next_turn(move || state.end());
        }
    }

    fn end(&self) {
        self.over.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl OnDone for State {
    fn on_done(self: Rc<Self>, task: &AnyTask) {
        self.note(self.failed.failed(task));
    }

    fn awaiter(&self) -> Option<AnyTask> {
        waker::waiting(&self.waker)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            timer.cancel();
        }
        for (task, key) in self.keys.drain(..) {
            // Who has ended has told, and keys count anew from there.
            if !task.done() {
                task.remove_waiter(key);
            }
        }
        drop(self.state.waker.take());
    }
}

impl<W: AsRef<AnyTask>> fmt::Debug for Wait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks: Vec<_> = self.tasks.iter().map(W::as_ref).collect();
        f.debug_struct("Wait")
            .field("tasks", &tasks)
            .field("return_when", &self.return_when)
            .field("timeout", &self.timeout)
            .finish()
    }
}
