//! What to do when a connection could not be accepted.

use std::io;
use std::time::Duration;

/// How long a server waits after the system has run out of something (asyncio's
/// `ACCEPT_RETRY_DELAY`).
pub const ACCEPT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// What the failure of an `accept` means to a server.
///
/// ```
/// use std::io;
/// use rasyncio::servers::accept::AcceptError;
///
/// let error = io::Error::from_raw_os_error(libc::EMFILE);
/// assert_eq!(AcceptError::of(&error), AcceptError::Exhausted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptError {
    /// There is no connection, or it has gone again: wait for the next.
    Nothing,
    /// Descriptors or memory have run out: report it, stop watching the socket, and listen again
    /// after [`ACCEPT_RETRY_DELAY`].
    Exhausted,
    /// Anything else is an error of the server's.
    Fatal,
}

impl AcceptError {
    /// Tells them apart.
    ///
    /// ```
    /// use std::io;
    /// use rasyncio::servers::accept::AcceptError;
    ///
    /// let error = io::Error::from_raw_os_error(libc::EAGAIN);
    /// assert_eq!(AcceptError::of(&error), AcceptError::Nothing);
    /// ```
    pub fn of(error: &io::Error) -> AcceptError {
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR | libc::ECONNABORTED) => AcceptError::Nothing,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                AcceptError::Exhausted
            }
            _ => AcceptError::Fatal,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn running_out_is_survived() {
        let of = |number| AcceptError::of(&io::Error::from_raw_os_error(number));
        assert_eq!(of(libc::EMFILE), AcceptError::Exhausted);
        assert_eq!(of(libc::ECONNABORTED), AcceptError::Nothing);
        assert_eq!(of(libc::EBADF), AcceptError::Fatal);
    }
}
