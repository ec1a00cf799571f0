//! A transport over a descriptor: the Rust face of a stream's state.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Waker;

use rasyncio_engine::{Direction, Job};

use super::chunks::MAX_SLICES;
use super::link::{Link, Slot};
use super::sendfile::Sending;
use super::stream::{
    Closing, Drained, Flushed, MAX_RECEIVE, Received, StreamState, WriteRefused, Written, received,
};
use super::{Transport, WeakTransport};
use crate::events;
use crate::locks::Event;
use crate::net::Registration;
use crate::protocols::{self, Protocol};
use crate::servers::Attached;

/// What a transport over a descriptor consists of. Its methods get the transport that it is in, to
/// be shown to the protocol.
pub(super) struct Plain {
    pub(super) state: StreamState<Vec<u8>>,
    // Dropped before the descriptor, for it wants that open.
    pub(super) registration: Registration,
    pub(super) link: Slot,
    /// Gone once `connection_lost` was called.
    pub(super) protocol: RefCell<Option<Rc<dyn Protocol>>>,
    server: RefCell<Option<Attached>>,
    pub(super) sending: RefCell<Option<Rc<Sending>>>,
    /// Set and forgotten once nothing waits to be written.
    pub(super) emptied: RefCell<Option<Rc<Event>>>,
    /// The transport whose TLS goes over this one.
    above: RefCell<Option<WeakTransport>>,
    /// `connection_made` was called.
    started: Cell<bool>,
    watches_writing: Cell<bool>,
    /// A job of ours that reads on is in the queue, without an event.
    reads_on: Cell<bool>,
    /// Who wants to be woken and to read itself, rather than have it done.
    puller: Cell<Option<Waker>>,
}

thread_local! {
    /// What a `recv` goes to. Taken while in use, so that a loop inside a loop makes its own.
    pub(super) static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Plain {
    pub(super) fn new(link: Link, protocol: Rc<dyn Protocol>) -> Plain {
        Plain {
            state: StreamState::new(),
            registration: Registration::new(link.raw_fd()),
            link: Slot::new(link),
            protocol: RefCell::new(Some(protocol)),
            server: RefCell::new(None),
            sending: RefCell::new(None),
            emptied: RefCell::new(None),
            above: RefCell::new(None),
            started: Cell::new(false),
            watches_writing: Cell::new(false),
            reads_on: Cell::new(false),
            puller: Cell::new(None),
        }
    }

    /// The server that `seen` is a client of, from now on.
    pub(super) fn attach(&self, server: Attached, seen: WeakTransport) {
        server.attach(seen);
        self.server.replace(Some(server));
    }

    #[cfg(feature = "tls")]
    pub(super) fn set_above(&self, above: &Transport) {
        if let Some(server) = &*self.server.borrow() {
            server.attach(above.downgrade());
        }
        self.above.replace(Some(above.downgrade()));
        // Who waits to read waits for another transport now.
        if let Some(waker) = self.puller.take() {
            waker.wake();
        }
    }

    pub(super) fn write(&self, me: &Transport, data: &[u8]) -> Result<(), WriteRefused> {
        let written = self.state.write_copy(&self.link, data)?;
        self.written(me, written);
        Ok(())
    }

    pub(super) fn writelines(
        &self,
        me: &Transport,
        data: impl IntoIterator<Item = Vec<u8>>,
    ) -> Result<(), WriteRefused> {
        let written = self.state.writelines(&self.link, data)?;
        self.written(me, written);
        Ok(())
    }

    pub(super) fn write_eof(&self, me: &Transport) -> io::Result<()> {
        if self.link.is_socket() {
            self.state.write_eof(&self.link)
        } else {
            self.close(me);
            Ok(())
        }
    }

    pub(super) fn close(&self, me: &Transport) {
        match self.state.close() {
            Closing::Now => self.lose(me, None),
            Closing::Already | Closing::Flushing => {}
        }
    }

    pub(super) fn start(&self, me: &Transport) {
        self.call(me, "connection_made", |protocol| {
            protocol.connection_made(me)
        });
        self.started.set(true);
        if self.state.is_lost() {
            return;
        }
        let reader = Watching(me.clone());
        let job = Job::from_fn_mut(move || reader.run(Plain::readable));
        if let Err(error) = self.watch(Direction::Read, job) {
            self.fail(me, Some(error));
        }
    }

    fn watch(&self, direction: Direction, job: Job) -> io::Result<()> {
        self.registration.watch(direction, job)
    }

    /// Reads what came meanwhile, in a turn of its own. If nothing did, an event will tell.
    pub(super) fn read_on(&self) {
        let source = self.registration.source();
        if self.started.get()
            && source.is_ready(Direction::Read)
            && let Some(job) = source.watcher(Direction::Read)
            && !self.reads_on.replace(true)
        {
            events::with_running(|_, engine| engine.schedule(job));
        }
    }

    pub(super) fn wait_to_pull(&self, waker: Waker) {
        drop(self.puller.replace(Some(waker)));
    }

    pub(super) fn leave_pull(&self) {
        if self.puller.take().is_none() {
            self.read_on();
        }
    }

    pub(super) fn pull(&self, me: &Transport) {
        if self.started.get() && self.registration.source().is_ready(Direction::Read) {
            self.receive(me);
        }
    }

    fn readable(&self, me: &Transport) {
        self.reads_on.set(false);
        if self.link.is_write_pipe() {
            return self.reader_gone(me);
        }
        match self.puller.take() {
            Some(waker) => waker.wake(),
            None => self.receive(me),
        }
    }

    fn receive(&self, me: &Transport) {
        if !self.state.may_receive() {
            return;
        }
        let mut buffer = SCRATCH.take();
        buffer.resize(MAX_RECEIVE, 0);
        let source = self.registration.source();
        let above = self.above();
        // What an encrypted connection has of a record goes before the rest of it.
        let begun = above
            .as_ref()
            .map_or(0, |above| above.lend_begun(&mut buffer));
        let room = buffer.len() - begun;
        match received(self.link.receive(&mut buffer[begun..])) {
            Received::Data(count) => {
                if count < room {
                    source.drained(Direction::Read);
                }
                match above {
                    Some(above) => above.received(&mut buffer, begun + count),
                    None => self.call(me, "data_received", |protocol| {
                        protocol.data_received(me, &buffer[..count]);
                    }),
                }
                if self.state.may_receive() {
                    self.read_on();
                }
            }
            Received::Blocked => source.blocked(Direction::Read),
            Received::Eof => {
                let mut keep_open = false;
                self.call(me, "eof_received", |protocol| {
                    keep_open = protocol.eof_received(me);
                });
                // The end of a pipe is all that can come of it.
                if self.state.eof(keep_open && self.link.is_socket()) == Closing::Now {
                    self.lose(me, None);
                }
            }
            Received::Failed(error) => self.fail(me, Some(error)),
        }
        SCRATCH.set(buffer);
    }

    fn above(&self) -> Option<Transport> {
        self.above.borrow().as_ref()?.upgrade()
    }

    fn reader_gone(&self, me: &Transport) {
        if !self.link.is_broken() {
            // A terminal, say, on which somebody types.
            return self.registration.source().blocked(Direction::Read);
        }
        let waits = self.state.buffered() > 0;
        self.fail(me, waits.then(|| ErrorKind::BrokenPipe.into()));
    }

    fn writable(&self, me: &Transport) {
        if self.state.buffered() == 0 && self.is_sending() {
            return self.go_on_sending(me);
        }
        // More than one call can write: there will be no edge for the rest.
        let more = self.state.waiting_chunks() > MAX_SLICES;
        match self.state.flush(&self.link) {
            Flushed::Blocked => self.registration.source().blocked(Direction::Write),
            Flushed::Failed(error) => self.fail(me, Some(error)),
            Flushed::Sent { resume } => {
                if resume {
                    self.call(me, "resume_writing", |protocol| protocol.resume_writing(me));
                }
                match self.state.drained(&self.link) {
                    Drained::Idle | Drained::Ended(Ok(())) => {
                        self.tell_emptied();
                        self.go_on_sending(me);
                    }
                    Drained::Ended(Err(error)) => self.fail(me, Some(error)),
                    Drained::Closed => self.connection_lost(me, None),
                    Drained::NotYet => {
                        if more
                            && let Some(job) = self.registration.source().watcher(Direction::Write)
                        {
                            events::with_running(|_, engine| engine.schedule(job));
                        }
                    }
                }
            }
        }
    }

    fn written(&self, me: &Transport, written: Written) {
        match written {
            Written::Sent | Written::Lost { .. } => {}
            Written::Failed(error) => self.fail(me, Some(error)),
            Written::Queued { watch, pause } => {
                if watch && let Err(error) = self.watch_writing(me) {
                    return self.fail(me, Some(error));
                }
                if pause {
                    self.pause_protocol(me);
                }
            }
        }
    }

    pub(super) fn watch_writing(&self, me: &Transport) -> io::Result<()> {
        self.registration.source().blocked(Direction::Write);
        if self.watches_writing.replace(true) {
            return Ok(());
        }
        let writer = Watching(me.clone());
        let job = Job::from_fn_mut(move || writer.run(Plain::writable));
        self.watch(Direction::Write, job)
    }

    pub(super) fn pause_protocol(&self, me: &Transport) {
        self.call(me, "pause_writing", |protocol| protocol.pause_writing(me));
    }

    pub(super) fn protocol(&self) -> Option<Rc<dyn Protocol>> {
        self.protocol.borrow().clone()
    }

    /// Calls the protocol. A panic in it is a fatal error.
    fn call(&self, me: &Transport, name: &str, f: impl FnOnce(&dyn Protocol)) {
        let Some(protocol) = self.protocol() else {
            return;
        };
        let called = protocols::call(name, || {
            f(&*protocol);
            drop(protocol);
        });
        if let Err(error) = called {
            self.fail(me, Some(error));
        }
    }

    pub(super) fn fail(&self, me: &Transport, error: Option<io::Error>) {
        if self.state.abort() {
            self.lose(me, error);
        }
    }

    /// Schedules the end.
    fn lose(&self, me: &Transport, error: Option<io::Error>) {
        if events::is_running() {
            let me = me.clone();
            events::call_soon(move || {
                if let Some(plain) = me.plain() {
                    plain.connection_lost(&me, error);
                }
            });
        } else {
            // Nobody is called outside of a loop.
            self.let_go();
        }
    }

    fn connection_lost(&self, me: &Transport, error: Option<io::Error>) {
        self.call(me, "connection_lost", |protocol| {
            protocol.connection_lost(me, error);
        });
        self.let_go();
    }

    fn let_go(&self) {
        self.registration.forget(true);
        self.link.close();
        drop(self.puller.take());
        self.end_sending(Some(ErrorKind::NotConnected.into()));
        self.tell_emptied();
        if let Some(above) = self.above() {
            above.let_go();
        }
        drop(self.above.take());
        let protocol = self.protocol.take();
        drop(protocol);
        let server = self.server.take();
        drop(server);
    }
}

/// A transport in the hands of the loop. That lets go of it when the transport is closed, or
/// when it ends itself; then nobody else would close the descriptor if the protocol held the
/// transport that holds the protocol.
struct Watching(Transport);

impl Watching {
    fn run(&self, f: impl FnOnce(&Plain, &Transport)) {
        if let Some(plain) = self.0.plain() {
            events::quietly("Panic in a transport", || f(plain, &self.0));
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(plain) = self.0.plain() {
            plain.let_go();
        }
    }
}
