//! A pointer's word that a thread can wait at. The kernel's futexes have 32 bits: those in which the
//! inbox's marks differ from each other and from the address of any node.

use std::io;
use std::time::Duration;

#[cfg(not(loom))]
mod kernel {
    use std::sync::atomic::{AtomicPtr, AtomicU32};

    use rustix::io::Errno;
    use rustix::thread::futex::{self, Flags, Timespec};

    use super::{Duration, io};

    /// Where the lower half of a word is, in units of its size.
    const LOWER: usize = if cfg!(target_endian = "big") {
        size_of::<*mut ()>() / size_of::<AtomicU32>() - 1
    } else {
        0
    };

    fn lower_half<T>(word: &AtomicPtr<T>) -> &AtomicU32 {
        // SAFETY: it is inside the word and aligned, and lives as long. Nobody but the kernel reads it.
        unsafe { &*word.as_ptr().cast::<AtomicU32>().add(LOWER) }
    }

    /// Waits while the lower half of the word is `value`, for `timeout` at most (`None`: for ever), or less
    /// for no reason. Answers whether the time is over.
    pub(crate) fn wait<T>(
        word: &AtomicPtr<T>,
        value: u32,
        timeout: Option<Duration>,
    ) -> io::Result<bool> {
        // What does not fit is for ever.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match futex::wait(lower_half(word), Flags::PRIVATE, value, timeout.as_ref()) {
            Ok(()) | Err(Errno::AGAIN) => Ok(false),
            Err(Errno::TIMEDOUT) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Wakes who waits at the word.
    pub(crate) fn wake<T>(word: &AtomicPtr<T>) {
        // Fails only for an address that is none.
        let _ = futex::wake(lower_half(word), Flags::PRIVATE, 1);
    }
}

/// For the model checker, which cannot see the kernel: the word is asked again and again. Who waits for
/// ever then never comes to an end, which loom reports.
#[cfg(loom)]
mod kernel {
    use loom::sync::atomic::AtomicPtr;

    use super::{Duration, io};

    #[expect(clippy::unnecessary_wraps, reason = "the kernel can fail")]
    pub(crate) fn wait<T>(
        _word: &AtomicPtr<T>,
        _value: u32,
        _timeout: Option<Duration>,
    ) -> io::Result<bool> {
        loom::thread::yield_now();
        Ok(false)
    }

    pub(crate) fn wake<T>(_word: &AtomicPtr<T>) {}
}

pub(super) use kernel::{wait, wake};
