//! Reads that bring as much as the ones before: straight into a `bytes` object of that length.
//!
//! A copy less, and most of all one into memory that the processor has not seen for long: where many
//! connections keep what came, that is what a request costs most of.

use core::ffi::c_int;
use core::ops::Range;
use core::ptr;

use pyo3::ffi;
use rasyncio::transports::stream::{Received, received};
use rasyncio_engine::fetch;

use super::large;
use super::reading::SCRATCH;
use super::socket::Source;
use crate::object::{Ref, Res};

/// What is smaller is copied for less than a wrong guess costs. What is larger costs so much to copy after a
/// wrong guess that asking is cheaper.
const WORTH_IT: Range<usize> = 2 * 1024..large::LARGE;

/// Up to here a `bytes` object is one of the interpreter's own small blocks.
const SMALL: usize = 480;
/// What the allocator puts before a block.
const TAG: usize = 16;
/// That and what a `bytes` object has beside its data.
const HEAD: usize = TAG + 32;

/// What the last reads have brought. All zero: nothing yet, of something that may not be a stream.
#[derive(Clone, Copy, Default)]
pub(crate) struct LastReads {
    size: u32,
    /// Where the last one's `bytes` object was, of which there may be nothing left.
    data: usize,
    /// The one before has brought as much.
    twice: bool,
    /// What a read leaves stays there for the next one. The rest of a datagram would be lost.
    stream: bool,
}

impl LastReads {
    /// Before the first of a socket of that kind, which may be written with the flags for `socket`.
    pub(crate) fn of_socket(kind: c_int) -> Self {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        Self {
            stream: kind & !flags == libc::SOCK_STREAM,
            ..Self::default()
        }
    }

    /// After one more, which has brought `count`.
    #[inline]
    pub(crate) fn and(self, count: usize, data: &Ref) -> Self {
        let size = count as u32; // at most MAX_RECEIVE
        Self {
            size,
            data: data.ptr() as usize,
            twice: size == self.size,
            ..self
        }
    }

    /// A program mostly lets go of what it got when it gets more. The allocator then looks at both ends of
    /// the block and at the end of the next one, which is as long where all get as much. So these are
    /// fetched, while the system copies.
    #[inline]
    pub(super) fn fetch_last(self) {
        let size = self.size as usize;
        if size <= SMALL {
            return;
        }
        let block = size + HEAD;
        let first = (self.data as *const u8).wrapping_sub(TAG);
        for at in [0, TAG, block, 2 * block] {
            fetch::<1>(first.wrapping_add(at).cast());
        }
    }

    /// The same of something else that may be no stream.
    #[inline]
    pub(crate) fn of_anything(self) -> Self {
        Self {
            stream: false,
            ..self
        }
    }

    /// Whether the next one may bring so much that asking is worth it.
    #[inline]
    pub(super) fn are_large(self) -> bool {
        self.size as usize >= large::LARGE
    }

    /// How much the next one will likely bring.
    #[inline]
    pub(super) fn expected(self) -> Option<usize> {
        let size = self.size as usize;
        (self.stream && self.twice && WORTH_IT.contains(&size)).then_some(size)
    }
}

/// One `recv` for which `size` bytes are expected, and its data. `size` is no more than `most`.
pub(super) unsafe fn receive(
    from: impl Source,
    size: usize,
    most: usize,
) -> Res<(Received, Option<Ref>)> {
    debug_assert!(size <= most);
    large::prepare_allocator();
    // SAFETY: a fresh bytes object, which nobody else sees before it has its final size. Behind its
    // data there is room for the zero that each ends with; so one byte more fits than is expected,
    // and tells that there is more.
    unsafe {
        let (data, start) = large::uninitialised(size)?;
        let got = received(from.receive(start, most.min(size + 1)));
        match got {
            Received::Data(count) if count == size => Ok((got, Some(data))),
            Received::Data(count) if count < size => Ok((got, Some(large::cut(data, count)?))),
            Received::Data(count) => with_rest(from, &data, count, most),
            other => Ok((other, None)),
        }
    }
}

/// `count` bytes of the object's memory, and what else waits, `most` bytes together at most: one read
/// brings all that there is, as if nothing had been expected.
#[cold]
unsafe fn with_rest(
    from: impl Source,
    data: &Ref,
    count: usize,
    most: usize,
) -> Res<(Received, Option<Ref>)> {
    // SAFETY: the object's memory has so many bytes, says the caller, and the fresh one as many as
    // are written.
    unsafe {
        let start = SCRATCH.start();
        let room = large::count(from).min(most - count);
        // What waits can be received, so that no error is lost here.
        let rest = match room {
            0 => 0,
            _ => from.receive(start, room).unwrap_or(0),
        };
        let (whole, to) = large::uninitialised(count + rest)?;
        ptr::copy_nonoverlapping(ffi::PyBytes_AS_STRING(data.ptr()).cast(), to, count);
        ptr::copy_nonoverlapping(start, to.add(count), rest);
        Ok((Received::Data(count + rest), Some(whole)))
    }
}
