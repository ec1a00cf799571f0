//! Making an encrypted transport, over a descriptor or over another transport.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::rc::Rc;

use super::TlsLayer;
use super::below::Below;
use crate::locks::Event;
use crate::protocols::Protocol;
use crate::servers::Attached;
use crate::tls::records::Records;
use crate::tls::{Tls, TlsState};
use crate::transports::kinds::Inner;
use crate::transports::{Link, Transport};

impl Transport {
    /// As [`Transport::open`], encrypted. The protocol is told when the handshake is done.
    ///
    /// # Errors
    ///
    /// rustls's, about the configuration.
    pub(crate) fn open_tls(
        link: Link,
        protocol: Rc<dyn Protocol>,
        server: Option<Attached>,
        tls: &Tls,
    ) -> io::Result<Transport> {
        let me = Transport::over(protocol, tls)?;
        let link = Transport::open(link, Rc::new(Below(me.clone())), server);
        me.set_link(&link);
        Ok(me)
    }

    /// Speaks TLS over `link` from now on. Its protocol, which knows of the connection, is that of the
    /// new transport. `begun` has been received and is for the session.
    pub(crate) fn upgrade(
        link: &Transport,
        protocol: Rc<dyn Protocol>,
        tls: &Tls,
        begun: &[u8],
    ) -> io::Result<Transport> {
        if link.is_closing() {
            return Err(ErrorKind::NotConnected.into());
        }
        let me = Transport::over(protocol, tls)?;
        let below = Rc::new(Below(me.clone()));
        link.set_protocol(below);
        me.set_link(link);
        if let Some(layer) = me.tls() {
            layer.state.set_known();
            layer.records.feed(begun);
            let at_work = layer.at_work(&me);
            at_work.settle(layer.state.connection_made(&at_work));
        }
        link.resume_reading();
        if let Some(plain) = link.plain() {
            plain.read_on();
        }
        Ok(me)
    }

    fn over(protocol: Rc<dyn Protocol>, tls: &Tls) -> io::Result<Transport> {
        let layer = TlsLayer {
            state: TlsState::new(),
            records: Records::new(tls)?,
            link: RefCell::new(None),
            protocol: RefCell::new(Some(protocol)),
            limits: tls.limits.checked()?,
            timers: [const { Cell::new(None) }; 2],
            closing: Cell::new(false),
            truncated: Cell::new(false),
            over: Event::new(),
            refusal: RefCell::new(None),
        };
        Ok(Transport {
            inner: Rc::new(Inner::Tls(Box::new(layer))),
        })
    }

    fn set_link(&self, link: &Transport) {
        if let Some(layer) = self.tls() {
            layer.link.replace(Some(link.clone()));
        }
        if let Some(plain) = link.plain() {
            plain.set_above(self);
        }
    }
}
