//! A word that a thread can wait at: the kernel's or, for the model checker, one that is asked again and
//! again.

use std::io;
use std::time::Duration;

#[cfg(loom)]
use loom::sync::atomic::AtomicU32;
#[cfg(not(loom))]
use std::sync::atomic::AtomicU32;

pub(crate) struct Futex {
    word: AtomicU32,
}

impl Futex {
    pub(crate) fn new(word: AtomicU32) -> Futex {
        Futex { word }
    }

    pub(crate) fn word(&self) -> &AtomicU32 {
        &self.word
    }

    /// Waits while the word is `value`, for `timeout` at most (`None`: for ever), or less for no reason.
    /// Answers whether the time is over.
    #[cfg(not(loom))]
    pub(crate) fn wait(&self, value: u32, timeout: Option<Duration>) -> io::Result<bool> {
        use rustix::io::Errno;
        use rustix::thread::futex::{Flags, Timespec, wait};

        // What does not fit is for ever.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match wait(&self.word, Flags::PRIVATE, value, timeout.as_ref()) {
            Ok(()) | Err(Errno::AGAIN) => Ok(false),
            Err(Errno::TIMEDOUT) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends at once. Who waits for ever then never comes to an end, which loom reports.
    #[cfg(loom)]
    pub(crate) fn wait(&self, _value: u32, _timeout: Option<Duration>) -> io::Result<bool> {
        loom::thread::yield_now();
        Ok(false)
    }

    #[cfg(not(loom))]
    pub(crate) fn wake(&self) {
        use rustix::thread::futex::{Flags, wake};

        // Fails only for an address that is none.
        let _ = wake(&self.word, Flags::PRIVATE, 1);
    }

    #[cfg(loom)]
    pub(crate) fn wake(&self) {}
}
