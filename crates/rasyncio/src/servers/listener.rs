//! One listening socket of a server.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::{Rc, Weak};

use rasyncio_engine::{Direction, Job, TimerKey};
use rustix::net::SocketFlags;

use super::accept::{ACCEPT_RETRY_DELAY, AcceptError};
use super::inner::Inner;
use crate::events;
use crate::net::Registration;

pub(crate) struct Listener {
    // Dropped before the socket, for it wants that open.
    registration: Registration,
    socket: RefCell<Option<OwnedFd>>,
    /// The system has run out of something: nothing is accepted before.
    retry: Cell<Option<TimerKey>>,
}

impl Listener {
    pub(crate) fn new(socket: OwnedFd) -> Listener {
        Listener {
            registration: Registration::new(socket.as_raw_fd()),
            socket: RefCell::new(Some(socket)),
            retry: Cell::new(None),
        }
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        let socket = self.socket.borrow();
        rustix::net::getsockname(socket.as_ref()?)
            .ok()?
            .try_into()
            .ok()
    }

    pub(crate) fn start(self: &Rc<Listener>, server: &Rc<Inner>) -> io::Result<()> {
        if let Some(socket) = &*self.socket.borrow() {
            rustix::net::listen(socket, server.backlog)?;
        }
        let (listener, server) = (Rc::clone(self), Rc::clone(server));
        let job = Job::from_fn_mut(move || {
            events::quietly(
                "Error on transport creation for incoming connection",
                || {
                    listener.ready(&server);
                },
            );
        });
        self.registration.watch(Direction::Read, job)
    }

    pub(crate) fn close(&self) {
        if let Some(timer) = self.retry.take() {
            let job = events::try_with_running(|_, engine| engine.cancel_timer(timer));
            drop(job);
        }
        self.registration.forget(true);
        drop(self.socket.take());
    }

    /// Accepts what waits, at most as many as may wait.
    fn ready(self: &Rc<Listener>, server: &Rc<Inner>) {
        if let Some(timer) = self.retry.take() {
            // The timer will come.
            return self.retry.set(Some(timer));
        }
        for _ in 0..server.backlog.max(1) {
            match self.accept() {
                Some(Ok(socket)) => server.accepted(socket),
                Some(Err(error)) => match AcceptError::of(&error) {
                    AcceptError::Nothing if error.kind() == io::ErrorKind::WouldBlock => {
                        return self.registration.source().blocked(Direction::Read);
                    }
                    AcceptError::Nothing => {}
                    AcceptError::Exhausted => return self.rest(&error),
                    AcceptError::Fatal => {
                        return events::call_exception_handler("Error in socket.accept()", &error);
                    }
                },
                None => return,
            }
        }
        self.go_on();
    }

    fn accept(&self) -> Option<io::Result<OwnedFd>> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = self.socket.borrow();
        Some(rustix::net::accept_with(socket.as_ref()?, flags).map_err(io::Error::from))
    }

    /// There is more, and no edge will tell.
    fn go_on(&self) {
        if let Some(job) = self.registration.source().watcher(Direction::Read) {
            events::with_running(|_, engine| engine.schedule(job));
        }
    }

    fn rest(self: &Rc<Listener>, error: &io::Error) {
        events::call_exception_handler("socket.accept() out of system resource", error);
        let listener: Weak<Listener> = Rc::downgrade(self);
        let job = Job::from_fn(move || {
            if let Some(listener) = listener.upgrade() {
                listener.retry.set(None);
                listener.go_on();
            }
        });
        let timer = events::with_running(|_, engine| {
            let delay = ACCEPT_RETRY_DELAY.as_nanos() as u64;
            engine.set_timer(engine.now() + delay, job)
        });
        self.retry.set(Some(timer));
    }
}
