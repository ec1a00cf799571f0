//! The order of deadlines.
//!
//! Most programs make timers with deadlines that hardly ever go back: the same few timeouts, again and
//! again. So there is a *line*, in which a deadline that is later than all others in it comes last, at
//! no cost; and a heap for the rest. A late deadline that stands in the way of earlier ones moves to
//! the heap.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// By deadline, and then by sequence number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) when: u64,
    pub(super) sequence: u64,
    pub(super) key: u64,
}

impl Entry {
    #[inline]
    fn rank(&self) -> (u64, u64) {
        (self.when, self.sequence)
    }
}

impl Ord for Entry {
    /// Upside down: `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Entry) -> Ordering {
        other.rank().cmp(&self.rank())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Default)]
pub(super) struct Queue {
    /// Ascending.
    line: VecDeque<Entry>,
    heap: BinaryHeap<Entry>,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.line.len() + self.heap.len()
    }

    /// Adds an entry, whose sequence number is higher than all that came before.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        match self.line.back() {
            Some(last) if last.when > entry.when => self.push_earlier(entry),
            _ => self.line.push_back(entry),
        }
    }

    /// Adds an entry that is earlier than the last of the line.
    fn push_earlier(&mut self, entry: Entry) {
        let before_last = self
            .line
            .len()
            .checked_sub(2)
            .map(|index| &self.line[index]);
        if before_last.is_some_and(|it| it.when > entry.when) {
            return self.heap.push(entry);
        }
        if let Some(last) = self.line.back_mut() {
            let late = std::mem::replace(last, entry);
            self.heap.push(late);
        }
    }

    /// The earliest entry.
    #[inline]
    pub(super) fn peek(&self) -> Option<&Entry> {
        match (self.line.front(), self.heap.peek()) {
            (Some(first), Some(top)) if top.rank() < first.rank() => Some(top),
            (None, top) => top,
            (first, _) => first,
        }
    }

    /// Takes the earliest entry out.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<Entry> {
        match (self.line.front(), self.heap.peek()) {
            (Some(first), Some(top)) if top.rank() < first.rank() => self.heap.pop(),
            (None, _) => self.heap.pop(),
            _ => self.line.pop_front(),
        }
    }

    /// Takes an entry out, if it is the last of the line: one that was made just now.
    #[inline]
    pub(super) fn pop_last(&mut self, key: u64) {
        if self.line.back().is_some_and(|last| last.key == key) {
            self.line.pop_back();
        }
    }

    /// Takes out what `keep` denies, and gives memory back that is much more than needed.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        self.line.retain(&mut keep);
        self.line.shrink_to(self.line.len() * 2);
        self.heap.retain(keep);
        self.heap.shrink_to(self.heap.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn push_all(deadlines: &[u64]) -> Queue {
        let mut queue = Queue::default();
        for (sequence, &when) in (1..).zip(deadlines) {
            queue.push(Entry {
                when,
                sequence,
                key: sequence,
            });
        }
        queue
    }

    #[test]
    fn deadlines_that_grow_and_few_that_are_late_stay_in_line() {
        let queue = push_all(&[1, 2, 1000, 3, 1000, 4, 5, 5]);
        let line: Vec<_> = queue.line.iter().map(|entry| entry.when).collect();
        assert_eq!(line, [1, 2, 3, 4, 5, 5]);
        assert_eq!(queue.heap.len(), 2);
    }

    proptest! {
        #[test]
        fn all_come_out_in_order(deadlines in prop::collection::vec(0u64..50, 0..200), dead in 0u64..50) {
            let mut queue = push_all(&deadlines);
            queue.retain(|entry| entry.when != dead);
            let mut expected: Vec<_> = (1..).zip(deadlines).map(|(sequence, when)| (when, sequence)).collect();
            expected.retain(|entry| entry.0 != dead);
            expected.sort_unstable();
            prop_assert_eq!(queue.len(), expected.len());
            for rank in expected {
                prop_assert_eq!(queue.peek().map(Entry::rank), Some(rank));
                prop_assert_eq!(queue.pop().map(|entry| entry.rank()), Some(rank));
            }
            prop_assert!(queue.pop().is_none());
        }
    }
}
