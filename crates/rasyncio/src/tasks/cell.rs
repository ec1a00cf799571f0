//! A task's header, which is the same for all tasks, and who owns the task's memory. (What
//! comes behind the header is in [`stage`](super::stage).)
//!
//! Who may do what:
//!
//! - The *loop's thread* is the one that the loop is entered on
//!   ([`is_local`]). It alone touches the future, the output, and every field of the header
//!   below `sent`.
//! - *Other threads* hold wakers. They read `vtable` and `home`, which never change, and go
//!   through `refs` and `sent`, which are atomic.
//!
//! Who owns the memory: while the task is unfinished, the loop's list. When it has finished
//! ([`Raw::finish`]), the future is gone, everything in the header that may not go to another
//! thread has been dropped, and the output is there only as long as a handle is. So
//! whichever thread is the last to let go may free the memory.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;

use super::list::Links;
use super::refs::{Last, Refs};
use super::sent::Sent;
use super::spawn::Origin;
use super::stage::VTable;
use super::state::{FAILED, JOINABLE, OUTPUT, SEEN, SETTLED, SHARED, State};
use super::waiters::{Key, Waiter, Waiters};
use super::{AnyTask, Task};
use crate::events::{self, Home, LoopState};
use crate::exceptions::{Panic, TaskError};
use crate::place::Place;
use crate::scope::Scope;

/// A pointer to a task. Owns nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw(pub(super) NonNull<Header>);

// Aligned for the bits that `waiters::packed` puts into a pointer to it.
#[repr(align(8))]
pub(super) struct Header {
    pub(super) vtable: &'static VTable,
    /// The loop, as seen from other threads. Alive as long as the task is unfinished, for the
    /// loop finishes its tasks before it goes; and later if `SHARED`, for then the task owns a
    /// share of it.
    pub(super) home: *const Home,
    pub(super) refs: Refs,
    /// A job from another thread is on its way, and owns a reference.
    pub(super) sent: Sent,

    pub(super) state: State,
    /// How many `AnyTask`s there are.
    pub(super) handles: Cell<u32>,
    pub(super) links: Links,
    /// With the task's name and context, if it has any.
    pub(super) scope: Scope,
    /// Who is told of the end.
    pub(super) waiters: Waiters,
    /// Names the task that has no name.
    number: Number,
    /// Where the task was created.
    created: Place,
}

// Thousands of tasks may wait: a field more is felt. With 80 bytes, a future of 40 still fits the
// sizes that glibc's allocator serves quickest (its fast bins end at 120).
const _: () = assert!(size_of::<usize>() != 8 || size_of::<Header>() <= 80 || cfg!(loom));

/// The number of a task: a trillion of them, in five bytes. Those that come later are named.
#[derive(Clone, Copy, Default)]
pub(super) struct Number([u8; 5]);

impl Number {
    /// That of the loop's next task without a name, or the name that it needs.
    #[inline]
    pub(super) fn next(owner: &LoopState) -> (Number, Option<Box<str>>) {
        let number = owner.next_number();
        let [a, b, c, d, e, ..] = number.to_le_bytes();
        let name = (number >> 40 != 0).then(|| default_name(number).into());
        (Number([a, b, c, d, e]), name)
    }

    pub(super) fn get(self) -> u64 {
        let [a, b, c, d, e] = self.0;
        u64::from_le_bytes([a, b, c, d, e, 0, 0, 0])
    }
}

/// Whether this is the thread of the task's loop. May be asked on any thread.
///
/// Addresses of homes are not reused as long as a task may ask, so equality means identity.
#[inline]
pub(super) fn is_local(header: &Header) -> bool {
    events::HOME.is(header.home)
}

impl Header {
    #[inline(always)]
    pub(super) fn new(
        owner: &LoopState,
        vtable: &'static VTable,
        origin: Origin,
        bits: u16,
    ) -> Header {
        let Origin {
            number,
            side,
            created,
        } = origin;
        Header {
            vtable,
            home: Arc::as_ptr(&owner.home),
            refs: Refs::new(),
            sent: Sent::new(),
            state: State::new(JOINABLE | bits),
            handles: Cell::new(0),
            links: Links::default(),
            scope: Scope::with(side),
            waiters: Waiters::default(),
            number,
            created: Place::of(created),
        }
    }

    /// The loop's state. For the loop's thread.
    ///
    /// # Safety
    ///
    /// The task is unfinished, or was until now in this very call of the loop's.
    #[inline]
    pub(super) unsafe fn owner<'a>(&self) -> &'a LoopState {
        // SAFETY: the loop finishes its tasks before it goes, so both are alive.
        unsafe { &*(*self.home).state() }
    }

    /// Where the task was created.
    pub(super) fn created(&self) -> &'static Location<'static> {
        self.created.location()
    }

    /// What the task is called.
    pub(super) fn name(&self) -> String {
        let name = self.scope.look(|side| side?.name.clone());
        name.map_or_else(|| default_name(self.number.get()), String::from)
    }
}

pub(super) fn default_name(number: u64) -> String {
    format!("Task-{number}")
}

impl Raw {
    #[inline]
    pub(super) fn of(header: &Header) -> Raw {
        Raw(NonNull::from(header))
    }

    pub(super) fn as_ptr(self) -> *mut () {
        self.0.as_ptr().cast()
    }

    /// # Safety
    ///
    /// `data` comes from `as_ptr`.
    #[inline]
    pub(super) unsafe fn from_ptr(data: *mut ()) -> Raw {
        // SAFETY: `as_ptr` gives no null.
        Raw(unsafe { NonNull::new_unchecked(data.cast()) })
    }

    /// # Safety
    ///
    /// The task is alive, and stays so for `'a`.
    #[inline]
    pub(super) unsafe fn header<'a>(self) -> &'a Header {
        // SAFETY: it is alive; and nobody ever makes a `&mut Header`.
        unsafe { self.0.as_ref() }
    }

    /// A new handle.
    ///
    /// # Safety
    ///
    /// This is the loop's thread, and the task is unfinished, or there is a handle already.
    pub(super) unsafe fn handle(self) -> AnyTask {
        // SAFETY: alive, because of the list or the other handle.
        let header = unsafe { self.header() };
        // Not to be reached by counting, but by forgetting handles; and then memory is what ends first.
        header.handles.set(
            header
                .handles
                .get()
                .checked_add(1)
                .expect("too many handles"),
        );
        AnyTask { raw: self }
    }

    /// Gives a handle up.
    ///
    /// # Safety
    ///
    /// The caller owns one, and this is the loop's thread.
    pub(super) unsafe fn drop_handle(self) {
        // SAFETY: the caller's handle keeps it alive.
        let header = unsafe { self.header() };
        let left = header.handles.get() - 1;
        header.handles.set(left);
        // Before the settlement it is the list's, or will be looked at when it settles.
        if left == 0 && header.state.has(SETTLED) {
            // SAFETY: the handles together own the task, or one reference, and this was the last.
            unsafe {
                if header.state.has(SHARED) {
                    self.release_anywhere();
                } else {
                    self.free(false);
                }
            }
        }
    }

    /// Makes one more reference.
    ///
    /// # Safety
    ///
    /// This is the loop's thread, and the task is unfinished, or the caller owns a reference.
    #[inline]
    pub(super) unsafe fn retain_here(self) {
        // SAFETY: alive, as the caller says.
        let header = unsafe { self.header() };
        if header.state.has(SHARED) {
            header.refs.retain_shared();
        } else {
            header.refs.retain_local();
        }
    }

    /// Gives a reference up.
    ///
    /// # Safety
    ///
    /// The caller owns one, and this is the loop's thread.
    #[inline]
    pub(super) unsafe fn release_here(self) {
        // SAFETY: the caller's reference keeps it alive.
        let header = unsafe { self.header() };
        if header.state.has(SHARED) {
            // SAFETY: as the caller says.
            unsafe { self.release_anywhere() };
        } else {
            header.refs.release_local();
        }
    }

    /// Gives a reference up, on any thread.
    ///
    /// # Safety
    ///
    /// The caller owns one.
    pub(super) unsafe fn release_anywhere(self) {
        // SAFETY: the caller's reference keeps it alive; the last one frees it, and it can
        // only be the last after the settlement.
        unsafe {
            if self.header().refs.release_shared() == Last::Yes {
                self.free(true);
            }
        }
    }

    /// # Safety
    ///
    /// Nobody uses the task any more; `shared` tells whether it owns a share of its home.
    pub(super) unsafe fn free(self, shared: bool) {
        // SAFETY: as the caller says.
        unsafe {
            let home = self.header().home;
            (self.header().vtable.free)(self);
            if shared {
                Arc::decrement_strong_count(home);
            }
        }
    }
}

impl Clone for AnyTask {
    fn clone(&self) -> AnyTask {
        // SAFETY: handles never leave the loop's thread, and `self` is one.
        unsafe { self.raw.handle() }
    }
}

impl Drop for AnyTask {
    fn drop(&mut self) {
        // SAFETY: handles never leave the loop's thread, and `self` is one.
        unsafe { self.raw.drop_handle() };
    }
}

impl<T> Task<T> {
    /// The output, if the task has ended and the output was not taken before.
    pub(crate) fn take(&self) -> Option<Result<T, TaskError>> {
        // SAFETY: `spawn_unchecked` pairs the type of the handle with that of the future.
        unsafe { self.any.take_output() }
    }
}

impl AnyTask {
    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: the handle keeps the task alive.
        unsafe { self.raw.header() }
    }

    /// Sets how whoever has the `Task` is told of the end, in place of what was set before.
    pub(super) fn set_owner(&self, waiter: Waiter) {
        self.header().waiters.set_owner(waiter);
    }

    pub(super) fn clear_owner(&self) {
        self.header().waiters.clear_owner();
    }

    /// Adds one more who is told of the end.
    pub(crate) fn add_waiter(&self, waiter: Waiter) -> Key {
        self.header().waiters.add(waiter)
    }

    /// Takes back what was added, and answers whether it was there.
    pub(super) fn remove_waiter(&self, key: Key) -> bool {
        self.header().waiters.remove(key).is_some()
    }

    /// The output, for whoever is first to ask.
    ///
    /// # Safety
    ///
    /// `T` is what the task's future resolves to.
    unsafe fn take_output<T>(&self) -> Option<Result<T, TaskError>> {
        let header = self.header();
        if !header.state.remove(OUTPUT) {
            return None;
        }
        // SAFETY: `OUTPUT` said that it is there, and clearing it made it ours.
        Some(unsafe {
            (header.vtable.output)(self.raw)
                .cast::<Result<T, TaskError>>()
                .read()
        })
    }

    /// Drops the output if it is still there. A panic in it is reported.
    pub(super) fn discard_output(&self) {
        let header = self.header();
        if !header.state.remove(OUTPUT) {
            return;
        }
        // SAFETY: `OUTPUT` said that it is there, and clearing it made it ours.
        if let Some(panic) = unsafe { (header.vtable.discard)(self.raw) } {
            self.report_unretrieved(&panic);
        }
    }

    /// Tells of an error that was dropped, unless somebody has looked at it.
    #[cold]
    #[inline(never)]
    fn report_unretrieved(&self, panic: &Panic) {
        let state = &self.header().state;
        if state.has(SEEN) {
            return;
        }
        events::report(&events::ExceptionContext {
            message: match state.has(FAILED) {
                true => events::UNRETRIEVED,
                false => "Task panic was never retrieved",
            },
            task: Some(self),
            panic,
        });
    }

    /// Nobody will ask for the output, or wait for the end.
    pub(super) fn detach(&self) {
        self.header().state.remove(JOINABLE);
        self.clear_owner();
        self.discard_output();
    }
}
