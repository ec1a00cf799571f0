//! Calls that block, made by a thread: looking up names.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use rasyncio_engine::{SpawnError, WorkerPool};

use crate::scope;

/// asyncio's default executor has so many threads at most, and as many more as there are processors.
const THREADS: usize = 4;

/// Has `work` done by a thread.
pub(crate) fn blocking<T, F>(work: F) -> Blocking<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let slot = Arc::new(Slot(Mutex::new(State {
        result: None,
        waker: None,
    })));
    let filled = Arc::clone(&slot);
    let spawned = pool().spawn(move || {
        let result = panic::catch_unwind(AssertUnwindSafe(work));
        let waker = {
            let mut state = filled.lock();
            state.result = Some(result);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    Blocking {
        slot,
        refused: spawned.err(),
        suspended: false,
    }
}

/// One for the process, as name servers are.
fn pool() -> &'static WorkerPool {
    static POOL: OnceLock<WorkerPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        WorkerPool::new("rasyncio-resolver", (THREADS + processors).min(32))
    })
}

struct Slot<T>(Mutex<State<T>>);

struct State<T> {
    result: Option<thread::Result<T>>,
    waker: Option<Waker>,
}

impl<T> Slot<T> {
    /// Nothing panics under this lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`blocking`] answers. A call that nobody waits for any more is made all the same.
#[must_use = "futures do nothing unless awaited"]
pub(crate) struct Blocking<T> {
    slot: Arc<Slot<T>>,
    refused: Option<SpawnError>,
    suspended: bool,
}

impl<T> Future for Blocking<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if self.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            return Poll::Ready(Err(cancelled.into()));
        }
        match self.refused.take() {
            Some(SpawnError::Thread(error)) => return Poll::Ready(Err(error)),
            Some(SpawnError::Closed) => {
                return Poll::Ready(Err(io::Error::other("the pool is shut down")));
            }
            None => {}
        }
        let waker = cx.waker().clone();
        let (result, old) = {
            let mut state = self.slot.lock();
            match state.result.take() {
                Some(result) => (Some(result), None),
                None => (None, state.waker.replace(waker)),
            }
        };
        drop(old);
        match result {
            Some(Ok(result)) => Poll::Ready(Ok(result)),
            Some(Err(payload)) => panic::resume_unwind(payload),
            None => {
                self.suspended = true;
                scope::suspend(cx);
                Poll::Pending
            }
        }
    }
}
