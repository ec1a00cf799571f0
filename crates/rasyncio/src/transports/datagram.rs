//! Datagrams: what waits to be sent, as whole datagrams; and the Rust face over that.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use rasyncio_engine::{Direction, Job};

use super::flow::{Flow, LimitsError};
use super::stream::{Closing, Drained, WRITES_BEFORE_WARNING, Written, is_blocked};
use crate::events::{self, ExceptionContext};
use crate::exceptions::Panic;
use crate::net::Registration;
use crate::protocols::DatagramProtocol;

/// The longest datagram that is received whole (asyncio's `max_size`), in bytes.
pub const MAX_DATAGRAM: usize = 256 * 1024;

/// What a waiting datagram counts for beyond its bytes, so that many empty ones fill a buffer too
/// (asyncio's `_header_size`).
pub const HEADER_SIZE: usize = 8;

/// How many datagrams are received at once, before others have their turn.
const DATAGRAMS_AT_ONCE: usize = 16;

/// The state of a datagram socket. `B` owns the bytes of a datagram, `A` is where it goes, if that
/// is not where the socket is connected to.
///
/// ```
/// use std::io::{self, ErrorKind};
/// use rasyncio::transports::datagram::DatagramState;
/// use rasyncio::transports::stream::Written;
///
/// let state = DatagramState::new();
/// let full = || Err(ErrorKind::WouldBlock.into());
/// let written = state.sendto(full, || ("hello", 7));
/// assert!(matches!(written, Written::Queued { watch: true, pause: false }));
/// let mut sent = Vec::new();
/// state.flush(|data, address| { sent.push((data.to_vec(), *address)); Ok(data.len()) })?;
/// assert_eq!(sent, [(b"hello".to_vec(), 7)]);
/// # Ok::<_, io::Error>(())
/// ```
pub struct DatagramState<B, A> {
    /// Borrowed for queue operations only.
    queue: RefCell<VecDeque<(B, A)>>,
    size: Cell<usize>,
    flow: Flow,
    closing: Cell<bool>,
    lost: Cell<u32>,
}

impl<B, A> DatagramState<B, A> {
    /// An open socket on which nothing waits.
    pub const fn new() -> DatagramState<B, A> {
        DatagramState {
            queue: RefCell::new(VecDeque::new()),
            size: Cell::new(0),
            flow: Flow::new(),
            closing: Cell::new(false),
            lost: Cell::new(0),
        }
    }

    /// Whether the socket is closing or closed.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Whether `connection_lost` is scheduled, or was called.
    pub fn is_lost(&self) -> bool {
        self.lost.get() > 0
    }

    /// Whether datagrams wait.
    pub fn wants_write(&self) -> bool {
        !self.is_lost() && !self.queue.borrow().is_empty()
    }

    /// How many bytes wait (asyncio's `get_write_buffer_size`), headers included.
    pub fn buffered(&self) -> usize {
        self.size.get()
    }

    /// The water marks, the low one first.
    pub fn limits(&self) -> (usize, usize) {
        self.flow.limits()
    }

    /// Sets the water marks. True: tell the protocol to pause writing.
    ///
    /// # Errors
    ///
    /// As [`Flow::set_limits`].
    pub fn set_limits(&self, high: Option<i64>, low: Option<i64>) -> Result<bool, LimitsError> {
        self.flow.set_limits(high, low)?;
        Ok(self.flow.grown(self.buffered()))
    }

    /// Closes the socket, after what waits was sent (asyncio's `close`).
    pub fn close(&self) -> Closing {
        if self.closing.replace(true) {
            Closing::Already
        } else if self.queue.borrow().is_empty() {
            self.lost.set(self.lost.get() + 1);
            Closing::Now
        } else {
            Closing::Flushing
        }
    }

    /// Closes the socket now, and drops what waits. True: schedule `connection_lost`.
    #[must_use]
    pub fn abort(&self) -> bool {
        if self.is_lost() {
            return false;
        }
        self.closing.set(true);
        self.lost.set(1);
        self.size.set(0);
        let queue = self.queue.take();
        drop(queue);
        true
    }

    /// Notes a datagram for a connection that is lost.
    pub fn write_lost(&self) -> Written {
        let before = self.lost.get();
        self.lost.set(before.saturating_add(1));
        Written::Lost {
            warn: before >= WRITES_BEFORE_WARNING,
        }
    }

    /// Shows what waits: for a garbage collector's traversal. `visit` must not call back.
    pub fn for_each(&self, mut visit: impl FnMut(&B, &A)) {
        for (data, address) in &*self.queue.borrow() {
            visit(data, address);
        }
    }

    /// Some datagrams were sent. True: tell the protocol to resume writing.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.flow.shrunk(self.buffered())
    }

    /// What there is to do after a flush, as after that of a stream.
    pub fn drained(&self) -> Drained {
        if !self.queue.borrow().is_empty() {
            Drained::NotYet
        } else if self.closing.get() && !self.is_lost() {
            self.lost.set(1);
            Drained::Closed
        } else {
            Drained::Idle
        }
    }
}

impl<B: AsRef<[u8]>, A> DatagramState<B, A> {
    /// Sends a datagram (asyncio's `sendto`): at once, by `send`, if none waits; otherwise `keep`
    /// makes what is kept. [`Written::Failed`] is for the protocol's `error_received`, and not
    /// fatal.
    pub fn sendto(
        &self,
        send: impl FnOnce() -> io::Result<usize>,
        keep: impl FnOnce() -> (B, A),
    ) -> Written {
        let watch = self.queue.borrow().is_empty();
        if watch {
            match send() {
                Ok(_) => return Written::Sent,
                Err(error) if is_blocked(&error) => {}
                Err(error) => return Written::Failed(error),
            }
        }
        let kept = keep();
        self.size
            .set(self.size.get() + kept.0.as_ref().len() + HEADER_SIZE);
        self.queue.borrow_mut().push_back(kept);
        Written::Queued {
            watch,
            pause: self.flow.grown(self.buffered()),
        }
    }

    /// The descriptor is writable: sends what waits, until it would block. Ask
    /// [`DatagramState::resumes`] and [`DatagramState::drained`] next.
    ///
    /// # Errors
    ///
    /// What one datagram could not be sent for; it is gone. For the protocol's `error_received`, and
    /// not fatal.
    pub fn flush(&self, mut send: impl FnMut(&[u8], &A) -> io::Result<usize>) -> io::Result<()> {
        while let Some(first) = self.pop() {
            match send(first.0.as_ref(), &first.1) {
                Ok(_) => {}
                Err(error) if is_blocked(&error) => {
                    self.size
                        .set(self.size.get() + first.0.as_ref().len() + HEADER_SIZE);
                    self.queue.borrow_mut().push_front(first);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn pop(&self) -> Option<(B, A)> {
        let first = self.queue.borrow_mut().pop_front()?;
        self.size
            .set(self.size.get() - first.0.as_ref().len() - HEADER_SIZE);
        Some(first)
    }
}

impl<B, A> Default for DatagramState<B, A> {
    fn default() -> DatagramState<B, A> {
        DatagramState::new()
    }
}

impl<B, A> fmt::Debug for DatagramState<B, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramState")
            .field("closing", &self.is_closing())
            .field("lost", &self.is_lost())
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

/// A datagram socket with a protocol (asyncio's `DatagramTransport`). Clones are the same.
#[derive(Clone)]
pub struct DatagramTransport {
    inner: Rc<Inner>,
}

struct Inner {
    state: DatagramState<Vec<u8>, Option<SocketAddr>>,
    // Dropped before the descriptor, for it wants that open.
    registration: Registration,
    socket: RefCell<Option<UdpSocket>>,
    protocol: RefCell<Option<Rc<dyn DatagramProtocol>>>,
    /// Where the socket is connected to.
    peer: Option<SocketAddr>,
    watches_writing: Cell<bool>,
}

impl DatagramTransport {
    /// Takes a socket over, which does not block. The protocol is told in the next turn.
    ///
    /// # Panics
    ///
    /// If no loop is running.
    pub(crate) fn open(socket: UdpSocket, protocol: Rc<dyn DatagramProtocol>) -> DatagramTransport {
        let transport = DatagramTransport {
            inner: Rc::new(Inner {
                state: DatagramState::new(),
                registration: Registration::new(socket.as_raw_fd()),
                peer: socket.peer_addr().ok(),
                socket: RefCell::new(Some(socket)),
                protocol: RefCell::new(Some(protocol)),
                watches_writing: Cell::new(false),
            }),
        };
        let made = transport.clone();
        events::call_soon(move || made.start());
        transport
    }

    /// Sends a datagram without waiting; without an address, to where the socket is connected to.
    /// What does not go out at once is kept, and goes out later.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the socket is connected to somewhere else. What the system says goes to
    /// [`DatagramProtocol::error_received`].
    pub fn sendto(&self, data: &[u8], address: Option<SocketAddr>) -> io::Result<()> {
        let inner = &self.inner;
        let address = match (inner.peer, address) {
            (Some(peer), Some(address)) if peer != address => {
                let message = format!("Invalid address: must be None or {peer}");
                return Err(io::Error::new(ErrorKind::InvalidInput, message));
            }
            (Some(_), _) => None,
            (None, address) => address,
        };
        if inner.state.is_lost() {
            let _ = inner.state.write_lost();
            return Ok(());
        }
        let written = inner
            .state
            .sendto(|| inner.send(data, address), || (data.to_vec(), address));
        match written {
            Written::Sent | Written::Lost { .. } => {}
            Written::Failed(error) => {
                self.call("error_received", |it| it.error_received(self, error))
            }
            Written::Queued { watch, pause } => {
                if watch && let Err(error) = self.watch_writing() {
                    self.fail(Some(error));
                } else if pause {
                    self.call("pause_writing", |it| it.pause_writing(self));
                }
            }
        }
        Ok(())
    }

    /// Closes the socket, after everything was sent.
    pub fn close(&self) {
        if self.inner.state.close() == Closing::Now {
            self.lose(None);
        }
    }

    /// Closes the socket now.
    pub fn abort(&self) {
        self.fail(None);
    }

    /// Whether the socket is closing or closed.
    pub fn is_closing(&self) -> bool {
        self.inner.state.is_closing()
    }

    /// How many bytes wait to be sent, with 8 for each datagram.
    pub fn get_write_buffer_size(&self) -> usize {
        self.inner.state.buffered()
    }

    /// Sets the water marks, as [`Transport::set_write_buffer_limits`] does.
    ///
    /// # Errors
    ///
    /// If `low` is more than `high`.
    ///
    /// [`Transport::set_write_buffer_limits`]: super::Transport::set_write_buffer_limits
    pub fn set_write_buffer_limits(
        &self,
        high: Option<usize>,
        low: Option<usize>,
    ) -> Result<(), LimitsError> {
        let number = |mark: usize| i64::try_from(mark).unwrap_or(i64::MAX);
        if self
            .inner
            .state
            .set_limits(high.map(number), low.map(number))?
        {
            self.call("pause_writing", |it| it.pause_writing(self));
        }
        Ok(())
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// The system's, and `NotConnected` after the close.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.with_socket(UdpSocket::local_addr)
    }

    /// Where the socket is connected to.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.inner.peer
    }

    /// Calls `f` with the descriptor, for setting options and the like.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the close, and those of `f`.
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.with_socket(|socket| f(socket.as_fd()))
    }

    fn start(&self) {
        self.call("connection_made", |it| it.connection_made(self));
        if self.inner.state.is_lost() {
            return;
        }
        let reader = Watching(self.clone());
        let job = Job::from_fn_mut(move || reader.run(DatagramTransport::readable));
        if let Err(error) = self.inner.registration.watch(Direction::Read, job) {
            self.fail(Some(error));
        }
    }

    fn readable(&self) {
        let inner = &self.inner;
        let source = inner.registration.source();
        let mut buffer = super::transport::SCRATCH.take();
        buffer.resize(MAX_DATAGRAM, 0);
        for _ in 0..DATAGRAMS_AT_ONCE {
            if inner.state.is_closing() {
                break;
            }
            match inner.with_socket(|socket| socket.recv_from(&mut buffer)) {
                Ok((length, from)) => self.call("datagram_received", |it| {
                    it.datagram_received(self, &buffer[..length], from);
                }),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    source.blocked(Direction::Read);
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => self.call("error_received", |it| it.error_received(self, error)),
            }
        }
        super::transport::SCRATCH.set(buffer);
        if !inner.state.is_closing()
            && source.is_ready(Direction::Read)
            && let Some(job) = source.watcher(Direction::Read)
        {
            events::with_running(|_, engine| engine.schedule(job));
        }
    }

    fn writable(&self) {
        let inner = &self.inner;
        if !inner.state.wants_write() {
            return;
        }
        let mut blocked = false;
        let flushed = inner.state.flush(|data, address| {
            inner
                .send(data, *address)
                .inspect_err(|error| blocked = is_blocked(error))
        });
        if let Err(error) = flushed {
            self.call("error_received", |it| it.error_received(self, error));
        }
        if inner.state.resumes() {
            self.call("resume_writing", |it| it.resume_writing(self));
        }
        match inner.state.drained() {
            Drained::Closed => self.connection_lost(None),
            Drained::NotYet if blocked => inner.registration.source().blocked(Direction::Write),
            Drained::NotYet => {
                if let Some(job) = inner.registration.source().watcher(Direction::Write) {
                    events::with_running(|_, engine| engine.schedule(job));
                }
            }
            Drained::Idle | Drained::Ended(_) => {}
        }
    }

    fn watch_writing(&self) -> io::Result<()> {
        self.inner.registration.source().blocked(Direction::Write);
        if self.inner.watches_writing.replace(true) {
            return Ok(());
        }
        let writer = Watching(self.clone());
        let job = Job::from_fn_mut(move || writer.run(DatagramTransport::writable));
        self.inner.registration.watch(Direction::Write, job)
    }

    /// Calls the protocol. A panic in it is a fatal error.
    fn call(&self, name: &str, f: impl FnOnce(&dyn DatagramProtocol)) {
        let Some(protocol) = self.inner.protocol.borrow().clone() else {
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
            let message = format!("protocol.{name}() panicked");
            self.fail(Some(io::Error::other(message)));
        }
    }

    fn fail(&self, error: Option<io::Error>) {
        if self.inner.state.abort() {
            self.lose(error);
        }
    }

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
        self.call("connection_lost", |it| it.connection_lost(self, error));
        self.inner.close();
    }
}

impl Inner {
    fn with_socket<R>(&self, f: impl FnOnce(&UdpSocket) -> io::Result<R>) -> io::Result<R> {
        match &*self.socket.borrow() {
            Some(socket) => f(socket),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn send(&self, data: &[u8], address: Option<SocketAddr>) -> io::Result<usize> {
        self.with_socket(|socket| match address {
            Some(address) => socket.send_to(data, address),
            None => socket.send(data),
        })
    }

    fn close(&self) {
        self.registration.forget(true);
        drop(self.socket.take());
        let protocol = self.protocol.take();
        drop(protocol);
    }
}

/// A transport in the hands of the loop. That lets go of it when the transport is closed, or
/// when it ends itself; then nobody else would close the descriptor if the protocol held the
/// transport that holds the protocol.
struct Watching(DatagramTransport);

impl Watching {
    fn run(&self, f: impl FnOnce(&DatagramTransport)) {
        events::quietly("Panic in a transport", || f(&self.0));
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.inner.close();
    }
}

impl fmt::Debug for DatagramTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fd = self.inner.registration.source().fd();
        write!(f, "<DatagramTransport fd={fd} {:?}>", self.inner.state)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn full() -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    #[test]
    fn datagrams_wait_whole_and_in_order() {
        let state = DatagramState::new();
        for n in 0..3u8 {
            let written = state.sendto(full, || (vec![n; 10], n));
            assert!(matches!(written, Written::Queued { watch, .. } if watch == (n == 0)));
        }
        assert_eq!(state.buffered(), 3 * (10 + HEADER_SIZE));
        let mut room = 2;
        let mut sent = Vec::new();
        let flushed = state.flush(|data, address| {
            if room == 0 {
                return full();
            }
            room -= 1;
            sent.push((data[0], *address));
            Ok(data.len())
        });
        assert!(flushed.is_ok());
        assert_eq!(sent, [(0, 0), (1, 1)]);
        assert_eq!(state.buffered(), 10 + HEADER_SIZE);
        assert!(matches!(state.drained(), Drained::NotYet));
    }

    #[test]
    fn one_that_cannot_be_sent_does_not_hold_up_the_others() {
        let state = DatagramState::new();
        for n in 0..2u8 {
            let _ = state.sendto(full, || (vec![n], ()));
        }
        assert!(
            state
                .flush(|_, ()| Err(ErrorKind::PermissionDenied.into()))
                .is_err()
        );
        assert!(
            state
                .flush(|data, ()| {
                    assert_eq!(data, [1]);
                    Ok(1)
                })
                .is_ok()
        );
        assert!(matches!(state.drained(), Drained::Idle));
        assert_eq!(state.buffered(), 0);
    }

    #[test]
    fn empty_datagrams_fill_the_buffer_too() {
        let state = DatagramState::new();
        assert!(!state.set_limits(Some(20), None).unwrap());
        let pauses: Vec<_> = (0..4)
            .map(|_| {
                matches!(
                    state.sendto(full, || (vec![], ())),
                    Written::Queued { pause: true, .. }
                )
            })
            .collect();
        assert_eq!(pauses, [false, false, true, false]);
        assert!(state.flush(|_, ()| Ok(0)).is_ok());
        assert!(state.resumes());
    }

    #[test]
    fn closing_sends_what_waits_first() {
        let state = DatagramState::new();
        let _ = state.sendto(full, || (vec![1], ()));
        assert_eq!(state.close(), Closing::Flushing);
        assert!(state.flush(|_, ()| Ok(1)).is_ok());
        assert!(matches!(state.drained(), Drained::Closed));
        assert!(!state.abort());
    }
}
