//! The Rust face of a stream's state: the transport of sockets and pipes.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};
use std::task::Waker;

use rasyncio_engine::{Direction, Job};

use super::chunks::MAX_SLICES;
use super::flow::LimitsError;
use super::link::{Link, Slot};
use super::stream::{
    Closing, Drained, Flushed, MAX_RECEIVE, Received, StreamState, WriteRefused, Written, received,
};
use crate::events::{self, ExceptionContext};
use crate::exceptions::Panic;
use crate::net::Registration;
use crate::protocols::Protocol;
use crate::servers::Attached;

/// A connection, as its protocol and others see it (asyncio's `Transport`). Clones are the same
/// connection.
///
/// The loop keeps it, whether anybody has a clone or not, until it is closed. Methods are for
/// the thread of the loop, while that runs.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Protocol, create_connection, net::TcpListener};
///
/// rasyncio::run(async {
/// #     struct Quiet;
/// #     impl Protocol for Quiet {}
/// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
/// #     let (peer, _) = listener.accept().await?;
///     transport.write(b"hello")?;
///     transport.close();
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone)]
pub struct Transport {
    inner: Rc<Inner>,
}

/// A transport that its holder does not keep alive.
#[derive(Clone)]
pub(crate) struct WeakTransport(Weak<Inner>);

struct Inner {
    state: StreamState<Vec<u8>>,
    // Dropped before the descriptor, for it wants that open.
    registration: Registration,
    link: Slot,
    /// Gone once `connection_lost` was called.
    protocol: RefCell<Option<Rc<dyn Protocol>>>,
    server: RefCell<Option<Attached>>,
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

impl Transport {
    /// Takes a descriptor over. The protocol is told in the next turn, and then read for.
    ///
    /// # Panics
    ///
    /// If no loop is running.
    pub(crate) fn open(
        link: Link,
        protocol: Rc<dyn Protocol>,
        server: Option<Attached>,
    ) -> Transport {
        let transport = Transport {
            inner: Rc::new(Inner {
                state: StreamState::new(),
                registration: Registration::new(link.raw_fd()),
                link: Slot::new(link),
                protocol: RefCell::new(Some(protocol)),
                server: RefCell::new(None),
                started: Cell::new(false),
                watches_writing: Cell::new(false),
                reads_on: Cell::new(false),
                puller: Cell::new(None),
            }),
        };
        if let Some(server) = server {
            server.attach(transport.downgrade());
            transport.inner.server.replace(Some(server));
        }
        let made = transport.clone();
        events::call_soon(move || made.start());
        transport
    }

    pub(crate) fn downgrade(&self) -> WeakTransport {
        WeakTransport(Rc::downgrade(&self.inner))
    }

    /// Writes `data`, without waiting: what does not go out at once is kept, and goes out later.
    /// After the connection is lost this does nothing.
    ///
    /// # Errors
    ///
    /// After [`Transport::write_eof`].
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.write(b"hello")?;
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn write(&self, data: &[u8]) -> Result<(), WriteRefused> {
        let written = self.inner.state.write_copy(&self.inner.link, data)?;
        self.written(written);
        Ok(())
    }

    /// Writes several pieces, as [`Transport::write`] would write them one after the other, but in
    /// one system call.
    ///
    /// # Errors
    ///
    /// After [`Transport::write_eof`].
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.writelines(["one\n", "two\n"])?;
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 8);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn writelines<T>(&self, data: impl IntoIterator<Item = T>) -> Result<(), WriteRefused>
    where
        T: Into<Vec<u8>>,
    {
        let data = data.into_iter().map(Into::into);
        let written = self.inner.state.writelines(&self.inner.link, data)?;
        self.written(written);
        Ok(())
    }

    /// Ends the writing half, after everything has gone out. The end of a pipe is its close.
    ///
    /// # Errors
    ///
    /// The system's.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.write_eof()?;
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn write_eof(&self) -> io::Result<()> {
        if self.inner.link.is_socket() {
            self.inner.state.write_eof(&self.inner.link)
        } else {
            self.close();
            Ok(())
        }
    }

    /// Whether [`Transport::write_eof`] leaves the reading half open.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     assert!(transport.can_write_eof());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn can_write_eof(&self) -> bool {
        true
    }

    /// Closes the connection, after everything has gone out. Nothing is received any more.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.close();
    ///     assert_eq!(peer.read(&mut [0; 16]).await?, 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn close(&self) {
        match self.inner.state.close() {
            Closing::Now => self.lose(None),
            Closing::Already | Closing::Flushing => {}
        }
    }

    /// Closes the connection now, and drops what waits to be written.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.abort();
    ///     assert!(transport.is_closing());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn abort(&self) {
        self.fail(None);
    }

    /// Whether the connection is closing or closed.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     assert!(!transport.is_closing());
    ///     transport.close();
    ///     assert!(transport.is_closing());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn is_closing(&self) -> bool {
        self.inner.state.is_closing()
    }

    /// Whether the protocol is to get data: not closing, not paused.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     assert!(transport.is_reading());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn is_reading(&self) -> bool {
        self.inner.state.is_reading()
    }

    /// Has the protocol get no data, until [`Transport::resume_reading`].
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.pause_reading();
    ///     assert!(!transport.is_reading());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn pause_reading(&self) {
        // The watch stays. What it tells is noted, and left alone.
        let _ = self.inner.state.pause_reading();
    }

    /// Has the protocol get data again.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.pause_reading();
    ///     transport.resume_reading();
    ///     assert!(transport.is_reading());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn resume_reading(&self) {
        if self.inner.state.resume_reading() {
            self.read_on();
        }
    }

    /// How many bytes wait to be written.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.write(b"hello")?;
    ///     assert_eq!(transport.get_write_buffer_size(), 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn get_write_buffer_size(&self) -> usize {
        self.inner.state.buffered()
    }

    /// The water marks, the low one first.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     assert_eq!(transport.get_write_buffer_limits(), (16 * 1024, 64 * 1024));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.inner.state.limits()
    }

    /// Sets the water marks. The protocol is told to pause writing when more than `high` bytes
    /// wait, and to resume when `low` or fewer do. Without `low` that is a quarter of `high`;
    /// without `high` that is four times `low`; without both the defaults, 64 KiB and 16.
    ///
    /// # Errors
    ///
    /// If `low` is more than `high`.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     transport.set_write_buffer_limits(Some(1000), None)?;
    ///     assert_eq!(transport.get_write_buffer_limits(), (250, 1000));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn set_write_buffer_limits(
        &self,
        high: Option<usize>,
        low: Option<usize>,
    ) -> Result<(), LimitsError> {
        let number = |mark: usize| i64::try_from(mark).unwrap_or(i64::MAX);
        let pause = self
            .inner
            .state
            .set_limits(high.map(number), low.map(number))?;
        if pause {
            self.pause_protocol();
        }
        Ok(())
    }

    /// The protocol, until the connection is lost.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     assert!(transport.get_protocol().is_some());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn get_protocol(&self) -> Option<Rc<dyn Protocol>> {
        self.inner.protocol.borrow().clone()
    }

    /// Has another protocol be called from now on. It is not told that the connection was made.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     struct Other;
    ///     impl Protocol for Other {}
    ///     transport.set_protocol(Rc::new(Other));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn set_protocol(&self, protocol: Rc<dyn Protocol>) {
        let old = {
            let mut current = self.inner.protocol.borrow_mut();
            current.is_some().then(|| current.replace(protocol))
        };
        drop(old);
    }

    /// The address of this end (asyncio's `get_extra_info("sockname")`).
    ///
    /// # Errors
    ///
    /// The system's, `NotConnected` after the close, and `Unsupported` if it is no address of the
    /// internet.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     assert_eq!(transport.local_addr()?, peer.peer_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let name = self
            .inner
            .link
            .with(|link| Ok(rustix::net::getsockname(link)?))?;
        name.try_into().map_err(|_| ErrorKind::Unsupported.into())
    }

    /// The address of the other end (asyncio's `get_extra_info("peername")`).
    ///
    /// # Errors
    ///
    /// As [`Transport::local_addr`].
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     assert_eq!(transport.peer_addr()?, peer.local_addr()?);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner
            .link
            .with(|link| Ok(rustix::net::getpeername(link)?))?
            .and_then(|name| name.try_into().ok())
            .ok_or_else(|| ErrorKind::Unsupported.into())
    }

    /// Calls `f` with the descriptor (asyncio's `get_extra_info("socket")`), for setting options and
    /// the like. What is read from it or written to it this way is lost to the transport.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the close, and those of `f`.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, create_connection, net::TcpListener};
    /// use std::os::fd::AsRawFd;
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl Protocol for Quiet {}
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = create_connection(|| Rc::new(Quiet), listener.local_addr()?).await?;
    /// #     let (peer, _) = listener.accept().await?;
    ///     assert!(transport.with_fd(|fd| Ok(fd.as_raw_fd()))? > 2);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.link.with(|link| f(link.as_fd()))
    }

    fn start(&self) {
        self.call("connection_made", |protocol| protocol.connection_made(self));
        self.inner.started.set(true);
        if self.inner.state.is_lost() {
            return;
        }
        let reader = Watching(self.clone());
        let job = Job::from_fn_mut(move || reader.run(Transport::readable));
        if let Err(error) = self.watch(Direction::Read, job) {
            self.fail(Some(error));
        }
    }

    fn watch(&self, direction: Direction, job: Job) -> io::Result<()> {
        self.inner.registration.watch(direction, job)
    }

    /// Reads what came meanwhile, in a turn of its own. If nothing did, an event will tell.
    fn read_on(&self) {
        let inner = &self.inner;
        let source = inner.registration.source();
        if inner.started.get()
            && source.is_ready(Direction::Read)
            && let Some(job) = source.watcher(Direction::Read)
            && !inner.reads_on.replace(true)
        {
            events::with_running(|_, engine| engine.schedule(job));
        }
    }

    /// Has `waker` woken when there is something to read, which is then for the woken one to
    /// [`pull`](Transport::pull). So a task that waits for data has it received when its turn comes,
    /// not before, and what many tasks wait for is not all in memory at once.
    pub(crate) fn wait_to_pull(&self, waker: Waker) {
        drop(self.inner.puller.replace(Some(waker)));
    }

    /// Gives up waiting. What there is to read is read as for any protocol.
    pub(crate) fn leave_pull(&self) {
        if self.inner.puller.take().is_none() {
            self.read_on();
        }
    }

    /// Receives once, if there is something and the protocol is to get data. The protocol is called
    /// before this returns.
    pub(crate) fn pull(&self) {
        if self.inner.started.get() && self.inner.registration.source().is_ready(Direction::Read) {
            self.receive();
        }
    }

    fn readable(&self) {
        let inner = &self.inner;
        inner.reads_on.set(false);
        if inner.link.is_write_pipe() {
            return self.reader_gone();
        }
        match inner.puller.take() {
            Some(waker) => waker.wake(),
            None => self.receive(),
        }
    }

    fn receive(&self) {
        let inner = &self.inner;
        if !inner.state.may_receive() {
            return;
        }
        let mut buffer = SCRATCH.take();
        buffer.resize(MAX_RECEIVE, 0);
        let source = inner.registration.source();
        match received(inner.link.receive(&mut buffer)) {
            Received::Data(count) => {
                if count < buffer.len() {
                    source.drained(Direction::Read);
                }
                self.call("data_received", |protocol| {
                    protocol.data_received(self, &buffer[..count]);
                });
                if inner.state.may_receive() {
                    self.read_on();
                }
            }
            Received::Blocked => source.blocked(Direction::Read),
            Received::Eof => {
                let mut keep_open = false;
                self.call("eof_received", |protocol| {
                    keep_open = protocol.eof_received(self);
                });
                // The end of a pipe is all that can come of it.
                if inner.state.eof(keep_open && inner.link.is_socket()) == Closing::Now {
                    self.lose(None);
                }
            }
            Received::Failed(error) => self.fail(Some(error)),
        }
        SCRATCH.set(buffer);
    }

    fn reader_gone(&self) {
        if !self.inner.link.is_broken() {
            // A terminal, say, on which somebody types.
            return self.inner.registration.source().blocked(Direction::Read);
        }
        let waits = self.inner.state.buffered() > 0;
        self.fail(waits.then(|| ErrorKind::BrokenPipe.into()));
    }

    fn writable(&self) {
        let inner = &self.inner;
        // More than one call can write: there will be no edge for the rest.
        let more = inner.state.waiting_chunks() > MAX_SLICES;
        match inner.state.flush(&inner.link) {
            Flushed::Blocked => inner.registration.source().blocked(Direction::Write),
            Flushed::Failed(error) => self.fail(Some(error)),
            Flushed::Sent { resume } => {
                if resume {
                    self.call("resume_writing", |protocol| protocol.resume_writing(self));
                }
                match inner.state.drained(&inner.link) {
                    Drained::Idle | Drained::Ended(Ok(())) => {}
                    Drained::Ended(Err(error)) => self.fail(Some(error)),
                    Drained::Closed => self.connection_lost(None),
                    Drained::NotYet => {
                        if more
                            && let Some(job) = inner.registration.source().watcher(Direction::Write)
                        {
                            events::with_running(|_, engine| engine.schedule(job));
                        }
                    }
                }
            }
        }
    }

    fn written(&self, written: Written) {
        match written {
            Written::Sent | Written::Lost { .. } => {}
            Written::Failed(error) => self.fail(Some(error)),
            Written::Queued { watch, pause } => {
                if watch && let Err(error) = self.watch_writing() {
                    return self.fail(Some(error));
                }
                if pause {
                    self.pause_protocol();
                }
            }
        }
    }

    fn watch_writing(&self) -> io::Result<()> {
        self.inner.registration.source().blocked(Direction::Write);
        if self.inner.watches_writing.replace(true) {
            return Ok(());
        }
        let writer = Watching(self.clone());
        let job = Job::from_fn_mut(move || writer.run(Transport::writable));
        self.watch(Direction::Write, job)
    }

    fn pause_protocol(&self) {
        self.call("pause_writing", |protocol| protocol.pause_writing(self));
    }

    /// Calls the protocol. A panic in it is a fatal error.
    fn call(&self, name: &str, f: impl FnOnce(&dyn Protocol)) {
        let Some(protocol) = self.get_protocol() else {
            return;
        };
        let called = catch_unwind(AssertUnwindSafe(|| {
            f(&*protocol);
            drop(protocol);
        }));
        if let Err(payload) = called {
            events::report(&ExceptionContext {
                message: &format!("Fatal error: protocol.{name}() call failed."),
                task: None,
                panic: &Panic::new(payload),
            });
            self.fail(Some(io::Error::other(format!(
                "protocol.{name}() panicked"
            ))));
        }
    }

    pub(crate) fn fail(&self, error: Option<io::Error>) {
        if self.inner.state.abort() {
            self.lose(error);
        }
    }

    /// Schedules the end.
    fn lose(&self, error: Option<io::Error>) {
        if events::is_running() {
            let transport = self.clone();
            events::call_soon(move || transport.connection_lost(error));
        } else {
            // Nobody is called outside of a loop.
            self.inner.close();
        }
    }

    fn connection_lost(&self, error: Option<io::Error>) {
        self.call("connection_lost", |protocol| {
            protocol.connection_lost(self, error);
        });
        self.inner.close();
    }
}

impl Inner {
    fn close(&self) {
        self.registration.forget(true);
        self.link.close();
        drop(self.puller.take());
        let protocol = self.protocol.take();
        drop(protocol);
        let server = self.server.take();
        drop(server);
    }
}

impl WeakTransport {
    pub(crate) fn upgrade(&self) -> Option<Transport> {
        self.0.upgrade().map(|inner| Transport { inner })
    }
}

impl PartialEq for Transport {
    fn eq(&self, other: &Transport) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Transport {}

/// A transport in the hands of the loop. That lets go of it when the transport is closed, or
/// when it ends itself; then nobody else would close the descriptor if the protocol held the
/// transport that holds the protocol.
struct Watching(Transport);

impl Watching {
    fn run(&self, f: impl FnOnce(&Transport)) {
        events::quietly("Panic in a transport", || f(&self.0));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.inner.close();
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = &self.inner.state;
        let what = match () {
            () if self.inner.link.is_closed() => "closed",
            () if state.is_closing() => "closing",
            () if state.is_reading() => "reading",
            () => "paused",
        };
        let fd = self.inner.registration.source().fd();
        write!(f, "<Transport {what} fd={fd} bufsize={}>", state.buffered())
    }
}
