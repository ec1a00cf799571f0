//! Worker threads, for calls that block.
//!
//! A thread is started only when work comes in and nobody is idle, so a pool costs nothing
//! until it is used and never holds more threads than were busy at once. The pool knows no
//! loop: work that has a result to deliver takes a [`crate::Remote`] along.

use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

type Work = Box<dyn FnOnce() + Send>;

/// A pool of threads for blocking calls (asyncio's default executor). Dropping it is
/// [`WorkerPool::shutdown`] without waiting: what was put in is still done.
pub struct WorkerPool {
    shared: Arc<Shared>,
    name: String,
    max: usize,
}

struct Shared {
    state: Mutex<State>,
    /// Notified once for each piece of work, and all at the end.
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    /// Threads inside the condition variable, those included that were just notified. Each is
    /// good for one piece of the work in the queue.
    waiting: usize,
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

/// Why a pool did not take a piece of work.
#[derive(Debug)]
pub enum SpawnError {
    /// The pool was shut down.
    Closed,
    /// There is no thread yet, and the system gives none.
    Thread(io::Error),
}

impl WorkerPool {
    /// A pool of at most `max` threads (at least one), named `name-0`, `name-1` and so on.
    pub fn new(name: impl Into<String>, max: usize) -> WorkerPool {
        let shared = Shared {
            state: Mutex::default(),
            work: Condvar::new(),
        };
        WorkerPool {
            shared: Arc::new(shared),
            name: name.into(),
            max: max.max(1),
        }
    }

    /// Has `work` done on a thread of the pool, in the order of the calls as far as threads
    /// allow. A panic in it ends there, after the panic hook has reported it.
    ///
    /// # Errors
    ///
    /// When the pool is shut down, or cannot start its first thread. Failing to start another
    /// one is no error: the work waits for those that there are.
    pub fn spawn(&self, work: impl FnOnce() + Send + 'static) -> Result<(), SpawnError> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(SpawnError::Closed);
        }
        if state.queue.len() >= state.waiting && state.threads.len() < self.max {
            match self.start(state.threads.len()) {
                Ok(thread) => state.threads.push(thread),
                Err(error) if state.threads.is_empty() => return Err(SpawnError::Thread(error)),
                Err(_) => {}
            }
        }
        state.queue.push_back(Box::new(work));
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    /// How many threads were started.
    pub fn threads(&self) -> usize {
        self.shared.lock().threads.len()
    }

    /// Takes no more work; what was put in is still done. With `wait`, returns once it is,
    /// and all threads are gone; a thread of the pool itself does not wait for itself.
    pub fn shutdown(&self, wait: bool) {
        self.finish(false, wait);
    }

    /// As [`WorkerPool::shutdown`], but work that has not begun is dropped.
    pub fn cancel(&self, wait: bool) {
        self.finish(true, wait);
    }

    fn finish(&self, cancel: bool, wait: bool) {
        let mut state = self.shared.lock();
        state.closed = true;
        let cancelled = if cancel {
            std::mem::take(&mut state.queue)
        } else {
            VecDeque::new()
        };
        let threads = if wait {
            std::mem::take(&mut state.threads)
        } else {
            Vec::new()
        };
        // Unlocked, for dropping work may run anything.
        drop(state);
        drop(cancelled);
        self.shared.work.notify_all();
        for thread in threads {
            if thread.thread().id() != thread::current().id() {
                // A worker contains the panics of its work, and has none of its own.
                let _ = thread.join();
            }
        }
    }

    fn start(&self, number: usize) -> io::Result<JoinHandle<()>> {
        let shared = Arc::clone(&self.shared);
        thread::Builder::new()
            .name(format!("{}-{number}", self.name))
            .spawn(move || shared.work())
    }
}

impl Shared {
    /// The life of a worker.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.queue.pop_front() {
                drop(state);
                // The hook has reported the panic; the work itself delivers results and errors.
                let _ = panic::catch_unwind(AssertUnwindSafe(work));
                state = self.lock();
            } else if state.closed {
                return;
            } else {
                state.waiting += 1;
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
            }
        }
    }

    /// Nothing panics under this lock, so it is never poisoned in earnest.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.shutdown(false);
    }
}

impl fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("name", &self.name)
            .field("max", &self.max)
            .field("threads", &self.threads())
            .finish()
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnError::Closed => f.write_str("the worker pool was shut down"),
            SpawnError::Thread(error) => write!(f, "cannot start a worker thread: {error}"),
        }
    }
}

impl Error for SpawnError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            SpawnError::Closed => None,
            SpawnError::Thread(error) => Some(error),
        }
    }
}
