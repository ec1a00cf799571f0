//! Bytes that wait to be written, as the chunks in which they came.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

/// How many slices one call writes at most: Linux's `IOV_MAX`, and asyncio's `SC_IOV_MAX`.
pub const MAX_SLICES: usize = 1024;

/// So many slices are gathered on the stack.
const FEW: usize = 16;

/// A chunk shorter than this is rather copied to the end of the last one, where that is ours.
const SMALL: usize = 4096;

/// A queue of chunks, of which the first may be gone in part.
///
/// A chunk is any owner of bytes: a `Vec<u8>`, or a Python object. Its bytes stay where they
/// are and as many as they are while it is here. No chunk is dropped in here, since dropping one
/// may run anything: those that are done with are handed out.
///
/// ```
/// use std::io::IoSlice;
/// use rasyncio::transports::chunks::Chunks;
///
/// let mut chunks = Chunks::new();
/// chunks.push("hello, ");
/// chunks.push("world");
/// assert_eq!(chunks.len(), 12);
/// drop(chunks.advance(9));
/// chunks.with_slices(|slices| {
///     assert_eq!(slices.len(), 1);
///     assert_eq!(&*slices[0], b"rld");
/// });
/// ```
pub struct Chunks<B> {
    queue: VecDeque<B>,
    /// How much of the first chunk is gone. Less than it is long, unless that is nothing.
    gone: usize,
    len: usize,
}

/// Chunks that are done with, to be dropped where nothing is borrowed.
///
/// Mostly it is one, which needs no allocation.
#[must_use = "they are dropped here, unless they are moved out of the borrow"]
pub struct Spent<B> {
    first: Option<B>,
    rest: Vec<B>,
}

impl<B> Chunks<B> {
    /// None yet.
    pub const fn new() -> Chunks<B> {
        Chunks {
            queue: VecDeque::new(),
            gone: 0,
            len: 0,
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many chunks there are.
    pub fn count(&self) -> usize {
        self.queue.len()
    }

    /// The chunks, the first whole even if it is gone in part. For a collector.
    pub fn iter(&self) -> impl Iterator<Item = &B> {
        self.queue.iter()
    }

    /// Takes everything out.
    #[must_use = "the chunks are dropped here, unless they are moved out of the borrow"]
    pub fn take(&mut self) -> VecDeque<B> {
        self.gone = 0;
        self.len = 0;
        std::mem::take(&mut self.queue)
    }
}

impl<B: AsRef<[u8]>> Chunks<B> {
    /// Puts a chunk at the end.
    pub fn push(&mut self, chunk: B) {
        self.len += chunk.as_ref().len();
        self.queue.push_back(chunk);
    }

    /// Calls `write` with as many bytes from the front as one call of `writev` takes.
    pub fn with_slices<R>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let mut few = [IoSlice::new(&[]); FEW];
        if self.queue.len() <= FEW {
            let mut count = 0;
            for slice in self.slices() {
                few[count] = slice;
                count += 1;
            }
            write(&few[..count])
        } else {
            let many: Vec<_> = self.slices().take(MAX_SLICES).collect();
            write(&many)
        }
    }

    fn slices(&self) -> impl Iterator<Item = IoSlice<'_>> {
        self.queue.iter().enumerate().map(|(place, chunk)| {
            let gone = if place == 0 { self.gone } else { 0 };
            IoSlice::new(&chunk.as_ref()[gone..])
        })
    }

    /// Takes `count` bytes from the front; they have been written. More than there are is all.
    pub fn advance(&mut self, count: usize) -> Spent<B> {
        let mut left = count.min(self.len);
        self.len -= left;
        let mut spent = Spent {
            first: None,
            rest: Vec::new(),
        };
        while let Some(chunk) = self.queue.front() {
            let here = chunk.as_ref().len() - self.gone;
            if here > left {
                self.gone += left;
                break;
            }
            left -= here;
            self.gone = 0;
            spent.push(self.queue.pop_front());
        }
        spent
    }
}

impl Chunks<Vec<u8>> {
    /// Puts a copy of `data` at the end, so that many small writes make few chunks.
    pub fn extend(&mut self, data: &[u8]) {
        if let Some(last) = self.queue.back_mut()
            && (data.len() < SMALL && last.len() < SMALL
                || data.len() <= last.capacity() - last.len())
        {
            last.extend_from_slice(data);
            self.len += data.len();
        } else {
            self.push(data.to_vec());
        }
    }
}

impl<B> Spent<B> {
    fn push(&mut self, chunk: Option<B>) {
        if self.first.is_none() {
            self.first = chunk;
        } else {
            self.rest.extend(chunk);
        }
    }
}

impl<B> Default for Chunks<B> {
    fn default() -> Chunks<B> {
        Chunks::new()
    }
}

impl<B> fmt::Debug for Chunks<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("bytes", &self.len)
            .field("chunks", &self.queue.len())
            .finish()
    }
}

impl<B> fmt::Debug for Spent<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = usize::from(self.first.is_some()) + self.rest.len();
        f.debug_struct("Spent").field("chunks", &count).finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What one call would write.
    fn front<B: AsRef<[u8]>>(chunks: &Chunks<B>) -> Vec<u8> {
        chunks.with_slices(|slices| slices.iter().flat_map(|slice| slice.to_vec()).collect())
    }

    #[test]
    fn one_call_gets_as_many_slices_as_the_system_takes() {
        let mut chunks = Chunks::new();
        for _ in 0..MAX_SLICES + 10 {
            chunks.push("x");
        }
        chunks.with_slices(|slices| assert_eq!(slices.len(), MAX_SLICES));
        drop(chunks.advance(MAX_SLICES));
        chunks.with_slices(|slices| assert_eq!(slices.len(), 10));
    }

    #[test]
    fn empty_chunks_do_no_harm() {
        let mut chunks = Chunks::new();
        chunks.push("");
        assert!(chunks.is_empty());
        chunks.push("a");
        chunks.push("");
        drop(chunks.advance(1));
        assert_eq!(chunks.iter().count(), 0);
    }

    #[test]
    fn small_copies_share_a_chunk() {
        let mut chunks = Chunks::new();
        for _ in 0..1000 {
            chunks.extend(b"0123456789");
        }
        assert_eq!(chunks.len(), 10_000);
        assert!(chunks.iter().count() <= 3);
    }

    #[test]
    fn what_is_spent_is_handed_out_and_not_dropped() {
        let chunk = std::rc::Rc::<[u8]>::from(&b"abc"[..]);
        let mut chunks = Chunks::new();
        chunks.push(chunk.clone());
        chunks.push(chunk.clone());
        let spent = chunks.advance(6);
        assert_eq!(std::rc::Rc::strong_count(&chunk), 3);
        drop(spent);
        assert_eq!(std::rc::Rc::strong_count(&chunk), 1);
    }

    proptest! {
        #[test]
        fn it_is_a_queue_of_bytes(steps in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..50).prop_map(|bytes| (Some(bytes), 0, false)),
                prop::collection::vec(any::<u8>(), 0..50).prop_map(|bytes| (Some(bytes), 0, true)),
                (0usize..120).prop_map(|count| (None, count, false)),
            ],
            0..60,
        )) {
            let mut chunks = Chunks::new();
            let mut model = Vec::new();
            for (bytes, count, copied) in steps {
                match bytes {
                    Some(bytes) if copied => {
                        model.extend_from_slice(&bytes);
                        chunks.extend(&bytes);
                    }
                    Some(bytes) => {
                        model.extend_from_slice(&bytes);
                        chunks.push(bytes);
                    }
                    None => {
                        drop(chunks.advance(count));
                        model.drain(..count.min(model.len()));
                    }
                }
                prop_assert_eq!(chunks.len(), model.len());
                prop_assert_eq!(&front(&chunks), &model);
            }
        }
    }
}
