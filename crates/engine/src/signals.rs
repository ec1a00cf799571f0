//! Signals as ordinary events.
//!
//! A handler may do next to nothing, so it notes which signal it was in a bit of an atomic
//! word and writes a byte to a socket, which the loop watches like any other descriptor.
//!
//! This is for programs without Python: an interpreter has its own handlers, and a wakeup
//! descriptor that serves the same purpose.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_int;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use signal_hook_registry::SigId;

/// Signals that are caught and can be waited for: readable while there are any.
///
/// Give its descriptor to [`crate::EventLoop::set_reader`], with a job that calls
/// [`Signals::take`]. Dropping it stops catching.
pub struct Signals {
    shared: Arc<Shared>,
    reader: UnixStream,
    caught: RefCell<HashMap<c_int, SigId>>,
}

/// What the handler touches: only what may be touched there.
struct Shared {
    /// Bit `n - 1` is signal `n`.
    pending: AtomicU64,
    writer: UnixStream,
}

impl Signals {
    /// Catches nothing as yet.
    pub fn new() -> io::Result<Signals> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            pending: AtomicU64::new(0),
            writer,
        });
        Ok(Signals {
            shared,
            reader,
            caught: RefCell::default(),
        })
    }

    /// Catches `signal` from now on. Doing so twice is doing so once.
    ///
    /// # Errors
    ///
    /// `EINVAL` for what is no signal, or cannot be caught.
    pub fn add(&self, signal: c_int) -> io::Result<()> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let bit = bit(signal).ok_or_else(invalid)?;
        if signal_hook_registry::FORBIDDEN.contains(&signal) {
            return Err(invalid());
        }
        let mut caught = self.caught.borrow_mut();
        if caught.contains_key(&signal) {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        // SAFETY: the action changes an atomic and writes to a descriptor that cannot block and
        // stays open as long as the action is registered. Both may be done in a handler.
        let id = unsafe { signal_hook_registry::register(signal, move || shared.note(bit)) }?;
        caught.insert(signal, id);
        Ok(())
    }

    /// Stops catching `signal`, and answers whether it was caught. The signal is ignored
    /// afterwards: what it did before is not brought back.
    pub fn remove(&self, signal: c_int) -> bool {
        let caught = self.caught.borrow_mut().remove(&signal);
        caught.is_some_and(signal_hook_registry::unregister)
    }

    /// The signals that have arrived since the last call, by number and each once, and an end
    /// to being readable.
    pub fn take(&self) -> impl Iterator<Item = c_int> + use<> {
        self.drain();
        // After draining: a signal in between leaves a byte behind and is merely seen early.
        let pending = self.shared.pending.swap(0, Ordering::Acquire);
        (1..=64).filter(move |&signal| bit(signal).is_some_and(|bit| pending & bit != 0))
    }

    fn drain(&self) {
        let mut bytes = [0; 64];
        loop {
            match (&self.reader).read(&mut bytes) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Empty, which is all that can be the matter with our own socket.
                Err(_) => return,
            }
        }
    }
}

impl Shared {
    /// Runs inside a signal handler.
    fn note(&self, bit: u64) {
        self.pending.fetch_or(bit, Ordering::Release);
        // A full socket is readable, which is all that the byte is for. `send` rather than
        // `Write`: one plain system call, and the handler must leave `errno` alone (the
        // registry sees to that).
        // SAFETY: one byte from a constant, to a descriptor that is ours.
        unsafe {
            libc::send(
                self.writer.as_raw_fd(),
                [0u8].as_ptr().cast(),
                1,
                SEND_FLAGS,
            )
        };
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for (_, id) in self.caught.get_mut().drain() {
            signal_hook_registry::unregister(id);
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals")
            .field("caught", &self.caught.borrow().keys())
            .finish()
    }
}

/// A handler that is still running while the reader goes must not raise `SIGPIPE`. (On Apple's
/// systems the standard library has told the socket.)
#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: c_int = 0;

fn bit(signal: c_int) -> Option<u64> {
    match signal {
        1..=64 => Some(1 << (signal - 1)),
        _ => None,
    }
}
