//! The transport of sockets and pipes, as everybody else sees it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use super::flow::LimitsError;
use super::kinds::Inner;
use super::stream::WriteRefused;
use crate::protocols::Protocol;

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
    pub(super) inner: Rc<Inner>,
}

impl Transport {
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
        match &*self.inner {
            Inner::Plain(plain) => plain.write(self, data),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => {
                tls.write(self, data);
                Ok(())
            }
        }
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
        match &*self.inner {
            Inner::Plain(plain) => plain.writelines(self, data),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => {
                tls.writelines(self, data);
                Ok(())
            }
        }
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
        match &*self.inner {
            Inner::Plain(plain) => plain.write_eof(self),
            #[cfg(feature = "tls")]
            Inner::Tls(_) => Err(ErrorKind::Unsupported.into()),
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
        self.plain().is_some()
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
        match &*self.inner {
            Inner::Plain(plain) => plain.close(self),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.close(self),
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
        match &*self.inner {
            Inner::Plain(plain) => plain.fail(self, None),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.abort(self),
        }
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
        match &*self.inner {
            Inner::Plain(plain) => plain.state.is_closing(),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.is_closing(),
        }
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
        match &*self.inner {
            Inner::Plain(plain) => plain.state.is_reading(),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.is_reading(),
        }
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
        match &*self.inner {
            // The watch stays. What it tells is noted, and left alone.
            Inner::Plain(plain) => drop(plain.state.pause_reading()),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.pause_reading(),
        }
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
        match &*self.inner {
            Inner::Plain(plain) => {
                if plain.state.resume_reading() {
                    plain.read_on();
                }
            }
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.resume_reading(self),
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
        match &*self.inner {
            Inner::Plain(plain) => plain.state.buffered(),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.write_size(),
        }
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
        match &*self.inner {
            Inner::Plain(plain) => plain.state.limits(),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.write_limits(),
        }
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
        let (high, low) = (high.map(number), low.map(number));
        match &*self.inner {
            Inner::Plain(plain) => {
                if plain.state.set_limits(high, low)? {
                    plain.pause_protocol(self);
                }
                Ok(())
            }
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.set_write_limits(self, high, low),
        }
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
        match &*self.inner {
            Inner::Plain(plain) => plain.protocol(),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.protocol(),
        }
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
            let mut current = match &*self.inner {
                Inner::Plain(plain) => plain.protocol.borrow_mut(),
                #[cfg(feature = "tls")]
                Inner::Tls(tls) => tls.protocol_mut(),
            };
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
        let name = self.with_fd(|fd| Ok(rustix::net::getsockname(fd)?))?;
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
        self.with_fd(|fd| Ok(rustix::net::getpeername(fd)?))?
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
        match &*self.inner {
            Inner::Plain(plain) => plain.link.with(|link| f(link.as_fd())),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => match tls.link() {
                Some(link) => link.with_fd(f),
                None => Err(ErrorKind::NotConnected.into()),
            },
        }
    }
}

impl PartialEq for Transport {
    fn eq(&self, other: &Transport) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Eq for Transport {}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.inner {
            Inner::Plain(plain) => {
                let state = &plain.state;
                let what = match () {
                    () if plain.link.is_closed() => "closed",
                    () if state.is_closing() => "closing",
                    () if state.is_reading() => "reading",
                    () => "paused",
                };
                let fd = plain.registration.source().fd();
                write!(f, "<Transport {what} fd={fd} bufsize={}>", state.buffered())
            }
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.fmt(f),
        }
    }
}
