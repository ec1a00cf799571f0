//! Who is told of a task's end.
//!
//! Nearly every task has one waiter at most, so the first is inline. All are told in the order
//! in which they came, as a future's callbacks are.
//!
//! Dropping a waiter may run foreign code, which may come back here. So nothing is dropped while
//! the list is taken apart.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Waker;

use super::AnyTask;

/// Who waits for a task.
pub(crate) enum Waiter {
    Waker(Waker),
    /// The number tells the callback which of its tasks this is.
    Callback(Rc<dyn OnDone>, u32),
}

/// A callback for the end of a task, called in the midst of it: it should only take note.
pub(crate) trait OnDone {
    fn on_done(self: Rc<Self>, which: u32, task: &AnyTask);

    /// The task that waits for this, if one does, for people who ask who waits for whom.
    fn awaiter(&self) -> Option<AnyTask> {
        None
    }
}

/// Right to take a waiter back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u32);

/// Whoever has the [`Task`](super::Task): there is one.
const OWNER: Key = Key(0);

/// The waiters of one task. If there is no first, there are no others.
#[derive(Default)]
pub(super) struct Waiters {
    first: Cell<Option<Entry>>,
    #[allow(
        clippy::box_collection,
        reason = "mostly absent: one word and not four"
    )]
    rest: Cell<Option<Box<VecDeque<Entry>>>>,
}

struct Entry {
    key: Key,
    waiter: Waiter,
}

impl Waiters {
    /// Sets how the owner is told, in place of what was set before.
    #[inline]
    pub(super) fn set_owner(&self, waiter: Waiter) {
        let entry = Entry { key: OWNER, waiter };
        match self.first.take() {
            None => self.first.set(Some(entry)),
            Some(old) if old.key == OWNER => self.first.set(Some(entry)),
            Some(first) => {
                self.first.set(Some(first));
                let replaced =
                    self.with_rest(
                        |rest| match rest.iter_mut().find(|entry| entry.key == OWNER) {
                            Some(old) => Some(std::mem::replace(old, entry)),
                            None => {
                                rest.push_back(entry);
                                None
                            }
                        },
                    );
                drop(replaced);
            }
        }
    }

    /// The owner does not wait any more.
    #[inline]
    pub(super) fn clear_owner(&self) {
        drop(self.remove(OWNER));
    }

    /// Adds a waiter beside the owner.
    pub(super) fn add(&self, waiter: Waiter) -> Key {
        let Some(first) = self.first.take() else {
            let key = Key(1);
            self.first.set(Some(Entry { key, waiter }));
            return key;
        };
        let highest = first.key;
        self.first.set(Some(first));
        self.with_rest(|rest| {
            let highest = rest.iter().map(|entry| entry.key).fold(highest, Key::max);
            let key = Key(highest.0 + 1);
            rest.push_back(Entry { key, waiter });
            key
        })
    }

    /// Takes a waiter back, for the caller to drop. `None` if there is none, or it was told.
    pub(super) fn remove(&self, key: Key) -> Option<Waiter> {
        let first = self.first.take()?;
        if first.key == key {
            let next = self.rest.take().and_then(|mut rest| {
                let next = rest.pop_front();
                if !rest.is_empty() {
                    self.rest.set(Some(rest));
                }
                next
            });
            self.first.set(next);
            return Some(first.waiter);
        }
        self.first.set(Some(first));
        let mut rest = self.rest.take()?;
        let found = rest.iter().position(|entry| entry.key == key);
        let removed = found.and_then(|index| rest.remove(index));
        if !rest.is_empty() {
            self.rest.set(Some(rest));
        }
        removed.map(|entry| entry.waiter)
    }

    /// Takes all, and calls `tell` with each, in order.
    #[inline]
    pub(super) fn tell(&self, mut tell: impl FnMut(Waiter)) {
        let Some(first) = self.first.take() else {
            return;
        };
        let rest = self.rest.take();
        tell(first.waiter);
        for entry in rest.into_iter().flat_map(|rest| *rest) {
            tell(entry.waiter);
        }
    }

    /// Calls `f`, which runs no foreign code, with each.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Waiter)) {
        let (first, rest) = (self.first.take(), self.rest.take());
        first.iter().for_each(|entry| f(&entry.waiter));
        rest.iter()
            .flat_map(|rest| rest.iter())
            .for_each(|entry| f(&entry.waiter));
        self.first.set(first);
        self.rest.set(rest);
    }

    fn with_rest<R>(&self, f: impl FnOnce(&mut VecDeque<Entry>) -> R) -> R {
        let mut rest = self.rest.take().unwrap_or_default();
        let result = f(&mut rest);
        self.rest.set(Some(rest));
        result
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    struct Nobody;

    impl OnDone for Nobody {
        fn on_done(self: Rc<Self>, _which: u32, _task: &AnyTask) {}
    }

    fn waiter(number: u32) -> Waiter {
        Waiter::Callback(Rc::new(Nobody), number)
    }

    fn number(waiter: Waiter) -> u32 {
        match waiter {
            Waiter::Callback(_, number) => number,
            Waiter::Waker(_) => unreachable!("only callbacks here"),
        }
    }

    fn told(waiters: &Waiters) -> Vec<u32> {
        let mut numbers = Vec::new();
        waiters.tell(|waiter| numbers.push(number(waiter)));
        numbers
    }

    #[test]
    fn all_are_told_in_the_order_in_which_they_came() {
        let waiters = Waiters::default();
        waiters.add(waiter(1));
        waiters.set_owner(waiter(2));
        waiters.add(waiter(3));
        assert_eq!(told(&waiters), [1, 2, 3]);
        assert_eq!(told(&waiters), []);
    }

    #[test]
    fn the_owner_keeps_its_place() {
        let waiters = Waiters::default();
        waiters.add(waiter(1));
        waiters.set_owner(waiter(2));
        waiters.add(waiter(3));
        waiters.set_owner(waiter(4));
        assert_eq!(told(&waiters), [1, 4, 3]);
    }

    #[test]
    fn one_is_taken_back_once() {
        let waiters = Waiters::default();
        let keys: Vec<_> = (0..4).map(|number| waiters.add(waiter(number))).collect();
        assert_eq!(waiters.remove(keys[2]).map(number), Some(2));
        assert_eq!(waiters.remove(keys[0]).map(number), Some(0));
        assert!(waiters.remove(keys[0]).is_none());
        assert_eq!(told(&waiters), [1, 3]);
        assert!(waiters.remove(keys[1]).is_none());
    }

    #[test]
    fn an_owner_that_does_not_wait_is_not_told() {
        let waiters = Waiters::default();
        waiters.clear_owner();
        waiters.set_owner(waiter(1));
        waiters.add(waiter(2));
        waiters.clear_owner();
        assert_eq!(told(&waiters), [2]);
    }
}
