//! The loop for other threads.

mod concurrent;

use std::error::Error;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use rasyncio_engine::Job;

pub use concurrent::ConcurrentFuture;

use super::{Home, callback_job, with_running};
use crate::threads::Work;

/// The loop that runs in this thread (asyncio's `get_running_loop`), for other threads to reach it.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     let here = events::get_running_loop();
///     std::thread::spawn(move || {
///         let _ = here.call_soon_threadsafe(|| assert!(events::is_running()));
///     })
///     .join()
///     .unwrap();
/// });
/// ```
#[track_caller]
pub fn get_running_loop() -> Loop {
    with_running(|state, _| Loop::of(&state.home))
}

/// A loop, for any thread. It outlives the loop harmlessly.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{events, sleep};
///
/// rasyncio::run(async {
///     let here = events::get_running_loop();
///     let answer = rasyncio::to_thread(move || {
///         // Another thread, which has the loop do something, and waits for it.
///         let future = here.run_coroutine_threadsafe(|| async {
///             sleep(Duration::from_millis(1)).await.unwrap();
///             42
///         });
///         future.result()
///     });
///     assert_eq!(answer.await.unwrap().unwrap(), 42);
/// });
/// ```
#[derive(Clone)]
pub struct Loop {
    home: Arc<Home>,
}

impl Loop {
    pub(crate) fn of(home: &Arc<Home>) -> Loop {
        Loop { home: home.clone() }
    }

    /// Calls `callback` in the loop's thread, soon (asyncio's `loop.call_soon_threadsafe`), and wakes
    /// the loop if it sleeps. A panic in it goes to the exception handler.
    ///
    /// # Errors
    ///
    /// If the loop is closed.
    ///
    /// ```
    /// use rasyncio::events;
    /// use std::sync::mpsc;
    ///
    /// rasyncio::run(async {
    ///     let (sender, receiver) = mpsc::channel();
    ///     let here = events::get_running_loop();
    ///     std::thread::spawn(move || here.call_soon_threadsafe(move || sender.send(1).unwrap()));
    ///     while receiver.try_recv().is_err() {
    ///         rasyncio::yield_now().await.unwrap();
    ///     }
    /// });
    /// ```
    pub fn call_soon_threadsafe(
        &self,
        callback: impl FnOnce() + Send + 'static,
    ) -> Result<ThreadsafeHandle, LoopClosed> {
        let handle = ThreadsafeHandle {
            callback: Arc::new(Mutex::new(Some(Box::new(callback)))),
        };
        let called = handle.clone();
        self.send(callback_job(move || {
            if let Some(callback) = called.take() {
                callback();
            }
        }))?;
        Ok(handle)
    }

    /// Creates a task of the loop (asyncio's `run_coroutine_threadsafe`) with the future that `make`
    /// gives there, in the loop's thread; so the future need not be `Send`.
    ///
    /// The answer may be waited for by any thread but the loop's own, or be awaited anywhere. If the
    /// loop is closed, it has ended as cancelled.
    ///
    /// ```
    /// use rasyncio::{events, sleep, to_thread};
    /// use std::time::Duration;
    ///
    /// rasyncio::run(async {
    ///     let here = events::get_running_loop();
    ///     let slept = to_thread(move || {
    ///         let future = here.run_coroutine_threadsafe(|| sleep(Duration::from_millis(1)));
    ///         future.result()
    ///     });
    ///     slept.await???;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn run_coroutine_threadsafe<M, F>(&self, make: M) -> ConcurrentFuture<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let (future, run) = concurrent::pair(make);
        // Dropped, it tells who waits that the loop is closed.
        let _ = self.send(callback_job(run));
        future
    }

    /// Whether somebody is running it, in whatever thread (asyncio's `loop.is_running`).
    ///
    /// ```
    /// use rasyncio::{Runner, events};
    ///
    /// let runner = Runner::new()?;
    /// assert!(!runner.get_loop().is_running());
    /// assert!(runner.run(async { events::get_running_loop().is_running() }));
    /// # Ok::<_, rasyncio::RunError>(())
    /// ```
    pub fn is_running(&self) -> bool {
        self.home.entered.load(Ordering::Relaxed)
    }

    /// Whether it has ended for good (asyncio's `loop.is_closed`).
    ///
    /// ```
    /// use rasyncio::events;
    ///
    /// let over = rasyncio::run(async { events::get_running_loop() });
    /// assert!(over.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.home.closed.load(Ordering::Relaxed)
    }

    /// # Errors
    ///
    /// If the loop is closed.
    #[allow(unsafe_code)]
    fn send(&self, job: Job) -> Result<(), LoopClosed> {
        // SAFETY: both callers make the job of what is `Send`, and give it away: no other thread has
        // a share of the memory that it counts without atomics.
        let sent = unsafe { self.home.remote.schedule(job) };
        sent.map_err(|_| LoopClosed)
    }
}

/// Whether they are the same loop.
impl PartialEq for Loop {
    fn eq(&self, other: &Loop) -> bool {
        Arc::ptr_eq(&self.home, &other.home)
    }
}

impl Eq for Loop {}

impl fmt::Debug for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loop")
            .field(&Arc::as_ptr(&self.home))
            .finish()
    }
}

/// A callback on its way to a loop. Clones are the same; dropping them lets it be called.
///
/// ```
/// use rasyncio::events;
///
/// rasyncio::run(async {
///     let here = events::get_running_loop();
///     let handle = here.call_soon_threadsafe(|| unreachable!("it is taken back"))?;
///     assert!(handle.cancel());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone)]
pub struct ThreadsafeHandle {
    callback: Arc<Mutex<Option<Work>>>,
}

impl ThreadsafeHandle {
    /// Takes the callback back, and drops it. False if it was called, or is just being called, or
    /// taken back before.
    ///
    /// ```
    /// use rasyncio::{events, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let here = events::get_running_loop();
    ///     let handle = here.call_soon_threadsafe(|| {})?;
    ///     yield_now().await?;
    ///     yield_now().await?;
    ///     assert!(!handle.cancel());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn cancel(&self) -> bool {
        self.take().is_some()
    }

    fn take(&self) -> Option<Work> {
        let mut callback = self.callback.lock().unwrap_or_else(PoisonError::into_inner);
        callback.take()
    }
}

impl fmt::Debug for ThreadsafeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadsafeHandle").finish_non_exhaustive()
    }
}

/// The loop takes nothing any more (asyncio's `RuntimeError: Event loop is closed`).
///
/// ```
/// use rasyncio::events::{self, LoopClosed};
///
/// let gone = rasyncio::run(async { events::get_running_loop() });
/// assert!(matches!(gone.call_soon_threadsafe(|| {}), Err(LoopClosed)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopClosed;

impl fmt::Display for LoopClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Event loop is closed")
    }
}

impl Error for LoopClosed {}
