//! Work for other threads (asyncio's `threads`, and its executors).
//!
//! What blocks is done by a thread, while the loop goes on: by one of the loop's own
//! ([`to_thread`]), or by an executor of yours ([`run_in_executor`]).

mod work;

use std::rc::Rc;
use std::sync::Arc;
use std::thread;

pub use rasyncio_engine::{SpawnError, WorkerPool};
pub use work::InExecutor;

use crate::events;
use crate::exceptions::{Cancelled, TaskError};

/// How many threads the loop's own executor has besides one for each processor, and how many at
/// most: as Python's.
const MORE_THREADS: usize = 4;
const MOST_THREADS: usize = 32;

/// What an executor is given to do, once.
pub type Work = Box<dyn FnOnce() + Send>;

/// Does work elsewhere (Python's `concurrent.futures.Executor`). [`WorkerPool`] is one, and so is
/// every function that hands its argument on:
///
/// ```
/// use rasyncio::threads::{Work, run_in_executor};
///
/// rasyncio::run(async {
///     let new_thread = |work: Work| {
///         std::thread::spawn(work);
///     };
///     assert_eq!(run_in_executor(Some(&new_thread), || 6 * 7).await.unwrap(), 42);
/// });
/// ```
pub trait Executor {
    /// Has the work done, soon. Dropped instead, it counts as cancelled.
    ///
    /// # Errors
    ///
    /// If that is not possible, now or ever.
    fn spawn(&self, work: Work) -> Result<(), SpawnError>;
}

impl Executor for WorkerPool {
    fn spawn(&self, work: Work) -> Result<(), SpawnError> {
        WorkerPool::spawn(self, work)
    }
}

impl<F: Fn(Work)> Executor for F {
    fn spawn(&self, work: Work) -> Result<(), SpawnError> {
        self(work);
        Ok(())
    }
}

/// Has a function called by a thread, when this is awaited, and answers what it returns (asyncio's
/// `to_thread`). For what else there is to know see [`run_in_executor`]. Context variables stay
/// behind, for they need not be `Send`.
///
/// ```
/// rasyncio::run(async {
///     let manifest = rasyncio::to_thread(|| std::fs::read_to_string("Cargo.toml")).await?;
///     assert!(manifest.unwrap().contains("[package]"));
///     Ok::<_, rasyncio::TaskError>(())
/// })
/// .unwrap();
/// ```
pub async fn to_thread<F, T>(function: F) -> Result<T, TaskError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    run_in_executor(None, function).await
}

/// Has a function called by an executor, from now on (asyncio's `loop.run_in_executor`); `None` is
/// the loop's own: a pool of threads, as many as processors and four more, at most 32, which is made
/// when it is first needed, and whose work is awaited when the loop ends.
///
/// A call that has begun cannot be cancelled. Cancelled or dropped, this wait ends; the function is
/// not called if it has not been yet, and else what it returns is dropped there.
///
/// Virtual time stands still while somebody waits for a thread.
///
/// # Errors
///
/// [`TaskError::Panicked`] if the function panics, or the executor cannot take it;
/// [`TaskError::Cancelled`] if whoever waits is cancelled, or the executor drops the work.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::threads::{WorkerPool, run_in_executor};
///
/// let pool = WorkerPool::new("sums", 2);
/// rasyncio::run(async {
///     let sum = run_in_executor(Some(&pool), || (1..=100).sum::<u32>());
///     assert_eq!(sum.await.unwrap(), 5050);
/// });
/// ```
#[track_caller]
pub fn run_in_executor<F, T>(executor: Option<&dyn Executor>, function: F) -> InExecutor<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match executor {
        Some(executor) => InExecutor::new(executor, function),
        None => InExecutor::new(&DefaultExecutor::get(), function),
    }
}

/// Sets the loop's own executor (asyncio's `loop.set_default_executor`). The one before is forgotten,
/// and nobody waits for its work. Nor does anybody for that of the new one when the loop ends.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::threads::{WorkerPool, set_default_executor};
///
/// rasyncio::run(async {
///     set_default_executor(WorkerPool::new("mine", 2));
///     assert_eq!(rasyncio::to_thread(|| 6 * 7).await?, 42);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn set_default_executor(executor: impl Executor + 'static) {
    let new = DefaultExecutor::Yours(Rc::new(executor));
    let old = events::with_running(|state, _| state.executor.replace(new));
    drop(old);
}

/// Ends the loop's own executor: it takes no more work, and what it has is awaited (asyncio's
/// `loop.shutdown_default_executor`). [`run`](crate::run) does so in the end.
///
/// # Errors
///
/// If whoever waits is cancelled.
///
/// # Panics
///
/// When it is awaited and no loop is running.
///
/// ```
/// use rasyncio::threads::shutdown_default_executor;
///
/// rasyncio::run(async {
///     rasyncio::to_thread(|| {}).await?;
///     shutdown_default_executor().await?;
///     assert!(rasyncio::to_thread(|| {}).await.is_err());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub async fn shutdown_default_executor() -> Result<(), Cancelled> {
    let old = events::with_running(|state, _| state.executor.replace(DefaultExecutor::Closed));
    let DefaultExecutor::Pool(pool) = old else {
        return Ok(());
    };
    // By a thread of its own, for the pool's work may need the loop. Without one, nobody waits.
    match run_in_executor(Some(&NewThread), move || pool.shutdown(true)).await {
        Err(TaskError::Cancelled(cancelled)) => Err(cancelled),
        Ok(()) | Err(TaskError::Panicked(_)) => Ok(()),
    }
}

struct NewThread;

impl Executor for NewThread {
    fn spawn(&self, work: Work) -> Result<(), SpawnError> {
        let spawned = thread::Builder::new().spawn(work);
        spawned.map(drop).map_err(SpawnError::Thread)
    }
}

/// A loop's own executor.
#[derive(Clone, Default)]
pub(crate) enum DefaultExecutor {
    #[default]
    NotYet,
    Pool(Arc<WorkerPool>),
    Yours(Rc<dyn Executor>),
    Closed,
}

impl DefaultExecutor {
    /// Whether there is work that may be waited for.
    pub(crate) fn is_pool(&self) -> bool {
        matches!(self, DefaultExecutor::Pool(_))
    }

    /// The running loop's, made if need be.
    #[track_caller]
    fn get() -> DefaultExecutor {
        events::with_running(|state, _| {
            let mut executor = state.executor.borrow_mut();
            if let DefaultExecutor::NotYet = *executor {
                let processors = thread::available_parallelism().map_or(1, usize::from);
                let pool =
                    WorkerPool::new("rasyncio", (MORE_THREADS + processors).min(MOST_THREADS));
                *executor = DefaultExecutor::Pool(Arc::new(pool));
            }
            executor.clone()
        })
    }
}

impl Executor for DefaultExecutor {
    fn spawn(&self, work: Work) -> Result<(), SpawnError> {
        match self {
            DefaultExecutor::Pool(pool) => pool.spawn(work),
            DefaultExecutor::Yours(executor) => executor.spawn(work),
            DefaultExecutor::NotYet | DefaultExecutor::Closed => Err(SpawnError::Closed),
        }
    }
}
