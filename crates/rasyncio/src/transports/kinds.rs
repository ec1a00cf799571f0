//! What a transport is to the rest of the crate: of which kind, and what all kinds can do.

use std::io;
use std::rc::{Rc, Weak};
use std::task::Waker;

use super::Transport;
use super::link::Link;
use super::plain::Plain;
#[cfg(feature = "tls")]
use super::tls::TlsLayer;
use crate::events;
use crate::protocols::Protocol;
use crate::servers::Attached;
use crate::tasks::yield_now;
use crate::tls::Tls;

/// A transport that its holder does not keep alive.
#[derive(Clone)]
pub(crate) struct WeakTransport(pub(super) Weak<Inner>);

#[cfg_attr(
    feature = "tls",
    allow(clippy::large_enum_variant, reason = "most are plain")
)]
pub(super) enum Inner {
    Plain(Plain),
    /// Encrypted, over another one.
    #[cfg(feature = "tls")]
    Tls(Box<TlsLayer>),
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
        let plain = Plain::new(link, protocol);
        let transport = Transport {
            inner: Rc::new(Inner::Plain(plain)),
        };
        if let (Some(server), Some(plain)) = (server, transport.plain()) {
            plain.attach(server, transport.downgrade());
        }
        let made = transport.clone();
        events::call_soon(move || {
            if let Some(plain) = made.plain() {
                plain.start(&made);
            }
        });
        transport
    }

    /// As [`Transport::open`], encrypted if there is something to do it with.
    ///
    /// # Errors
    ///
    /// rustls's, about the configuration.
    pub(crate) fn open_with(
        link: Link,
        protocol: Rc<dyn Protocol>,
        server: Option<Attached>,
        tls: Option<&Tls>,
    ) -> io::Result<Transport> {
        match tls {
            None => Ok(Transport::open(link, protocol, server)),
            #[cfg(feature = "tls")]
            Some(tls) => Transport::open_tls(link, protocol, server, tls),
            #[cfg(not(feature = "tls"))]
            Some(tls) => match *tls {},
        }
    }

    /// Waits until the protocol knows of the connection.
    ///
    /// # Errors
    ///
    /// That of a handshake, and a cancellation.
    pub(crate) async fn made(&self) -> io::Result<()> {
        match &*self.inner {
            Inner::Plain(_) => Ok(yield_now().await?),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.handshake().await,
        }
    }

    pub(crate) fn downgrade(&self) -> WeakTransport {
        WeakTransport(Rc::downgrade(&self.inner))
    }

    pub(super) fn plain(&self) -> Option<&Plain> {
        match &*self.inner {
            Inner::Plain(plain) => Some(plain),
            #[cfg(feature = "tls")]
            Inner::Tls(_) => None,
        }
    }

    /// The transport that this one is encrypted over.
    pub(super) fn below(&self) -> Option<Transport> {
        match &*self.inner {
            Inner::Plain(_) => None,
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.link(),
        }
    }

    /// Has `waker` woken when there is something to read, which is then for the woken one to
    /// [`pull`](Transport::pull). So a task that waits for data has it received when its turn comes,
    /// not before, and what many tasks wait for is not all in memory at once.
    pub(crate) fn wait_to_pull(&self, waker: Waker) {
        match &*self.inner {
            Inner::Plain(plain) => plain.wait_to_pull(waker),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.with_link(|link| link.wait_to_pull(waker)),
        }
    }

    /// Gives up waiting. What there is to read is read as for any protocol.
    pub(crate) fn leave_pull(&self) {
        match &*self.inner {
            Inner::Plain(plain) => plain.leave_pull(),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.with_link(Transport::leave_pull),
        }
    }

    /// Receives once, if there is something and the protocol is to get data. The protocol is called
    /// before this returns.
    pub(crate) fn pull(&self) {
        match &*self.inner {
            Inner::Plain(plain) => plain.pull(self),
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.with_link(Transport::pull),
        }
    }

    /// Closes the connection for this reason.
    #[cfg(feature = "tls")]
    pub(super) fn fail(&self, error: Option<io::Error>) {
        match &*self.inner {
            Inner::Plain(plain) => plain.fail(self, error),
            Inner::Tls(tls) => tls.fail(self, error),
        }
    }
}

/// What goes between an encrypted transport and the one below. Nothing is above a plain one.
impl Transport {
    /// Copies the beginning of a record that has come to the front of `buffer`, which grows if it
    /// has to, and answers its length.
    pub(super) fn lend_begun(&self, buffer: &mut Vec<u8>) -> usize {
        match &*self.inner {
            Inner::Plain(_) => {
                let _ = buffer;
                0
            }
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.lend_begun(buffer),
        }
    }

    /// The first `end` bytes of `buffer` have come: what was lent, and more.
    pub(super) fn received(&self, buffer: &mut Vec<u8>, end: usize) {
        match &*self.inner {
            Inner::Plain(_) => {
                let _ = (buffer, end);
            }
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.received(self, buffer, end),
        }
    }

    /// The one below is gone, and nobody is told any more.
    pub(super) fn let_go(&self) {
        match &*self.inner {
            Inner::Plain(_) => {}
            #[cfg(feature = "tls")]
            Inner::Tls(tls) => tls.let_go(),
        }
    }
}

impl WeakTransport {
    pub(crate) fn upgrade(&self) -> Option<Transport> {
        self.0.upgrade().map(|inner| Transport { inner })
    }
}
