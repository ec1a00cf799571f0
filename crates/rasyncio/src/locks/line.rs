//! Those who wait for a primitive, first come, first served.
//!
//! Everyone holds a ticket, and tickets rise, so one is found by bisection (and mostly at
//! once, see `find`). Who leaves from the middle leaves a gap; gaps are closed when they are
//! most of the line, which makes leaving O(log n) on average and bounds the memory. The first
//! and the last entry are never gaps.
//!
//! As in asyncio's `_waiters`, one stays in the line until it leaves, woken or not.
//!
//! Asking, waking and dropping a waiter may run foreign code, which may come back here. So all
//! three happen only while nothing is borrowed: that is why a [`Waiter`]'s methods get a
//! [`Place`] and not a reference.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;

/// Who waits in a [`Line`]: a waker in Rust, a future object in Python.
pub trait Waiter: Sized {
    /// What asking and waking can fail with: [`Infallible`](std::convert::Infallible) in Rust;
    /// in Python an exception, for the loop may be closed.
    type Error;

    /// Wakes it, unless it is done: was woken before, or cancelled (a future's `done`). Answers
    /// whether it did.
    ///
    /// `first` is to be called in between, when it is clear that the waiter is not done. (This is
    /// one method because asking may run foreign code, after which the place may be another's:
    /// what is woken must be what was asked.)
    ///
    /// # Errors
    ///
    /// Its own, of asking or of waking.
    fn wake(at: Place<'_, Self>, first: impl FnOnce()) -> Result<bool, Self::Error>;

    /// The same for one that has left the line.
    ///
    /// # Errors
    ///
    /// Its own, of asking or of waking.
    fn wake_left(self) -> Result<bool, Self::Error>;

    /// Whether it was cancelled before it was woken (a future's `cancelled`). Waiters whose
    /// line cannot know that answer false.
    ///
    /// # Errors
    ///
    /// Its own.
    fn is_cancelled(at: Place<'_, Self>) -> Result<bool, Self::Error>;
}

/// Right to one's place in a [`Line`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

struct Entry<W> {
    ticket: Ticket,
    /// `None` is a gap.
    waiter: Option<W>,
}

/// Those who wait, first come, first served. See the [module](self).
pub struct Line<W> {
    entries: RefCell<VecDeque<Entry<W>>>,
    gaps: Cell<usize>,
    next: Cell<u64>,
    /// Those with a smaller ticket are done. One who is done stays so, so they need not be asked
    /// again: without this, waking many one by one would be quadratic.
    awake: Cell<Ticket>,
}

/// So few gaps are not worth closing.
const MIN_GAPS: usize = 16;

impl<W> Line<W> {
    /// A line with nobody in it.
    pub const fn new() -> Line<W> {
        Line {
            entries: RefCell::new(VecDeque::new()),
            gaps: Cell::new(0),
            next: Cell::new(0),
            awake: Cell::new(Ticket(0)),
        }
    }

    /// How many are in the line, woken ones included.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.borrow().len() - self.gaps.get()
    }

    /// Whether nobody is in the line.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.borrow().is_empty()
    }

    /// Queues up, behind all others.
    #[inline]
    pub fn join(&self, waiter: W) -> Ticket {
        let ticket = Ticket(self.next.get());
        self.next.set(ticket.0 + 1);
        self.entries.borrow_mut().push_back(Entry {
            ticket,
            waiter: Some(waiter),
        });
        ticket
    }

    /// Leaves the line. `None` if it has left before. Takes O(1) at either end of the line, and
    /// O(log n) on average elsewhere.
    #[inline]
    pub fn leave(&self, ticket: Ticket) -> Option<W> {
        let mut entries = self.entries.borrow_mut();
        if entries.front()?.ticket == ticket {
            let waiter = entries.pop_front()?.waiter;
            self.trim_front(&mut entries);
            return waiter;
        }
        self.leave_elsewhere(&mut entries, ticket)
    }

    fn leave_elsewhere(&self, entries: &mut VecDeque<Entry<W>>, ticket: Ticket) -> Option<W> {
        let index = find(entries, ticket)?;
        let waiter = entries[index].waiter.take()?;
        self.gaps.set(self.gaps.get() + 1);
        while entries.back().is_some_and(|last| last.waiter.is_none()) {
            entries.pop_back();
            self.gaps.set(self.gaps.get() - 1);
        }
        if self.gaps.get() >= MIN_GAPS && self.gaps.get() * 2 > entries.len() {
            // Only gaps are dropped, so nobody's code runs here.
            entries.retain(|entry| entry.waiter.is_some());
            self.gaps.set(0);
        }
        Some(waiter)
    }

    /// Takes the first one out of the line.
    #[inline]
    pub fn pop_first(&self) -> Option<W> {
        let mut entries = self.entries.borrow_mut();
        let waiter = entries.pop_front()?.waiter;
        self.trim_front(&mut entries);
        waiter
    }

    /// Takes all out of the line, for the caller to drop.
    pub fn take(&self) -> impl Iterator<Item = W> + use<W> {
        let entries = self.entries.take();
        self.gaps.set(0);
        entries.into_iter().filter_map(|entry| entry.waiter)
    }

    /// Whether it is still in the line.
    pub fn contains(&self, ticket: Ticket) -> bool {
        self.with(ticket, |_| ()).is_some()
    }

    /// Calls `f` with a waiter in the line, which is borrowed meanwhile: no foreign code may
    /// run in `f`.
    #[inline]
    pub fn with<R>(&self, ticket: Ticket, f: impl FnOnce(&mut W) -> R) -> Option<R> {
        let mut entries = self.entries.borrow_mut();
        let index = find(&entries, ticket)?;
        entries[index].waiter.as_mut().map(f)
    }

    /// Shows all waiters, in order; for a garbage collector. The line is borrowed meanwhile: no
    /// foreign code may run in `f`. Should the line be borrowed already, nobody is shown.
    pub fn visit(&self, f: &mut dyn FnMut(&W)) {
        if let Ok(entries) = self.entries.try_borrow() {
            entries
                .iter()
                .filter_map(|entry| entry.waiter.as_ref())
                .for_each(f);
        }
    }

    /// Goes along those who are in the line now, however the line changes meanwhile: who leaves
    /// is not met any more, and who joins is not met.
    pub fn places(&self) -> Places<'_, W> {
        self.places_from(Ticket(0))
    }

    /// The places from that of `ticket` on.
    #[inline]
    fn places_from(&self, ticket: Ticket) -> Places<'_, W> {
        Places {
            line: self,
            index: 0,
            next: ticket,
            end: Ticket(self.next.get()),
        }
    }

    /// The place of the `index`-th in the line, counted from zero. Takes O(n) if there are gaps.
    pub fn place(&self, index: usize) -> Option<Place<'_, W>> {
        let entries = self.entries.borrow();
        let entry = if self.gaps.get() == 0 {
            (index < entries.len()).then_some(index)
        } else {
            (0..entries.len())
                .filter(|&at| entries[at].waiter.is_some())
                .nth(index)
        };
        entry.map(|index| Place { line: self, index })
    }

    /// The first place.
    #[inline]
    fn first(&self) -> Option<Place<'_, W>> {
        (!self.is_empty()).then_some(Place {
            line: self,
            index: 0,
        })
    }

    #[inline]
    fn trim_front(&self, entries: &mut VecDeque<Entry<W>>) {
        if self.gaps.get() > 0 {
            while entries.front().is_some_and(|first| first.waiter.is_none()) {
                entries.pop_front();
                self.gaps.set(self.gaps.get() - 1);
            }
        }
    }
}

/// Mostly it is the first. And as long as nobody but the first has left, tickets have no holes;
/// they never are closer together than the entries.
#[inline]
fn find<W>(entries: &VecDeque<Entry<W>>, ticket: Ticket) -> Option<usize> {
    let first = entries.front()?.ticket;
    if first == ticket {
        return Some(0);
    }
    find_behind(entries, first, ticket)
}

fn find_behind<W>(entries: &VecDeque<Entry<W>>, first: Ticket, ticket: Ticket) -> Option<usize> {
    let farthest = usize::try_from(ticket.0.checked_sub(first.0)?).ok()?;
    match entries.get(farthest) {
        Some(entry) if entry.ticket == ticket => Some(farthest),
        _ => entries.binary_search_by_key(&ticket, |it| it.ticket).ok(),
    }
}

/// How the primitives wake.
impl<W: Waiter> Line<W> {
    /// Wakes the first in the line, unless it is done.
    ///
    /// # Errors
    ///
    /// The waiter's.
    #[inline]
    pub fn wake_first(&self) -> Result<(), W::Error> {
        match self.first() {
            Some(first) => W::wake(first, || ()).map(drop),
            None => Ok(()),
        }
    }

    /// Wakes up to `count` of those who are not done, in order.
    ///
    /// # Errors
    ///
    /// The first waiter's that fails; those behind it are not woken.
    #[inline]
    pub fn wake(&self, count: usize) -> Result<(), W::Error> {
        self.wake_with(count, || ()).map(drop)
    }

    /// Wakes up to `count` of those who are not done, in order, and calls `first` before each.
    /// Answers how many.
    ///
    /// # Errors
    ///
    /// The first waiter's that fails; those behind it are not woken.
    #[inline]
    pub fn wake_with(&self, count: usize, first: impl FnMut()) -> Result<usize, W::Error> {
        if self.is_empty() {
            return Ok(0);
        }
        self.wake_some(count, first)
    }

    fn wake_some(&self, count: usize, mut first: impl FnMut()) -> Result<usize, W::Error> {
        let mut woken = 0;
        let mut places = self.places_from(self.awake.get());
        while woken < count
            && let Some(place) = places.next()
        {
            woken += usize::from(W::wake(place, &mut first)?);
            // Waking may have come back here, and have got farther.
            self.awake.set(self.awake.get().max(places.next));
        }
        Ok(woken)
    }

    /// Takes waiters out of the line until one was not done, and wakes that one. Answers whether
    /// there was one.
    ///
    /// # Errors
    ///
    /// The waiter's. It has left the line.
    #[inline(always)]
    pub fn pop_and_wake(&self) -> Result<bool, W::Error> {
        if self.is_empty() {
            return Ok(false);
        }
        self.pop_and_wake_one()
    }

    #[inline(never)]
    fn pop_and_wake_one(&self) -> Result<bool, W::Error> {
        while let Some(first) = self.pop_first() {
            if first.wake_left()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether all in the line are cancelled, or nobody is in it.
    ///
    /// # Errors
    ///
    /// The waiter's.
    #[inline]
    pub fn is_all_cancelled(&self) -> Result<bool, W::Error> {
        if self.is_empty() {
            return Ok(true);
        }
        for place in self.places() {
            if !W::is_cancelled(place)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Where a waiter is: what its methods get in the place of a reference.
///
/// It means what it says only until foreign code runs, and then perhaps another waiter or none.
pub struct Place<'a, W> {
    line: &'a Line<W>,
    index: usize,
}

impl<W> Place<'_, W> {
    /// Calls `f` with the waiter, which is borrowed meanwhile: no foreign code may run in `f`.
    ///
    /// # Panics
    ///
    /// If foreign code has run since the place was found, and has emptied it.
    #[inline]
    pub fn with<R>(self, f: impl FnOnce(&mut W) -> R) -> R {
        let mut entries = self.line.entries.borrow_mut();
        let entry = entries.get_mut(self.index);
        match entry.and_then(|it| it.waiter.as_mut()) {
            Some(waiter) => f(waiter),
            None => panic!("a place was kept while the line changed"),
        }
    }

    /// Another reference to the waiter.
    #[inline]
    pub fn get(self) -> W
    where
        W: Clone,
    {
        self.with(|waiter| waiter.clone())
    }

    /// The ticket of who is there.
    pub fn ticket(self) -> Option<Ticket> {
        Some(self.line.entries.borrow().get(self.index)?.ticket)
    }
}

impl<W> Clone for Place<'_, W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for Place<'_, W> {}

/// What [`Line::places`] answers.
pub struct Places<'a, W> {
    line: &'a Line<W>,
    /// Where the next one is, if the line has not changed since the latest was met.
    index: usize,
    /// The ticket behind that of the latest.
    next: Ticket,
    /// The first ticket that was not given away yet at the start.
    end: Ticket,
}

impl<'a, W> Iterator for Places<'a, W> {
    type Item = Place<'a, W>;

    #[inline]
    fn next(&mut self) -> Option<Place<'a, W>> {
        let entries = self.line.entries.borrow();
        let is_next = |index: usize| match index.checked_sub(1) {
            None => entries.front().is_none_or(|it| it.ticket >= self.next),
            Some(before) => entries
                .get(before)
                .is_some_and(|it| it.ticket.0 + 1 == self.next.0),
        };
        let mut index = self.index;
        if !is_next(index) {
            index = entries.partition_point(|entry| entry.ticket < self.next);
        }
        loop {
            let entry = entries.get(index).filter(|it| it.ticket < self.end)?;
            index += 1;
            if entry.waiter.is_some() {
                self.index = index;
                self.next = Ticket(entry.ticket.0 + 1);
                return Some(Place {
                    line: self.line,
                    index: index - 1,
                });
            }
        }
    }
}

impl<W> Default for Line<W> {
    fn default() -> Line<W> {
        Line::new()
    }
}

impl<W> fmt::Debug for Line<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl<W> fmt::Debug for Place<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.ticket()).finish()
    }
}

impl<W> fmt::Debug for Places<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
#[path = "line_tests.rs"]
mod tests;
