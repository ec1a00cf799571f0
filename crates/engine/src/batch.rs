//! How many events one poll brings.
//!
//! Between an event and the job that uses what was read there is a turn, in which the other events
//! of the poll are read. If that is more than the processor's cache holds, each byte comes from
//! memory twice: with 50 connections that send 100 KiB each it made a request a quarter dearer. So
//! the floor above says how much it reads ([`EventLoop::has_read`]), and a poll brings as many
//! events as are good for [`BYTES`]. What is left over is ready at the next one too.
//!
//! The same holds for the objects of those whom the events are for, and for what the kernel keeps of their
//! sockets: so there are never more than [`MOST`].

use std::cell::Cell;

use crate::event_loop::EventLoop;

/// A poll costs 300 ns, which is little beside as many events.
const MOST: usize = 64;
/// A poll costs 300 ns, which is little beside what eight such events bring.
const LEAST: usize = 8;
/// Half of what a small second-level cache holds.
const BYTES: usize = 512 * 1024;

pub(crate) struct Batch {
    size: Cell<usize>,
    /// How many events the last poll brought.
    came: Cell<usize>,
    /// How many bytes were read since.
    read: Cell<usize>,
}

impl Default for Batch {
    fn default() -> Batch {
        Batch {
            size: Cell::new(MOST),
            came: Cell::new(0),
            read: Cell::new(0),
        }
    }
}

impl Batch {
    /// How many events the next poll is to bring at most.
    pub(crate) fn next(&self) -> usize {
        let (read, came, size) = (self.read.replace(0), self.came.replace(0), self.size.get());
        let next = if came > 0 && read > BYTES {
            (came * BYTES / read).max(LEAST)
        } else if came >= size {
            // There may be more that are ready.
            (size * 2).min(MOST)
        } else {
            size
        };
        self.size.set(next);
        next
    }

    /// The poll has brought so many.
    pub(crate) fn came(&self, count: usize) {
        self.came.set(count);
    }
}

impl EventLoop {
    /// Tells the loop that a job of an event has read so many bytes, which others will use in a
    /// later turn. It does not change what is reported, only how much of it at a time.
    #[inline]
    pub fn has_read(&self, bytes: usize) {
        let read = &self.batch.read;
        read.set(read.get().saturating_add(bytes));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn poll(batch: &Batch, ready: usize, bytes_each: usize) -> usize {
        let came = batch.next().min(ready);
        batch.came(came);
        batch.read.set(came * bytes_each);
        came
    }

    #[test]
    fn as_many_as_are_good_for_the_cache() {
        let batch = Batch::default();
        assert_eq!(poll(&batch, 1000, 100 * 1024), MOST);
        for _ in 0..10 {
            assert!((5..=10).contains(&poll(&batch, 1000, 100 * 1024)));
        }
        // Never fewer than are worth a system call.
        poll(&batch, 1000, 10 * BYTES);
        assert_eq!(poll(&batch, 1000, 10 * BYTES), LEAST);
    }

    #[test]
    fn the_most_when_they_bring_little() {
        let batch = Batch::default();
        poll(&batch, 1000, BYTES);
        assert_eq!(poll(&batch, 1000, 100), LEAST);
        for _ in 0..7 {
            poll(&batch, 1000, 100);
        }
        assert_eq!(poll(&batch, 1000, 100), MOST);
    }
}
