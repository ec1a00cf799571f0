//! The protocol between a transport and the two ends of a stream.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::task::Waker;

use super::errors::copy;
use super::reader::ReaderState;
use super::stream_reader::StreamReader;
use super::stream_writer::StreamWriter;
use crate::locks::Event;
use crate::protocols::Protocol;
use crate::transports::{Transport, WeakTransport};

/// What the two ends share: asyncio's `StreamReaderProtocol`.
pub(crate) struct Shared {
    pub(super) reader: ReaderState<Vec<u8>, Waker, Rc<io::Error>>,
    /// Set while writing is not paused.
    pub(super) resumed: Event,
    pub(super) lost: Cell<bool>,
    /// The transport that `start_tls` has put in the place of the reader's.
    pub(super) upgraded: RefCell<Option<WeakTransport>>,
    /// Set once the connection is gone.
    pub(super) closed: Event,
    /// Who waits to write, without a future to keep it.
    pub(super) writer: Cell<Option<Waker>>,
    /// The water marks, while a flush has others.
    #[cfg(feature = "_poll-io")]
    pub(super) flushing: Cell<Option<(usize, usize)>>,
}

/// The protocol of a connection that a server has accepted: makes the ends and hands them on.
pub(crate) struct Accepted {
    shared: Rc<Shared>,
    connected: Cell<Option<Box<Connected>>>,
}

type Connected = dyn FnOnce(StreamReader, StreamWriter);

impl Shared {
    pub(crate) fn new(limit: usize) -> Rc<Shared> {
        let resumed = Event::new();
        resumed.set();
        let reader = ReaderState::new(limit);
        reader.can_pause();
        Rc::new(Shared {
            reader,
            resumed,
            lost: Cell::new(false),
            upgraded: RefCell::new(None),
            closed: Event::new(),
            writer: Cell::new(None),
            #[cfg(feature = "_poll-io")]
            flushing: Cell::new(None),
        })
    }

    /// The two ends, for a transport that has this as its protocol.
    pub(crate) fn ends(self: &Rc<Shared>, transport: &Transport) -> (StreamReader, StreamWriter) {
        let mut reader = self.reader(transport);
        reader.alone = false;
        (reader, self.writer(transport))
    }

    /// The only end of a pipe that is read.
    pub(crate) fn reader(self: &Rc<Shared>, transport: &Transport) -> StreamReader {
        StreamReader {
            shared: Rc::clone(self),
            transport: transport.clone(),
            alone: true,
        }
    }

    /// The only end of a pipe that is written to.
    pub(crate) fn writer(self: &Rc<Shared>, transport: &Transport) -> StreamWriter {
        StreamWriter {
            shared: Rc::clone(self),
            transport: transport.clone(),
        }
    }

    /// Everything that has come and was not read.
    #[cfg(feature = "tls")]
    pub(super) fn take_all(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.reader.buffered());
        self.reader
            .take(usize::MAX, |bytes| all.extend_from_slice(bytes));
        // The transport resumes anyway.
        let _ = self.reader.taken();
        all
    }

    pub(super) fn failure(&self) -> Option<io::Error> {
        self.reader.with_exception(|error| error.map(|it| copy(it)))
    }

    pub(super) fn check(&self) -> io::Result<()> {
        self.failure().map_or(Ok(()), Err)
    }

    fn resume(&self) {
        self.resumed.set();
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

impl Protocol for Shared {
    fn data_received(&self, transport: &Transport, data: &[u8]) {
        let fed = self.reader.feed(data.to_vec());
        if let Some(waker) = fed.wake {
            waker.wake();
        }
        if fed.pause {
            transport.pause_reading();
        }
    }

    fn eof_received(&self, _: &Transport) -> bool {
        if let Some(waker) = self.reader.feed_eof() {
            waker.wake();
        }
        true
    }

    fn pause_writing(&self, _: &Transport) {
        self.resumed.clear();
    }

    fn resume_writing(&self, _: &Transport) {
        self.resume();
    }

    fn connection_lost(&self, _: &Transport, error: Option<io::Error>) {
        self.lost.set(true);
        let waiter = match error {
            Some(error) => self.reader.set_exception(Rc::new(error)),
            None => self.reader.feed_eof(),
        };
        if let Some(waker) = waiter {
            waker.wake();
        }
        self.resume();
        self.closed.set();
    }
}

impl Accepted {
    pub(crate) fn new(
        limit: usize,
        connected: impl FnOnce(StreamReader, StreamWriter) + 'static,
    ) -> Rc<Accepted> {
        Rc::new(Accepted {
            shared: Shared::new(limit),
            connected: Cell::new(Some(Box::new(connected))),
        })
    }
}

impl Protocol for Accepted {
    fn connection_made(&self, transport: &Transport) {
        if let Some(connected) = self.connected.take() {
            let (reader, writer) = self.shared.ends(transport);
            connected(reader, writer);
        }
        // From now on without this in between.
        transport.set_protocol(Rc::clone(&self.shared) as Rc<dyn Protocol>);
    }
}
