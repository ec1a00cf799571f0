//! An encrypted transport: a TLS state between another transport, the link, and a protocol.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use super::flow::LimitsError;
use super::link::Link;
use super::transport::{Inner, Transport};
use crate::events;
use crate::locks::Event;
use crate::protocols::{self, Protocol};
use crate::servers::Attached;
use crate::streams::copy_error;
use crate::timer::Timer;
use crate::tls::config::Limits;
use crate::tls::records::Records;
use crate::tls::{Answer, Deadline, Delivery, During, Host, Session, Tls, TlsInfo, TlsState};

/// What an encrypted transport consists of. As in [`Plain`](super::plain::Plain), methods get the
/// transport that it is in.
pub(super) struct TlsLayer {
    state: TlsState<Piece>,
    records: Records,
    /// The transport below, until that is gone.
    link: RefCell<Option<Transport>>,
    /// Gone with the link.
    protocol: RefCell<Option<Rc<dyn Protocol>>>,
    limits: Limits,
    timers: [Cell<Option<Timer>>; 2],
    closing: Cell<bool>,
    /// The link has ended, and the peer had not said that it would.
    truncated: Cell<bool>,
    /// The handshake is over, well or not.
    over: Event,
    refusal: RefCell<Option<io::Error>>,
}

/// What the application has written and is not encrypted yet.
pub(super) struct Piece {
    bytes: Vec<u8>,
    gone: usize,
}

/// The protocol of the link.
struct Below(Transport);

/// A layer at work.
#[derive(Clone, Copy)]
struct Working<'a> {
    layer: &'a TlsLayer,
    me: &'a Transport,
}

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

    fn tls(&self) -> Option<&TlsLayer> {
        match &*self.inner {
            Inner::Plain(_) => None,
            Inner::Tls(layer) => Some(layer),
        }
    }

    /// What is known of the encryption (asyncio's `get_extra_info` of `peercert`, `cipher` and so
    /// on). None where there is none.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Protocol, connect, servers};
    ///
    /// # struct Quiet;
    /// # impl Protocol for Quiet {}
    /// # mod examples { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/localhost.rs")); }
    /// # let (server_config, client_config) = examples::localhost();
    /// # let mut server_config = server_config;
    /// # let mut client_config = client_config;
    /// # server_config.alpn_protocols = vec![b"h2".to_vec()];
    /// rasyncio::run(async {
    /// #     let server = servers::Builder::new().ssl(server_config);
    /// #     let server = server.start_server(async |_, _| {}, "127.0.0.1:0").await?;
    /// #     let host = ("localhost", server.local_addrs()[0].port());
    ///     client_config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    ///     let builder = connect::Builder::new().ssl(client_config);
    ///     let (transport, _) = builder.create_connection(|| Rc::new(Quiet), host).await?;
    ///     let info = transport.tls_info().unwrap();
    ///     assert_eq!(info.alpn_protocol.as_deref(), Some(&b"h2"[..]));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn tls_info(&self) -> Option<TlsInfo> {
        Some(self.tls()?.records.info())
    }
}

impl TlsLayer {
    fn at_work<'a>(&'a self, me: &'a Transport) -> Working<'a> {
        Working { layer: self, me }
    }

    /// Waits until the handshake is done.
    pub(super) async fn handshake(&self) -> io::Result<()> {
        self.over.wait().await?;
        self.refusal.take().map_or(Ok(()), Err)
    }

    pub(super) fn link(&self) -> Option<Transport> {
        self.link.borrow().clone()
    }

    pub(super) fn with_link(&self, f: impl FnOnce(&Transport)) {
        if let Some(link) = self.link() {
            f(&link);
        }
    }

    pub(super) fn protocol(&self) -> Option<Rc<dyn Protocol>> {
        self.protocol.borrow().clone()
    }

    pub(super) fn protocol_mut(&self) -> RefMut<'_, Option<Rc<dyn Protocol>>> {
        self.protocol.borrow_mut()
    }

    pub(super) fn write(&self, me: &Transport, mut data: &[u8]) {
        let at_work = self.at_work(me);
        while self.state.takes_more() && !data.is_empty() {
            match at_work.encrypt_slice(data) {
                Ok(0) => break,
                Ok(count) => data = &data[count..],
                Err(error) => return at_work.settle(at_work.fatal(error, During::Data)),
            }
        }
        if !data.is_empty() {
            self.writelines(me, [data.to_vec()]);
        }
    }

    pub(super) fn writelines(&self, me: &Transport, data: impl IntoIterator<Item = Vec<u8>>) {
        let at_work = self.at_work(me);
        let pieces = data.into_iter().map(|bytes| {
            let len = bytes.len();
            (Piece { bytes, gone: 0 }, len)
        });
        // What is written after the end is lost silently, as with other transports.
        at_work.settle(self.state.writelines(&at_work, pieces).map(drop));
    }

    pub(super) fn close(&self, me: &Transport) {
        if events::is_running() {
            let at_work = self.at_work(me);
            at_work.settle(self.state.close(&at_work));
        } else {
            // No goodbye outside of a loop.
            self.with_link(Transport::close);
        }
    }

    pub(super) fn abort(&self, me: &Transport) {
        self.fail(me, None);
    }

    pub(super) fn fail(&self, me: &Transport, error: Option<io::Error>) {
        self.closing.set(true);
        let at_work = self.at_work(me);
        at_work.settle(self.state.abort(&at_work, error));
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.get() || self.link().is_none_or(|link| link.is_closing())
    }

    pub(super) fn is_reading(&self) -> bool {
        !self.is_closing() && self.state.is_reading()
    }

    pub(super) fn pause_reading(&self) {
        self.state.pause_reading();
    }

    pub(super) fn resume_reading(&self, me: &Transport) {
        if self.state.resume_reading() && events::is_running() {
            let me = me.clone();
            events::call_soon(move || {
                if let Some(layer) = me.tls() {
                    let at_work = layer.at_work(&me);
                    at_work.settle(layer.state.resumed(&at_work));
                }
            });
        }
    }

    pub(super) fn write_size(&self) -> usize {
        self.state.backlog() + self.records.outgoing()
    }

    pub(super) fn write_limits(&self) -> (usize, usize) {
        self.state.write_limits()
    }

    pub(super) fn set_write_limits(
        &self,
        me: &Transport,
        high: Option<i64>,
        low: Option<i64>,
    ) -> Result<(), LimitsError> {
        self.state.set_write_limits(high, low)?;
        let at_work = self.at_work(me);
        at_work.settle(self.state.control_writing(&at_work));
        Ok(())
    }

    pub(super) fn lend_begun(&self, buffer: &mut Vec<u8>) -> usize {
        self.records.lend(buffer)
    }

    pub(super) fn received(&self, me: &Transport, buffer: &mut Vec<u8>, end: usize) {
        let at_work = self.at_work(me);
        self.records.with_input(buffer, end, || {
            at_work.settle(self.state.received(&at_work));
        });
    }

    pub(super) fn let_go(&self) {
        self.closing.set(true);
        self.cancel_timers();
        drop(self.link.take());
        drop(self.state.clear());
        let protocol = self.protocol.take();
        drop(protocol);
    }

    fn cancel_timers(&self) {
        for timer in &self.timers {
            if let Some(timer) = timer.take() {
                timer.cancel();
            }
        }
    }

    fn timer(&self, deadline: Deadline) -> &Cell<Option<Timer>> {
        match deadline {
            Deadline::Handshake => &self.timers[0],
            Deadline::Shutdown => &self.timers[1],
        }
    }

    fn limit(&self, deadline: Deadline) -> std::time::Duration {
        match deadline {
            Deadline::Handshake => self.limits.handshake,
            Deadline::Shutdown => self.limits.shutdown,
        }
    }
}

impl Protocol for Below {
    fn connection_made(&self, _: &Transport) {
        self.with(|layer, at_work| layer.state.connection_made(&at_work));
    }

    fn data_received(&self, _: &Transport, data: &[u8]) {
        self.with(|layer, at_work| {
            layer.records.feed(data);
            layer.state.received(&at_work)
        });
    }

    fn eof_received(&self, _: &Transport) -> bool {
        let mut keep_open = false;
        self.with(|layer, at_work| {
            if !layer.closing.get() && !layer.records.is_peer_closed() {
                layer.truncated.set(true);
            }
            // What waits goes out while it can.
            layer.closing.set(true);
            keep_open = layer.state.eof_received(&at_work)?;
            Ok(())
        });
        keep_open
    }

    fn pause_writing(&self, _: &Transport) {
        self.with(|layer, _| {
            layer.state.link_full();
            Ok(())
        });
    }

    fn resume_writing(&self, _: &Transport) {
        self.with(|layer, at_work| layer.state.link_free(&at_work));
    }

    fn connection_lost(&self, _: &Transport, error: Option<io::Error>) {
        let me = &self.0;
        let Some(layer) = me.tls() else { return };
        layer.closing.set(true);
        let (tell, backlog) = layer.state.connection_lost();
        drop(backlog);
        layer.cancel_timers();
        if !layer.over.is_set() {
            let refusal = match &error {
                Some(error) => copy_error(error),
                None => ErrorKind::ConnectionAborted.into(),
            };
            layer.refusal.replace(Some(refusal));
            layer.over.set();
        }
        if tell && let Some(protocol) = layer.protocol() {
            // It is the end either way.
            let _ = protocols::call("connection_lost", || {
                protocol.connection_lost(me, error);
                drop(protocol);
            });
        }
        layer.let_go();
    }
}

impl Below {
    fn with(&self, f: impl FnOnce(&TlsLayer, Working<'_>) -> io::Result<()>) {
        if let Some(layer) = self.0.tls() {
            let at_work = layer.at_work(&self.0);
            at_work.settle(f(layer, at_work));
        }
    }
}

impl Working<'_> {
    /// What nobody else has dealt with ends the connection.
    fn settle(self, result: io::Result<()>) {
        if let Err(error) = result {
            self.layer.closing.set(true);
            self.layer.with_link(|link| link.fail(Some(error)));
        }
    }

    fn call(self, name: &str, f: impl FnOnce(&dyn Protocol)) -> io::Result<()> {
        let Some(protocol) = self.layer.protocol() else {
            return Ok(());
        };
        protocols::call(name, || {
            f(&*protocol);
            drop(protocol);
        })
    }

    fn write_link(self, data: &[u8]) -> io::Result<()> {
        match self.layer.link() {
            Some(link) if !data.is_empty() => link.write(data).map_err(io::Error::other),
            _ => Ok(()),
        }
    }

    /// Encrypts and sends from the front of `data`, and answers how much. None while the link is
    /// full: what is not encrypted yet may wait in one place only.
    fn encrypt_slice(self, data: &[u8]) -> io::Result<usize> {
        let layer = self.layer;
        if layer.state.is_link_full() && !layer.closing.get() {
            return Ok(0);
        }
        layer
            .records
            .encrypt(data, |encrypted| self.write_link(encrypted))
    }
}

impl Session<Piece> for Working<'_> {
    type Error = io::Error;

    fn handshake(&self) -> io::Result<Answer> {
        self.layer.records.handshake()
    }

    fn encrypt(&self, data: &mut Piece) -> io::Result<(usize, Answer)> {
        let mut done = 0;
        while data.gone < data.bytes.len() {
            match self.encrypt_slice(&data.bytes[data.gone..])? {
                0 => return Ok((done, Answer::Again)),
                count => {
                    data.gone += count;
                    done += count;
                }
            }
        }
        Ok((done, Answer::Done))
    }

    fn deliver(&self) -> io::Result<Delivery> {
        let layer = self.layer;
        let closed = layer.records.deliver(|data| {
            self.call("data_received", |protocol| {
                protocol.data_received(self.me, data);
            })?;
            Ok(layer.state.is_reading() && layer.link.borrow().is_some())
        })?;
        Ok(if closed {
            Delivery::Closed
        } else {
            Delivery::Drained
        })
    }

    fn unwrap(&self) -> io::Result<Answer> {
        self.layer.records.goodbye()
    }

    fn incoming(&self) -> io::Result<usize> {
        Ok(self.layer.records.incoming())
    }

    fn outgoing(&self) -> io::Result<usize> {
        Ok(self.layer.records.outgoing())
    }
}

impl Host<Piece> for Working<'_> {
    fn send(&self) -> io::Result<()> {
        if self.layer.records.outgoing() == 0 {
            return Ok(());
        }
        self.write_link(&self.layer.records.take_output())
    }

    fn pause_link(&self) -> io::Result<()> {
        self.layer.with_link(Transport::pause_reading);
        Ok(())
    }

    fn resume_link(&self) -> io::Result<()> {
        self.layer.with_link(Transport::resume_reading);
        Ok(())
    }

    fn close_link(&self) -> io::Result<()> {
        self.send()?;
        if let Some(link) = self.layer.link() {
            events::call_soon(move || link.close());
        }
        Ok(())
    }

    fn abort_link(&self, error: Option<io::Error>) -> io::Result<()> {
        self.layer.with_link(|link| link.fail(error));
        Ok(())
    }

    fn established(&self) -> io::Result<()> {
        // The last of the handshake may be ours, and nothing more be said by anybody.
        self.send()
    }

    fn connection_made(&self) -> io::Result<()> {
        self.call("connection_made", |protocol| {
            protocol.connection_made(self.me);
        })
    }

    fn connected(&self) -> io::Result<()> {
        self.layer.over.set();
        Ok(())
    }

    fn eof_received(&self) -> io::Result<()> {
        if self.layer.truncated.get() {
            let message = "the peer has closed the connection without a TLS close_notify";
            return Err(io::Error::new(ErrorKind::UnexpectedEof, message));
        }
        // There is no half close, whatever it answers.
        self.call("eof_received", |protocol| {
            let _ = protocol.eof_received(self.me);
        })
    }

    fn pause_writing(&self) -> io::Result<()> {
        self.call("pause_writing", |protocol| protocol.pause_writing(self.me))
    }

    fn resume_writing(&self) -> io::Result<()> {
        self.call("resume_writing", |protocol| {
            protocol.resume_writing(self.me);
        })
    }

    fn closing(&self) {
        self.layer.closing.set(true);
    }

    fn start_timer(&self, deadline: Deadline) -> io::Result<()> {
        let weak = self.me.downgrade();
        let timer = Timer::after(self.layer.limit(deadline), move || {
            if let Some(me) = weak.upgrade()
                && let Some(layer) = me.tls()
            {
                layer.timer(deadline).set(None);
                let at_work = layer.at_work(&me);
                at_work.settle(layer.state.deadline(&at_work, deadline));
            }
        });
        self.layer.timer(deadline).set(Some(timer));
        Ok(())
    }

    fn cancel_timer(&self, deadline: Deadline) -> io::Result<()> {
        if let Some(timer) = self.layer.timer(deadline).take() {
            timer.cancel();
        }
        Ok(())
    }

    fn has_timer(&self, deadline: Deadline) -> bool {
        self.layer.timer(deadline).get().is_some()
    }

    fn fatal(&self, error: io::Error, during: During) -> io::Result<()> {
        let _ = during;
        self.layer.closing.set(true);
        // What there is to say of it is said, if it goes out at once.
        self.send()?;
        self.abort_link(Some(error))
    }

    fn refused(&self, error: io::Error) -> io::Result<()> {
        self.layer.refusal.replace(Some(copy_error(&error)));
        self.layer.over.set();
        self.fatal(error, During::Handshake)
    }

    fn reset(&self) -> io::Error {
        ErrorKind::ConnectionReset.into()
    }

    fn timed_out(&self, deadline: Deadline) -> io::Error {
        match deadline {
            Deadline::Handshake => io::Error::new(
                ErrorKind::ConnectionAborted,
                format!(
                    "SSL handshake is taking longer than {:?} seconds: aborting the connection",
                    self.layer.limits.handshake.as_secs_f64()
                ),
            ),
            Deadline::Shutdown => io::Error::new(ErrorKind::TimedOut, "SSL shutdown timed out"),
        }
    }
}

impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.link.borrow() {
            Some(link) => write!(f, "<Transport TLS over {link:?}>"),
            None => f.write_str("<Transport TLS closed>"),
        }
    }
}
