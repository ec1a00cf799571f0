//! Awaiting without passing cancellations on.
//!
//! As with asyncio's future of that name, the end of the inner task is taken note of one turn
//! later, and who awaits the shield runs one turn after that.

use std::borrow::{Borrow, BorrowMut};
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::waiters::{OnDone, Waiter};
use super::{AnyTask, Task, create_task, waker};
use crate::events;
use crate::exceptions::TaskError;
use crate::scope;

/// Waits for a task, and keeps a cancellation of whoever waits from it (asyncio's `shield`).
///
/// Takes a future, which becomes a task at once, a [`Task`], or `&mut Task`, which is still
/// there afterwards. When the awaiting task is cancelled the shield gives
/// [`TaskError::Cancelled`], and the inner task runs on. It gives the same if it is the inner
/// task that was cancelled.
///
/// Dropping the shield of a future or a `Task` detaches the task.
///
/// # Panics
///
/// If no loop is running and there is a task to be made.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{create_task, shield, sleep, yield_now};
///
/// rasyncio::run(async {
///     let outer = create_task(async {
///         let mut inner = create_task(async {
///             sleep(Duration::from_millis(2)).await?;
///             Ok::<_, rasyncio::Cancelled>("stored")
///         });
///         assert!(shield(&mut inner).await.is_err());
///         // This task was cancelled. The other one was not.
///         assert_eq!(inner.await.unwrap(), Ok("stored"));
///     });
///     yield_now().await.unwrap();
///     outer.cancel();
///     assert!(outer.await.is_err());
/// });
/// ```
#[track_caller]
pub fn shield<S: Shieldable>(what: S) -> Shield<S::Handle, S::Output> {
    let handle = what.into_handle();
    let task: &Task<S::Output> = handle.borrow();
    let state = Rc::new(State::default());
    if task.done() {
        state.over.set(true);
    } else {
        task.set_owner(Waiter::callback(state.clone()));
    }
    Shield {
        handle,
        state,
        suspended: false,
        output: PhantomData,
    }
}

/// What [`shield`] takes.
pub trait Shieldable {
    /// What the future resolves to.
    type Output;
    /// The task, or a reference to it.
    type Handle: BorrowMut<Task<Self::Output>> + Unpin;

    /// The task.
    ///
    /// # Panics
    ///
    /// If no loop is running and there is a task to be made.
    fn into_handle(self) -> Self::Handle;
}

impl<F: Future + 'static> Shieldable for F {
    type Output = F::Output;
    type Handle = Task<F::Output>;

    #[track_caller]
    fn into_handle(self) -> Task<F::Output> {
        create_task(self)
    }
}

impl<T> Shieldable for Task<T> {
    type Output = T;
    type Handle = Task<T>;

    fn into_handle(self) -> Task<T> {
        self
    }
}

impl<'a, T> Shieldable for &'a mut Task<T> {
    type Output = T;
    type Handle = &'a mut Task<T>;

    fn into_handle(self) -> &'a mut Task<T> {
        self
    }
}

/// What [`shield`] answers.
#[must_use = "futures do nothing unless awaited"]
pub struct Shield<H: BorrowMut<Task<T>>, T> {
    handle: H,
    state: Rc<State>,
    suspended: bool,
    output: PhantomData<fn() -> T>,
}

#[derive(Default)]
struct State {
    /// The end of the task was taken note of.
    over: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl State {
    fn end(&self) {
        self.over.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl OnDone for State {
    fn on_done(self: Rc<Self>, _task: &AnyTask) {
        events::note_next_turn(move || self.end());
    }

    fn awaiter(&self) -> Option<AnyTask> {
        waker::waiting(&self.waker)
    }
}

impl<H: BorrowMut<Task<T>> + Unpin, T> Future for Shield<H, T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            return Poll::Ready(Err(cancelled.into()));
        }
        if !this.state.over.get() {
            this.suspended = true;
            drop(this.state.waker.replace(Some(cx.waker().clone())));
            scope::suspend(cx);
            return Poll::Pending;
        }
        let output = this
            .handle
            .borrow()
            .take()
            .expect("a shield was awaited again after it had given its output");
        if let Err(TaskError::Cancelled(cancelled)) = &output {
            scope::delivered(cancelled);
        }
        Poll::Ready(output)
    }
}

impl<H: BorrowMut<Task<T>>, T> Drop for Shield<H, T> {
    fn drop(&mut self) {
        self.handle.borrow().any.clear_owner();
    }
}

impl<H: BorrowMut<Task<T>>, T> fmt::Debug for Shield<H, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shield").field(self.handle.borrow()).finish()
    }
}
