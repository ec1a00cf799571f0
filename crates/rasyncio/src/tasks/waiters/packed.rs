//! The waiters of a task in one word: a pointer, whose lowest bits say to what.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::ptr;
use std::rc::Rc;
use std::task::Waker;

use super::{Entry, Told, Waiter};
use crate::tasks::waker;

/// Null is nobody.
pub(super) struct Packed(Cell<*mut ()>);

/// What a [`Packed`] holds, to be looked at.
pub(super) enum Held {
    Nobody,
    /// The owner only.
    Owner(Waiter),
    /// One other than the owner only, with the key `BESIDE`.
    Beside(Waiter),
    List(Box<List>),
}

// In a box, since that is seldom: one word and not four.
#[derive(Default)]
#[repr(align(8))]
pub(super) struct List(pub(super) VecDeque<Entry>);

#[repr(align(8))]
struct Foreign(Waker);

/// A waker of a task of ours: the pointer that it has for its data.
const TASK: usize = 0;
/// A listener.
const LISTENER: usize = 1;
/// The box of another waker.
const FOREIGN: usize = 2;
/// The box of a list.
const LIST: usize = 3;
const KIND: usize = 3;
/// The waiter is the one beside the owner.
const BESIDE: usize = 4;
const BITS: usize = KIND | BESIDE;

impl Packed {
    pub(super) const fn new() -> Packed {
        Packed(Cell::new(ptr::null_mut()))
    }

    #[inline]
    pub(super) fn is_nobody(&self) -> bool {
        self.0.get().is_null()
    }

    #[inline]
    pub(super) fn take(&self) -> Held {
        let word = self.0.replace(ptr::null_mut());
        if word.is_null() {
            return Held::Nobody;
        }
        let bits = word.addr() & BITS;
        let pointer = word.map_addr(|address| address & !BITS);
        // SAFETY: `set` has made the pointer of what the bits say and given that up to it, and it has
        // been taken out just now.
        let waiter = unsafe {
            match bits & KIND {
                TASK => Waiter::Waker(waker::from_data(pointer)),
                LISTENER => Waiter::Callback(Rc::from_raw(pointer.cast_const().cast::<Told>())),
                FOREIGN => Waiter::Waker(Box::from_raw(pointer.cast::<Foreign>()).0),
                _ => return Held::List(Box::from_raw(pointer.cast::<List>())),
            }
        };
        match bits & BESIDE {
            0 => Held::Owner(waiter),
            _ => Held::Beside(waiter),
        }
    }

    /// Sets what is held, where nothing is.
    #[inline(always)]
    pub(super) fn set(&self, held: Held) {
        debug_assert!(self.0.get().is_null());
        let (waiter, beside) = match held {
            Held::Nobody => return,
            Held::Owner(waiter) => (waiter, 0),
            Held::Beside(waiter) => (waiter, BESIDE),
            Held::List(list) => return self.put(Box::into_raw(list).cast(), LIST),
        };
        match waiter {
            Waiter::Callback(told) => {
                self.put(Rc::into_raw(told).cast_mut().cast(), LISTENER | beside);
            }
            Waiter::Waker(waker) => match waker::into_data(waker) {
                Ok(task) => self.put(task, TASK | beside),
                Err(waker) => {
                    let foreign = Box::into_raw(Box::new(Foreign(waker)));
                    self.put(foreign.cast(), FOREIGN | beside);
                }
            },
        }
    }

    fn put(&self, pointer: *mut (), bits: usize) {
        debug_assert!(pointer.addr() & BITS == 0);
        self.0.set(pointer.map_addr(|address| address | bits));
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        if !self.is_nobody() {
            drop(self.take());
        }
    }
}

impl Default for Packed {
    fn default() -> Packed {
        Packed::new()
    }
}

impl Held {
    /// All of them, in order.
    pub(super) fn into_list(self) -> Box<List> {
        let (key, waiter) = match self {
            Held::Nobody => return Box::default(),
            Held::Owner(waiter) => (super::OWNER, waiter),
            Held::Beside(waiter) => (super::BESIDE, waiter),
            Held::List(list) => return list,
        };
        Box::new(List(VecDeque::from([Entry { key, waiter }])))
    }
}
