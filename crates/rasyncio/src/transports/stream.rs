//! One connected stream: what is open, what waits, and what has to happen next.
//!
//! # The life of a stream, as a face goes through it
//!
//! - The protocol hears of the connection first (`connection_made`, by `call_soon`), and reading
//!   starts in the callback after that, if [`StreamState::is_reading`] still.
//! - **Readable**: if [`StreamState::may_receive`], one `recv`, into memory of the face's own
//!   choice; [`received`] says what its result means. After [`Received::Eof`] the protocol says
//!   whether to keep the stream open, and [`StreamState::eof`] takes the answer.
//! - **Writable**: [`StreamState::flush`], then, once the protocol has been told to resume if it
//!   has to be, [`StreamState::drained`].
//! - Whatever fails ends in [`StreamState::abort`].
//! - `connection_lost` is called once: scheduled where [`Closing::Now`] or `abort` says so, or
//!   at once after [`Drained::Closed`].

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};

use super::chunks::Chunks;
use super::flow::{Flow, LimitsError};

/// How much one `recv` asks for at most (asyncio's `max_size`), in bytes. It also bounds how long
/// one busy peer keeps the others waiting, for there is one `recv` for each readiness event.
pub const MAX_RECEIVE: usize = 256 * 1024;

/// From so many writes to a lost connection on, each is worth a warning (asyncio's
/// `LOG_THRESHOLD_FOR_CONNLOST_WRITES`).
pub const WRITES_BEFORE_WARNING: u32 = 5;

/// What a stream writes to: a socket, a pipe, or a test's script. Nothing here blocks.
pub trait Descriptor {
    /// Sends from the front of `data`, and answers how much that was.
    ///
    /// # Errors
    ///
    /// The system's, `WouldBlock` among them.
    fn send(&self, data: &[u8]) -> io::Result<usize>;

    /// Sends from several slices, at most [`MAX_SLICES`](super::chunks::MAX_SLICES), as if they
    /// were one.
    ///
    /// # Errors
    ///
    /// As [`Descriptor::send`].
    fn send_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Tells the peer that nothing more will come (`shutdown(SHUT_WR)`).
    ///
    /// # Errors
    ///
    /// The system's.
    fn shutdown_write(&self) -> io::Result<()>;
}

/// The state of one connected stream. `B` owns the bytes that wait to be written.
pub struct StreamState<B> {
    /// Borrowed for system calls and queue operations only, never while a chunk is dropped.
    chunks: RefCell<Chunks<B>>,
    flow: Flow,
    closing: Cell<bool>,
    /// Not 0: `connection_lost` is scheduled, or was called. Counts the writes since, too.
    lost: Cell<u32>,
    paused: Cell<bool>,
    /// The peer has sent its last byte, and the protocol keeps the stream open.
    read_eof: Cell<bool>,
    write_eof: Cell<bool>,
    /// Somebody else writes to the descriptor: `sendfile`.
    reserved: Cell<bool>,
}

/// What became of a write.
#[derive(Debug)]
#[must_use]
pub enum Written {
    /// Everything has gone out, and nothing waits.
    Sent,
    /// Some of it waits.
    Queued {
        /// Nothing waited before: watch the descriptor for writability from now on.
        watch: bool,
        /// Tell the protocol to pause writing.
        pause: bool,
    },
    /// The connection was lost before. The data is dropped.
    Lost {
        /// It has happened so often that it is worth a line in the log.
        warn: bool,
    },
    /// The descriptor does not take it: a fatal error.
    Failed(io::Error),
}

/// How far a write has come at once.
enum Begun {
    Over(Written),
    Rest { sent: usize, watch: bool },
}

/// Why a write was refused. Nothing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteRefused {
    /// It came after `write_eof`.
    AfterEof,
    /// The descriptor is [reserved](StreamState::reserve).
    Reserved,
}

/// What [`StreamState::flush`] has done.
#[derive(Debug)]
#[must_use]
pub enum Flushed {
    /// Nothing: the descriptor takes nothing, or the connection is lost.
    Blocked,
    /// Some of what waits has gone out. Call [`StreamState::drained`] next.
    Sent {
        /// First tell the protocol to resume writing.
        resume: bool,
    },
    /// The descriptor takes no more: a fatal error.
    Failed(io::Error),
}

/// What [`StreamState::drained`] has found.
#[derive(Debug)]
#[must_use]
pub enum Drained {
    /// Something waits still.
    NotYet,
    /// Nothing waits: stop watching for writability.
    Idle,
    /// As `Idle`, and the writing half was shut down, which `write_eof` had asked for.
    Ended(io::Result<()>),
    /// As `Idle`, and the stream was closing: call `connection_lost` now.
    Closed,
}

/// What closing asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Closing {
    /// Nothing: it was closing already.
    Already,
    /// Stop watching for anything, and schedule `connection_lost`.
    Now,
    /// Stop watching for readability. What waits goes out first.
    Flushing,
}

/// What a `recv` has brought.
#[derive(Debug)]
#[must_use]
pub enum Received {
    /// So many bytes, at least one.
    Data(usize),
    /// Nothing yet.
    Blocked,
    /// The end: the peer sends no more.
    Eof,
    /// A fatal error.
    Failed(io::Error),
}

/// Says what the result of a `recv` means.
pub fn received(result: io::Result<usize>) -> Received {
    match result {
        Ok(0) => Received::Eof,
        Ok(count) => Received::Data(count),
        Err(error) if is_blocked(&error) => Received::Blocked,
        Err(error) => Received::Failed(error),
    }
}

/// Whether a call has done nothing for now, as opposed to failed.
pub fn is_blocked(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

impl<B> StreamState<B> {
    /// An open stream that is being read and on which nothing waits.
    pub const fn new() -> StreamState<B> {
        StreamState {
            chunks: RefCell::new(Chunks::new()),
            flow: Flow::new(),
            closing: Cell::new(false),
            lost: Cell::new(0),
            paused: Cell::new(false),
            read_eof: Cell::new(false),
            write_eof: Cell::new(false),
            reserved: Cell::new(false),
        }
    }

    /// Whether the stream is closing or closed (asyncio's `is_closing`).
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Whether `connection_lost` is scheduled, or was called.
    pub fn is_lost(&self) -> bool {
        self.lost.get() > 0
    }

    /// Whether the protocol is to get data (asyncio's `is_reading`): not paused, not closing.
    pub fn is_reading(&self) -> bool {
        !self.closing.get() && !self.paused.get()
    }

    /// Whether the descriptor is to be watched for readability, once reading has started.
    pub fn wants_read(&self) -> bool {
        self.is_reading() && !self.read_eof.get()
    }

    /// Whether the descriptor is to be watched for writability.
    pub fn wants_write(&self) -> bool {
        !self.is_lost() && self.buffered() > 0
    }

    /// Whether a `recv` makes sense: whoever watches may be told of readability a moment late.
    pub fn may_receive(&self) -> bool {
        !self.is_lost() && self.wants_read()
    }

    /// Stops reading (asyncio's `pause_reading`). True: stop watching for readability.
    #[must_use]
    pub fn pause_reading(&self) -> bool {
        self.is_reading() && !self.paused.replace(true) && !self.read_eof.get()
    }

    /// Reads on (asyncio's `resume_reading`). True: watch for readability.
    #[must_use]
    pub fn resume_reading(&self) -> bool {
        !self.closing.get() && self.paused.replace(false) && !self.read_eof.get()
    }

    /// The peer has sent its last byte, and the protocol says whether to keep the stream open for
    /// writing (what its `eof_received` answers). With [`Closing::Already`] there is only the
    /// watch for readability to end.
    pub fn eof(&self, keep_open: bool) -> Closing {
        self.read_eof.set(true);
        if keep_open {
            Closing::Already
        } else {
            self.close()
        }
    }

    /// Closes the stream, after what waits has gone out (asyncio's `close`).
    pub fn close(&self) -> Closing {
        if self.closing.replace(true) {
            Closing::Already
        } else if self.buffered() > 0 {
            Closing::Flushing
        } else {
            self.lost.set(self.lost.get() + 1);
            Closing::Now
        }
    }

    /// Closes the stream now, and drops what waits (asyncio's `abort`, and what follows a fatal
    /// error). True: stop watching for anything, and schedule `connection_lost`.
    #[must_use]
    pub fn abort(&self) -> bool {
        if self.is_lost() {
            return false;
        }
        self.closing.set(true);
        self.lost.set(1);
        self.clear();
        true
    }

    /// Drops what waits.
    pub fn clear(&self) {
        let chunks = self.chunks.borrow_mut().take();
        drop(chunks);
    }

    /// How many bytes wait to be written (asyncio's `get_write_buffer_size`).
    pub fn buffered(&self) -> usize {
        self.chunks.borrow().len()
    }

    /// The water marks, the low one first (asyncio's `get_write_buffer_limits`).
    pub fn limits(&self) -> (usize, usize) {
        self.flow.limits()
    }

    /// Sets the water marks (asyncio's `set_write_buffer_limits`). True: tell the protocol to
    /// pause writing.
    ///
    /// # Errors
    ///
    /// As [`Flow::set_limits`].
    pub fn set_limits(&self, high: Option<i64>, low: Option<i64>) -> Result<bool, LimitsError> {
        self.flow.set_limits(high, low)?;
        Ok(self.flow.grown(self.buffered()))
    }

    /// Whether the protocol was told to pause writing, and not yet to resume.
    pub fn is_writing_paused(&self) -> bool {
        self.flow.is_paused()
    }

    /// Whether `write_eof` was called.
    pub fn is_write_eof(&self) -> bool {
        self.write_eof.get()
    }

    /// Keeps writes off the descriptor, for somebody who writes to it by other means
    /// (asyncio's `_make_empty_waiter`). They may begin once nothing is [buffered](Self::buffered).
    /// False if it is reserved already.
    #[must_use]
    pub fn reserve(&self) -> bool {
        !self.reserved.replace(true)
    }

    /// Allows writes again.
    pub fn unreserve(&self) {
        self.reserved.set(false);
    }

    /// Shows the chunks that wait: for a garbage collector's traversal. `visit` must not call back.
    pub fn for_each_chunk(&self, visit: impl FnMut(&B)) {
        self.chunks.borrow().iter().for_each(visit);
    }

    /// Notes a write that came after the connection was lost.
    pub fn write_lost(&self) -> Written {
        let before = self.lost.get();
        self.lost.set(before.saturating_add(1));
        Written::Lost {
            warn: before >= WRITES_BEFORE_WARNING,
        }
    }

    fn check_write(&self) -> Result<(), WriteRefused> {
        if self.write_eof.get() {
            Err(WriteRefused::AfterEof)
        } else if self.reserved.get() {
            Err(WriteRefused::Reserved)
        } else {
            Ok(())
        }
    }
}

impl<B: AsRef<[u8]>> StreamState<B> {
    /// Writes `data` (asyncio's `write`): at once, if nothing waits. `keep` makes a chunk of
    /// what has not gone out, which is `data` from the index that it is given.
    ///
    /// # Errors
    ///
    /// If writing is not allowed; see [`WriteRefused`].
    pub fn write(
        &self,
        to: &impl Descriptor,
        data: &[u8],
        keep: impl FnOnce(usize) -> B,
    ) -> Result<Written, WriteRefused> {
        match self.begin(to, data)? {
            Begun::Over(written) => Ok(written),
            Begun::Rest { sent, watch } => {
                let rest = keep(sent);
                self.chunks.borrow_mut().push(rest);
                Ok(self.queued(watch))
            }
        }
    }

    /// Writes several chunks as if they were one (asyncio's `writelines`): at once, in one call, if
    /// nothing waits.
    ///
    /// # Errors
    ///
    /// As [`StreamState::write`].
    pub fn writelines(
        &self,
        to: &impl Descriptor,
        data: impl IntoIterator<Item = B>,
    ) -> Result<Written, WriteRefused> {
        self.check_write()?;
        if self.is_lost() {
            return Ok(self.write_lost());
        }
        let watch = self.buffered() == 0;
        for chunk in data {
            if chunk.as_ref().is_empty() {
                continue;
            }
            self.chunks.borrow_mut().push(chunk);
        }
        if watch && self.buffered() > 0 {
            match self.send_front(to) {
                Ok(_) if self.buffered() == 0 => return Ok(Written::Sent),
                Err(error) if !is_blocked(&error) => return Ok(Written::Failed(error)),
                _ => {}
            }
        }
        Ok(match self.buffered() {
            0 => Written::Sent,
            _ => self.queued(watch),
        })
    }

    /// The descriptor is writable: sends what waits, in one call.
    pub fn flush(&self, to: &impl Descriptor) -> Flushed {
        self.flush_and(to, |waiting| self.flow.shrunk(waiting))
    }

    /// As [`StreamState::flush`], but the protocol resumes only once nothing waits, whatever the low
    /// mark is: so asyncio's pipes do it.
    pub fn flush_whole(&self, to: &impl Descriptor) -> Flushed {
        self.flush_and(to, |waiting| waiting == 0 && self.flow.shrunk(0))
    }

    fn flush_and(&self, to: &impl Descriptor, resumes: impl FnOnce(usize) -> bool) -> Flushed {
        if !self.wants_write() {
            return Flushed::Blocked;
        }
        match self.send_front(to) {
            Ok(_) => Flushed::Sent {
                resume: resumes(self.buffered()),
            },
            Err(error) if is_blocked(&error) => Flushed::Blocked,
            Err(error) => Flushed::Failed(error),
        }
    }

    /// What there is to do after a flush. The protocol may have written more meanwhile, or may
    /// have closed the stream.
    pub fn drained(&self, to: &impl Descriptor) -> Drained {
        if self.buffered() > 0 {
            Drained::NotYet
        } else if self.is_lost() {
            Drained::Idle
        } else if self.closing.get() {
            self.lost.set(1);
            Drained::Closed
        } else if self.write_eof.get() {
            Drained::Ended(to.shutdown_write())
        } else {
            Drained::Idle
        }
    }

    /// Closes the writing half, after what waits has gone out (asyncio's `write_eof`).
    ///
    /// # Errors
    ///
    /// The system's, if nothing waits, for then it is asked at once.
    pub fn write_eof(&self, to: &impl Descriptor) -> io::Result<()> {
        if self.closing.get() || self.write_eof.replace(true) || self.buffered() > 0 {
            return Ok(());
        }
        to.shutdown_write()
    }

    /// How many chunks wait. One call writes [`MAX_SLICES`](super::chunks::MAX_SLICES) at most.
    pub fn waiting_chunks(&self) -> usize {
        self.chunks.borrow().count()
    }

    /// Sends `data` if nothing waits, and answers how much is gone and whether nothing waited; or
    /// what became of all of it.
    fn begin(&self, to: &impl Descriptor, data: &[u8]) -> Result<Begun, WriteRefused> {
        self.check_write()?;
        if data.is_empty() {
            return Ok(Begun::Over(Written::Sent));
        }
        if self.is_lost() {
            return Ok(Begun::Over(self.write_lost()));
        }
        if self.buffered() > 0 {
            return Ok(Begun::Rest {
                sent: 0,
                watch: false,
            });
        }
        Ok(match to.send(data) {
            Ok(sent) if sent >= data.len() => Begun::Over(Written::Sent),
            Ok(sent) => Begun::Rest { sent, watch: true },
            Err(error) if is_blocked(&error) => Begun::Rest {
                sent: 0,
                watch: true,
            },
            Err(error) => Begun::Over(Written::Failed(error)),
        })
    }

    fn queued(&self, watch: bool) -> Written {
        Written::Queued {
            watch,
            pause: self.flow.grown(self.buffered()),
        }
    }

    fn send_front(&self, to: &impl Descriptor) -> io::Result<usize> {
        let sent = self.chunks.borrow().with_slices(|slices| match slices {
            [slice] => to.send(slice),
            slices => to.send_slices(slices),
        })?;
        let spent = self.chunks.borrow_mut().advance(sent);
        drop(spent);
        Ok(sent)
    }
}

impl StreamState<Vec<u8>> {
    /// As [`StreamState::write`], and keeps a copy of what has not gone out: small ones together.
    ///
    /// # Errors
    ///
    /// As [`StreamState::write`].
    pub fn write_copy(&self, to: &impl Descriptor, data: &[u8]) -> Result<Written, WriteRefused> {
        match self.begin(to, data)? {
            Begun::Over(written) => Ok(written),
            Begun::Rest { sent, watch } => {
                self.chunks.borrow_mut().extend(&data[sent..]);
                Ok(self.queued(watch))
            }
        }
    }
}

impl<B> Default for StreamState<B> {
    fn default() -> StreamState<B> {
        StreamState::new()
    }
}

impl<B> fmt::Debug for StreamState<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamState")
            .field("closing", &self.is_closing())
            .field("lost", &self.is_lost())
            .field("reading", &self.is_reading())
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for WriteRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WriteRefused::AfterEof => "Cannot call write() after write_eof()",
            WriteRefused::Reserved => "unable to write; sendfile is in progress",
        })
    }
}

impl Error for WriteRefused {}

#[cfg(all(test, not(loom)))]
mod tests;
