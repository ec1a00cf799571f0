//! A task's steps, and its end.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::task::Context;

use super::cell::{Header, Raw, is_local};
use super::refs::Last;
use super::state::{AGAIN, JOINABLE, LENT, RUNNING, SETTLED, SHARED, STARTED, STRANDED};
use super::waiters::Waiter;
use super::{AnyTask, waker};
use crate::contextvars;
use crate::events;
use crate::exceptions::Cancelled;
use crate::scoped::{Scoped, Slot};

thread_local! {
    static SLOT: Slot<Header> = const { Cell::new(ptr::null()) };
}

/// The task that is being polled.
static CURRENT: Scoped<Header> = Scoped::new(&SLOT);

/// A handle of the task that is being polled.
pub(super) fn current() -> Option<AnyTask> {
    // SAFETY: `run` alone sets it, to a task that is not done.
    CURRENT.with(|task| task.map(|task| unsafe { Raw::of(task).handle() }))
}

/// The address of the task that is being polled; null outside of tasks.
#[inline]
pub(crate) fn current_address() -> *const () {
    CURRENT.with(|task| task.map_or(ptr::null(), |task| ptr::from_ref(task).cast()))
}

/// The context of the task that is being polled, if it has one.
pub(crate) fn current_context() -> Option<contextvars::Context> {
    CURRENT.with(|task| task?.scope.look(|side| side?.context.clone()))
}

/// Gives the task that is being polled a context, in place of none.
pub(crate) fn set_current_context(context: contextvars::Context) {
    CURRENT.with(|task| {
        if let Some(task) = task {
            drop(task.scope.change(|side| side.context.replace(context)));
        }
    });
}

/// Nobody is waited for any more: the task runs.
#[inline(never)]
fn forget_target(header: &Header) {
    events::quietly("a task's wait could not be dropped", || {
        header.scope.forget_target();
    });
}

impl Header {
    /// A task that is `DONE` is not running any more.
    #[inline]
    fn end_running(&self) {
        self.state.remove(RUNNING);
        if self.state.remove(LENT) {
            // The job will give it up.
            self.refs.retain_local();
        }
    }
}

impl Raw {
    /// Runs the task once, and gives up a reference for it. `was` is the part of the state that is over
    /// with that.
    ///
    /// # Safety
    ///
    /// The caller owns the reference, or the task is `LENT`; this is the loop's thread, and the task is not
    /// `DONE`.
    #[inline(always)]
    pub(super) unsafe fn run(self, was: u16) {
        // SAFETY: the reference keeps it alive until `finish` or `release_here` below.
        let header = unsafe { self.header() };
        let mut state = header.state.get() & !was;
        if state & RUNNING != 0 || !is_local(header) {
            // SAFETY: as the caller says.
            return unsafe { self.put_off(state) };
        }
        if header.scope.has_target() {
            header.state.set(state);
            forget_target(header);
            state = header.state.get();
        }
        // The state is what one step hands to the next, so it is written once on each side of the poll.
        header.state.set(state | STARTED | RUNNING);
        if state & STARTED == 0 && header.scope.is_requested() {
            // SAFETY: as the caller says.
            return unsafe { self.end_unstarted() };
        }
        // SAFETY: the task is unfinished, so its loop is alive.
        let done = if events::Watch::is_wanted(unsafe { header.owner() }) {
            // SAFETY: as the caller says, and it is `RUNNING`.
            unsafe { self.poll_watched() }
        } else {
            // SAFETY: as the caller says, and it is `RUNNING`.
            unsafe { self.poll_once() }
        };
        if done {
            header.end_running();
            // SAFETY: it is `DONE`, and the reference is the caller's.
            return unsafe { self.finish() };
        }
        state = header.state.get();
        header.state.set(state & !(RUNNING | AGAIN | LENT));
        if state & LENT != 0 {
            // The job has the reference from now on.
            return;
        }
        if state & AGAIN != 0 {
            waker::wake_local(self, header);
        }
        // It is not done, so references are counted here.
        header.refs.release_local();
    }

    /// Polls the future, and answers whether the task is `DONE`.
    ///
    /// # Safety
    ///
    /// The task is alive, it was not `DONE`, the caller has made it `RUNNING`, and this is the loop's
    /// thread.
    #[inline]
    unsafe fn poll_once(self) -> bool {
        // SAFETY: alive, says the caller.
        let header = unsafe { self.header() };
        let waker = waker::borrowed(self);
        let mut cx = Context::from_waker(&waker);
        CURRENT.set(Some(header), || {
            header.scope.enter_again(|| {
                // SAFETY: not `DONE` says the caller, and it has not been running.
                unsafe { (header.vtable.poll)(self, &mut cx) }
            })
        })
    }

    /// [`poll_once`](Raw::poll_once) in debug mode.
    ///
    /// # Safety
    ///
    /// The same.
    #[cold]
    #[inline(never)]
    unsafe fn poll_watched(self) -> bool {
        // SAFETY: as the caller says. The task was unfinished, so its loop is alive; and it is not settled
        // who owns the memory.
        unsafe {
            let header = self.header();
            let watch = events::Watch::start(header.owner());
            let done = self.poll_once();
            watch.end(Some(&self.handle()), header.created());
            done
        }
    }

    /// Ends a task that was cancelled before it started. Gives up a reference.
    ///
    /// # Safety
    ///
    /// The caller owns the reference and has made the task `RUNNING`, it is not `DONE`, and this is the
    /// loop's thread.
    #[cold]
    #[inline(never)]
    unsafe fn end_unstarted(self) {
        // SAFETY: as the caller says.
        unsafe {
            let header = self.header();
            let reason = header.scope.take_reason().unwrap_or_default();
            (header.vtable.abandon)(self, reason);
            header.end_running();
            self.finish();
        }
    }

    /// Notes that a task cannot run now. Gives up a reference.
    ///
    /// # Safety
    ///
    /// The caller owns the reference, or the task is `LENT`; it is not `DONE`, and this is the thread of
    /// the loop.
    #[cold]
    #[inline(never)]
    unsafe fn put_off(self, state: u16) {
        // SAFETY: the reference keeps it alive.
        let header = unsafe { self.header() };
        if state & RUNNING != 0 {
            // A task turns the loop that it runs on.
            header.state.set((state | AGAIN) & !LENT);
            if state & LENT != 0 {
                // The reference is still that of who runs it.
                return;
            }
        } else {
            header.state.set(state | STRANDED);
            // SAFETY: the task is unfinished, so its loop is alive.
            unsafe { header.owner() }.stranded.set(true);
        }
        // SAFETY: as the caller says.
        unsafe { self.release_here() };
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
            header.end_running();
            self.finish();
        }
    }

    /// Tells who waits of the end, and settles who owns the memory. Gives up a reference.
    ///
    /// # Safety
    ///
    /// The caller owns the reference, this is the loop's thread, and the task has just become
    /// `DONE`.
    #[inline(never)]
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
