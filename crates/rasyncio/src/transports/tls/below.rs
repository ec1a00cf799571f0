//! What the link tells.

use std::io::{self, ErrorKind};

use super::TlsLayer;
use super::working::Working;
use crate::protocols::{self, Protocol};
use crate::streams::copy_error;
use crate::transports::Transport;

/// The protocol of the link.
pub(super) struct Below(pub(super) Transport);

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
