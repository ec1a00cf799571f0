//! One TLS connection between a link and an application: how it begins and ends.

mod reading;
mod writing;

pub use writing::Written;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;

use super::session::{Answer, Deadline, During, Host};
use crate::transports::flow::Flow;
use reading::READ_HIGH;
use writing::WRITE_HIGH;

/// How far a connection has come. It goes from one to the next, or back to the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no session: not yet, or no more.
    Unwrapped,
    Handshake,
    Wrapped,
    /// Closing: what the peer has sent before it knew is still read.
    Flushing,
    /// Closing: the peer's `close_notify` is waited for.
    Shutdown,
}

/// What the application was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Made,
    Eof,
    Lost,
}

/// The state of one TLS connection.
///
/// Its methods are the events of the connection's life: those of the link have the link's names,
/// [`close`](TlsState::close), [`write`](TlsState::write) and so on are the application's. Each
/// takes the [`Host`] that the state works on, calls it in asyncio's order, and holds no borrow
/// meanwhile, so that the host may come back at any time.
pub struct TlsState<B> {
    phase: Cell<Phase>,
    told: Cell<Told>,
    backlog: RefCell<VecDeque<B>>,
    backlog_len: Cell<usize>,
    /// Somebody takes from the backlog just now: who writes meanwhile has to queue.
    encrypting: Cell<bool>,
    write_flow: Flow,
    read_flow: Flow,
    reading_paused: Cell<bool>,
    link_full: Cell<bool>,
    link_eof: Cell<bool>,
    lost: Cell<u32>,
}

impl<B> TlsState<B> {
    /// A connection that does not stand yet.
    pub fn new() -> TlsState<B> {
        let state = TlsState {
            phase: Cell::new(Phase::Unwrapped),
            told: Cell::new(Told::Nothing),
            backlog: RefCell::new(VecDeque::new()),
            backlog_len: Cell::new(0),
            encrypting: Cell::new(false),
            write_flow: Flow::new(),
            read_flow: Flow::new(),
            reading_paused: Cell::new(false),
            link_full: Cell::new(false),
            link_eof: Cell::new(false),
            lost: Cell::new(0),
        };
        // Asyncio's defaults are in order.
        let _ = state.write_flow.set_limits(Some(WRITE_HIGH), None);
        let _ = state.read_flow.set_limits(Some(READ_HIGH), None);
        state
    }

    /// The application knows of the connection already (asyncio's `call_connection_made=False`).
    pub fn set_known(&self) {
        self.told.set(Told::Made);
    }

    // The link's events.

    /// The link stands: the handshake begins.
    ///
    /// # Errors
    ///
    /// The host's, here and in all that follow.
    pub fn connection_made<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        self.phase.set(Phase::Handshake);
        host.start_timer(Deadline::Handshake)?;
        self.shake_hands(host)
    }

    /// The link has brought something, which the session has.
    ///
    /// # Errors
    ///
    /// The host's.
    #[inline]
    pub fn received<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        match self.phase.get() {
            Phase::Handshake => self.shake_hands(host),
            Phase::Wrapped => self.read(host),
            Phase::Flushing => self.flush(host),
            Phase::Shutdown => self.shut_down(host),
            Phase::Unwrapped => Ok(()),
        }
    }

    /// The link brings no more. True: it is kept open, since the application has not read all.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn eof_received<H: Host<B>>(&self, host: &H) -> Result<bool, H::Error> {
        self.link_eof.set(true);
        match self.phase.get() {
            Phase::Handshake => self.refuse(host, host.reset())?,
            Phase::Wrapped => {
                self.phase.set(Phase::Flushing);
                if self.reading_paused.get() {
                    return Ok(true);
                }
                self.flush(host)?;
            }
            Phase::Flushing => {
                self.encrypt(host)?;
                self.phase.set(Phase::Shutdown);
                self.shut_down(host)?;
            }
            Phase::Shutdown => self.shut_down(host)?,
            Phase::Unwrapped => {}
        }
        Ok(false)
    }

    /// The link is gone. True: the application has to be told. The backlog is handed out, to be
    /// dropped where nothing is borrowed.
    #[must_use = "the application may have to be told"]
    pub fn connection_lost(&self) -> (bool, VecDeque<B>) {
        self.lost.set(self.lost.get() + 1);
        let knows = matches!(self.told.get(), Told::Made | Told::Eof);
        let tell = knows && self.phase.get() != Phase::Handshake;
        if tell {
            self.told.set(Told::Lost);
        }
        self.phase.set(Phase::Unwrapped);
        (tell, self.clear())
    }

    /// The link takes no more for now.
    pub fn link_full(&self) {
        self.link_full.set(true);
    }

    /// The link takes more.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn link_free<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        self.link_full.set(false);
        // A session may take nothing while the link is full.
        if self.may_encrypt() {
            self.try_encrypt(host)
        } else {
            self.send(host)
        }
    }

    /// Whether the link takes no more for now.
    pub fn is_link_full(&self) -> bool {
        self.link_full.get()
    }

    /// A timer's time is over.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn deadline<H: Host<B>>(&self, host: &H, deadline: Deadline) -> Result<(), H::Error> {
        let phase = self.phase.get();
        match deadline {
            Deadline::Handshake if phase == Phase::Handshake => {
                host.fatal(host.timed_out(deadline), During::Handshake)
            }
            Deadline::Shutdown if matches!(phase, Phase::Flushing | Phase::Shutdown) => {
                host.abort_link(Some(host.timed_out(deadline)))
            }
            _ => Ok(()),
        }
    }

    // The application's.

    /// Closes the connection, after what waits has been sent.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn close<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        match self.phase.get() {
            Phase::Unwrapped | Phase::Flushing | Phase::Shutdown => Ok(()),
            Phase::Handshake => {
                host.closing();
                self.abort(host, None)
            }
            Phase::Wrapped => {
                host.closing();
                self.phase.set(Phase::Flushing);
                host.start_timer(Deadline::Shutdown)?;
                self.flush(host)
            }
        }
    }

    /// Closes the connection at once. What waits is lost.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn abort<H: Host<B>>(&self, host: &H, error: Option<H::Error>) -> Result<(), H::Error> {
        self.phase.set(Phase::Unwrapped);
        host.abort_link(error)
    }

    // The handshake.

    fn shake_hands<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        match host.handshake() {
            Ok(Answer::Again) => self.send(host),
            Ok(Answer::Done) => self.handshake_done(host),
            Err(error) => self.refuse(host, error),
        }
    }

    fn handshake_done<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        if self.phase.get() != Phase::Handshake {
            // The session has called somebody who has ended it.
            return Ok(());
        }
        host.cancel_timer(Deadline::Handshake)?;
        self.phase.set(Phase::Wrapped);
        if let Err(error) = host.established() {
            return self.refuse(host, error);
        }
        if self.told.get() == Told::Nothing {
            self.told.set(Told::Made);
            host.connection_made()?;
        }
        host.connected()?;
        self.read(host)?;
        self.write_backlog(host)
    }

    fn refuse<H: Host<B>>(&self, host: &H, error: H::Error) -> Result<(), H::Error> {
        // First the error: it may be in the host's hands, not in ours, until it is dealt with.
        self.phase.set(Phase::Unwrapped);
        host.refused(error)?;
        host.cancel_timer(Deadline::Handshake)
    }

    // The end.

    fn flush<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        self.read(host)?;
        self.write_backlog(host)?;
        if self.phase.get() != Phase::Flushing {
            return Ok(());
        }
        self.phase.set(Phase::Shutdown);
        self.shut_down(host)
    }

    fn shut_down<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        if !self.link_eof.get() {
            match host.unwrap() {
                Ok(Answer::Done) => {}
                Ok(Answer::Again) => {
                    self.send(host)?;
                    return self.let_read(host);
                }
                Err(error) => {
                    host.fatal(error, During::Shutdown)?;
                    return host.cancel_timer(Deadline::Shutdown);
                }
            }
        }
        self.send(host)?;
        self.tell_eof(host)?;
        // The link sends what it has before it closes, which a peer that reads nothing could put
        // off for ever.
        if !host.has_timer(Deadline::Shutdown) {
            host.start_timer(Deadline::Shutdown)?;
        }
        host.close_link()
    }

    fn tell_eof<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        if self.told.get() != Told::Made {
            return Ok(());
        }
        self.told.set(Told::Eof);
        match host.eof_received() {
            Ok(()) => Ok(()),
            Err(error) => host.fatal(error, During::Eof),
        }
    }
}

impl<B> Default for TlsState<B> {
    fn default() -> TlsState<B> {
        TlsState::new()
    }
}

impl<B> fmt::Debug for TlsState<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsState")
            .field("phase", &self.phase.get())
            .field("told", &self.told.get())
            .field("backlog", &self.backlog_len.get())
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
