//! The Rust face of a datagram socket's state.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;

use rasyncio_engine::{Direction, Job};

use super::datagram::{DatagramState, MAX_DATAGRAM};
use super::datagram_address::DatagramAddress;
use super::datagram_room::Blocked;
use super::flow::LimitsError;
use super::stream::{Closing, Drained, Written, is_blocked};
use crate::events;
use crate::net::{Obstacle, Registration};
use crate::protocols::{self, DatagramProtocol};

/// How many datagrams are received at once, before others have their turn.
const DATAGRAMS_AT_ONCE: usize = 16;

/// A datagram socket with a protocol (asyncio's `DatagramTransport`). Clones are the same. `A` is the type of
/// its addresses.
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
///
/// rasyncio::run(async {
/// #     struct Quiet;
/// #     impl DatagramProtocol for Quiet {}
/// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
///     transport.sendto(b"hello", Some(peer.local_addr()?))?;
///     assert_eq!(peer.recv(&mut [0; 16]).await?, 5);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct DatagramTransport<A: DatagramAddress = SocketAddr> {
    inner: Rc<Inner<A>>,
}

struct Inner<A: DatagramAddress> {
    state: DatagramState<Vec<u8>, Option<A>>,
    // Dropped before the descriptor, for it wants that open.
    registration: Registration,
    socket: RefCell<Option<A::Socket>>,
    protocol: RefCell<Option<Rc<dyn DatagramProtocol<A>>>>,
    /// Where everything goes to.
    remote: Option<A>,
    /// Whether the socket is connected to there.
    connected: bool,
    watches_writing: Cell<bool>,
    blocked: Blocked<A>,
}

impl<A: DatagramAddress> DatagramTransport<A> {
    /// Takes a socket over, which does not block. The protocol is told in the next turn. Everything is sent
    /// to where the socket is connected to or, if it is not, to `remote`.
    ///
    /// # Panics
    ///
    /// If no loop is running.
    pub(crate) fn open(
        socket: A::Socket,
        protocol: Rc<dyn DatagramProtocol<A>>,
        remote: Option<A>,
    ) -> DatagramTransport<A> {
        let peer = A::peer(&socket).ok();
        let transport = DatagramTransport {
            inner: Rc::new(Inner {
                state: DatagramState::new(),
                registration: Registration::new(socket.as_fd().as_raw_fd()),
                connected: peer.is_some(),
                remote: peer.or(remote),
                socket: RefCell::new(Some(socket)),
                protocol: RefCell::new(Some(protocol)),
                watches_writing: Cell::new(false),
                blocked: Blocked::new(),
            }),
        };
        let made = transport.clone();
        events::call_soon(move || made.start());
        transport
    }

    /// Sends a datagram without waiting; without an address, to where the socket is connected to, or to the
    /// remote address that it was opened with. What does not go out at once is kept, and goes out later.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if everything goes to somewhere else. What the system says goes to
    /// [`DatagramProtocol::error_received`].
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     transport.sendto(b"hello", Some(peer.local_addr()?))?;
    ///     assert_eq!(peer.recv(&mut [0; 16]).await?, 5);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn sendto(&self, data: &[u8], address: Option<A>) -> io::Result<()> {
        let inner = &self.inner;
        let address = match (&inner.remote, address) {
            (Some(remote), Some(address)) if !remote.is(&address) => {
                let message = format!("Invalid address: must be None or {remote:?}");
                return Err(io::Error::new(ErrorKind::InvalidInput, message));
            }
            (Some(_), _) if inner.connected => None,
            (remote, address) => address.or_else(|| remote.clone()),
        };
        if inner.state.is_lost() {
            let _ = inner.state.write_lost();
            return Ok(());
        }
        let written = inner.state.sendto(
            || inner.send(data, address.as_ref()),
            || (data.to_vec(), address.clone()),
        );
        match written {
            Written::Sent | Written::Lost { .. } => {}
            Written::Failed(error) => {
                self.call("error_received", |it| it.error_received(self, error))
            }
            Written::Queued { watch, pause } => {
                if watch && let Err(error) = self.wait_for_room() {
                    self.fail(Some(error));
                } else if pause {
                    self.call("pause_writing", |it| it.pause_writing(self));
                }
            }
        }
        Ok(())
    }

    /// Closes the socket, after everything was sent.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     transport.close();
    ///     assert!(transport.is_closing());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn close(&self) {
        if self.inner.state.close() == Closing::Now {
            self.lose(None);
        }
    }

    /// Closes the socket now.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     transport.abort();
    ///     assert!(transport.is_closing());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn abort(&self) {
        self.fail(None);
    }

    /// Whether the socket is closing or closed.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     assert!(!transport.is_closing());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn is_closing(&self) -> bool {
        self.inner.state.is_closing()
    }

    /// How many bytes wait to be sent, with 8 for each datagram.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     assert_eq!(transport.get_write_buffer_size(), 0);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
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
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     transport.set_write_buffer_limits(Some(1000), None)?;
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
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     assert!(transport.local_addr()?.ip().is_loopback());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn local_addr(&self) -> io::Result<A> {
        self.inner.with_socket(A::local)
    }

    /// Where the socket is connected to.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     assert_eq!(transport.peer_addr(), None);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn peer_addr(&self) -> Option<A> {
        let inner = &self.inner;
        inner.remote.clone().filter(|_| inner.connected)
    }

    /// Calls `f` with the descriptor, for setting options and the like.
    ///
    /// # Errors
    ///
    /// `NotConnected` after the close, and those of `f`.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{DatagramProtocol, connect::datagram_endpoint, net::UdpSocket};
    /// use std::os::fd::AsRawFd;
    ///
    /// rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl DatagramProtocol for Quiet {}
    /// #     let peer = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let socket = UdpSocket::bind("127.0.0.1:0").await?;
    ///     let (transport, _) = datagram_endpoint(|| Rc::new(Quiet), socket).await?;
    ///     assert!(transport.with_fd(|fd| Ok(fd.as_raw_fd()))? > 2);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn with_fd<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.with_socket(|socket| f(socket.as_fd()))
    }

    fn start(&self) {
        self.call("connection_made", |it| it.connection_made(self));
        if self.inner.state.is_lost() {
            return;
        }
        let reader = Watching(self.clone());
        let job = Job::from_fn_mut(move || reader.run(Self::readable));
        if let Err(error) = self.inner.registration.watch(Direction::Read, job) {
            self.fail(Some(error));
        }
    }

    fn readable(&self) {
        let inner = &self.inner;
        let source = inner.registration.source();
        let mut buffer = super::plain::SCRATCH.take();
        buffer.resize(MAX_DATAGRAM, 0);
        for _ in 0..DATAGRAMS_AT_ONCE {
            if inner.state.is_closing() {
                break;
            }
            match inner.with_socket(|socket| A::receive(socket, &mut buffer)) {
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
        super::plain::SCRATCH.set(buffer);
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
                .send(data, address.as_ref())
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
            Drained::NotYet if blocked => {
                if let Err(error) = self.wait_for_room() {
                    self.fail(Some(error));
                }
            }
            Drained::NotYet => self.go_on(),
            Drained::Idle | Drained::Ended(_) => inner.blocked.clear(),
        }
    }

    /// What could not be sent is tried again when that makes sense.
    fn wait_for_room(&self) -> io::Result<()> {
        match self.inner.blocked.obstacle() {
            Obstacle::Sender => self.watch_writing(),
            Obstacle::Receiver => {
                let inner = Rc::downgrade(&self.inner);
                let writable = move || {
                    if let Some(inner) = inner.upgrade() {
                        let transport = DatagramTransport { inner };
                        events::quietly("Panic in a transport", || transport.writable());
                    }
                };
                self.inner.blocked.watch(|| Job::from_fn_mut(writable))
            }
            Obstacle::Gone => {
                self.go_on();
                Ok(())
            }
        }
    }

    /// Sends more in the next turn, for no event will tell.
    fn go_on(&self) {
        let transport = self.clone();
        events::call_soon(move || transport.writable());
    }

    fn watch_writing(&self) -> io::Result<()> {
        self.inner.registration.source().blocked(Direction::Write);
        if self.inner.watches_writing.replace(true) {
            return Ok(());
        }
        let writer = Watching(self.clone());
        let job = Job::from_fn_mut(move || writer.run(Self::writable));
        self.inner.registration.watch(Direction::Write, job)
    }

    /// Calls the protocol. A panic in it is a fatal error.
    fn call(&self, name: &str, f: impl FnOnce(&dyn DatagramProtocol<A>)) {
        let Some(protocol) = self.inner.protocol.borrow().clone() else {
            return;
        };
        let called = protocols::call(name, || {
            f(&*protocol);
            drop(protocol);
        });
        if let Err(error) = called {
            self.fail(Some(error));
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

impl<A: DatagramAddress> Inner<A> {
    fn with_socket<R>(&self, f: impl FnOnce(&A::Socket) -> io::Result<R>) -> io::Result<R> {
        match &*self.socket.borrow() {
            Some(socket) => f(socket),
            None => Err(ErrorKind::NotConnected.into()),
        }
    }

    fn send(&self, data: &[u8], address: Option<&A>) -> io::Result<usize> {
        self.with_socket(|socket| {
            let sent = A::send(socket, data, address);
            if sent.as_ref().is_err_and(is_blocked) {
                self.blocked.note(socket, address)?;
            }
            sent
        })
    }

    fn close(&self) {
        self.registration.forget(true);
        self.blocked.clear();
        drop(self.socket.take());
        let protocol = self.protocol.take();
        drop(protocol);
    }
}

/// A transport in the hands of the loop. That lets go of it when the transport is closed, or
/// when it ends itself; then nobody else would close the descriptor if the protocol held the
/// transport that holds the protocol.
struct Watching<A: DatagramAddress>(DatagramTransport<A>);

impl<A: DatagramAddress> Watching<A> {
    fn run(&self, f: impl FnOnce(&DatagramTransport<A>)) {
        events::quietly("Panic in a transport", || f(&self.0));
    }
}

impl<A: DatagramAddress> Drop for Watching<A> {
    fn drop(&mut self) {
        self.0.inner.close();
    }
}

impl<A: DatagramAddress> Clone for DatagramTransport<A> {
    fn clone(&self) -> DatagramTransport<A> {
        DatagramTransport {
            inner: Rc::clone(&self.inner),
        }
    }
}

impl<A: DatagramAddress> fmt::Debug for DatagramTransport<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fd = self.inner.registration.source().fd();
        write!(f, "<DatagramTransport fd={fd} {:?}>", self.inner.state)
    }
}
