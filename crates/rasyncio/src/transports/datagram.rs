//! Datagrams: what waits to be sent, as whole datagrams.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;

use super::flow::{Flow, LimitsError};
use super::stream::{Closing, Drained, WRITES_BEFORE_WARNING, Written, is_blocked};

/// The longest datagram that is received whole (asyncio's `max_size`), in bytes.
pub const MAX_DATAGRAM: usize = 256 * 1024;

/// What a waiting datagram counts for beyond its bytes, so that many empty ones fill a buffer too
/// (asyncio's `_header_size`).
pub const HEADER_SIZE: usize = 8;

/// The state of a datagram socket. `B` owns the bytes of a datagram, `A` is where it goes, if that
/// is not where the socket is connected to.
///
/// ```
/// use std::io::{self, ErrorKind};
/// use rasyncio::transports::datagram::DatagramState;
/// use rasyncio::transports::stream::Written;
///
/// let state = DatagramState::new();
/// let full = || Err(ErrorKind::WouldBlock.into());
/// let written = state.sendto(full, || ("hello", 7));
/// assert!(matches!(written, Written::Queued { watch: true, pause: false }));
/// let mut sent = Vec::new();
/// state.flush(|data, address| { sent.push((data.to_vec(), *address)); Ok(data.len()) })?;
/// assert_eq!(sent, [(b"hello".to_vec(), 7)]);
/// # Ok::<_, io::Error>(())
/// ```
pub struct DatagramState<B, A> {
    /// Borrowed for queue operations only.
    queue: RefCell<VecDeque<(B, A)>>,
    size: Cell<usize>,
    /// What each datagram counts for beyond its bytes.
    header: usize,
    flow: Flow,
    closing: Cell<bool>,
    paused: Cell<bool>,
    lost: Cell<u32>,
}

impl<B, A> DatagramState<B, A> {
    /// An open socket on which nothing waits.
    pub const fn new() -> DatagramState<B, A> {
        DatagramState::with_header(HEADER_SIZE)
    }

    /// The same, where each datagram that waits counts for `header` bytes more than it has.
    pub const fn with_header(header: usize) -> DatagramState<B, A> {
        DatagramState {
            queue: RefCell::new(VecDeque::new()),
            size: Cell::new(0),
            header,
            flow: Flow::new(),
            closing: Cell::new(false),
            paused: Cell::new(false),
            lost: Cell::new(0),
        }
    }

    /// Whether the socket is closing or closed.
    pub fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Whether `connection_lost` is scheduled, or was called.
    pub fn is_lost(&self) -> bool {
        self.lost.get() > 0
    }

    /// Whether the protocol is to get datagrams (asyncio's `is_reading`): not paused, not closing.
    pub fn is_reading(&self) -> bool {
        !self.closing.get() && !self.paused.get()
    }

    /// Stops reading (asyncio's `pause_reading`). True: stop watching for readability.
    #[must_use]
    pub fn pause_reading(&self) -> bool {
        self.is_reading() && !self.paused.replace(true)
    }

    /// Reads on (asyncio's `resume_reading`). True: watch for readability.
    #[must_use]
    pub fn resume_reading(&self) -> bool {
        !self.closing.get() && self.paused.replace(false)
    }

    /// Whether the protocol was told to pause writing, and not yet to resume.
    pub fn is_writing_paused(&self) -> bool {
        self.flow.is_paused()
    }

    /// What each datagram counts for beyond its bytes.
    pub fn header(&self) -> usize {
        self.header
    }

    /// Whether datagrams wait.
    pub fn wants_write(&self) -> bool {
        !self.is_lost() && !self.queue.borrow().is_empty()
    }

    /// How many bytes wait (asyncio's `get_write_buffer_size`), headers included.
    pub fn buffered(&self) -> usize {
        self.size.get()
    }

    /// The water marks, the low one first.
    pub fn limits(&self) -> (usize, usize) {
        self.flow.limits()
    }

    /// Sets the water marks. True: tell the protocol to pause writing.
    ///
    /// # Errors
    ///
    /// As [`Flow::set_limits`].
    pub fn set_limits(&self, high: Option<i64>, low: Option<i64>) -> Result<bool, LimitsError> {
        self.flow.set_limits(high, low)?;
        Ok(self.flow.grown(self.buffered()))
    }

    /// Closes the socket, after what waits was sent (asyncio's `close`).
    pub fn close(&self) -> Closing {
        if self.closing.replace(true) {
            Closing::Already
        } else if self.queue.borrow().is_empty() {
            self.lost.set(self.lost.get() + 1);
            Closing::Now
        } else {
            Closing::Flushing
        }
    }

    /// Closes the socket now, and drops what waits. True: schedule `connection_lost`.
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
        self.size.set(0);
        let queue = self.queue.take();
        drop(queue);
    }

    /// Notes a datagram for a connection that is lost.
    pub fn write_lost(&self) -> Written {
        let before = self.lost.get();
        self.lost.set(before.saturating_add(1));
        Written::Lost {
            warn: before >= WRITES_BEFORE_WARNING,
        }
    }

    /// Shows what waits: for a garbage collector's traversal. `visit` must not call back.
    pub fn for_each(&self, mut visit: impl FnMut(&B, &A)) {
        for (data, address) in &*self.queue.borrow() {
            visit(data, address);
        }
    }

    /// Some datagrams were sent. True: tell the protocol to resume writing.
    #[must_use]
    pub fn resumes(&self) -> bool {
        self.flow.shrunk(self.buffered())
    }

    /// What there is to do after a flush, as after that of a stream.
    pub fn drained(&self) -> Drained {
        if !self.queue.borrow().is_empty() {
            Drained::NotYet
        } else if self.closing.get() && !self.is_lost() {
            self.lost.set(1);
            Drained::Closed
        } else {
            Drained::Idle
        }
    }
}

impl<B: AsRef<[u8]>, A> DatagramState<B, A> {
    /// Sends a datagram (asyncio's `sendto`): at once, by `send`, if none waits; otherwise `keep`
    /// makes what is kept. [`Written::Failed`] is for the protocol's `error_received`, and not
    /// fatal. Once the connection is lost, nothing is kept.
    pub fn sendto(
        &self,
        send: impl FnOnce() -> io::Result<usize>,
        keep: impl FnOnce() -> (B, A),
    ) -> Written {
        let watch = self.queue.borrow().is_empty();
        if watch {
            match send() {
                Ok(_) => return Written::Sent,
                Err(error) if is_blocked(&error) => {}
                Err(error) => return Written::Failed(error),
            }
        }
        if self.is_lost() {
            return Written::Lost { warn: false };
        }
        let kept = keep();
        self.size.set(self.size.get() + self.weight(&kept.0));
        self.queue.borrow_mut().push_back(kept);
        Written::Queued {
            watch,
            pause: self.flow.grown(self.buffered()),
        }
    }

    /// The descriptor is writable: sends what waits, until it would block. Ask
    /// [`DatagramState::resumes`] and [`DatagramState::drained`] next.
    ///
    /// # Errors
    ///
    /// What one datagram could not be sent for; it is gone. For the protocol's `error_received`, and
    /// not fatal.
    pub fn flush(&self, mut send: impl FnMut(&[u8], &A) -> io::Result<usize>) -> io::Result<()> {
        while let Some(first) = self.pop() {
            match send(first.0.as_ref(), &first.1) {
                Ok(_) => {}
                Err(error) if is_blocked(&error) => {
                    self.size.set(self.size.get() + self.weight(&first.0));
                    self.queue.borrow_mut().push_front(first);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn pop(&self) -> Option<(B, A)> {
        let first = self.queue.borrow_mut().pop_front()?;
        self.size.set(self.size.get() - self.weight(&first.0));
        Some(first)
    }

    fn weight(&self, data: &B) -> usize {
        data.as_ref().len() + self.header
    }
}

impl<B, A> Default for DatagramState<B, A> {
    fn default() -> DatagramState<B, A> {
        DatagramState::new()
    }
}

impl<B, A> fmt::Debug for DatagramState<B, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramState")
            .field("closing", &self.is_closing())
            .field("lost", &self.is_lost())
            .field("buffered", &self.buffered())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    fn full() -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    #[test]
    fn datagrams_wait_whole_and_in_order() {
        let state = DatagramState::new();
        for n in 0..3u8 {
            let written = state.sendto(full, || (vec![n; 10], n));
            assert!(matches!(written, Written::Queued { watch, .. } if watch == (n == 0)));
        }
        assert_eq!(state.buffered(), 3 * (10 + HEADER_SIZE));
        let mut room = 2;
        let mut sent = Vec::new();
        let flushed = state.flush(|data, address| {
            if room == 0 {
                return full();
            }
            room -= 1;
            sent.push((data[0], *address));
            Ok(data.len())
        });
        assert!(flushed.is_ok());
        assert_eq!(sent, [(0, 0), (1, 1)]);
        assert_eq!(state.buffered(), 10 + HEADER_SIZE);
        assert!(matches!(state.drained(), Drained::NotYet));
    }

    #[test]
    fn one_that_cannot_be_sent_does_not_hold_up_the_others() {
        let state = DatagramState::new();
        for n in 0..2u8 {
            let _ = state.sendto(full, || (vec![n], ()));
        }
        assert!(
            state
                .flush(|_, ()| Err(ErrorKind::PermissionDenied.into()))
                .is_err()
        );
        assert!(
            state
                .flush(|data, ()| {
                    assert_eq!(data, [1]);
                    Ok(1)
                })
                .is_ok()
        );
        assert!(matches!(state.drained(), Drained::Idle));
        assert_eq!(state.buffered(), 0);
    }

    #[test]
    fn empty_datagrams_fill_the_buffer_too() {
        let state = DatagramState::new();
        assert!(!state.set_limits(Some(20), None).unwrap());
        let pauses: Vec<_> = (0..4)
            .map(|_| {
                matches!(
                    state.sendto(full, || (vec![], ())),
                    Written::Queued { pause: true, .. }
                )
            })
            .collect();
        assert_eq!(pauses, [false, false, true, false]);
        assert!(state.flush(|_, ()| Ok(0)).is_ok());
        assert!(state.resumes());
    }

    #[test]
    fn a_version_without_headers_counts_bytes_alone() {
        let state = DatagramState::with_header(0);
        for data in [vec![1, 2], vec![]] {
            let _ = state.sendto(full, || (data, ()));
        }
        assert_eq!(state.buffered(), 2);
    }

    #[test]
    fn reading_stops_while_it_is_paused_and_for_good_at_the_close() {
        let state = DatagramState::<Vec<u8>, ()>::new();
        assert!(state.pause_reading() && !state.pause_reading());
        assert!(!state.is_reading());
        assert!(state.resume_reading() && !state.resume_reading());
        assert!(state.pause_reading());
        assert_eq!(state.close(), Closing::Now);
        assert!(!state.resume_reading() && !state.is_reading());
    }

    #[test]
    fn a_lost_connection_still_sends_and_keeps_nothing() {
        let state = DatagramState::new();
        assert!(state.abort());
        assert!(matches!(
            state.sendto(|| Ok(1), || (vec![1], ())),
            Written::Sent
        ));
        assert!(matches!(
            state.sendto(full, || (vec![1], ())),
            Written::Lost { warn: false }
        ));
        assert_eq!(state.buffered(), 0);
    }

    #[test]
    fn closing_sends_what_waits_first() {
        let state = DatagramState::new();
        let _ = state.sendto(full, || (vec![1], ()));
        assert_eq!(state.close(), Closing::Flushing);
        assert!(state.flush(|_, ()| Ok(1)).is_ok());
        assert!(matches!(state.drained(), Drained::Closed));
        assert!(!state.abort());
    }
}
