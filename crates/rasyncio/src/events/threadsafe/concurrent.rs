//! A task of a loop, seen from other threads.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use crate::exceptions::{Cancelled, TaskError};
use crate::tasks::{AnyTask, OnDone, Task, Waiter, create_task, current_task};

/// A task of a loop, and the right to its output, for any thread (Python's
/// `concurrent.futures.Future`). Dropping it detaches the task.
///
/// It is a future for any runtime. Cancelling a task that awaits it does not cancel the loop's; wrap it
/// in [`cancellable`](crate::cancellable) so that the wait ends.
///
/// ```
/// use rasyncio::{events, to_thread};
///
/// rasyncio::run(async {
///     let here = events::get_running_loop();
///     let answer = to_thread(move || here.run_coroutine_threadsafe(|| async { 42 }).result());
///     assert_eq!(answer.await??, 42);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct ConcurrentFuture<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    ended: Condvar,
}

struct State<T> {
    result: Option<Result<T, TaskError>>,
    /// The result was there, and may have been taken.
    done: bool,
    cancel_requested: bool,
    /// Who awaits it, in whatever runtime.
    waker: Option<Waker>,
    /// The task's, once it has started.
    task: Option<Waker>,
}

/// What the loop is to call, and the other end of it.
pub(super) fn pair<M, F>(make: M) -> (ConcurrentFuture<F::Output>, impl FnOnce() + Send)
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            result: None,
            done: false,
            cancel_requested: false,
            waker: None,
            task: None,
        }),
        ended: Condvar::new(),
    });
    let unstarted = Unstarted(Some(Arc::clone(&shared)));
    (ConcurrentFuture { shared }, move || unstarted.start(make))
}

impl<T> Shared<T> {
    /// Nothing panics under this lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, result: Result<T, TaskError>) {
        let mut state = self.lock();
        state.result = Some(result);
        state.done = true;
        let wakers = (state.waker.take(), state.task.take());
        drop(state);
        self.ended.notify_all();
        if let Some(waker) = wakers.0 {
            waker.wake();
        }
    }
}

/// Tells the other end, should the loop drop it.
struct Unstarted<T>(Option<Arc<Shared<T>>>);

impl<T: Send + 'static> Unstarted<T> {
    fn start<F>(mut self, make: impl FnOnce() -> F)
    where
        F: Future<Output = T> + 'static,
    {
        // Should this panic, it goes to the exception handler, and who waits sees a cancellation.
        let future = make();
        let Some(shared) = self.0.take() else {
            return;
        };
        let task = create_task(Reachable {
            future,
            shared: shared.clone(),
            reachable: false,
        });
        if shared.lock().cancel_requested {
            task.cancel();
        }
        let any = (*task).clone();
        any.add_waiter(Waiter::callback(Rc::new(Delivery { task, shared })));
    }
}

impl<T> Drop for Unstarted<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.end(Err(Cancelled::with_message("it was not started").into()));
        }
    }
}

struct Delivery<T> {
    task: Task<T>,
    shared: Arc<Shared<T>>,
}

impl<T> OnDone for Delivery<T> {
    fn on_done(self: Rc<Self>, _task: &AnyTask) {
        // If nobody else has a share any more, the output is dropped with the task, as always.
        if Arc::strong_count(&self.shared) > 1
            && let Some(result) = self.task.take()
        {
            self.shared.end(result);
        }
    }
}

pin_project! {
    /// A future that other threads ask to end.
    struct Reachable<F: Future> {
        #[pin]
        future: F,
        shared: Arc<Shared<F::Output>>,
        reachable: bool,
    }
}

impl<F: Future> Future for Reachable<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let requested = {
            let mut state = this.shared.lock();
            if !mem::replace(this.reachable, true) {
                state.task = Some(cx.waker().clone());
            }
            mem::take(&mut state.cancel_requested)
        };
        if requested && let Some(task) = current_task() {
            task.cancel();
        }
        this.future.poll(cx)
    }
}

impl<T> ConcurrentFuture<T> {
    /// Waits, blocking this thread, for the output (Python's `Future.result`).
    ///
    /// # Errors
    ///
    /// As when a task is awaited; and [`TaskError::Cancelled`] if the loop is closed.
    ///
    /// ```
    /// use rasyncio::{events, to_thread};
    ///
    /// rasyncio::run(async {
    ///     let here = events::get_running_loop();
    ///     // It blocks, so it is for other threads.
    ///     let answer = to_thread(move || here.run_coroutine_threadsafe(|| async { 42 }).result());
    ///     assert_eq!(answer.await??, 42);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn result(self) -> Result<T, TaskError> {
        let mut state = self.shared.lock();
        loop {
            if let Some(result) = state.result.take() {
                return result;
            }
            assert!(!state.done, "the result was taken before");
            state = self
                .shared
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// [`result`](ConcurrentFuture::result) within a time. Otherwise it comes back.
    ///
    /// # Errors
    ///
    /// The future itself, if the time is over.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{events, sleep, to_thread};
    ///
    /// rasyncio::run(async {
    ///     let here = events::get_running_loop();
    ///     let in_time = to_thread(move || {
    ///         let hour = Duration::from_secs(3600);
    ///         let future = here.run_coroutine_threadsafe(move || sleep(hour));
    ///         future.result_within(Duration::from_millis(1)).is_ok()
    ///     });
    ///     assert!(!in_time.await?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn result_within(self, time: Duration) -> Result<Result<T, TaskError>, Self> {
        let end = Instant::now() + time;
        let mut state = self.shared.lock();
        while !state.done {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(state);
                return Err(self);
            }
            let waited = self.shared.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        Ok(self.result())
    }

    /// Asks the task to end, as [`AnyTask::cancel`] does. False if it has ended already.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{events, sleep};
    ///
    /// rasyncio::run(async {
    ///     let here = events::get_running_loop();
    ///     let future = here.run_coroutine_threadsafe(|| sleep(Duration::from_secs(3600)));
    ///     future.cancel();
    ///     assert!(future.await.is_err());
    /// });
    /// ```
    pub fn cancel(&self) -> bool {
        let task = {
            let mut state = self.shared.lock();
            if state.done {
                return false;
            }
            state.cancel_requested = true;
            state.task.clone()
        };
        if let Some(task) = task {
            task.wake();
        }
        true
    }

    /// Whether the task has ended, in whatever way.
    ///
    /// ```
    /// use rasyncio::events;
    ///
    /// rasyncio::run(async {
    ///     let here = events::get_running_loop();
    ///     let mut future = here.run_coroutine_threadsafe(|| async {});
    ///     assert!(!future.done());
    ///     (&mut future).await?;
    ///     assert!(future.done());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn done(&self) -> bool {
        self.shared.lock().done
    }
}

impl<T> Future for ConcurrentFuture<T> {
    type Output = Result<T, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let mut state = self.shared.lock();
        if let Some(result) = state.result.take() {
            return Poll::Ready(result);
        }
        assert!(!state.done, "the result was taken before");
        let old = state.waker.replace(waker);
        // Unlocked, for dropping a waker may run anything.
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl<T> fmt::Debug for ConcurrentFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrentFuture")
            .field("done", &self.done())
            .finish()
    }
}
