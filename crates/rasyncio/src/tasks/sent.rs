//! Whether a job from another thread is on its way to the task.
//!
//! However often a task is woken from elsewhere, one job in the loop's inbox is enough.
//! Whoever *claims* sends it; the loop *accepts* it before it polls the task. Of a wake and
//! an acceptance at the same time one comes first: either the wake did, and then the poll
//! sees what the waker had done before, or it claims again and sends another job.

#[cfg(loom)]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct Sent(AtomicBool);

impl Sent {
    pub(super) fn new() -> Sent {
        Sent(AtomicBool::new(false))
    }

    /// Whether the caller must send the job, because nobody else has. On any thread.
    #[inline]
    pub(super) fn claim(&self) -> bool {
        // Release, even if somebody else has claimed: what this thread did comes before the
        // poll that it asks for.
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// The job has come. On the loop's thread.
    #[inline]
    pub(super) fn accept(&self) {
        // A swap and not a store, for it has to read what the latest claim has written.
        self.0.swap(false, Ordering::AcqRel);
    }
}

/// `RUSTFLAGS="--cfg loom" cargo test -p rasyncio --lib --release loom`
#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    use super::*;

    #[test]
    fn no_wake_is_lost() {
        loom::model(|| {
            let sent = Arc::new(Sent::new());
            // What the wakers have done, and how many jobs they have sent: all relaxed, so that
            // only `Sent` and, as in the inbox, the handing over of a job order anything.
            let data = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
            let jobs = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..2)
                .map(|which| {
                    let (sent, data, jobs) = (sent.clone(), data.clone(), jobs.clone());
                    thread::spawn(move || {
                        data[which].store(1, Ordering::Relaxed);
                        if sent.claim() {
                            jobs.fetch_add(1, Ordering::Release);
                        }
                    })
                })
                .collect();
            let mut seen = [0; 2];
            let mut polls = 0;
            let mut poll_if_sent = || {
                if jobs.load(Ordering::Acquire) > polls {
                    polls += 1;
                    sent.accept();
                    seen = [0, 1].map(|which| data[which].load(Ordering::Relaxed));
                }
            };
            poll_if_sent();
            for thread in threads {
                thread.join().unwrap();
            }
            // With all threads gone, the jobs that were sent are all there will be.
            poll_if_sent();
            poll_if_sent();
            assert_eq!(seen, [1, 1]);
        });
    }
}
