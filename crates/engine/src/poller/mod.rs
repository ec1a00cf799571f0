//! The poller: which descriptors are ready.
//!
//! The seam is small so that other back ends fit behind it. A back end offers
//! - `Poller::new() -> io::Result<(Poller, Waker)>`;
//! - `update(fd, generation, old, new)`: one registration per descriptor, level-triggered;
//! - `wait(&mut Events, timeout)`;
//! - `reset()`: forgets all registrations, for the caller to make them anew;
//! - `Waker::wake`, from any thread: ends the current wait, or the next.

mod epoll;

pub(crate) use epoll::{Events, Poller, Waker};

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

/// One descriptor that is ready. Errors and hang-ups make it both readable and writable, so
/// that whoever waits gets to see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) fd: i32,
    /// The generation that the registration was made with.
    pub(crate) generation: u32,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
}
