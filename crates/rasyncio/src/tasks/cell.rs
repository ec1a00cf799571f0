//! A task's memory: a header that is the same for all tasks, then the future and, in the
//! same place, the output.
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
//! ([`finish`]), the future is gone, everything in the header that may not go to another
//! thread has been dropped, and the output is there only as long as a handle is. So
//! whichever thread is the last to let go may free the memory.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell, UnsafeCell};
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};

use super::list::Links;
use super::refs::{Last, Refs};
use super::state::{
    AGAIN, CANCELLED, DONE, JOINABLE, MAIN, OUTPUT, PANICKED, RUNNING, SETTLED, SHARED, STARTED,
    STRANDED, State,
};
use super::{AnyTask, Name, Task, waker};
use crate::events::{self, Home, LoopState};
use crate::exceptions::{Cancelled, Panic, TaskError};
use crate::scope::Scope;
use crate::scoped::{Scoped, Slot};

thread_local! {
    static SLOT: Slot<Raw> = const { Cell::new(ptr::null()) };
}

/// The task that is being polled.
pub(super) static CURRENT: Scoped<Raw> = Scoped::new(&SLOT);

/// A pointer to a task. Owns nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw(NonNull<Header>);

pub(super) struct Header {
    vtable: &'static VTable,
    /// The loop, as seen from other threads. Alive as long as the task is unfinished, for the
    /// loop finishes its tasks before it goes; and later if `SHARED`, for then the task owns a
    /// share of it.
    pub(super) home: *const Home,
    pub(super) refs: Refs,
    /// A job from another thread is on its way, and owns a reference.
    pub(super) sent: AtomicBool,

    pub(super) state: State,
    /// How many `AnyTask`s there are.
    handles: Cell<u32>,
    pub(super) links: Links,
    /// Alive as long as the task is unfinished.
    owner: *const LoopState,
    pub(super) scope: Scope,
    /// Who is told of the end.
    waiter: Cell<Option<Waiter>>,
    pub(super) name: RefCell<Name>,
}

/// Who waits for a task.
pub(super) enum Waiter {
    Waker(Waker),
    /// The number tells the callback which of its tasks this is.
    Callback(Rc<dyn OnDone>, usize),
}

/// A callback for the end of a task, called in the midst of it: it should only take note.
pub(super) trait OnDone {
    fn on_done(self: Rc<Self>, which: usize, failed: bool);
}

/// What depends on the type of the future. All of it is for the loop's thread, except `free`.
struct VTable {
    /// Polls the future. Answers whether the task is `DONE`.
    poll: unsafe fn(Raw, &mut Context<'_>) -> bool,
    /// Drops the future and makes the task `DONE`, as cancelled.
    abandon: unsafe fn(Raw, Cancelled),
    /// Where the output is: a `Result<F::Output, TaskError>`.
    output: unsafe fn(Raw) -> *mut (),
    /// Drops the output, but for a panic, which should be reported.
    discard: unsafe fn(Raw) -> Option<Panic>,
    free: unsafe fn(Raw),
}

#[repr(C)]
struct TaskCell<F: Future> {
    header: Header,
    stage: UnsafeCell<Stage<F>>,
}

/// The future until `DONE`, then the output as long as `OUTPUT`, then nothing.
union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Result<F::Output, TaskError>>,
}

/// Whether this is the thread of the task's loop. May be asked on any thread.
///
/// Addresses of homes are not reused as long as a task may ask, so equality means identity.
#[inline]
pub(super) fn is_local(header: &Header) -> bool {
    events::HOME.is(header.home)
}

/// Makes a task of the running loop, which is `owner`, and schedules it.
pub(super) fn spawn<F>(owner: &LoopState, future: F, name: Name) -> Task<F::Output>
where
    F: Future + 'static,
{
    // SAFETY: it borrows nothing.
    unsafe { spawn_unchecked(owner, future, name, 0) }
}

/// Makes a task of the running loop, calls `drive`, which has to turn the loop until
/// the task is done, and answers the task's output. Meanwhile the future may borrow.
///
/// Whatever `drive` does, the future is gone when this returns or unwinds.
pub(crate) fn run_main<F: Future>(
    future: F,
    drive: impl FnOnce(&AnyTask),
) -> Result<F::Output, TaskError> {
    struct Guard<T>(Task<T>);
    impl<T> Drop for Guard<T> {
        fn drop(&mut self) {
            if !self.0.done() {
                // SAFETY: nobody runs it, for `drive` has returned or unwound, and it was called
                // outside of the task; so this is the loop's thread as well.
                unsafe { self.0.raw.abandon(Cancelled::new()) };
            }
        }
    }
    let task = events::with_running(|owner, _| {
        let name = Name::Number(owner.next_number());
        // SAFETY: the guard ends the task before this function does, and the output leaves
        // through here or with the guard.
        Guard(unsafe { spawn_unchecked(owner, future, name, MAIN) })
    });
    drive(&task.0);
    match task.0.take() {
        Some(output) => output,
        None => Err(TaskError::Cancelled(Cancelled::new())),
    }
}

/// # Safety
///
/// As for `new`; and `owner` is the running loop.
unsafe fn spawn_unchecked<F: Future>(
    owner: &LoopState,
    future: F,
    name: Name,
    bits: u16,
) -> Task<F::Output> {
    // SAFETY: as the caller says.
    let any = unsafe { new(owner, future, name, bits) };
    if owner.closed.get() {
        // SAFETY: this is the loop's thread, and the task has just begun.
        unsafe {
            any.raw
                .abandon(Cancelled::with_message("the event loop is closed"))
        };
    } else {
        waker::wake_local(any.raw, any.header());
    }
    Task {
        any,
        output: PhantomData,
    }
}

/// A handle of the running task.
pub(super) fn running_handle(task: &Raw) -> AnyTask {
    // SAFETY: for `CURRENT`, which alone lends out such pointers: it is being polled.
    unsafe { task.handle() }
}

/// Makes a task on `owner`, unscheduled, and its only handle.
///
/// # Safety
///
/// What the future and its output borrow must outlive the task's end, and the output must be
/// taken or dropped before that, too.
unsafe fn new<F: Future>(owner: &LoopState, future: F, name: Name, bits: u16) -> AnyTask {
    let cell = Box::new(TaskCell {
        header: Header {
            vtable: &VTable {
                poll: poll::<F>,
                abandon: abandon::<F>,
                output: output::<F>,
                discard: discard::<F>,
                free: free::<F>,
            },
            home: Arc::as_ptr(&owner.home),
            refs: Refs::new(),
            sent: AtomicBool::new(false),
            state: State::new(JOINABLE | bits),
            handles: Cell::new(0),
            links: Links::default(),
            owner,
            scope: Scope::new(),
            waiter: Cell::new(None),
            name: RefCell::new(name),
        },
        stage: UnsafeCell::new(Stage {
            future: ManuallyDrop::new(future),
        }),
    });
    let task = Raw(NonNull::from(Box::leak(cell)).cast());
    // SAFETY: it is new, and `finish` takes it out of the list.
    unsafe { owner.tasks.push(task) };
    // SAFETY: the list keeps it alive.
    unsafe { task.handle() }
}

impl Raw {
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
        header.handles.set(header.handles.get() + 1);
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
        events::quietly("a task's wait could not be dropped", || {
            header.scope.forget_target();
        });
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
            // SAFETY: not `DONE` says the caller, and not running: `can_run`.
            CURRENT.set(Some(&self), || {
                header
                    .scope
                    .enter(|| unsafe { (header.vtable.poll)(self, &mut cx) })
            })
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
            unsafe { &*header.owner }.stranded.set(true);
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
            (header, &*header.owner)
        };
        // SAFETY: it was put there by `new`, and comes here once.
        unsafe { owner.tasks.remove(self) };
        events::quietly("a task's wait could not be dropped", || {
            header.scope.clear()
        });
        if !header.state.has(JOINABLE) {
            // SAFETY: it is alive and the handle goes before the settlement.
            let handle = unsafe { self.handle() };
            events::quietly("a task's output could not be dropped", || {
                handle.discard_output();
            });
        }
        events::quietly("a task's waker panicked", || match header.waiter.take() {
            None => {}
            Some(Waiter::Waker(waker)) => waker.wake(),
            Some(Waiter::Callback(callback, which)) => {
                callback.on_done(which, header.state.has(CANCELLED | PANICKED));
            }
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
        if header.refs.settle(isize::from(has_handles)) == Last::Yes {
            // SAFETY: the last references went while we looked, and there are no handles.
            unsafe { self.free(true) };
        }
    }

    /// # Safety
    ///
    /// Nobody uses the task any more; `shared` tells whether it owns a share of its home.
    unsafe fn free(self, shared: bool) {
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
    pub(super) fn take(&self) -> Option<Result<T, TaskError>> {
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

    /// Sets who is told of the end, in place of whoever was to be told before.
    pub(super) fn set_waiter(&self, waiter: Waiter) {
        drop(self.header().waiter.replace(Some(waiter)));
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
    fn discard_output(&self) {
        let header = self.header();
        if !header.state.remove(OUTPUT) {
            return;
        }
        // SAFETY: `OUTPUT` said that it is there, and clearing it made it ours.
        if let Some(panic) = unsafe { (header.vtable.discard)(self.raw) } {
            events::report(&events::ExceptionContext {
                message: "Task panic was never retrieved",
                task: Some(self),
                panic: &panic,
            });
        }
    }

    /// Nobody will ask for the output.
    pub(super) fn detach(&self) {
        self.header().state.remove(JOINABLE);
        self.discard_output();
    }
}

/// # Safety
///
/// The task is alive and its future an `F`.
unsafe fn stage<F: Future>(task: Raw) -> *mut Stage<F> {
    let cell = task.0.as_ptr().cast::<TaskCell<F>>();
    // SAFETY: in bounds of the live cell.
    UnsafeCell::raw_get(unsafe { &raw const (*cell).stage })
}

unsafe fn poll<F: Future>(task: Raw, cx: &mut Context<'_>) -> bool {
    let polled = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the future is there and nobody else polls it. It never moves: `conclude`
        // drops it in place.
        let future = unsafe { Pin::new_unchecked(&mut *(*stage::<F>(task)).future) };
        future.poll(cx)
    }));
    let result = match polled {
        Ok(Poll::Pending) => return false,
        Ok(Poll::Ready(value)) => Ok(value),
        Err(payload) => Err(TaskError::Panicked(Panic::new(payload))),
    };
    // SAFETY: the future is there.
    unsafe { conclude::<F>(task, result) };
    true
}

unsafe fn abandon<F: Future>(task: Raw, reason: Cancelled) {
    // SAFETY: the future is there, says the caller.
    unsafe { conclude::<F>(task, Err(TaskError::Cancelled(reason))) };
}

/// Puts the output in the place of the future.
///
/// # Safety
///
/// The future is there and is an `F`.
unsafe fn conclude<F: Future>(task: Raw, mut result: Result<F::Output, TaskError>) {
    // SAFETY: alive, says the caller.
    let (header, stage) = unsafe { (task.header(), stage::<F>(task)) };
    let replace = |result: &mut Result<F::Output, TaskError>, error| {
        let old = mem::replace(result, Err(error));
        events::quietly("a task's output could not be dropped", || drop(old));
    };
    // SAFETY: the future is there, and is not touched again.
    let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
        ManuallyDrop::drop(&mut (*stage).future);
    }));
    if let Err(payload) = dropped {
        replace(&mut result, TaskError::Panicked(Panic::new(payload)));
    }
    if let Some(reason) = header.scope.take_reason()
        && result.is_ok()
        && !header.state.has(MAIN)
    {
        replace(&mut result, TaskError::Cancelled(reason));
    }
    header.state.insert(match &result {
        Ok(_) => DONE | OUTPUT,
        Err(TaskError::Cancelled(_)) => DONE | OUTPUT | CANCELLED,
        Err(TaskError::Panicked(_)) => DONE | OUTPUT | PANICKED,
    });
    // SAFETY: the place is empty, and ours.
    unsafe { (&raw mut (*stage).output).write(ManuallyDrop::new(result)) };
}

unsafe fn output<F: Future>(task: Raw) -> *mut () {
    // SAFETY: as the caller says.
    unsafe { (&raw mut (*stage::<F>(task)).output).cast() }
}

unsafe fn discard<F: Future>(task: Raw) -> Option<Panic> {
    // SAFETY: the output is there and the caller's to give away.
    let result = unsafe { ManuallyDrop::take(&mut (*stage::<F>(task)).output) };
    match result {
        Err(TaskError::Panicked(panic)) => Some(panic),
        _ => None,
    }
}

unsafe fn free<F: Future>(task: Raw) {
    // SAFETY: it comes from the box in `new`, and nobody uses it any more. A union drops nothing.
    drop(unsafe { Box::from_raw(task.0.as_ptr().cast::<TaskCell<F>>()) });
}
