//! The poller: which descriptors are ready.
//!
//! The seam is small so that other back ends fit behind it. A back end offers
//! - `Poller::new() -> io::Result<(Poller, Waker)>`;
//! - `update(Registration, old)`: one registration per descriptor, level-triggered or
//!   edge-triggered;
//! - `closing(Registration)`: the descriptor is about to be closed by its owner;
//! - `waiter()`, and `Waiter::wait(&mut Events, most, timeout)`: in two steps, because the wait
//!   goes on while the floor above has let go of its lock and other threads call `update`,
//!   so that it must not look at anything that changes;
//! - `renew(registrations)`: replaces all registrations by these, or fails and changes nothing;
//! - `close()`: forgets everything and fails from then on;
//! - `Waker::wake`, from any thread: ends the current wait, or the next.

use std::io;
use std::os::fd::RawFd;

#[cfg(all(target_os = "linux", not(feature = "portable-poller")))]
mod epoll;
#[cfg(all(target_os = "linux", not(feature = "portable-poller")))]
pub(crate) use epoll::{Events, Poller, Waker};

#[cfg(not(all(target_os = "linux", not(feature = "portable-poller"))))]
mod portable;
#[cfg(not(all(target_os = "linux", not(feature = "portable-poller"))))]
pub(crate) use portable::{Events, Poller, Waker};

/// What to watch a descriptor for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

impl Interest {
    pub(crate) const NONE: Interest = Interest {
        read: false,
        write: false,
    };

    pub(crate) fn is_none(self) -> bool {
        self == Interest::NONE
    }
}

/// What the poller is to know about one descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registration {
    pub(crate) fd: RawFd,
    pub(crate) generation: u32,
    pub(crate) interest: Interest,
    /// Events come once for each change, not for as long as they hold.
    pub(crate) edge: bool,
}

/// One descriptor that is ready. Errors and hang-ups make it both readable and writable, so
/// that whoever waits gets to see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) fd: RawFd,
    /// The generation that the registration was made with.
    pub(crate) generation: u32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Nothing comes after what can be read now; or perhaps, where the system does not tell.
    pub(crate) hangup: bool,
}

/// Whether a number has no file, or one that cannot be polled. A file that was closed without
/// being removed first answers so.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::EPERM))
}

/// What every call answers after `close`.
fn closed() -> io::Error {
    io::Error::other("the event loop is closed")
}
