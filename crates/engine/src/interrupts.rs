//! Ctrl-C as an event, for as long as something runs, and then as it was before.
//!
//! [`Signals`](crate::Signals) cannot give a signal back, for it shares the handlers of the process with
//! others. This puts a handler of its own in the place of the default one, and nowhere else, so it can.

use std::cell::Cell;
use std::ffi::c_int;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::marker::PhantomData;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

const SIGNAL: c_int = libc::SIGINT;

/// Somebody catches Ctrl-C.
static CAUGHT: AtomicBool = AtomicBool::new(false);
/// It has been pressed.
static ARRIVED: AtomicBool = AtomicBool::new(false);
/// Where the handler writes; as long as the process is, for a handler may run at any time.
static WRITER: AtomicI32 = AtomicI32::new(-1);
static CHANNEL: OnceLock<(UnixStream, UnixStream)> = OnceLock::new();

/// The right to be told of Ctrl-C, by a descriptor that is then readable. Only the first one is told: the
/// second does what it did before, and that is to end the process. Dropping this puts it back as it was.
pub struct Interrupts {
    reader: &'static UnixStream,
    /// For one thread, as what watches it is.
    here: PhantomData<Cell<()>>,
}

impl Interrupts {
    /// Catches Ctrl-C. `None` if somebody has seen to it already: a handler is in place, or it is ignored.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn catch() -> io::Result<Option<Interrupts>> {
        let reader = channel()?;
        if CAUGHT.swap(true, Ordering::Acquire) {
            return Ok(None);
        }
        // From here on, dropping it undoes what was done.
        let interrupts = Interrupts {
            reader,
            here: PhantomData,
        };
        if action()?.sa_sigaction != libc::SIG_DFL {
            return Ok(None);
        }
        interrupts.take();
        // One that is told at once and, as the kernel does that, is the last.
        set_action(handler(), libc::SA_RESETHAND | libc::SA_RESTART)?;
        Ok(Some(interrupts))
    }

    /// Whether Ctrl-C was pressed since the last call. Ends being readable.
    pub fn take(&self) -> bool {
        let mut reader = self.reader;
        let mut bytes = [0; 8];
        // One for each arrival, of which there are few. All that can go wrong is that there is none.
        while reader.read(&mut bytes).is_ok_and(|count| count > 0) {}
        ARRIVED.swap(false, Ordering::Acquire)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        // What somebody else has put there meanwhile stays.
        if action().is_ok_and(|action| action.sa_sigaction == handler()) {
            // It was the default one. There is nobody to tell that it could not be put back.
            let _ = set_action(libc::SIG_DFL, 0);
        }
        CAUGHT.store(false, Ordering::Release);
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interrupts").finish_non_exhaustive()
    }
}

/// The end that is read from; both are made once.
fn channel() -> io::Result<&'static UnixStream> {
    if CHANNEL.get().is_none() {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        // Whoever was quicker has made the same.
        let _ = CHANNEL.set((reader, writer));
    }
    match CHANNEL.get() {
        Some((reader, writer)) => {
            WRITER.store(writer.as_raw_fd(), Ordering::Release);
            Ok(reader)
        }
        None => Err(ErrorKind::Other.into()),
    }
}

extern "C" fn note(_signal: c_int) {
    ARRIVED.store(true, Ordering::Release);
    let writer: RawFd = WRITER.load(Ordering::Acquire);
    // SAFETY: `write` may be called in a handler. The descriptor cannot block, and is never closed; if it is
    // full it is readable, which is all that the byte is for. `errno` is put back as it was.
    unsafe {
        let errno = errno();
        let before = *errno;
        libc::write(writer, [0u8].as_ptr().cast(), 1);
        *errno = before;
    }
}

fn handler() -> libc::sighandler_t {
    note as extern "C" fn(c_int) as libc::sighandler_t
}

/// Where this thread's `errno` is.
fn errno() -> *mut c_int {
    // SAFETY: it only answers a place.
    unsafe {
        #[cfg(target_vendor = "apple")]
        return libc::__error();
        #[cfg(not(target_vendor = "apple"))]
        return libc::__errno_location();
    }
}

fn action() -> io::Result<libc::sigaction> {
    // SAFETY: all zero is a valid action, and the call fills it in.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        check(libc::sigaction(SIGNAL, ptr::null(), &mut action))?;
        Ok(action)
    }
}

fn set_action(handler: libc::sighandler_t, flags: c_int) -> io::Result<()> {
    // SAFETY: all zero is a valid action; and the handler is one that does only what a handler may.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        check(libc::sigaction(SIGNAL, &action, ptr::null_mut()))
    }
}

fn check(result: c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
