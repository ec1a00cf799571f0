//! What the TLS state asks for: of the records, of the link and of the protocol.

use std::io::{self, ErrorKind};

use super::{Piece, TlsLayer};
use crate::events;
use crate::protocols::{self, Protocol};
use crate::streams::copy_error;
use crate::timer::Timer;
use crate::tls::{Answer, Deadline, Delivery, During, Host, Session};
use crate::transports::Transport;

/// A layer at work.
#[derive(Clone, Copy)]
pub(super) struct Working<'a> {
    pub(super) layer: &'a TlsLayer,
    pub(super) me: &'a Transport,
}

impl Working<'_> {
    /// What nobody else has dealt with ends the connection.
    pub(super) fn settle(self, result: io::Result<()>) {
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
    pub(super) fn encrypt_slice(self, data: &[u8]) -> io::Result<usize> {
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
