//! Bytes that wait to be read: they come in as chunks and go out by length.

use std::collections::VecDeque;
use std::fmt;

/// A chunk shorter than this is copied behind the one before, so that a peer which sends byte by
/// byte does not cost an object for each.
const SMALL: usize = 4096;

/// A queue of bytes. A chunk that is read whole goes out as it came, without a copy.
///
/// Anything else is copied once, to where it goes; with separators to be looked for, twice at
/// most. A chunk `B` is any owner of bytes which stay what they are. None is dropped in here, since
/// dropping one may run anything: they are handed out.
///
/// ```
/// use rasyncio::streams::buffer::ReadBuffer;
///
/// let mut buffer = ReadBuffer::new();
/// drop(buffer.push(b"hello".to_vec()));
/// assert_eq!(buffer.take_whole(5), Some(b"hello".to_vec()));
///
/// drop(buffer.push(b"hello".to_vec()));
/// drop(buffer.push(b" world".to_vec()));
/// let mut front = Vec::new();
/// drop(buffer.take(7, |bytes| front.extend_from_slice(bytes)));
/// assert_eq!(front, b"hello w");
/// assert_eq!(buffer.len(), 4);
/// ```
pub struct ReadBuffer<B> {
    /// Mostly the only one. It is in here, so that it costs no memory elsewhere.
    first: Option<Piece<B>>,
    /// Those behind it. None without it.
    others: VecDeque<Piece<B>>,
    /// How much of the first piece is gone. Less than it is long.
    gone: usize,
    len: usize,
}

enum Piece<B> {
    Given(B),
    Own(Vec<u8>),
}

impl<B: AsRef<[u8]>> Piece<B> {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Given(chunk) => chunk.as_ref(),
            Piece::Own(bytes) => bytes,
        }
    }
}

/// Chunks that are done with, to be dropped where nothing is borrowed.
#[must_use = "they are dropped here, unless they are moved out of the borrow"]
pub struct Spent<B> {
    first: Option<B>,
    rest: Vec<B>,
}

impl<B> Spent<B> {
    fn none() -> Spent<B> {
        Spent {
            first: None,
            rest: Vec::new(),
        }
    }

    fn put(&mut self, piece: Piece<B>) {
        match piece {
            Piece::Own(_) => {}
            Piece::Given(chunk) if self.first.is_none() => self.first = Some(chunk),
            Piece::Given(chunk) => self.rest.push(chunk),
        }
    }
}

impl<B> ReadBuffer<B> {
    /// An empty one.
    pub const fn new() -> ReadBuffer<B> {
        ReadBuffer {
            first: None,
            others: VecDeque::new(),
            gone: 0,
            len: 0,
        }
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The chunks that are still as they came. For a collector.
    pub fn chunks(&self) -> impl Iterator<Item = &B> {
        self.pieces().filter_map(|piece| match piece {
            Piece::Given(chunk) => Some(chunk),
            Piece::Own(_) => None,
        })
    }

    fn pieces(&self) -> impl Iterator<Item = &Piece<B>> {
        self.first.iter().chain(&self.others)
    }

    #[inline]
    fn pop_front(&mut self) -> Option<Piece<B>> {
        debug_assert!(self.first.is_some() || self.others.is_empty());
        let first = self.first.take();
        if !self.others.is_empty() {
            self.first = self.others.pop_front();
        }
        first
    }

    #[inline]
    fn push_back(&mut self, piece: Piece<B>) {
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.others.push_back(piece);
        }
    }
}

impl<B: AsRef<[u8]>> ReadBuffer<B> {
    /// Puts a chunk at the end. It comes back if its bytes were copied.
    pub fn push(&mut self, chunk: B) -> Spent<B> {
        let mut spent = Spent::none();
        let bytes = chunk.as_ref();
        self.len += bytes.len();
        if bytes.is_empty() {
            spent.first = Some(chunk);
            return spent;
        }
        if bytes.len() >= SMALL || self.first.is_none() {
            self.push_back(Piece::Given(chunk));
            return spent;
        }
        // Into the last piece if that is ours, however long: a vector grows by doubling.
        if let Some(Piece::Own(last)) = self.others.back_mut().or(self.first.as_mut()) {
            last.extend_from_slice(bytes);
        } else {
            self.push_back(Piece::Own(bytes.to_vec()));
        }
        spent.first = Some(chunk);
        spent
    }

    /// The chunk whose bytes are the first `count`, if there is one.
    pub fn take_whole(&mut self, count: usize) -> Option<B> {
        let Some(Piece::Given(first)) = &self.first else {
            return None;
        };
        if self.gone > 0 || first.as_ref().len() != count {
            return None;
        }
        match self.pop_front() {
            Some(Piece::Given(chunk)) => {
                self.len -= count;
                Some(chunk)
            }
            _ => None,
        }
    }

    /// Takes the first `count` bytes out, as slices, one after the other, which `copy` copies.
    /// More than there are is all.
    pub fn take(&mut self, count: usize, mut copy: impl FnMut(&[u8])) -> Spent<B> {
        let mut left = count.min(self.len);
        self.len -= left;
        let mut spent = Spent::none();
        while let Some(piece) = &self.first {
            let bytes = &piece.bytes()[self.gone..];
            if bytes.len() > left {
                if left > 0 {
                    copy(&bytes[..left]);
                    self.gone += left;
                }
                break;
            }
            left -= bytes.len();
            copy(bytes);
            self.gone = 0;
            if let Some(piece) = self.pop_front() {
                spent.put(piece);
            }
        }
        self.compact();
        spent
    }

    /// Drops everything.
    pub fn clear(&mut self) -> Spent<B> {
        self.take(usize::MAX, |_| {})
    }

    /// All bytes in a row, for looking through. Copies what is in several pieces into one, each
    /// byte once however often this is called meanwhile.
    pub fn contiguous(&mut self) -> (&[u8], Spent<B>) {
        let mut spent = Spent::none();
        if !self.others.is_empty() {
            let mut all = match self.pop_front() {
                Some(Piece::Own(bytes)) => bytes,
                Some(piece) => {
                    let mut bytes = Vec::with_capacity(self.len);
                    bytes.extend_from_slice(&piece.bytes()[self.gone..]);
                    self.gone = 0;
                    spent.put(piece);
                    bytes
                }
                None => Vec::new(),
            };
            while let Some(piece) = self.pop_front() {
                all.extend_from_slice(piece.bytes());
                spent.put(piece);
            }
            self.first = Some(Piece::Own(all));
        }
        let bytes = match &self.first {
            Some(piece) => &piece.bytes()[self.gone..],
            None => &[],
        };
        (bytes, spent)
    }

    /// The bytes that lie in a row at the front: all, after [`ReadBuffer::contiguous`].
    pub fn front(&self) -> &[u8] {
        match &self.first {
            Some(piece) => &piece.bytes()[self.gone..],
            None => &[],
        }
    }

    /// Closes the gap at the front of a piece of ours once it is most of it, so that a buffer which
    /// is never quite empty does not grow. What is moved is less than what was read since.
    fn compact(&mut self) {
        if self.gone >= SMALL
            && let Some(Piece::Own(bytes)) = &mut self.first
            && self.gone > bytes.len() / 2
        {
            bytes.drain(..self.gone);
            self.gone = 0;
        }
    }
}

impl<B> Default for ReadBuffer<B> {
    fn default() -> ReadBuffer<B> {
        ReadBuffer::new()
    }
}

impl<B> fmt::Debug for ReadBuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuffer")
            .field("bytes", &self.len)
            .field("pieces", &self.pieces().count())
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

    fn take(buffer: &mut ReadBuffer<Vec<u8>>, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        drop(buffer.take(count, |slice| bytes.extend_from_slice(slice)));
        bytes
    }

    #[test]
    fn a_chunk_read_whole_is_the_same_chunk() {
        let mut buffer = ReadBuffer::new();
        let chunk = vec![7; 10_000];
        let place = chunk.as_ptr();
        drop(buffer.push(chunk));
        drop(buffer.push(vec![8; 10_000]));
        assert_eq!(buffer.take_whole(10_001), None);
        let whole = buffer.take_whole(10_000).unwrap();
        assert_eq!(whole.as_ptr(), place);
        assert_eq!(take(&mut buffer, 1), [8]);
        assert_eq!(buffer.take_whole(9_999), None, "it is not whole any more");
        assert_eq!(buffer.len(), 9_999);
    }

    #[test]
    fn byte_by_byte_makes_few_pieces() {
        let mut buffer = ReadBuffer::new();
        for _ in 0..100_000 {
            drop(buffer.push(vec![1]));
        }
        assert_eq!(buffer.len(), 100_000);
        assert!(buffer.pieces().count() <= 2);
    }

    #[test]
    fn a_buffer_that_is_never_empty_does_not_grow() {
        let mut buffer = ReadBuffer::new();
        drop(buffer.push(vec![0; 2]));
        for _ in 0..100_000 {
            drop(buffer.push(vec![0; 10]));
            let _ = buffer.contiguous();
            take(&mut buffer, 10);
        }
        assert_eq!(buffer.len(), 2);
        let held: usize = buffer.pieces().map(|piece| piece.bytes().len()).sum();
        assert!(held < 4 * SMALL, "{held}");
    }

    #[test]
    fn chunks_are_handed_out_and_not_dropped() {
        let chunk = std::rc::Rc::<[u8]>::from(vec![1; SMALL]);
        let mut buffer = ReadBuffer::new();
        for _ in 0..3 {
            drop(buffer.push(chunk.clone()));
        }
        let spent = buffer.contiguous().1;
        assert_eq!(std::rc::Rc::strong_count(&chunk), 4);
        drop(spent);
        assert_eq!(std::rc::Rc::strong_count(&chunk), 1);
        assert_eq!(buffer.chunks().count(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Take(usize),
        Whole(usize),
        Contiguous,
    }

    fn step() -> impl Strategy<Value = Step> {
        let length = prop_oneof![0usize..20, SMALL - 2..SMALL + 2, 0..3 * SMALL].boxed();
        prop_oneof![
            length.clone().prop_map(Step::Push),
            length.clone().prop_map(Step::Take),
            length.prop_map(Step::Whole),
            Just(Step::Contiguous),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_queue_of_bytes(steps in prop::collection::vec(step(), 0..80)) {
            let mut buffer = ReadBuffer::new();
            let mut model = Vec::new();
            let mut next = 0u8;
            for step in steps {
                match step {
                    Step::Push(count) => {
                        let bytes: Vec<_> = (0..count)
                            .map(|_| { next = next.wrapping_mul(31).wrapping_add(7); next })
                            .collect();
                        model.extend_from_slice(&bytes);
                        drop(buffer.push(bytes));
                    }
                    Step::Take(count) => {
                        let expected: Vec<_> = model.drain(..count.min(model.len())).collect();
                        prop_assert_eq!(take(&mut buffer, count), expected);
                    }
                    Step::Whole(count) => {
                        // The length of the first piece, so that it happens.
                        let count = buffer.first.as_ref().map_or(count, |it| it.bytes().len());
                        if let Some(bytes) = buffer.take_whole(count) {
                            let expected: Vec<_> = model.drain(..count).collect();
                            prop_assert_eq!(bytes, expected);
                        }
                    }
                    Step::Contiguous => {
                        prop_assert_eq!(buffer.contiguous().0, &model[..]);
                        prop_assert_eq!(buffer.front(), &model[..]);
                    }
                }
                prop_assert_eq!(buffer.len(), model.len());
                prop_assert_eq!(buffer.is_empty(), model.is_empty());
            }
        }
    }
}
