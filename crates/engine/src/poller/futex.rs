//! A word that a thread can wait at: the kernel's or, for the model checker, one that is asked again and
//! again.

#[cfg(not(loom))]
pub(crate) use system::Futex;

#[cfg(loom)]
pub(crate) use model::Futex;

#[cfg(not(loom))]
mod system {
    use std::io;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use rustix::io::Errno;
    use rustix::thread::futex::{self, Flags, Timespec};

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

        /// Waits while the word is `value`, for `timeout` at most (`None`: for ever). Answers whether the
        /// time is over.
        pub(crate) fn wait(&self, value: u32, timeout: Option<Duration>) -> io::Result<bool> {
            // What does not fit is for ever.
            let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
            match futex::wait(&self.word, Flags::PRIVATE, value, timeout.as_ref()) {
                Ok(()) | Err(Errno::AGAIN) => Ok(false),
                Err(Errno::TIMEDOUT) => Ok(true),
                Err(error) => Err(error.into()),
            }
        }

        pub(crate) fn wake(&self) {
            // Fails only for an address that is none.
            let _ = futex::wake(&self.word, Flags::PRIVATE, 1);
        }
    }
}

#[cfg(loom)]
mod model {
    use std::io;
    use std::time::Duration;

    use loom::sync::atomic::AtomicU32;
    use loom::thread;

    /// One whose waits end at once, as the kernel's may for no reason. Who waits for ever then never comes
    /// to an end, which loom reports.
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

        pub(crate) fn wait(&self, _value: u32, _timeout: Option<Duration>) -> io::Result<bool> {
            thread::yield_now();
            Ok(false)
        }

        pub(crate) fn wake(&self) {}
    }
}
