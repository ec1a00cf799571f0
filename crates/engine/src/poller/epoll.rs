//! epoll, without anything in between.
//!
//! The calls that name a watched descriptor go through libc: the number may belong to a
//! file that was closed long ago, and the borrowed descriptors of rustix promise otherwise.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::Errno;

use super::{Event, Interest, Registration, closed, is_gone};

/// Marks the waker among the events: no descriptor has this number.
const WAKER: u64 = u64::MAX;

pub(crate) struct Poller {
    /// Replaced by `renew`, and gone after `close`.
    epoll: RefCell<Option<OwnedFd>>,
    eventfd: Arc<Eventfd>,
}

/// Waits for a poller; see [`super`].
pub(crate) struct Waiter {
    epoll: RawFd,
}

/// Ends the wait of the poller that it came with.
pub(crate) struct Waker {
    eventfd: Arc<Eventfd>,
}

/// What a waker writes to. Threads may hold wakers for longer than the loop lives; closing
/// the loop closes the descriptor all the same, and the lock keeps a late writer off a number
/// that may be somebody else's by then.
struct Eventfd(RwLock<Option<OwnedFd>>);

impl Eventfd {
    fn new() -> io::Result<Eventfd> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Eventfd(RwLock::new(Some(eventfd(0, flags)?))))
    }

    /// Calls `use_it` with the descriptor, unless it is closed.
    fn with<T>(&self, use_it: impl FnOnce(&OwnedFd) -> T) -> Option<T> {
        let descriptor = self.0.read().unwrap_or_else(PoisonError::into_inner);
        descriptor.as_ref().map(use_it)
    }

    fn close(&self) {
        drop(
            self.0
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

#[derive(Default)]
pub(crate) struct Events {
    list: Vec<libc::epoll_event>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<(Poller, Waker)> {
        let eventfd = Arc::new(Eventfd::new()?);
        let epoll = RefCell::new(Some(epoll_with(&eventfd)?));
        let waker = Waker {
            eventfd: Arc::clone(&eventfd),
        };
        Ok((Poller { epoll, eventfd }, waker))
    }

    /// Watches a descriptor as the registration says, where it was watched for `old`.
    pub(crate) fn update(&self, registration: Registration, old: Interest) -> io::Result<()> {
        update(self.number()?, registration, old)
    }

    /// Nothing to do: the kernel forgets a file that is closed. If a duplicate keeps it alive, its
    /// events are recognised as stale.
    #[expect(clippy::unused_self, reason = "other back ends have something to do")]
    pub(crate) fn closing(&self, _registration: Registration) {}

    pub(crate) fn waiter(&self) -> io::Result<Waiter> {
        Ok(Waiter {
            epoll: self.number()?,
        })
    }

    pub(crate) fn renew(
        &self,
        registrations: impl Iterator<Item = Registration>,
    ) -> io::Result<()> {
        self.number()?;
        let fresh = epoll_with(&self.eventfd)?;
        for registration in registrations.filter(|it| !it.interest.is_none()) {
            match update(fresh.as_raw_fd(), registration, Interest::NONE) {
                Err(error) if is_gone(&error) => {}
                result => result?,
            }
        }
        self.epoll.replace(Some(fresh));
        Ok(())
    }

    /// Closing the descriptor, rather than removing one registration after the other, also
    /// spares a parent process whose poller this is as well since a `fork`.
    pub(crate) fn close(&self) {
        self.epoll.replace(None);
        self.eventfd.close();
    }

    fn number(&self) -> io::Result<RawFd> {
        self.epoll
            .borrow()
            .as_ref()
            .map(AsRawFd::as_raw_fd)
            .ok_or_else(closed)
    }
}

impl Waiter {
    /// Waits until something is ready, a signal arrives, or `timeout` (`None`: never) is over. At
    /// most `most` events come; what is left over is ready at the next wait too.
    pub(crate) fn wait(
        &self,
        events: &mut Events,
        most: usize,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.list.clear();
        events.list.reserve(most);
        let count = wait(self.epoll, &mut events.list, most, timeout)?;
        // SAFETY: the kernel has written that many, within the capacity that it was told.
        unsafe { events.list.set_len(count) };
        Ok(())
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        loop {
            let one = 1u64.to_ne_bytes();
            match self.eventfd.with(|it| rustix::io::write(it, &one)) {
                Some(Err(Errno::INTR)) => {}
                // The counter is full, after more wakes than anybody lives to see. What is read was
                // seen: only the writing is an event.
                Some(Err(Errno::AGAIN)) => {
                    let mut count = [0; 8];
                    let _ = self.eventfd.with(|it| rustix::io::read(it, &mut count));
                }
                _ => return,
            }
        }
    }
}

impl Events {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        const ERROR: u32 = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        const HANGUP: u32 = libc::EPOLLRDHUP as u32 | ERROR;
        const READ: u32 = (libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLRDHUP) as u32 | ERROR;
        const WRITE: u32 = libc::EPOLLOUT as u32 | ERROR;
        self.list
            .iter()
            .filter(|event| event.u64 != WAKER)
            .map(|event| Event {
                fd: event.u64 as u32 as RawFd,
                generation: (event.u64 >> 32) as u32,
                readable: event.events & READ != 0,
                writable: event.events & WRITE != 0,
                hangup: event.events & HANGUP != 0,
            })
    }
}

fn epoll_with(waker: &Eventfd) -> io::Result<OwnedFd> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let data = epoll::EventData::new_u64(WAKER);
    // Every wake is an edge, told once; so nobody needs to read what was written.
    let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
    waker
        .with(|it| epoll::add(&epoll, it, data, flags))
        .ok_or_else(closed)??;
    Ok(epoll)
}

/// Tells the kernel what to watch a descriptor for, where it was watched for `old`.
fn update(epoll: RawFd, registration: Registration, old: Interest) -> io::Result<()> {
    let Registration {
        fd,
        generation,
        interest,
        edge,
    } = registration;
    let mut event = libc::epoll_event {
        events: flags(interest, edge),
        u64: token(fd, generation),
    };
    let mut control = |operation| {
        // SAFETY: the kernel checks both numbers; `event` lives through the call.
        match unsafe { libc::epoll_ctl(epoll, operation, fd, &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    if interest.is_none() {
        return control(libc::EPOLL_CTL_DEL);
    }
    // The second is for a number that has changed its file: the kernel knows better than the
    // caller what is registered.
    let (first, mistaken, second) = if old.is_none() {
        (libc::EPOLL_CTL_ADD, libc::EEXIST, libc::EPOLL_CTL_MOD)
    } else {
        (libc::EPOLL_CTL_MOD, libc::ENOENT, libc::EPOLL_CTL_ADD)
    };
    match control(first) {
        Err(error) if error.raw_os_error() == Some(mistaken) => control(second),
        result => result,
    }
}

fn flags(interest: Interest, edge: bool) -> u32 {
    let read = match (interest.read, edge) {
        (false, _) => 0,
        (true, false) => libc::EPOLLIN,
        (true, true) => libc::EPOLLIN | libc::EPOLLRDHUP,
    };
    let write = if interest.write { libc::EPOLLOUT } else { 0 };
    let edge = if edge { libc::EPOLLET } else { 0 };
    (read | write | edge) as u32
}

fn token(fd: RawFd, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(fd as u32)
}

/// Waits with nanosecond resolution where the kernel can (5.11), else rounded up to
/// milliseconds. Answers how many events were written to the spare capacity of `list`.
fn wait(
    epoll: RawFd,
    list: &mut Vec<libc::epoll_event>,
    most: usize,
    timeout: Option<Duration>,
) -> io::Result<usize> {
    /// Set once the kernel, or a sandbox, has refused.
    static COARSE: AtomicBool = AtomicBool::new(false);
    /// Of the kernel's signal mask, which the call wants to hear even of none.
    const MASK_SIZE: usize = 8;

    let spare = list.spare_capacity_mut();
    let capacity = spare.len().min(most) as libc::c_int;
    let buffer = spare.as_mut_ptr().cast::<libc::epoll_event>();
    let exact = !matches!(timeout, None | Some(Duration::ZERO));
    if exact && !COARSE.load(Ordering::Relaxed) {
        let timeout = timeout.map(KernelTimespec::from);
        let timeout = timeout
            .as_ref()
            .map_or(std::ptr::null(), std::ptr::from_ref);
        let no_mask = std::ptr::null::<libc::sigset_t>();
        // SAFETY: the buffer has room for `capacity` events and the timeout lives through the
        // call; by its number because the C library may be older than the kernel.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                epoll,
                buffer,
                capacity,
                timeout,
                no_mask,
                MASK_SIZE,
            )
        };
        if count >= 0 {
            return Ok(count as usize);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENOSYS | libc::EPERM) => COARSE.store(true, Ordering::Relaxed),
            _ => return Err(error),
        }
    }
    // SAFETY: the buffer has room for `capacity` events.
    let count = unsafe { libc::epoll_wait(epoll, buffer, capacity, milliseconds(timeout)) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// 64 bits everywhere, unlike the C library's.
#[repr(C)]
struct KernelTimespec {
    seconds: i64,
    nanoseconds: i64,
}

impl From<Duration> for KernelTimespec {
    fn from(duration: Duration) -> KernelTimespec {
        KernelTimespec {
            seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: duration.subsec_nanos().into(),
        }
    }
}

/// Rounded up, so that no timer is early; -1 is for ever.
fn milliseconds(timeout: Option<Duration>) -> libc::c_int {
    match timeout {
        None => -1,
        Some(timeout) => libc::c_int::try_from(timeout.as_nanos().div_ceil(1_000_000))
            .unwrap_or(libc::c_int::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up_and_bounded() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::from_nanos(1_000_001))), 2);
        assert_eq!(milliseconds(Some(Duration::MAX)), libc::c_int::MAX);
    }

    #[test]
    fn a_token_keeps_number_and_generation_apart() {
        let events = Events {
            list: vec![libc::epoll_event {
                events: 0,
                u64: token(7, u32::MAX),
            }],
        };
        let event = events.iter().next().unwrap();
        assert_eq!((event.fd, event.generation), (7, u32::MAX));
    }
}
