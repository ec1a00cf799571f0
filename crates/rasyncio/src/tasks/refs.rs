//! How many wakers and jobs point to a task.
//!
//! Wakers may be cloned and dropped on any thread, yet nearly all of them never leave the
//! loop's. So there are two counts (biased reference counting): `local`, which only the
//! loop's thread touches and which costs no atomic, and `shared`, for everybody else. A
//! waker that is cloned here and dropped there is added to one and subtracted from the
//! other; so each may be anything, negative too, and only their sum means something.
//!
//! The sum is not looked at while the task is unfinished, for the loop's list of tasks keeps
//! it alive. When the task has finished, the loop's thread *settles*:
//!
//! - the sum is zero: no waker is left, hence none can ever come into being again, and
//!   nobody needs a count any more. This is the usual case, and it costs one plain load;
//! - otherwise `local` is added to `shared`, together with the mark `SETTLED`, in one
//!   atomic step. From now on all count in `shared`, the loop's thread included, and who
//!   brings it to zero frees the task.
//!
//! Why a dropper cannot miss the settlement: its subtraction and the settling addition are
//! both read-modify-write steps on the same word, so one comes first. If it is the
//! subtraction, the settlement sees it in the sum; if it is the settlement, the dropper sees
//! the mark.

//! Each count has 32 bits, for there is one for every task. `local` is added to `shared` when it has
//! gone far from zero, as it does in the end if all wakers are cloned on one thread and dropped on
//! another; so both stay near the number of references that there are.

use std::cell::Cell;
use std::process;

#[cfg(loom)]
use loom::sync::atomic::{AtomicI32, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicI32, Ordering, fence};

/// The lowest bit of `shared`: all references are counted there.
const SETTLED: i32 = 1;
/// One reference in `shared`.
const ONE: i32 = 2;
/// How far `local` may be from zero.
const FAR: i32 = 1 << 24;
/// More references at once than there is memory for, unless they are forgotten: then the process
/// ends, as it does if an `Arc` is forgotten so often.
const TOO_MANY: i32 = ONE << 29;

pub(super) struct Refs {
    /// For the loop's thread only, until settled.
    local: Cell<i32>,
    shared: AtomicI32,
}

/// What [`Refs::is_unreferenced`] and [`Refs::settle`] are about: who frees the task.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Last {
    /// This was the last reference; the memory is the caller's to free.
    Yes,
    /// Somebody else has one, and may free the memory at any moment from now on.
    No,
}

impl Refs {
    /// No references.
    pub(super) fn new() -> Refs {
        Refs {
            local: Cell::new(0),
            shared: AtomicI32::new(0),
        }
    }

    /// One more. On the loop's thread, before the settlement.
    #[inline]
    pub(super) fn retain_local(&self) {
        self.add_local(1);
    }

    /// One less. On the loop's thread, before the settlement.
    #[inline]
    pub(super) fn release_local(&self) {
        self.add_local(-1);
    }

    #[inline]
    fn add_local(&self, more: i32) {
        let local = self.local.get() + more;
        self.local.set(local);
        // Whether it is as far from zero, in one comparison.
        if (local.wrapping_add(FAR).cast_unsigned()) > 2 * FAR.cast_unsigned() {
            self.balance();
        }
    }

    /// Moves what is in `local` to `shared`. On the loop's thread, before the settlement.
    #[cold]
    #[inline(never)]
    fn balance(&self) {
        // Release, for what goes may be less than nothing: what was let go of here.
        let before = self
            .shared
            .fetch_add(self.local.take() * ONE, Ordering::Release);
        check(before);
    }

    /// One more, on any thread. The caller owns another one, so Relaxed is enough, as it is
    /// in `Arc`.
    #[inline]
    pub(super) fn retain_shared(&self) {
        check(self.shared.fetch_add(ONE, Ordering::Relaxed));
    }

    /// One less, on any thread. `self` must not be touched afterwards.
    #[inline]
    pub(super) fn release_shared(&self) -> Last {
        // Release: what this thread did to the task comes before whoever frees it.
        if self.shared.fetch_sub(ONE, Ordering::Release) == ONE | SETTLED {
            fence(Ordering::Acquire);
            Last::Yes
        } else {
            Last::No
        }
    }

    /// Whether no reference is left. On the loop's thread, of a finished task, before the
    /// settlement. If so it stays so, and the counts are zero.
    #[inline]
    pub(super) fn is_unreferenced(&self) -> bool {
        // Acquire: what other threads did before they let go comes before the memory is freed.
        self.local.get() + (self.shared.load(Ordering::Acquire) >> 1) == 0
    }

    /// Counts all references in `shared` from now on, and `more` new ones as well. On the
    /// loop's thread, once, of a finished task. `self` must not be touched afterwards but by
    /// owners of a reference.
    pub(super) fn settle(&self, more: i32) -> Last {
        let add = self.local.replace(0) + more;
        let before = self.shared.fetch_add(add * ONE + SETTLED, Ordering::AcqRel);
        if (before >> 1) + add == 0 {
            Last::Yes
        } else {
            Last::No
        }
    }
}

#[inline]
fn check(shared: i32) {
    if shared > TOO_MANY {
        process::abort();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_reference_may_come_and_go_on_different_threads() {
        let refs = Refs::new();
        refs.retain_local();
        assert_eq!(refs.release_shared(), Last::No);
        assert!(refs.is_unreferenced());
        refs.retain_shared();
        assert!(!refs.is_unreferenced());
        refs.release_local();
        assert!(refs.is_unreferenced());
    }

    #[test]
    fn references_may_come_here_and_go_there_for_ever() {
        let refs = Refs::new();
        refs.retain_local();
        for _ in 0..300 {
            // Nearly as many as make it move.
            let many = FAR - 2;
            refs.local.set(refs.local.get() + many);
            refs.shared.fetch_sub(many * ONE, Ordering::Relaxed);
            refs.retain_local();
            assert_eq!(refs.release_shared(), Last::No);
            refs.retain_local();
            assert_eq!(refs.release_shared(), Last::No);
        }
        assert!(refs.local.get() <= FAR);
        assert!(!refs.is_unreferenced());
        refs.release_local();
        assert!(refs.is_unreferenced());
    }

    #[test]
    fn after_the_settlement_the_last_one_frees() {
        let refs = Refs::new();
        refs.retain_local();
        refs.retain_shared();
        assert_eq!(refs.settle(1), Last::No);
        assert_eq!(refs.release_shared(), Last::No);
        assert_eq!(refs.release_shared(), Last::No);
        assert_eq!(refs.release_shared(), Last::Yes);
    }

    #[test]
    fn settling_can_find_that_all_have_gone_meanwhile() {
        let refs = Refs::new();
        refs.retain_local();
        assert_eq!(refs.release_shared(), Last::No);
        assert_eq!(refs.settle(0), Last::Yes);
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p rasyncio --lib --release loom`
#[cfg(all(test, loom))]
mod loom_tests {
    use std::sync::atomic::{AtomicUsize, Ordering as StdOrdering};

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// A stand-in for a task: whoever frees it writes to `memory`, which loom refuses if any
    /// other access is not ordered before.
    struct Task {
        refs: Refs,
        memory: UnsafeCell<()>,
        freed: AtomicUsize,
    }

    // SAFETY: this is what the model is to find out; `local` is used by one thread only.
    #[allow(unsafe_code)]
    unsafe impl Sync for Task {}
    // SAFETY: as above.
    #[allow(unsafe_code)]
    unsafe impl Send for Task {}

    impl Task {
        fn new() -> Arc<Task> {
            Arc::new(Task {
                refs: Refs::new(),
                memory: UnsafeCell::new(()),
                freed: AtomicUsize::new(0),
            })
        }

        fn touch(&self) {
            self.memory.with(|_| ());
        }

        fn free(&self) {
            self.memory.with_mut(|_| ());
            self.freed.fetch_add(1, StdOrdering::SeqCst);
        }

        fn release(&self) {
            self.touch();
            if self.refs.release_shared() == Last::Yes {
                self.free();
            }
        }

        /// What the loop does with a finished task that has no handles.
        fn finish(&self) {
            self.touch();
            if self.refs.is_unreferenced() || self.refs.settle(0) == Last::Yes {
                self.free();
            }
        }

        fn assert_freed_once(&self) {
            assert_eq!(self.freed.load(StdOrdering::SeqCst), 1);
        }
    }

    #[test]
    fn wakers_dropped_elsewhere_race_with_the_settlement() {
        loom::model(|| {
            let task = Task::new();
            task.refs.retain_local();
            task.refs.retain_local();
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let task = task.clone();
                    thread::spawn(move || task.release())
                })
                .collect();
            task.finish();
            for thread in threads {
                thread.join().unwrap();
            }
            task.assert_freed_once();
        });
    }

    #[test]
    fn a_waker_cloned_elsewhere_races_with_the_settlement() {
        loom::model(|| {
            let task = Task::new();
            task.refs.retain_local();
            let thread = {
                let task = task.clone();
                thread::spawn(move || {
                    task.refs.retain_shared();
                    task.release();
                    task.release();
                })
            };
            task.finish();
            thread.join().unwrap();
            task.assert_freed_once();
        });
    }

    #[test]
    fn a_waker_may_come_back_to_the_loop_to_be_dropped() {
        loom::model(|| {
            let task = Task::new();
            task.refs.retain_local();
            let thread = {
                let task = task.clone();
                thread::spawn(move || {
                    task.refs.retain_shared();
                    task.touch();
                    task.release();
                })
            };
            thread.join().unwrap();
            task.refs.release_local();
            task.finish();
            task.assert_freed_once();
        });
    }
}
