//! From the link to the application.

use super::{Phase, TlsState};
use crate::tls::session::{Delivery, During, Host};
use crate::transports::flow::LimitsError;

/// So much may have come and not been read before the link has to pause: 256 KiB.
pub(super) const READ_HIGH: i64 = 256 * 1024;

impl<B> TlsState<B> {
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

    /// How many bytes have come and were not looked at.
    ///
    /// # Errors
    ///
    /// The host's.
    pub fn read_size<H: Host<B>>(&self, host: &H) -> Result<usize, H::Error> {
        host.incoming()
    }

    /// The water marks of what was received and not read, the low one first.
    pub fn read_limits(&self) -> (usize, usize) {
        self.read_flow.limits()
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

    /// Resumes the link, if it is paused and the session has looked at what has come.
    pub(super) fn let_read<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
        if self.read_flow.is_paused() && self.read_flow.shrunk(host.incoming()?) {
            host.resume_link()?;
        }
        Ok(())
    }

    /// Passes on what has come, and sends what that leads to.
    pub(super) fn read<H: Host<B>>(&self, host: &H) -> Result<(), H::Error> {
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
}
