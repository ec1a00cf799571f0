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

use super::waiters::{Key, OnDone, Told, Waiter};
use super::{AnyTask, waker};
use crate::events;
use crate::exceptions::Cancelled;
use crate::scope;
use crate::timer::Timer;

/// When [`wait`] is over (asyncio's `return_when`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnWhen {
    /// As soon as one task has ended (asyncio's `FIRST_COMPLETED`).
    FirstCompleted,
    /// As soon as one task has panicked, or all have ended (asyncio's `FIRST_EXCEPTION`). What a
    /// task resolves to is not looked at, should it be a `Result`; for that there is
    /// [`TaskGroup`](crate::TaskGroup).
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
        waiting: None,
    }
}

/// What [`wait`] answers.
#[must_use = "futures do nothing unless awaited"]
pub struct Wait<W> {
    tasks: Vec<W>,
    return_when: ReturnWhen,
    timeout: Option<Duration>,
    /// From the first poll on.
    waiting: Option<Waiting>,
}

struct Waiting {
    state: Rc<State>,
    /// Those that had not ended, and the right to take the wait back.
    keys: Vec<(AnyTask, Key)>,
    timer: Option<Timer>,
}

struct State {
    return_when: ReturnWhen,
    unfinished: Cell<usize>,
    decided: Cell<bool>,
    over: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl<W> Wait<W> {
    /// What to wait for: for all, unless said.
    pub fn return_when(mut self, return_when: ReturnWhen) -> Wait<W> {
        self.return_when = return_when;
        self
    }

    /// How long to wait at most, counted from the first poll. The end of that time is no error.
    pub fn timeout(mut self, timeout: impl Into<Option<Duration>>) -> Wait<W> {
        self.timeout = timeout.into();
        self
    }
}

impl Waiting {
    fn begin<W: AsRef<AnyTask>>(
        tasks: &[W],
        return_when: ReturnWhen,
        timeout: Option<Duration>,
    ) -> Waiting {
        let state = Rc::new(State {
            return_when,
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
                state.note(task.has_panicked());
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
        let waiting = this
            .waiting
            .get_or_insert_with(|| Waiting::begin(&this.tasks, this.return_when, this.timeout));
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
    fn note(self: &Rc<Self>, panicked: bool) {
        self.unfinished.set(self.unfinished.get() - 1);
        let decisive = self.unfinished.get() == 0
            || match self.return_when {
                ReturnWhen::FirstCompleted => true,
                ReturnWhen::FirstException => panicked,
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
        self.note(task.has_panicked());
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
