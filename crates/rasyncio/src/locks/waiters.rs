//! Those who wait for a primitive, first come, first served.
//!
//! Everyone holds a ticket, and tickets rise, so one is found by bisection. Who leaves
//! from the middle leaves a gap; gaps are closed when they are most of the queue, which
//! makes leaving O(log n) on average and bounds the memory.
//!
//! Waking and dropping a waker is foreign code, which may come back here. So it happens
//! only while nothing is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::task::Waker;

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

#[derive(Default)]
pub(super) struct Waiters {
    queue: RefCell<VecDeque<(Ticket, Option<Waker>)>>,
    gaps: Cell<usize>,
    next: Cell<u64>,
}

/// So few gaps are not worth closing.
const MIN_GAPS: usize = 16;

impl Waiters {
    pub(super) const fn new() -> Waiters {
        Waiters {
            queue: RefCell::new(VecDeque::new()),
            gaps: Cell::new(0),
            next: Cell::new(0),
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.borrow().len() - self.gaps.get()
    }

    /// Queues up.
    pub(super) fn join(&self, waker: &Waker) -> Ticket {
        let waker = waker.clone();
        let ticket = Ticket(self.next.get());
        self.next.set(ticket.0 + 1);
        self.queue.borrow_mut().push_back((ticket, Some(waker)));
        ticket
    }

    /// Goes on waiting, to be woken through `waker`. False if it was woken.
    pub(super) fn stay(&self, ticket: Ticket, waker: &Waker) -> bool {
        let waker = waker.clone();
        match self.replace(ticket, Some(waker)) {
            Ok(old) => {
                drop(old);
                true
            }
            Err(waker) => {
                drop(waker);
                false
            }
        }
    }

    /// Gives up waiting. Does nothing if it was woken.
    pub(super) fn leave(&self, ticket: Ticket) {
        if let Ok(old) = self.replace(ticket, None) {
            self.gaps.set(self.gaps.get() + 1);
            self.close_gaps();
            drop(old);
        }
    }

    /// Wakes all and empties the queue.
    pub(super) fn wake_all(&self) {
        let queue = self.queue.take();
        self.gaps.set(0);
        for waker in queue.into_iter().filter_map(|(_, waker)| waker) {
            waker.wake();
        }
    }

    /// Gives the new one back if the ticket was woken or has left.
    fn replace(&self, ticket: Ticket, new: Option<Waker>) -> Result<Option<Waker>, Option<Waker>> {
        let mut queue = self.queue.borrow_mut();
        match queue.binary_search_by_key(&ticket, |entry| entry.0) {
            Ok(place) if queue[place].1.is_some() => {
                Ok(std::mem::replace(&mut queue[place].1, new))
            }
            _ => Err(new),
        }
    }

    fn close_gaps(&self) {
        let mut queue = self.queue.borrow_mut();
        if self.gaps.get() >= MIN_GAPS && self.gaps.get() * 2 > queue.len() {
            // Only gaps are dropped, so no waker runs here.
            queue.retain(|entry| entry.1.is_some());
            self.gaps.set(0);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn leaving_the_middle_does_not_let_the_queue_grow() {
        let waiters = Waiters::new();
        let first = waiters.join(Waker::noop());
        for _ in 0..1000 {
            let ticket = waiters.join(Waker::noop());
            waiters.leave(ticket);
        }
        assert_eq!(waiters.len(), 1);
        assert!(waiters.queue.borrow().len() <= 2 * MIN_GAPS);
        assert!(waiters.stay(first, Waker::noop()));
    }

    #[test]
    fn who_was_woken_has_nothing_to_leave() {
        let waiters = Waiters::new();
        let ticket = waiters.join(Waker::noop());
        waiters.wake_all();
        assert!(!waiters.stay(ticket, Waker::noop()));
        waiters.leave(ticket);
        assert_eq!(waiters.len(), 0);
    }
}
