//! Who is told of a future's end, beside its owner.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use crate::events::Handle;

/// Callbacks and wakers, told in the order in which they came.
#[derive(Default)]
pub(super) struct Callbacks {
    list: RefCell<Vec<(Key, Told)>>,
    next: Cell<u64>,
}

/// The right to take one back. No two are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key(u64);

pub(super) enum Told {
    Callback(Handle),
    Waker(Waker),
}

impl Callbacks {
    pub(super) fn add(&self, told: Told) -> Key {
        let key = Key(self.next.get());
        self.next.set(key.0 + 1);
        self.list.borrow_mut().push((key, told));
        key
    }

    /// Puts another in the place of one that is still there.
    pub(super) fn replace(&self, key: Key, told: Told) {
        let mut list = self.list.borrow_mut();
        let place = list.iter_mut().find(|(other, _)| *other == key);
        let old = place.map(|(_, old)| std::mem::replace(old, told));
        // Dropping may run foreign code.
        drop(list);
        drop(old);
    }

    /// Takes one back, for the caller to drop. `None` if it was told.
    pub(super) fn remove(&self, key: Key) -> Option<Told> {
        let mut list = self.list.borrow_mut();
        let found = list.iter().position(|(other, _)| *other == key)?;
        Some(list.remove(found).1)
    }

    /// The place in the line of who comes now, and is not in the list.
    pub(super) fn place(&self) -> Key {
        Key(self.next.get())
    }

    /// Takes and tells all, and between them `owner`, who has come at that place.
    #[inline]
    pub(super) fn tell(&self, owner: Option<Waker>, place: Key) {
        // Mostly there is nobody else.
        if !self.list.borrow().is_empty() {
            self.tell_all(owner, place);
        } else if let Some(owner) = owner {
            owner.wake();
        }
    }

    fn tell_all(&self, owner: Option<Waker>, place: Key) {
        let mut list = self.list.take();
        let later = list.split_off(list.partition_point(|(key, _)| key.0 < place.0));
        let tell = |(_, told)| match told {
            Told::Callback(handle) => Handle::schedule_or_call(&handle),
            Told::Waker(waker) => waker.wake(),
        };
        list.into_iter().for_each(tell);
        if let Some(owner) = owner {
            owner.wake();
        }
        later.into_iter().for_each(tell);
    }
}
