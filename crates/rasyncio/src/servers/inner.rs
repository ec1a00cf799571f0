//! What a server has: its listeners, and the connections that they have accepted.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::net::sockopt;

use super::builder::SocketFile;
use super::listener::Listener;
use crate::events;
use crate::locks::Event;
use crate::protocols::Protocol;
use crate::tls::Tls;
use crate::transports::{Link, Transport, WeakTransport};

pub(super) struct Inner {
    pub(super) listeners: RefCell<Vec<Rc<Listener>>>,
    factory: Box<dyn Fn() -> Rc<dyn Protocol>>,
    pub(super) backlog: i32,
    tls: Option<Tls>,
    /// Not a Unix socket.
    internet: bool,
    file: RefCell<Option<SocketFile>>,
    clients: RefCell<BTreeMap<u64, WeakTransport>>,
    next: Cell<u64>,
    pub(super) serving: Cell<bool>,
    closed: Cell<bool>,
    /// It was closed.
    pub(super) stopped: Event,
    /// It was closed, and its connections are gone.
    pub(super) done: Event,
}

impl Inner {
    pub(super) fn new(
        listeners: Vec<Rc<Listener>>,
        factory: Box<dyn Fn() -> Rc<dyn Protocol>>,
        backlog: i32,
        tls: Option<Tls>,
        internet: bool,
        file: Option<SocketFile>,
    ) -> Inner {
        Inner {
            listeners: RefCell::new(listeners),
            factory,
            backlog,
            tls,
            internet,
            file: RefCell::new(file),
            clients: RefCell::default(),
            next: Cell::new(0),
            serving: Cell::new(false),
            closed: Cell::new(false),
            stopped: Event::new(),
            done: Event::new(),
        }
    }

    pub(super) fn start_serving(self: &Rc<Inner>) -> io::Result<()> {
        if self.closed.get() {
            return Err(io::Error::new(
                ErrorKind::NotConnected,
                "the server is closed",
            ));
        }
        if !self.serving.replace(true) {
            let listeners = self.listeners.borrow().clone();
            for listener in listeners {
                listener.start(self)?;
            }
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        if self.closed.replace(true) {
            return;
        }
        self.serving.set(false);
        let listeners = self.listeners.take();
        for listener in &listeners {
            listener.close();
        }
        drop(listeners);
        drop(self.file.take());
        self.stopped.set();
        self.look_if_done();
    }

    fn look_if_done(&self) {
        if self.closed.get() && self.clients.borrow().is_empty() {
            self.done.set();
        }
    }

    pub(super) fn clients(&self) -> Vec<Transport> {
        let clients = self.clients.borrow();
        clients
            .values()
            .filter_map(WeakTransport::upgrade)
            .collect()
    }

    /// Makes a connection of what was accepted.
    pub(super) fn accepted(self: &Rc<Inner>, socket: OwnedFd) {
        if self.internet {
            // Small writes go out at once. Where that cannot be set, they do not.
            let _ = sockopt::set_tcp_nodelay(&socket, true);
        }
        let attached = Attached {
            id: self.next.get(),
            server: Rc::clone(self),
        };
        self.next.set(attached.id + 1);
        let protocol = (self.factory)();
        let link = Link::Socket(socket);
        let opened = Transport::open_with(link, protocol, Some(attached), self.tls.as_ref());
        if let Err(error) = opened {
            events::call_exception_handler(
                "Error on transport creation for incoming connection",
                &error,
            );
        }
    }
}

/// A connection's place in its server, which it leaves when this is dropped.
pub(crate) struct Attached {
    server: Rc<Inner>,
    id: u64,
}

impl Attached {
    pub(crate) fn attach(&self, transport: WeakTransport) {
        self.server.clients.borrow_mut().insert(self.id, transport);
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let client = self.server.clients.borrow_mut().remove(&self.id);
        drop(client);
        self.server.look_if_done();
    }
}
