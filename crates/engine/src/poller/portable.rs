//! The `polling` crate: for systems without epoll.
//!
//! It costs a few system calls more than it needs, and knows every system. On Linux it is
//! built with the feature `portable-poller`, so that tests of it run there. A signal does not
//! end its wait ([`crate::Driver::interrupted`] is not called): who wants to see signals
//! must have them written to a descriptor.

use std::cell::RefCell;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use polling::PollMode;

use super::{Event, Interest, Registration, closed, is_gone};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("the portable poller keeps a descriptor and a generation in one usize");

pub(crate) struct Poller {
    current: RefCell<Option<Arc<polling::Poller>>>,
    waker: Waker,
}

/// Waits for a poller; see [`super`].
pub(crate) struct Waiter {
    poller: Arc<polling::Poller>,
}

/// Ends the wait of the poller that it came with.
#[derive(Clone)]
pub(crate) struct Waker {
    /// Locked only to wake a sleeper and to replace the poller.
    poller: Arc<Mutex<Arc<polling::Poller>>>,
}

pub(crate) struct Events {
    list: polling::Events,
}

impl Default for Events {
    fn default() -> Events {
        Events {
            list: polling::Events::new(),
        }
    }
}

impl Poller {
    pub(crate) fn new() -> io::Result<(Poller, Waker)> {
        let poller = Arc::new(level_triggered()?);
        let waker = Waker {
            poller: Arc::new(Mutex::new(Arc::clone(&poller))),
        };
        let current = RefCell::new(Some(poller));
        Ok((
            Poller {
                current,
                waker: waker.clone(),
            },
            waker,
        ))
    }

    /// Watches a descriptor as the registration says, where it was watched for `old`.
    pub(crate) fn update(&self, registration: Registration, old: Interest) -> io::Result<()> {
        update(&*self.current()?, registration, old)
    }

    /// Not every system forgets a file that is closed.
    pub(crate) fn closing(&self, registration: Registration) {
        let gone = Registration {
            interest: Interest::NONE,
            ..registration
        };
        // Fails only where the system has forgotten it, or everything.
        let _ = self.update(gone, registration.interest);
    }

    pub(crate) fn waiter(&self) -> io::Result<Waiter> {
        Ok(Waiter {
            poller: self.current()?,
        })
    }

    pub(crate) fn renew(
        &self,
        registrations: impl Iterator<Item = Registration>,
    ) -> io::Result<()> {
        self.current()?;
        let fresh = Arc::new(level_triggered()?);
        for registration in registrations.filter(|it| !it.interest.is_none()) {
            match update(&fresh, registration, Interest::NONE) {
                Err(error) if is_gone(&error) => {}
                result => result?,
            }
        }
        self.waker.replace(Arc::clone(&fresh));
        self.current.replace(Some(fresh));
        Ok(())
    }

    /// The system's poller lives for as long as a waker does.
    pub(crate) fn close(&self) {
        self.current.replace(None);
    }

    fn current(&self) -> io::Result<Arc<polling::Poller>> {
        self.current.borrow().clone().ok_or_else(closed)
    }
}

impl Waiter {
    /// Waits until something is ready, or `timeout` (`None`: never) is over. How many events may
    /// come is the poller's own decision.
    pub(crate) fn wait(
        &self,
        events: &mut Events,
        _most: usize,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.list.clear();
        self.poller.wait(&mut events.list, timeout).map(drop)
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        let poller = Arc::clone(&self.poller.lock().unwrap_or_else(PoisonError::into_inner));
        // Fails only if somebody closed a descriptor that is ours, and then waiting fails as
        // well, on the thread that has somebody to tell.
        let _ = poller.notify();
    }

    fn replace(&self, poller: Arc<polling::Poller>) {
        *self.poller.lock().unwrap_or_else(PoisonError::into_inner) = poller;
    }
}

impl Events {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.list.iter().map(|event| {
            // Not every system has both flags; where they are unknown, reading or writing is
            // reported along with them.
            let broken = event.is_interrupt() || event.is_err().unwrap_or(false);
            Event {
                fd: event.key as u32 as RawFd,
                generation: (event.key >> 32) as u32,
                readable: event.readable || broken,
                writable: event.writable || broken,
                hangup: event.readable || broken,
            }
        })
    }
}

fn level_triggered() -> io::Result<polling::Poller> {
    let poller = polling::Poller::new()?;
    if poller.supports_level() {
        Ok(poller)
    } else {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "no level-triggered polling here",
        ))
    }
}

fn update(poller: &polling::Poller, registration: Registration, old: Interest) -> io::Result<()> {
    let Registration {
        fd,
        generation,
        interest,
        edge,
    } = registration;
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: not negative. That it is open cannot be known here; the system checks it.
    let source = unsafe { BorrowedFd::borrow_raw(fd) };
    if interest.is_none() {
        return poller.delete(source);
    }
    let key = (generation as usize) << 32 | fd as usize;
    let event = polling::Event::new(key, interest.read, interest.write);
    let mode = if edge {
        PollMode::Edge
    } else {
        PollMode::Level
    };
    let add = || {
        // SAFETY: the registration outlives its file only where the file was closed behind the
        // loop's back; the system forgets it then, or its events are recognised as stale.
        unsafe { poller.add_with_mode(fd, event, mode) }
    };
    let modify = || poller.modify_with_mode(source, event, mode);
    // The second is for a number that has changed its file.
    if old.is_none() {
        match add() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => modify(),
            result => result,
        }
    } else {
        match modify() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => add(),
            result => result,
        }
    }
}
