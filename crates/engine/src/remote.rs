//! The handle by which other threads reach a loop.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::inbox::{Inbox, Wake};
use crate::job::Job;
use crate::poller::Waker;
use crate::thread_id;

/// Reaches a loop from any thread. Cheap to clone, and outlives the loop harmlessly.
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

/// What the loop shares with other threads. In a line of its own, away from the count of those who share
/// it: otherwise the loop would lose the line to whoever has woken it and lets go of its share (a
/// hundredth of `cargo bench --bench tasks -- woken`).
#[repr(align(64))]
pub(crate) struct Shared {
    pub(crate) inbox: Inbox<RemoteJob>,
    waker: Waker,
    /// The thread that made the loop or, later, turned it last.
    thread: AtomicU64,
}

/// A job on its way to the loop.
pub(crate) struct RemoteJob(pub(crate) Job);

// SAFETY: whoever sends a job promises that it may go to the loop's thread (`Remote::schedule`).
unsafe impl Send for RemoteJob {}

impl Shared {
    pub(crate) fn new(waker: Waker) -> Shared {
        Shared {
            inbox: Inbox::new(),
            waker,
            thread: AtomicU64::new(thread_id::current()),
        }
    }

    /// Notes that this thread is the loop's from now on.
    #[inline]
    pub(crate) fn bind_thread(&self) {
        let current = thread_id::current();
        if self.thread.load(Ordering::Relaxed) != current {
            self.thread.store(current, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(crate) fn is_bound_here(&self) -> bool {
        // Only this thread itself could have stored its own number, so Relaxed tells the truth.
        self.thread.load(Ordering::Relaxed) == thread_id::current()
    }
}

impl Remote {
    pub(crate) fn new(shared: Arc<Shared>) -> Remote {
        Remote { shared }
    }

    /// Puts a job into the loop's inbox and wakes the loop if it sleeps. A closed loop gives
    /// the job back.
    ///
    /// # Safety
    ///
    /// The job must be fit to run and to be dropped on the loop's thread.
    pub unsafe fn schedule(&self, job: Job) -> Result<(), Job> {
        match self.shared.inbox.push(RemoteJob(job)) {
            Ok(wake) => {
                self.ring(wake);
                Ok(())
            }
            Err(RemoteJob(job)) => Err(job),
        }
    }

    /// Makes the loop turn once more, if it waits or is about to. A closed loop does not mind.
    pub fn wake(&self) {
        self.ring(self.shared.inbox.wake());
    }

    /// Whether the calling thread is the loop's own: the one that turned it last or, if none
    /// did, made it.
    pub fn is_loop_thread(&self) -> bool {
        self.shared.is_bound_here()
    }

    /// The handle as a pointer, which [`Remote::from_raw`] takes back.
    pub(crate) fn into_raw(self) -> *const () {
        Arc::into_raw(self.shared).cast()
    }

    /// # Safety
    ///
    /// `raw` comes from `into_raw`, and its ownership passes to the result.
    pub(crate) unsafe fn from_raw(raw: *const ()) -> Remote {
        // SAFETY: the caller's promise.
        let shared = unsafe { Arc::from_raw(raw.cast()) };
        Remote { shared }
    }

    /// # Safety
    ///
    /// `raw` comes from `into_raw`, and somebody owns it for as long as the result lives.
    pub(crate) unsafe fn borrow_raw(raw: *const ()) -> ManuallyDrop<Remote> {
        // SAFETY: the caller's promise; never dropped, so nothing is given up.
        ManuallyDrop::new(unsafe { Remote::from_raw(raw) })
    }

    fn ring(&self, wake: Wake) {
        if wake == Wake::Needed {
            self.shared.waker.wake();
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").finish_non_exhaustive()
    }
}
