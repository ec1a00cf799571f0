//! What a reading can fail with.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind};

use super::search::Overrun;
use crate::exceptions::Cancelled;

/// The end came too soon (asyncio's `IncompleteReadError`).
///
/// ```
/// use rasyncio::{net::TcpListener, open_connection};
/// use rasyncio::streams::ReadError;
///
/// rasyncio::run(async {
/// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
///     let (peer, _) = listener.accept().await?;
///     peer.write_all(b"tail").await?;
///     drop(peer);
///     match reader.readexactly(10).await {
///         Err(ReadError::Incomplete(error)) => assert_eq!(error.partial, b"tail"),
///         other => unreachable!("{other:?}"),
///     }
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteReadError {
    /// What came before the end.
    pub partial: Vec<u8>,
    /// How many bytes were asked for, where it was a number.
    pub expected: Option<usize>,
}

/// There is no separator within the limit (asyncio's `LimitOverrunError`). Nothing was taken out of
/// the buffer.
///
/// ```
/// use rasyncio::{connect::Builder, net::TcpListener, streams::ReadError};
///
/// rasyncio::run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let builder = Builder::new().limit(4);
///     let (mut reader, _writer) = builder.open_connection(listener.local_addr()?).await?;
///     let (peer, _) = listener.accept().await?;
///     peer.write_all(b"too long").await?;
///     match reader.readuntil(b"\n").await {
///         Err(ReadError::LimitOverrun(error)) => assert!(!error.found),
///         other => unreachable!("{other:?}"),
///     }
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitOverrunError {
    /// Whether there is a separator beyond the limit.
    pub found: bool,
    /// How many bytes from the beginning are not part of a separator.
    pub consumed: usize,
}

/// Why a reading gave nothing.
///
/// ```
/// use rasyncio::{net::TcpListener, open_connection};
/// use rasyncio::streams::ReadError;
///
/// rasyncio::run(async {
/// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
///     let (peer, _) = listener.accept().await?;
///     drop(peer);
///     assert!(matches!(reader.readuntil(b";").await, Err(ReadError::Incomplete(_))));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub enum ReadError {
    /// The end came too soon.
    Incomplete(IncompleteReadError),
    /// There is more than the limit allows.
    LimitOverrun(LimitOverrunError),
    /// The connection has failed, or the reading was cancelled: see
    /// [`Cancelled::of`](crate::Cancelled::of).
    Io(io::Error),
}

impl fmt::Display for IncompleteReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.partial.len();
        match self.expected {
            Some(expected) => {
                write!(
                    f,
                    "{count} bytes read on a total of {expected} expected bytes"
                )
            }
            None => write!(
                f,
                "{count} bytes read on a total of undefined expected bytes"
            ),
        }
    }
}

impl fmt::Display for LimitOverrunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Overrun {
            found: self.found,
            consumed: self.consumed,
        }
        .fmt(f)
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Incomplete(error) => error.fmt(f),
            ReadError::LimitOverrun(error) => error.fmt(f),
            ReadError::Io(error) => error.fmt(f),
        }
    }
}

impl Error for IncompleteReadError {}
impl Error for LimitOverrunError {}
impl Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        ReadError::Io(error)
    }
}

impl From<Cancelled> for ReadError {
    fn from(cancelled: Cancelled) -> ReadError {
        ReadError::Io(cancelled.into())
    }
}

impl From<Overrun> for LimitOverrunError {
    fn from(overrun: Overrun) -> LimitOverrunError {
        LimitOverrunError {
            found: overrun.found,
            consumed: overrun.consumed,
        }
    }
}

/// For functions that answer [`io::Error`].
impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> io::Error {
        match error {
            ReadError::Incomplete(error) => io::Error::new(ErrorKind::UnexpectedEof, error),
            ReadError::LimitOverrun(error) => io::Error::new(ErrorKind::InvalidData, error),
            ReadError::Io(error) => error,
        }
    }
}

/// Another one that says the same.
pub(crate) fn copy(error: &io::Error) -> io::Error {
    #[cfg(feature = "tls")]
    if let Some(tls) = crate::tls::error_of(error) {
        return io::Error::new(error.kind(), tls.clone());
    }
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
