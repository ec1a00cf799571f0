//! The reading end of a stream.

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::errors::{IncompleteReadError, ReadError};
use super::reader::{ReaderState, Step};
use super::search::{Overrun, Search, Separators};
use super::shared::Shared;
use crate::scope;
use crate::transports::{Transport, WeakTransport};

/// The reading end of a stream (asyncio's `StreamReader`).
///
/// Its `limit` is the longest line that [`readuntil`](StreamReader::readuntil) accepts, and half of
/// what is buffered before the peer is made to wait. Any reading may be cancelled or dropped:
/// what has come stays for the next.
///
/// ```
/// use rasyncio::{net::TcpListener, open_connection};
///
/// rasyncio::run(async {
/// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
///     let (peer, _) = listener.accept().await?;
///     peer.write_all(b"hello\n").await?;
///     assert_eq!(reader.readline().await?, b"hello\n");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct StreamReader {
    pub(super) shared: Rc<Shared>,
    pub(super) transport: Transport,
    /// There is no writing end, so that this closes the connection.
    pub(super) alone: bool,
}

impl StreamReader {
    /// Up to `count` bytes, as soon as there is one. None is the end.
    ///
    /// # Errors
    ///
    /// That of the connection, and a cancellation.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     peer.write_all(b"hello").await?;
    ///     assert_eq!(reader.read(100).await?, b"hello");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.shared.check()?;
        match self.step(|reader| reader.read(count)).await? {
            Step::Ready(count) => Ok(self.take(count)),
            _ => self.failed(),
        }
    }

    /// Reads as much as there is into a buffer, at least a byte, and answers how much. 0 is the end.
    ///
    /// # Errors
    ///
    /// As [`StreamReader::read`].
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     let mut buffer = [0; 16];
    ///     peer.write_all(b"hello").await?;
    ///     let count = reader.read_into(&mut buffer).await?;
    ///     assert_eq!(&buffer[..count], b"hello");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn read_into(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared.check()?;
        let room = buffer.len();
        match self.step(|reader| reader.read(room)).await? {
            Step::Ready(count) => {
                let mut filled = 0;
                self.shared.reader.take(count, |bytes| {
                    buffer[filled..filled + bytes.len()].copy_from_slice(bytes);
                    filled += bytes.len();
                });
                self.resume();
                Ok(filled)
            }
            _ => self.failed(),
        }
    }

    /// Everything up to the end (asyncio's `read(-1)`).
    ///
    /// # Errors
    ///
    /// As [`StreamReader::read`]. What has come stays.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     peer.write_all(b"hello").await?;
    ///     drop(peer);
    ///     assert_eq!(reader.read_to_end().await?, b"hello");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        self.shared.check()?;
        match self.step(ReaderState::read_to_end).await? {
            Step::Ready(count) => Ok(self.take(count)),
            _ => self.failed(),
        }
    }

    /// Exactly `count` bytes.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if the end comes before; that of the connection; a cancellation.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     peer.write_all(b"hello").await?;
    ///     assert_eq!(reader.readexactly(3).await?, b"hel");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn readexactly(&mut self, count: usize) -> Result<Vec<u8>, ReadError> {
        self.shared.check()?;
        match self.step(|reader| reader.readexactly(count)).await? {
            Step::Ready(count) => Ok(self.take(count)),
            Step::Incomplete(here) => Err(self.incomplete(here, Some(count))),
            _ => Ok(self.failed()?),
        }
    }

    /// Everything up to `separator`, and that.
    ///
    /// # Errors
    ///
    /// [`ReadError::Incomplete`] if the end comes before, [`ReadError::LimitOverrun`] if the message
    /// is longer than the limit (then it stays in the buffer); that of the connection; a
    /// cancellation; `InvalidInput` for an empty separator.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     peer.write_all(b"key=value;").await?;
    ///     assert_eq!(reader.readuntil(b"=").await?, b"key=");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn readuntil(&mut self, separator: &[u8]) -> Result<Vec<u8>, ReadError> {
        self.read_message(&separators([separator])?).await
    }

    /// Everything up to any one of the separators, and that (asyncio's `readuntil` with a tuple). Of
    /// several that match, the one wins whose match ends first.
    ///
    /// # Errors
    ///
    /// As [`StreamReader::readuntil`].
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     peer.write_all(b"one;two,").await?;
    ///     assert_eq!(reader.readuntil_any(&[b",", b";"]).await?, b"one;");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn readuntil_any(&mut self, any: &[&[u8]]) -> Result<Vec<u8>, ReadError> {
        self.read_message(&separators(any.iter().copied())?).await
    }

    /// A line with its `\n`; at the end what there is, perhaps nothing.
    ///
    /// # Errors
    ///
    /// [`ReadError::LimitOverrun`] if the line is longer than the limit: it is dropped then, as far
    /// as it has come. That of the connection, and a cancellation.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     peer.write_all(b"one\ntwo").await?;
    ///     drop(peer);
    ///     assert_eq!(reader.readline().await?, b"one\n");
    ///     assert_eq!(reader.readline().await?, b"two");
    ///     assert_eq!(reader.readline().await?, b"");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn readline(&mut self) -> Result<Vec<u8>, ReadError> {
        match self.read_message(&Separators::newline()).await {
            Err(ReadError::Incomplete(error)) => Ok(error.partial),
            Err(ReadError::LimitOverrun(error)) => {
                self.shared.reader.skip_line(Overrun {
                    found: error.found,
                    consumed: error.consumed,
                });
                self.resume();
                Err(ReadError::LimitOverrun(error))
            }
            result => result,
        }
    }

    /// Whether the end has come and everything was read.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     drop(peer);
    ///     assert_eq!(reader.read(1).await?, b"");
    ///     assert!(reader.at_eof());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn at_eof(&self) -> bool {
        self.shared.reader.at_eof()
    }

    /// How many bytes have come and were not read.
    ///
    /// ```
    /// use rasyncio::{net::TcpListener, open_connection};
    ///
    /// rasyncio::run(async {
    /// #     let listener = TcpListener::bind("127.0.0.1:0").await?;
    ///     let (mut reader, writer) = open_connection(listener.local_addr()?).await?;
    ///     let (peer, _) = listener.accept().await?;
    ///     peer.write_all(b"hello").await?;
    ///     reader.readexactly(2).await?;
    ///     assert_eq!(reader.buffered(), 3);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn buffered(&self) -> usize {
        self.shared.reader.buffered()
    }

    async fn read_message(&mut self, separators: &Separators<'_>) -> Result<Vec<u8>, ReadError> {
        self.shared.check()?;
        let mut search = Search::new();
        match self
            .step(move |reader| reader.readuntil(separators, &mut search))
            .await?
        {
            Step::Ready(count) => Ok(self.take(count)),
            Step::Incomplete(here) => Err(self.incomplete(here, None)),
            Step::Overrun(overrun) => Err(ReadError::LimitOverrun(overrun.into())),
            Step::Wait | Step::Failed => Ok(self.failed()?),
        }
    }

    fn step<F>(&self, step: F) -> Steps<'_, F>
    where
        F: FnMut(&ReaderState<Vec<u8>, Waker, Rc<io::Error>>) -> Step + Unpin,
    {
        Steps {
            reader: self,
            step,
            suspended: false,
        }
    }

    /// Asks `step` for what to do, and waits if that is all there is to do.
    #[track_caller]
    pub(super) fn poll_step(
        &self,
        cx: &mut Context<'_>,
        mut step: impl FnMut(&ReaderState<Vec<u8>, Waker, Rc<io::Error>>) -> Step,
    ) -> Poll<Step> {
        let state = &self.shared.reader;
        let transport = self.transport();
        let mut next = step(state);
        if next == Step::Wait {
            // Not to be woken by what comes of this.
            drop(state.end_wait());
            transport.pull();
            next = step(state);
        }
        if next != Step::Wait {
            return Poll::Ready(next);
        }
        if state.wait(cx.waker().clone()) {
            transport.resume_reading();
        }
        transport.wait_to_pull(cx.waker().clone());
        scope::suspend(cx);
        Poll::Pending
    }

    fn take(&self, count: usize) -> Vec<u8> {
        let reader = &self.shared.reader;
        let bytes = reader.take_whole(count).unwrap_or_else(|| {
            let mut bytes = Vec::with_capacity(count);
            reader.take(count, |slice| bytes.extend_from_slice(slice));
            bytes
        });
        self.resume();
        bytes
    }

    pub(super) fn resume(&self) {
        if self.shared.reader.taken() {
            self.transport().resume_reading();
        }
    }

    fn transport(&self) -> Transport {
        let upgraded = self.shared.upgraded.borrow();
        upgraded
            .as_ref()
            .and_then(WeakTransport::upgrade)
            .unwrap_or_else(|| self.transport.clone())
    }

    fn incomplete(&self, here: usize, expected: Option<usize>) -> ReadError {
        ReadError::Incomplete(IncompleteReadError {
            partial: self.take(here),
            expected,
        })
    }

    pub(super) fn failed<T>(&self) -> io::Result<T> {
        Err(self
            .shared
            .failure()
            .unwrap_or_else(|| ErrorKind::ConnectionAborted.into()))
    }
}

fn separators<'a>(any: impl IntoIterator<Item = &'a [u8]>) -> Result<Separators<'a>, ReadError> {
    Separators::new(any).map_err(|error| io::Error::new(ErrorKind::InvalidInput, error).into())
}

/// A leaf: asks until there is no need to wait.
struct Steps<'a, F> {
    reader: &'a StreamReader,
    step: F,
    suspended: bool,
}

impl<F> Future for Steps<'_, F>
where
    F: FnMut(&ReaderState<Vec<u8>, Waker, Rc<io::Error>>) -> Step + Unpin,
{
    type Output = io::Result<Step>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Step>> {
        let this = self.get_mut();
        if this.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            return Poll::Ready(Err(cancelled.into()));
        }
        let polled = this.reader.poll_step(cx, &mut this.step);
        this.suspended |= polled.is_pending();
        polled.map(Ok)
    }
}

impl<F> Drop for Steps<'_, F> {
    fn drop(&mut self) {
        if self.suspended {
            drop(self.reader.shared.reader.end_wait());
            self.reader.transport().leave_pull();
        }
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        if self.shared.reader.end_wait().is_some() {
            // Somebody has polled, and gives up.
            self.transport.leave_pull();
        }
        if self.alone {
            self.transport.close();
        }
    }
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamReader")
            .field("state", &self.shared.reader)
            .field("transport", &self.transport)
            .finish()
    }
}
