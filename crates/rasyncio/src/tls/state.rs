//! One TLS connection between a link and an application.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;

use super::session::{Answer, Deadline, Delivery, During, Host};
use crate::transports::flow::{Flow, LimitsError};

/// So much may wait to be written before the application has to pause: 512 KiB.
const WRITE_HIGH: i64 = 512 * 1024;
/// So much may have come and not been read before the link has to pause: 256 KiB.
const READ_HIGH: i64 = 256 * 1024;
/// So many writes to a closed connection are passed over silently.
const SILENT_WRITES: u32 = 5;

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

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is on its way, or waits.
    Taken,
    /// The connection is closed, and the data is lost.
    Lost {
        /// It has been for some writes: to be said in the log.
        warn: bool,
    },
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
        self.encrypt(host)
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

    /// Sends `data`, of `len` bytes. What the link does not take waits here.
    ///
    /// # Errors
    ///
    /// The host's.
    #[inline]
    pub fn write<H: Host<B>>(&self, host: &H, data: B, len: usize) -> Result<Written, H::Error> {
        self.writelines(host, [(data, len)])
    }

    /// Whether the session may be given data at once, past [`TlsState::write`]: the connection
    /// stands, and nothing waits.
    #[inline]
    pub fn takes_more(&self) -> bool {
        self.phase.get() == Phase::Wrapped && self.backlog_len.get() == 0 && !self.encrypting.get()
    }

    /// How many bytes wait to be encrypted.
    pub fn backlog(&self) -> usize {
        self.backlog_len.get()
    }

    /// Sends several pieces of data, each with its length.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn writelines<H: Host<B>>(
        &self,
        host: &H,
        lines: impl IntoIterator<Item = (B, usize)>,
    ) -> Result<Written, H::Error> {
        match self.phase.get() {
            Phase::Wrapped => {}
            Phase::Handshake => {
                self.queue(lines);
                return Ok(Written::Taken);
            }
            Phase::Flushing | Phase::Shutdown | Phase::Unwrapped => {
                let lost = self.lost.get();
                self.lost.set(lost.saturating_add(1));
                let warn = lost >= SILENT_WRITES;
                return Ok(Written::Lost { warn });
            }
        }
        self.queue(lines);
        if let Err(error) = self.encrypt(host) {
            host.fatal(error, During::Data)?;
        }
        Ok(Written::Taken)
    }

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

    /// Passes nothing to the application until [`TlsState::resume_reading`].
    pub fn pause_reading(&self) {
        self.reading_paused.set(true);
    }

    /// Passes data to the application again. True: [`TlsState::resumed`] is to be called in a later
    /// turn.
    #[must_use = "what has come is to be passed on"]
    pub fn resume_reading(&self) -> bool {
        self.reading_paused.replace(false)
    }

    /// What has come while reading was paused goes to the application.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn resumed<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        match self.phase.get() {
            Phase::Wrapped => self.read(host),
            Phase::Flushing => self.flush(host),
            Phase::Shutdown => self.shut_down(host),
            Phase::Handshake | Phase::Unwrapped => Ok(()),
        }
    }

    /// Whether the application is passed what comes.
    pub fn is_reading(&self) -> bool {
        !self.reading_paused.get()
    }

    /// Whether the application was told to pause writing.
    pub fn is_writing_paused(&self) -> bool {
        self.write_flow.is_paused()
    }

    /// How many bytes wait to be sent.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn write_size<H: Host<B>>(&self, host: &H) -> Result<usize, H::Error> {
        Ok(self.backlog_len.get() + host.outgoing()?)
    }

    /// How many bytes have come and were not looked at.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn read_size<H: Host<B>>(&self, host: &H) -> Result<usize, H::Error> {
        host.incoming()
    }

    /// The water marks of what waits to be sent, the low one first.
    pub fn write_limits(&self) -> (usize, usize) {
        self.write_flow.limits()
    }

    /// The water marks of what was received and not read, the low one first.
    pub fn read_limits(&self) -> (usize, usize) {
        self.read_flow.limits()
    }

    /// Sets the marks at which the application has to pause and may resume. The host calls
    /// [`TlsState::control_writing`] then.
    ///
    /// # Errors
    ///
    /// The marks are not in order.
    pub fn set_write_limits(&self, high: Option<i64>, low: Option<i64>) -> Result<(), LimitsError> {
        let default = low.is_none().then_some(WRITE_HIGH);
        self.write_flow.set_limits(high.or(default), low)
    }

    /// Sets the marks at which the link is paused and resumed. The host calls
    /// [`TlsState::control_reading`] then.
    ///
    /// # Errors
    ///
    /// The marks are not in order.
    pub fn set_read_limits(&self, high: Option<i64>, low: Option<i64>) -> Result<(), LimitsError> {
        let default = low.is_none().then_some(READ_HIGH);
        self.read_flow.set_limits(high.or(default), low)
    }

    /// Tells the application to pause or to resume writing, if it is time to.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn control_writing<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        let size = self.write_size(host)?;
        self.control_writing_of(host, size)
    }

    /// Pauses or resumes the link, if it is time to.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn control_reading<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        let size = host.incoming()?;
        if self.read_flow.reached(size) {
            host.pause_link()
        } else if self.read_flow.shrunk(size) {
            host.resume_link()
        } else {
            Ok(())
        }
    }

    /// The pieces of data that wait, for a collector.
    pub fn for_each_waiting(&self, mut look: impl FnMut(&B)) {
        if let Ok(backlog) = self.backlog.try_borrow() {
            backlog.iter().for_each(&mut look);
        }
    }

    /// Takes out what waits.
    #[must_use = "it is dropped here, unless it is moved out of the borrow"]
    pub fn clear(&self) -> VecDeque<B> {
        self.backlog_len.set(0);
        self.backlog.take()
    }

    /// Queues `data` and sends nothing.
    pub fn queue(&self, data: impl IntoIterator<Item = (B, usize)>) {
        let mut backlog = self.backlog.borrow_mut();
        for (data, len) in data {
            self.backlog_len.set(self.backlog_len.get() + len);
            backlog.push_back(data);
        }
    }

    /// Passes on what has come, and sends what that leads to.
    fn read<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        if !matches!(self.phase.get(), Phase::Wrapped | Phase::Flushing) {
            return Ok(());
        }
        match self.try_read(host) {
            Ok(()) => Ok(()),
            Err(error) => host.fatal(error, During::Data),
        }
    }

    #[inline]
    fn try_read<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        if !self.reading_paused.get() {
            if host.deliver()? == Delivery::Closed {
                self.tell_eof(host)?;
                self.close(host)?;
            }
            self.encrypt(host)?;
        }
        self.control_reading(host)
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
        self.read(host)
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
                Ok(Answer::Again) => return self.send(host),
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

    // What goes out.

    fn encrypt<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        if self.backlog_len.get() > 0 && !self.encrypting.replace(true) {
            let outcome = self.encrypt_backlog(host);
            self.encrypting.set(false);
            outcome?;
        }
        self.send(host)
    }

    fn encrypt_backlog<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        loop {
            let Some(mut data) = self.backlog.borrow_mut().pop_front() else {
                return Ok(());
            };
            let (count, answer) = host.encrypt(&mut data)?;
            // Whatever ended the connection meanwhile has counted all as gone.
            let left = self.backlog_len.get().saturating_sub(count);
            self.backlog_len.set(left);
            if answer == Answer::Again {
                if self.phase.get() != Phase::Unwrapped {
                    self.backlog.borrow_mut().push_front(data);
                }
                return Ok(());
            }
        }
    }

    #[inline]
    fn send<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        let mut size = self.backlog_len.get();
        if self.link_full.get() {
            size += host.outgoing()?;
        } else {
            host.send()?;
        }
        self.control_writing_of(host, size)
    }

    #[inline]
    fn control_writing_of<H: Host<B>>(&self, host: &H, size: usize) -> Result<(), H::Error> {
        if self.write_flow.reached(size) {
            host.pause_writing()
        } else if self.write_flow.shrunk(size) {
            host.resume_writing()
        } else {
            Ok(())
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
