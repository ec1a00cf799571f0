//! An encrypted transport: a TLS state between another transport, the link, and a protocol.

mod below;
mod open;
mod working;

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::io;
use std::rc::Rc;

use super::Transport;
use super::flow::LimitsError;
use super::kinds::Inner;
use crate::events;
use crate::locks::Event;
use crate::protocols::Protocol;
use crate::timer::Timer;
use crate::tls::config::Limits;
use crate::tls::records::Records;
use crate::tls::{Deadline, During, Host, TlsInfo, TlsState};
use working::Working;

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

impl Transport {
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

impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.link.borrow() {
            Some(link) => write!(f, "<Transport TLS over {link:?}>"),
            None => f.write_str("<Transport TLS closed>"),
        }
    }
}
