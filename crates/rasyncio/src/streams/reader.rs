//! What a stream reader has, what it waits for, and when it makes its transport pause.
//!
//! A face reads in steps: it asks for one ([`ReaderState::read`] and its like), and if the answer
//! is [`Step::Wait`], it makes a waiter known ([`ReaderState::wait`]) and asks again once that was
//! woken. With [`Step::Ready`] it takes the bytes out ([`ReaderState::take_whole`], or else
//! [`ReaderState::take`]) and then asks [`ReaderState::taken`] whether the transport may read on.
//! So nothing is lost if a face gives up between two steps.

use std::cell::{Cell, RefCell};
use std::fmt;

use super::buffer::ReadBuffer;
use super::search::{Overrun, Search, Separators};

/// asyncio's default for `limit`, in bytes.
pub const DEFAULT_LIMIT: usize = 64 * 1024;

/// The state of a stream reader.
///
/// `B` owns bytes that have come; `W` is who waits for them, a waker or a future; `E` is what a
/// connection can fail with.
///
/// ```
/// use rasyncio::streams::reader::{ReaderState, Step};
/// use rasyncio::streams::search::{Search, Separators};
///
/// let reader = ReaderState::<Vec<u8>, &str, ()>::new(100);
/// let mut search = Search::new();
/// assert_eq!(reader.readuntil(&Separators::newline(), &mut search), Step::Wait);
/// assert!(!reader.wait("me"));
/// let fed = reader.feed(b"one\ntwo".to_vec());
/// assert_eq!(fed.wake, Some("me"));
/// assert_eq!(reader.readuntil(&Separators::newline(), &mut search), Step::Ready(4));
/// let mut line = Vec::new();
/// reader.take(4, |bytes| line.extend_from_slice(bytes));
/// assert_eq!(line, b"one\n");
/// assert!(!reader.taken());
/// ```
pub struct ReaderState<B, W, E> {
    /// Borrowed for moving bytes only, never while a chunk is dropped.
    buffer: RefCell<ReadBuffer<B>>,
    limit: usize,
    eof: Cell<bool>,
    exception: RefCell<Option<E>>,
    waiter: RefCell<Option<W>>,
    /// Who waits receives what comes by itself.
    pulls: Cell<bool>,
    /// Nobody has looked yet whether what was put is too much.
    unmeasured: Cell<bool>,
    /// The transport was told to pause, and not yet to resume.
    paused: Cell<bool>,
    /// There is a transport, and it can pause.
    pausable: Cell<bool>,
}

/// What a reading comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// So many bytes at the front are what was asked for.
    Ready(usize),
    /// More has to come.
    Wait,
    /// The end has come too soon (asyncio's `IncompleteReadError`): all that there is, so many
    /// bytes, is to be taken out as the partial result.
    Incomplete(usize),
    /// There is more than the limit allows (asyncio's `LimitOverrunError`). Nothing is taken out.
    Overrun(Overrun),
    /// The connection has failed, and what was asked for will not come: with
    /// [`ReaderState::exception`].
    Failed,
}

/// What [`ReaderState::feed`] asks for.
#[derive(Debug)]
#[must_use]
pub struct Fed<W> {
    /// First wake this one.
    pub wake: Option<W>,
    /// Then make the transport pause reading. If it cannot, call [`ReaderState::cannot_pause`].
    pub pause: bool,
}

impl<B, W, E> ReaderState<B, W, E> {
    /// An empty reader. `limit` is the longest line, and half of what may wait before the
    /// transport has to pause, in bytes.
    pub const fn new(limit: usize) -> ReaderState<B, W, E> {
        ReaderState {
            buffer: RefCell::new(ReadBuffer::new()),
            limit,
            eof: Cell::new(false),
            exception: RefCell::new(None),
            waiter: RefCell::new(None),
            pulls: Cell::new(false),
            unmeasured: Cell::new(false),
            paused: Cell::new(false),
            pausable: Cell::new(false),
        }
    }

    /// The limit.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// How many bytes have come and are not taken out.
    pub fn buffered(&self) -> usize {
        self.buffer.borrow().len()
    }

    /// Whether nothing more comes (`feed_eof` was called).
    pub fn is_eof(&self) -> bool {
        self.eof.get()
    }

    /// Whether nothing more comes and all is taken out (asyncio's `at_eof`).
    pub fn at_eof(&self) -> bool {
        self.eof.get() && self.buffered() == 0
    }

    /// Whether the transport was told to pause, and not yet to resume.
    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// There is a transport now, which can pause.
    pub fn can_pause(&self) {
        self.pausable.set(true);
    }

    /// The transport could not pause. It is not asked again.
    pub fn cannot_pause(&self) {
        self.pausable.set(false);
        self.paused.set(false);
    }

    /// Nothing more comes (asyncio's `feed_eof`). The answer has to be woken.
    #[must_use = "it has to be woken"]
    pub fn feed_eof(&self) -> Option<W> {
        self.eof.set(true);
        self.waiter.take()
    }

    /// The connection has failed (asyncio's `set_exception`). The answer has to be woken.
    #[must_use = "it has to be woken"]
    pub fn set_exception(&self, exception: E) -> Option<W> {
        let old = self.exception.replace(Some(exception));
        drop(old);
        self.waiter.take()
    }

    /// What the connection has failed with (asyncio's `exception`). Every reading begins by
    /// looking at it.
    pub fn exception(&self) -> Option<E>
    where
        E: Clone,
    {
        self.exception.borrow().clone()
    }

    /// Whether the connection has failed.
    pub fn has_failed(&self) -> bool {
        self.exception.borrow().is_some()
    }

    /// Whether somebody waits. Two cannot: nobody would know who gets what.
    pub fn has_waiter(&self) -> bool {
        self.waiter.borrow().is_some()
    }

    /// Makes known who waits, in place of who did. True: the transport was paused and has to resume
    /// now, or else nothing would ever come.
    #[must_use = "the transport may have to resume"]
    pub fn wait(&self, waiter: W) -> bool {
        self.pulls.set(false);
        self.wait_as_told(waiter)
    }

    /// As [`ReaderState::wait`], for one that receives what has come when it is its turn, rather than
    /// have it fed before: so what many wait for is not in memory at once. What it receives it
    /// [puts](ReaderState::put) here.
    #[must_use = "the transport may have to resume"]
    pub fn wait_to_pull(&self, waiter: W) -> bool {
        self.pulls.set(true);
        self.wait_as_told(waiter)
    }

    /// Something has come: who waits to pull it, to be woken.
    #[must_use = "it has to be woken"]
    pub fn take_puller(&self) -> Option<W> {
        if self.pulls.get() {
            self.waiter.take()
        } else {
            None
        }
    }

    fn wait_as_told(&self, waiter: W) -> bool {
        let old = self.waiter.replace(Some(waiter));
        drop(old);
        self.paused.replace(false)
    }

    /// Nobody waits any longer.
    pub fn end_wait(&self) -> Option<W> {
        self.waiter.take()
    }

    /// Calls `look` with who waits: for a collector, or a repr. It must not call back.
    pub fn with_waiter<R>(&self, look: impl FnOnce(Option<&W>) -> R) -> R {
        look(self.waiter.borrow().as_ref())
    }

    /// Calls `look` with what the connection has failed with: for a collector. It must not call
    /// back.
    pub fn with_exception<R>(&self, look: impl FnOnce(Option<&E>) -> R) -> R {
        look(self.exception.borrow().as_ref())
    }

    /// Shows the chunks that are here as they came: for a collector. It must not call back.
    pub fn for_each_chunk(&self, visit: impl FnMut(&B)) {
        self.buffer.borrow().chunks().for_each(visit);
    }

    /// After something was [put](ReaderState::put): whether so much is here that the transport has to
    /// pause reading. It counts as paused then.
    #[must_use = "the transport may have to pause"]
    pub fn overflows(&self) -> bool {
        self.unmeasured.replace(false) && self.is_too_much()
    }

    fn is_too_much(&self) -> bool {
        self.buffered() > self.limit.saturating_mul(2)
            && self.pausable.get()
            && !self.paused.replace(true)
    }

    /// Some bytes were taken out. True: the transport has to resume reading.
    #[must_use = "the transport may have to resume"]
    pub fn taken(&self) -> bool {
        self.buffered() <= self.limit && self.paused.replace(false)
    }
}

impl<B: AsRef<[u8]>, W, E> ReaderState<B, W, E> {
    /// A chunk has come (asyncio's `feed_data`).
    pub fn feed(&self, chunk: B) -> Fed<W> {
        if chunk.as_ref().is_empty() {
            return Fed {
                wake: None,
                pause: false,
            };
        }
        self.keep(chunk);
        Fed {
            wake: self.waiter.take(),
            pause: self.is_too_much(),
        }
    }

    /// Who reads has received this itself. When it has taken out what it wants, there may be too much
    /// left: [`ReaderState::overflows`].
    pub fn put(&self, chunk: B) {
        self.unmeasured.set(true);
        self.keep(chunk);
    }

    fn keep(&self, chunk: B) {
        let spent = self.buffer.borrow_mut().push(chunk);
        drop(spent);
    }

    /// Up to `count` bytes, at least one (asyncio's `read(n)`). Ready with none at the end.
    pub fn read(&self, count: usize) -> Step {
        match self.buffered() {
            0 if count > 0 => self.wait_or(Step::Ready(0)),
            here => Step::Ready(here.min(count)),
        }
    }

    /// Everything up to the end (asyncio's `read(-1)`).
    pub fn read_to_end(&self) -> Step {
        self.wait_or(Step::Ready(self.buffered()))
    }

    /// Exactly `count` bytes (asyncio's `readexactly`).
    pub fn readexactly(&self, count: usize) -> Step {
        let here = self.buffered();
        if here >= count {
            Step::Ready(count)
        } else {
            self.wait_or(Step::Incomplete(here))
        }
    }

    /// Everything up to a separator, and that (asyncio's `readuntil`). `search` is new for each
    /// reading and stays the same for its steps.
    pub fn readuntil(&self, separators: &Separators<'_>, search: &mut Search) -> Step {
        let (looked, spent) = {
            let mut buffer = self.buffer.borrow_mut();
            let (bytes, spent) = buffer.contiguous();
            (search.look(separators, bytes, self.limit), spent)
        };
        drop(spent);
        match looked {
            Ok(Some(found)) => Step::Ready(found.end),
            Ok(None) => self.wait_or(Step::Incomplete(self.buffered())),
            Err(overrun) => Step::Overrun(overrun),
        }
    }

    /// Drops what `readline` gives up when it meets a line over the limit: the line, or
    /// everything if its end has not come. Call [`ReaderState::taken`] next.
    pub fn skip_line(&self, overrun: Overrun) {
        let newline = usize::from(overrun.found);
        let count = if overrun.found {
            overrun.consumed + newline
        } else {
            usize::MAX
        };
        self.take(count, |_| {});
    }

    /// The chunk whose bytes are the first `count`, if there is one.
    pub fn take_whole(&self, count: usize) -> Option<B> {
        self.buffer.borrow_mut().take_whole(count)
    }

    /// Takes the first `count` bytes out, as slices one after the other, which `copy` copies. It
    /// must not call back.
    pub fn take(&self, count: usize, copy: impl FnMut(&[u8])) {
        let spent = self.buffer.borrow_mut().take(count, copy);
        drop(spent);
    }

    /// Calls `look` with all bytes, in a row: for tests and reprs. It must not call back.
    pub fn with_bytes<R>(&self, look: impl FnOnce(&[u8]) -> R) -> R {
        let spent = self.buffer.borrow_mut().contiguous().1;
        drop(spent);
        look(self.buffer.borrow().front())
    }

    fn wait_or(&self, at_end: Step) -> Step {
        if self.eof.get() {
            at_end
        } else if self.has_failed() {
            Step::Failed
        } else {
            Step::Wait
        }
    }
}

impl<B, W, E> fmt::Debug for ReaderState<B, W, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReaderState")
            .field("buffered", &self.buffered())
            .field("eof", &self.is_eof())
            .field("limit", &self.limit)
            .field("paused", &self.is_paused())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
