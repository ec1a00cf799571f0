//! Who is told of a task's end.
//!
//! Nearly every task has one waiter at most, so one is inline. All are told in the order
//! in which they came, as a future's callbacks are.
//!
//! Dropping a waiter may run foreign code, which may come back here. So nothing is dropped while
//! the list is taken apart.

use std::rc::Rc;
use std::task::Waker;

use super::AnyTask;
use packed::{Held, Packed};

mod packed;

/// Who waits for a task.
pub(crate) enum Waiter {
    Waker(Waker),
    Callback(Listener),
}

/// A callback, which may wait for many tasks at once. By two pointers, so that it takes one word in
/// each of them.
pub(crate) type Listener = Rc<Told>;

#[repr(align(8))]
pub(crate) struct Told(Rc<dyn OnDone>);

impl Told {
    pub(crate) fn new(callback: Rc<dyn OnDone>) -> Listener {
        Rc::new(Told(callback))
    }

    #[inline]
    pub(super) fn on_done(&self, task: &AnyTask) {
        self.0.clone().on_done(task);
    }

    pub(super) fn awaiter(&self) -> Option<AnyTask> {
        self.0.awaiter()
    }
}

impl Waiter {
    /// What waits for one task only.
    pub(crate) fn callback(callback: Rc<dyn OnDone>) -> Waiter {
        Waiter::Callback(Told::new(callback))
    }
}

/// A callback for the end of a task, called in the midst of it: it should only take note.
pub(crate) trait OnDone {
    fn on_done(self: Rc<Self>, task: &AnyTask);

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

/// The first who comes beside the owner.
const BESIDE: Key = Key(1);

/// The waiters of one task.
#[derive(Default)]
pub(super) struct Waiters(Packed);

struct Entry {
    key: Key,
    waiter: Waiter,
}

impl Waiters {
    /// Sets how the owner is told, in place of what was set before.
    #[inline]
    pub(super) fn set_owner(&self, waiter: Waiter) {
        if self.0.is_nobody() {
            return self.0.set(Held::Owner(waiter));
        }
        let replaced = match self.0.take() {
            Held::Owner(old) => {
                self.0.set(Held::Owner(waiter));
                Some(old)
            }
            held => {
                let mut list = held.into_list();
                let old = list.0.iter_mut().find(|entry| entry.key == OWNER);
                let replaced = match old {
                    Some(old) => Some(std::mem::replace(&mut old.waiter, waiter)),
                    None => {
                        list.0.push_back(Entry { key: OWNER, waiter });
                        None
                    }
                };
                self.0.set(Held::List(list));
                replaced
            }
        };
        drop(replaced);
    }

    /// The owner does not wait any more.
    #[inline]
    pub(super) fn clear_owner(&self) {
        drop(self.remove(OWNER));
    }

    /// Adds a waiter beside the owner.
    pub(super) fn add(&self, waiter: Waiter) -> Key {
        let held = self.0.take();
        if let Held::Nobody = held {
            self.0.set(Held::Beside(waiter));
            return BESIDE;
        }
        let mut list = held.into_list();
        let highest = list.0.iter().map(|entry| entry.key).fold(OWNER, Key::max);
        let key = Key(highest.0 + 1);
        list.0.push_back(Entry { key, waiter });
        self.0.set(Held::List(list));
        key
    }

    /// Takes a waiter back, for the caller to drop. `None` if there is none, or it was told.
    #[inline]
    pub(super) fn remove(&self, key: Key) -> Option<Waiter> {
        if self.0.is_nobody() {
            return None;
        }
        match self.0.take() {
            Held::Nobody => None,
            Held::Owner(waiter) if key == OWNER => Some(waiter),
            Held::Beside(waiter) if key == BESIDE => Some(waiter),
            Held::List(mut list) => {
                let found = list.0.iter().position(|entry| entry.key == key);
                let removed = found.and_then(|index| list.0.remove(index));
                if !list.0.is_empty() {
                    self.0.set(Held::List(list));
                }
                removed.map(|entry| entry.waiter)
            }
            held => {
                self.0.set(held);
                None
            }
        }
    }

    /// Takes all, and calls `tell` with each, in order.
    #[inline]
    pub(super) fn tell(&self, mut tell: impl FnMut(Waiter)) {
        if self.0.is_nobody() {
            return;
        }
        match self.0.take() {
            Held::Nobody => {}
            Held::Owner(waiter) | Held::Beside(waiter) => tell(waiter),
            Held::List(list) => list.0.into_iter().for_each(|entry| tell(entry.waiter)),
        }
    }

    /// Calls `f`, which runs no foreign code, with each.
    pub(super) fn for_each(&self, mut f: impl FnMut(&Waiter)) {
        let held = self.0.take();
        match &held {
            Held::Nobody => {}
            Held::Owner(waiter) | Held::Beside(waiter) => f(waiter),
            Held::List(list) => list.0.iter().for_each(|entry| f(&entry.waiter)),
        }
        self.0.set(held);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;
    use std::task::Wake;

    use super::*;

    thread_local! {
        static ASKED: Cell<u32> = const { Cell::new(0) };
    }

    /// Tells its number when it is asked for something.
    struct Numbered(u32);

    impl OnDone for Numbered {
        fn on_done(self: Rc<Self>, _task: &AnyTask) {}

        fn awaiter(&self) -> Option<AnyTask> {
            ASKED.set(self.0);
            None
        }
    }

    fn waiter(number: u32) -> Waiter {
        Waiter::callback(Rc::new(Numbered(number)))
    }

    fn number(waiter: Waiter) -> u32 {
        match waiter {
            Waiter::Callback(listener) => assert!(listener.awaiter().is_none()),
            Waiter::Waker(_) => unreachable!("only callbacks here"),
        }
        ASKED.get()
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

    #[test]
    fn a_waker_that_is_no_tasks_is_kept_and_given_up() {
        struct Nothing;
        impl Wake for Nothing {
            fn wake(self: std::sync::Arc<Self>) {}
        }
        let nothing = std::sync::Arc::new(Nothing);
        let waiters = Waiters::default();
        let waker = || Waiter::Waker(nothing.clone().into());
        waiters.set_owner(waker());
        waiters.set_owner(waker());
        assert_eq!(std::sync::Arc::strong_count(&nothing), 2);
        let key = waiters.add(waker());
        assert_eq!(std::sync::Arc::strong_count(&nothing), 3);
        assert!(waiters.remove(key).is_some());
        drop(waiters);
        assert_eq!(std::sync::Arc::strong_count(&nothing), 1);
    }
}
