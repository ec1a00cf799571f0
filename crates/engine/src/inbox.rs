//! The inbox: the only door for other threads.
//!
//! One atomic word is both the list of what has been put in and the state of the loop,
//! so "it sleeps" and "there is something" can never be seen apart, and no fence is
//! needed. It is one of
//!
//! - `EMPTY`: nothing inside, the loop is up and will look;
//! - `SLEEPING`: nothing inside, and the loop waits, or is about to. Only the loop puts
//!   this, and only over `EMPTY`: announcing the sleep and looking again are one step;
//! - `WOKEN`: nothing inside, but the loop must not fall asleep before it has looked;
//! - `CLOSED`: nothing gets in any more, for ever;
//! - the newest of a list of nodes, which leads to the older ones.
//!
//! Whoever replaces `SLEEPING` must wake the loop, and nobody else need: so of a thousand
//! jobs that arrive together one costs a system call.

use std::ptr;

#[cfg(loom)]
use loom::sync::atomic::{AtomicPtr, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicPtr, Ordering};

pub(crate) struct Inbox<T> {
    state: AtomicPtr<Node<T>>,
}

struct Node<T> {
    value: T,
    /// The node that was put in before, or null.
    older: *mut Node<T>,
}

/// Whether the loop sleeps and has to be woken, by whoever is told so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    Needed,
    NotNeeded,
}

fn empty<T>() -> *mut Node<T> {
    ptr::null_mut()
}

// Addresses that no allocation of a node can have, for a node is aligned to more than one byte.
fn sleeping<T>() -> *mut Node<T> {
    ptr::without_provenance_mut(1)
}

fn woken<T>() -> *mut Node<T> {
    ptr::without_provenance_mut(2)
}

fn closed<T>() -> *mut Node<T> {
    ptr::without_provenance_mut(3)
}

fn is_node<T>(state: *mut Node<T>) -> bool {
    state.addr() > 3
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Inbox<T> {
        Inbox {
            state: AtomicPtr::new(empty()),
        }
    }

    /// Puts `value` in; from any thread. A closed inbox gives it back.
    pub(crate) fn push(&self, value: T) -> Result<Wake, T> {
        let node = Box::into_raw(Box::new(Node {
            value,
            older: ptr::null_mut(),
        }));
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state == closed() {
                // SAFETY: the node comes from the box above and nobody else has seen it.
                let node = unsafe { Box::from_raw(node) };
                return Err(node.value);
            }
            // SAFETY: nobody else has seen the node yet.
            unsafe {
                (*node).older = if is_node(state) {
                    state
                } else {
                    ptr::null_mut()
                }
            };
            // Release: whoever takes the list sees the node, and through the release
            // sequence of these exchanges all older ones. Acquire, for if the loop sleeps.
            match self
                .state
                .compare_exchange_weak(state, node, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) if state == sleeping() => return Ok(Wake::Needed),
                Ok(_) => return Ok(Wake::NotNeeded),
                Err(now) => state = now,
            }
        }
    }

    /// Makes the loop look before it sleeps (again); from any thread.
    pub(crate) fn wake(&self) -> Wake {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if is_node(state) || state == woken() || state == closed() {
                return Wake::NotNeeded;
            }
            match self.state.compare_exchange_weak(
                state,
                woken(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) if state == sleeping() => return Wake::Needed,
                Ok(_) => return Wake::NotNeeded,
                Err(now) => state = now,
            }
        }
    }

    /// Whether there is anything for [`Inbox::take`]. One load.
    #[inline]
    pub(crate) fn has_values(&self) -> bool {
        is_node(self.state.load(Ordering::Relaxed))
    }

    /// Takes everything out, oldest first. For the loop only.
    ///
    /// Leaves `WOKEN` alone: it is to keep the loop from falling asleep later in this turn.
    pub(crate) fn take(&self) -> Taken<T> {
        if self.has_values() {
            // Only the loop takes nodes away, so there still are some.
            Taken::reversed(self.state.swap(empty(), Ordering::Acquire))
        } else {
            Taken {
                oldest: ptr::null_mut(),
            }
        }
    }

    /// Announces that the loop is going to wait. When it answers false there is news, and the
    /// loop must not wait. For the loop only; [`Inbox::wake_up`] follows in any case.
    pub(crate) fn fall_asleep(&self) -> bool {
        // Release: whoever finds the loop asleep sees how it waits.
        self.state
            .compare_exchange(empty(), sleeping(), Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// Ends a sleep, or the attempt, and takes everything out. For the loop only.
    pub(crate) fn wake_up(&self) -> Taken<T> {
        // The loop alone closes, so this look cannot be outdated.
        if self.state.load(Ordering::Relaxed) == closed() {
            return Taken {
                oldest: ptr::null_mut(),
            };
        }
        Taken::reversed(self.state.swap(empty(), Ordering::Acquire))
    }

    /// Whether somebody has ended the sleep, or there is news. For the loop only.
    pub(crate) fn is_woken(&self) -> bool {
        self.state.load(Ordering::Relaxed) != sleeping()
    }

    /// Refuses everything from now on and takes out what is inside. For the loop only.
    pub(crate) fn close(&self) -> Taken<T> {
        Taken::reversed(self.state.swap(closed(), Ordering::Acquire))
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop(self.close());
    }
}

/// What came out of the inbox, oldest first. Dropping it drops the rest.
pub(crate) struct Taken<T> {
    oldest: *mut Node<T>,
}

impl<T> Taken<T> {
    /// Turns the list around, for it leads from the newest to the oldest.
    fn reversed(newest: *mut Node<T>) -> Taken<T> {
        let mut node = if is_node(newest) {
            newest
        } else {
            ptr::null_mut()
        };
        let mut behind = ptr::null_mut();
        while !node.is_null() {
            // SAFETY: the exchange that took the list gave us all its nodes.
            let older = unsafe { std::mem::replace(&mut (*node).older, behind) };
            behind = node;
            node = older;
        }
        Taken { oldest: behind }
    }
}

impl<T> Iterator for Taken<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.oldest.is_null() {
            return None;
        }
        // SAFETY: every node comes from `Box::into_raw` in `push` and is ours alone.
        let node = unsafe { Box::from_raw(self.oldest) };
        self.oldest = node.older;
        Some(node.value)
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_in_the_order_they_went_in() {
        let inbox = Inbox::new();
        for value in 0..5 {
            assert_eq!(inbox.push(value), Ok(Wake::NotNeeded));
        }
        assert!(inbox.has_values());
        assert_eq!(Vec::from_iter(inbox.take()), [0, 1, 2, 3, 4]);
        assert!(!inbox.has_values());
    }

    #[test]
    fn only_the_first_of_many_wakes_the_sleeper() {
        let inbox = Inbox::new();
        assert!(inbox.fall_asleep());
        assert_eq!(inbox.push(1), Ok(Wake::Needed));
        assert_eq!(inbox.push(2), Ok(Wake::NotNeeded));
        assert_eq!(inbox.wake(), Wake::NotNeeded);
        assert_eq!(Vec::from_iter(inbox.wake_up()), [1, 2]);
    }

    #[test]
    fn a_wake_without_a_value_forbids_the_next_sleep() {
        let inbox = Inbox::<()>::new();
        assert_eq!(inbox.wake(), Wake::NotNeeded);
        assert_eq!(inbox.take().count(), 0);
        assert!(!inbox.fall_asleep());
        assert_eq!(inbox.wake_up().count(), 0);
        assert!(inbox.fall_asleep());
        assert_eq!(inbox.wake(), Wake::Needed);
    }

    #[test]
    fn a_closed_inbox_gives_values_back_for_ever() {
        let inbox = Inbox::new();
        assert!(inbox.push(1).is_ok());
        assert_eq!(Vec::from_iter(inbox.close()), [1]);
        assert_eq!(inbox.push(2), Err(2));
        assert_eq!(inbox.wake(), Wake::NotNeeded);
        assert_eq!(inbox.take().count(), 0);
        assert_eq!(inbox.push(3), Err(3));
        assert!(!inbox.fall_asleep());
    }

    #[test]
    fn what_nobody_took_is_dropped() {
        let value = std::rc::Rc::new(());
        let inbox = Inbox::new();
        assert!(inbox.push(value.clone()).is_ok());
        assert!(inbox.push(value.clone()).is_ok());
        let mut taken = inbox.take();
        drop(taken.next());
        drop(taken);
        assert!(inbox.push(value.clone()).is_ok());
        drop(inbox);
        assert_eq!(std::rc::Rc::strong_count(&value), 1);
    }
}

#[cfg(all(test, loom))]
mod loom_model;
