//! The inbox: the only door for other threads.
//!
//! One atomic word is both the list of what has been put in and the state of the loop,
//! so "it sleeps" and "there is something" can never be seen apart, and no fence is
//! needed. It is one of
//!
//! - `EMPTY`: nothing inside, the loop is up and will look;
//! - `SLEEPING`: nothing inside, and the loop waits at the poller, or is about to. Only the loop puts
//!   this, and only over `EMPTY`: announcing the sleep and looking again are one step;
//! - `PARKED`: the same, but the loop waits at this very word, which is a futex. The kernel compares it
//!   and falls asleep in one step, so nobody's wake comes in between;
//! - `WOKEN`: nothing inside, but the loop must not fall asleep before it has looked;
//! - `CLOSED`: nothing gets in any more, for ever;
//! - the newest of a list of nodes, which leads to the older ones.
//!
//! Whoever replaces `SLEEPING` or `PARKED` must wake the loop, and nobody else need: so of a thousand
//! jobs that arrive together one costs a system call. Those of a futex are shorter than those of an eventfd
//! and epoll: at best by a tenth of the whole hand-over (`cargo bench --bench tasks -- woken`).
//!
//! A node is made on one thread and done with on another, which allocators are slow at. So the loop keeps
//! one for whoever comes next: a thread and a loop that wake each other in turn allocate none.

use std::mem::MaybeUninit;
use std::ptr;
#[cfg(all(target_os = "linux", not(feature = "portable-poller")))]
use std::{io, time::Duration};

#[cfg(loom)]
use loom::sync::atomic::{AtomicPtr, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicPtr, Ordering};

#[cfg(all(target_os = "linux", not(feature = "portable-poller")))]
mod futex;

pub(crate) struct Inbox<T> {
    state: AtomicPtr<Node<T>>,
    /// A node without a value, or null. Only the loop puts one there; whoever takes it out owns it.
    spare: AtomicPtr<Node<T>>,
}

struct Node<T> {
    /// Of one that is in the list.
    value: MaybeUninit<T>,
    /// The node that was put in before, or null.
    older: *mut Node<T>,
    #[cfg(loom)]
    touched: loom::cell::UnsafeCell<()>,
}

impl<T> Node<T> {
    /// One that has no value yet.
    fn new() -> *mut Node<T> {
        Box::into_raw(Box::new(Node {
            value: MaybeUninit::uninit(),
            older: ptr::null_mut(),
            #[cfg(loom)]
            touched: loom::cell::UnsafeCell::new(()),
        }))
    }

    /// Has the model checker see that nobody else uses the node.
    #[cfg(loom)]
    unsafe fn touch(node: *mut Node<T>) {
        // SAFETY: alive, says the caller.
        unsafe { (*node).touched.with_mut(|_| ()) }
    }

    #[cfg(not(loom))]
    #[inline(always)]
    unsafe fn touch(_node: *mut Node<T>) {}

    /// # Safety
    ///
    /// It is the caller's, and has no value.
    unsafe fn free(node: *mut Node<T>) {
        // SAFETY: every node comes from the box of `new`.
        drop(unsafe { Box::from_raw(node) });
    }
}

/// Whether the loop sleeps at the poller and has to be woken, by whoever is told so.
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

const PARKED: u32 = 4;

fn parked<T>() -> *mut Node<T> {
    ptr::without_provenance_mut(PARKED as usize)
}

fn is_node<T>(state: *mut Node<T>) -> bool {
    state.addr() > PARKED as usize
}

impl<T> Inbox<T> {
    pub(crate) fn new() -> Inbox<T> {
        Inbox {
            state: AtomicPtr::new(empty()),
            spare: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// A node without a value, of the caller's own; from any thread.
    fn node(&self) -> *mut Node<T> {
        // Acquire: the loop has read what was in it before. Without a look first: that would fetch
        // the line once to read and once more to write.
        let spare = self.spare.swap(ptr::null_mut(), Ordering::Acquire);
        if spare.is_null() { Node::new() } else { spare }
    }

    /// Takes the value out of a node and keeps that, or frees it. For the loop only.
    ///
    /// # Safety
    ///
    /// The node was in the list, and is the caller's.
    unsafe fn open(&self, node: *mut Node<T>) -> T {
        // SAFETY: what was in the list has a value, which is read once.
        unsafe {
            Node::touch(node);
            let value = (*node).value.assume_init_read();
            // Others only take it away, so an empty place stays empty.
            if self.spare.load(Ordering::Relaxed).is_null() {
                self.spare.store(node, Ordering::Release);
            } else {
                Node::free(node);
            }
            value
        }
    }

    /// Puts `value` in; from any thread. A closed inbox gives it back.
    pub(crate) fn push(&self, value: T) -> Result<Wake, T> {
        let node = self.node();
        // SAFETY: nobody else has the node.
        unsafe {
            Node::touch(node);
            (*node).value.write(value);
        }
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            if state == closed() {
                // SAFETY: nobody else has seen it, and the value is taken out before the node goes.
                return Err(unsafe {
                    let value = (*node).value.assume_init_read();
                    Node::free(node);
                    value
                });
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
                Ok(_) => return Ok(self.replaced(state)),
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
                Ok(_) => return self.replaced(state),
                Err(now) => state = now,
            }
        }
    }

    /// What is to be done after `state` was replaced: a loop that is parked is woken here.
    #[inline]
    fn replaced(&self, state: *mut Node<T>) -> Wake {
        if state == sleeping() {
            return Wake::Needed;
        }
        #[cfg(all(target_os = "linux", not(feature = "portable-poller")))]
        if state == parked() {
            futex::wake(&self.state);
        }
        Wake::NotNeeded
    }

    /// Whether there is anything for [`Inbox::take`]. One load.
    #[inline]
    pub(crate) fn has_values(&self) -> bool {
        is_node(self.state.load(Ordering::Relaxed))
    }

    /// Takes everything out, oldest first. For the loop only.
    ///
    /// Leaves `WOKEN` alone: it is to keep the loop from falling asleep later in this turn.
    pub(crate) fn take(&self) -> Taken<'_, T> {
        if self.has_values() {
            // Only the loop takes nodes away, so there still are some.
            Taken::reversed(self, self.state.swap(empty(), Ordering::Acquire))
        } else {
            Taken::reversed(self, empty())
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

    /// Waits until there is news, a signal arrives, or `timeout` (`None`: never) is over. For the loop only;
    /// [`Inbox::wake_up`] follows in any case.
    ///
    /// # Errors
    ///
    /// `Interrupted` after a signal.
    #[cfg(all(target_os = "linux", not(feature = "portable-poller")))]
    pub(crate) fn park(&self, timeout: Option<Duration>) -> io::Result<()> {
        // Relaxed: what is inside is taken by `wake_up`. Nothing is left to do between the announcement and
        // the sleep, for who comes in between wakes in vain.
        let _ =
            self.state
                .compare_exchange(empty(), parked(), Ordering::Relaxed, Ordering::Relaxed);
        while timeout != Some(Duration::ZERO) && self.state.load(Ordering::Relaxed) == parked() {
            if futex::wait(&self.state, PARKED, timeout)? {
                break;
            }
        }
        Ok(())
    }

    /// Ends a sleep, or the attempt, and takes everything out. For the loop only.
    pub(crate) fn wake_up(&self) -> Taken<'_, T> {
        // The loop alone closes, so this look cannot be outdated.
        if self.state.load(Ordering::Relaxed) == closed() {
            return Taken::reversed(self, empty());
        }
        Taken::reversed(self, self.state.swap(empty(), Ordering::Acquire))
    }

    /// Whether somebody has ended the sleep, or there is news. For the loop only.
    pub(crate) fn is_woken(&self) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        state != sleeping() && state != parked()
    }

    /// Refuses everything from now on and takes out what is inside. For the loop only.
    pub(crate) fn close(&self) -> Taken<'_, T> {
        Taken::reversed(self, self.state.swap(closed(), Ordering::Acquire))
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop(self.close());
        let spare = self.spare.load(Ordering::Acquire);
        if !spare.is_null() {
            // SAFETY: nobody else has the inbox any more.
            unsafe { Node::free(spare) };
        }
    }
}

/// What came out of the inbox, oldest first. Dropping it drops the rest.
pub(crate) struct Taken<'a, T> {
    inbox: &'a Inbox<T>,
    oldest: *mut Node<T>,
}

impl<T> Taken<'_, T> {
    /// Turns the list around, for it leads from the newest to the oldest.
    fn reversed(inbox: &Inbox<T>, newest: *mut Node<T>) -> Taken<'_, T> {
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
        Taken {
            inbox,
            oldest: behind,
        }
    }
}

impl<T> Iterator for Taken<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.oldest.is_null() {
            return None;
        }
        let node = self.oldest;
        // SAFETY: the list is ours, and leads from node to node.
        unsafe {
            self.oldest = (*node).older;
            Some(self.inbox.open(node))
        }
    }
}

impl<T> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

#[cfg(all(test, not(loom)))]
mod tests;

#[cfg(all(test, loom))]
mod loom_model;
