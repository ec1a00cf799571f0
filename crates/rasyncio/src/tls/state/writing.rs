//! From the application to the link.

use std::collections::VecDeque;

use super::{Phase, TlsState};
use crate::tls::session::{Answer, During, Host};
use crate::transports::flow::LimitsError;

/// So much may wait to be written before the application has to pause: 512 KiB.
pub(super) const WRITE_HIGH: i64 = 512 * 1024;
/// So many writes to a closed connection are passed over silently.
const SILENT_WRITES: u32 = 5;

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

impl<B> TlsState<B> {
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
        self.try_encrypt(host)?;
        Ok(Written::Taken)
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

    /// The water marks of what waits to be sent, the low one first.
    pub fn write_limits(&self) -> (usize, usize) {
        self.write_flow.limits()
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

    /// Tells the application to pause or to resume writing, if it is time to.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn control_writing<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        let size = self.write_size(host)?;
        self.control_writing_of(host, size)
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

    // What goes out.

    /// Encrypts what waits where reading, which does so else, is paused.
    pub(super) fn write_backlog<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        if self.reading_paused.get() && self.may_encrypt() {
            self.try_encrypt(host)?;
        }
        Ok(())
    }

    /// Whether something waits, and the connection stands.
    pub(super) fn may_encrypt(&self) -> bool {
        let stands = matches!(self.phase.get(), Phase::Wrapped | Phase::Flushing);
        stands && self.backlog_len.get() > 0
    }

    pub(super) fn try_encrypt<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        match self.encrypt(host) {
            Ok(()) => Ok(()),
            Err(error) => host.fatal(error, During::Data),
        }
    }

    pub(super) fn encrypt<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
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
    pub(super) fn send<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
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
