//! A task's steps, and its end.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::task::Context;

use super::cell::{Header, Raw, is_local};
use super::refs::Last;
use super::state::{AGAIN, JOINABLE, RUNNING, SETTLED, SHARED, STARTED, STRANDED};
use super::waiters::Waiter;
use super::{AnyTask, waker};
use crate::contextvars;
use crate::events;
use crate::exceptions::Cancelled;
use crate::scoped::{Scoped, Slot};

thread_local! {
    static SLOT: Slot<Raw> = const { Cell::new(ptr::null()) };
}

/// The task that is being polled.
static CURRENT: Scoped<Raw> = Scoped::new(&SLOT);

/// A handle of the task that is being polled.
pub(super) fn current() -> Option<AnyTask> {
    // SAFETY: `run` alone sets it, to a task that is not done.
    CURRENT.with(|task| task.map(|task| unsafe { task.handle() }))
}

/// The address of the task that is being polled; null outside of tasks.
#[inline]
pub(crate) fn current_address() -> *const () {
    CURRENT.with(|task| task.map_or(ptr::null(), |task| task.as_ptr().cast_const()))
}

/// The context of the task that is being polled, if it has one.
pub(crate) fn current_context() -> Option<contextvars::Context> {
    CURRENT.with(|task| {
        // SAFETY: `run` alone sets it, to a task that is not done.
        let header = unsafe { task?.header() };
        header.scope.look(|side| side?.context.clone())
    })
}

/// Gives the task that is being polled a context, in place of none.
pub(crate) fn set_current_context(context: contextvars::Context) {
    CURRENT.with(|task| {
        if let Some(task) = task {
            // SAFETY: `run` alone sets it, to a task that is not done.
            let scope = &unsafe { task.header() }.scope;
            drop(scope.change(|side| side.context.replace(context)));
        }
    });
}

impl Raw {
    /// Runs the task once, and gives up a reference for it.
    ///
    /// # Safety
    ///
    /// The caller owns the reference, this is the loop's thread, and the task is not `DONE`.
    pub(super) unsafe fn run(self) {
        // SAFETY: the reference keeps it alive until `finish` or `release_here` below.
        let header = unsafe { self.header() };
        if !self.can_run(header) {
            // SAFETY: as the caller says.
            return unsafe { self.release_here() };
        }
        if header.scope.has_target() {
            events::quietly("a task's wait could not be dropped", || {
                header.scope.forget_target();
            });
        }
        let first = !header.state.has(STARTED);
        header.state.insert(STARTED | RUNNING);
        let done = if first && header.scope.is_requested() {
            let reason = header.scope.take_reason().unwrap_or_default();
            // SAFETY: not `DONE` says the caller, and not running: `can_run`.
            unsafe { (header.vtable.abandon)(self, reason) };
            true
        } else {
            let waker = waker::borrowed(self);
            let mut cx = Context::from_waker(&waker);
            let poll = || {
                // SAFETY: not `DONE` says the caller, and not running: `can_run`.
                unsafe { (header.vtable.poll)(self, &mut cx) }
            };
            // SAFETY: the task is unfinished, so its loop is alive.
            let watch = events::Watch::start(unsafe { header.owner() });
            let done = CURRENT.set(Some(&self), || header.scope.enter(poll));
            if watch.is_on() {
                // SAFETY: it was not done before, so the memory is not settled, and this is its thread.
                watch.end(Some(&unsafe { self.handle() }), header.created());
            }
            done
        };
        header.state.remove(RUNNING);
        if done {
            // SAFETY: it is `DONE`, and the reference is the caller's.
            return unsafe { self.finish() };
        }
        if header.state.remove(AGAIN) {
            waker::wake_local(self, header);
        }
        // SAFETY: as the caller says.
        unsafe { self.release_here() };
    }

    fn can_run(self, header: &Header) -> bool {
        if header.state.has(RUNNING) {
            // A task turns the loop that it runs on.
            header.state.insert(AGAIN);
            return false;
        }
        if !is_local(header) {
            header.state.insert(STRANDED);
            // SAFETY: the task is unfinished, so its loop is alive.
            unsafe { header.owner() }.stranded.set(true);
            return false;
        }
        true
    }

    /// Ends the task as cancelled, without asking it.
    ///
    /// # Safety
    ///
    /// This is the loop's thread, and the task is neither `DONE` nor `RUNNING`.
    pub(super) unsafe fn abandon(self, reason: Cancelled) {
        // SAFETY: unfinished, so the list keeps it alive; the new reference goes to `finish`.
        unsafe {
            let header = self.header();
            header.refs.retain_local();
            header.state.insert(RUNNING);
            (header.vtable.abandon)(self, reason);
            header.state.remove(RUNNING);
            self.finish();
        }
    }

    /// Tells who waits of the end, and settles who owns the memory. Gives up a reference.
    ///
    /// # Safety
    ///
    /// The caller owns the reference, this is the loop's thread, and the task has just become
    /// `DONE`.
    unsafe fn finish(self) {
        // SAFETY: the reference keeps it alive; the task was in its loop's list until now, so
        // the loop is alive.
        let (header, owner) = unsafe {
            let header = self.header();
            (header, header.owner())
        };
        // SAFETY: it was put there by `new`, and comes here once.
        unsafe { owner.tasks.remove(self) };
        events::quietly("what a task held could not be dropped", || {
            header.scope.clear();
        });
        if !header.state.has(JOINABLE) {
            // SAFETY: it is alive and the handle goes before the settlement.
            let handle = unsafe { self.handle() };
            events::quietly("a task's output could not be dropped", || {
                handle.discard_output();
            });
        }
        header.waiters.tell(|waiter| {
            events::quietly("a task's waker panicked", || match waiter {
                Waiter::Waker(waker) => waker.wake(),
                Waiter::Callback(listener) => {
                    // SAFETY: it is alive and the handle goes before the settlement.
                    let task = unsafe { self.handle() };
                    listener.on_done(&task);
                }
            });
        });

        header.refs.release_local();
        let has_handles = header.handles.get() > 0;
        if header.refs.is_unreferenced() {
            header.state.insert(SETTLED);
            if !has_handles {
                // SAFETY: neither references nor handles are left.
                unsafe { self.free(false) };
            }
            return;
        }
        // SAFETY: `home` comes from an `Arc` that `owner` still holds. `free` gives the share back.
        unsafe { Arc::increment_strong_count(header.home) };
        header.state.insert(SETTLED | SHARED);
        if header.refs.settle(i32::from(has_handles)) == Last::Yes {
            // SAFETY: the last references went while we looked, and there are no handles.
            unsafe { self.free(true) };
        }
    }
}
