//! Done callbacks: what a future keeps, and how each kind becomes a job when it is done.
//!
//! Most futures have exactly one callback, the wake-up of the task that awaits them, so
//! the first one is stored inline and the list behind it is made on demand.

use core::ptr;

use pyo3::ffi::PyObject;
use rasyncio_engine::fetch;

use super::DoneFn;
use super::done_callback;
use super::object::FutureObject;
use crate::awaited_by;
use crate::event_loop::{LoopCore, native};
use crate::gather;
use crate::handles;
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, counts};
use crate::tasks;

/// One callback. `data` and (for Python callbacks) `extra` are owned. That of a wake-up is where the task's
/// coroutine was, to fetch it ahead.
pub(crate) struct Callback {
    kind: Kind,
    data: *mut PyObject,
    extra: *mut PyObject,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Kind {
    /// Nothing here.
    Empty,
    /// `data(future)` in the context `extra`.
    Python,
    /// Wake the task `data`.
    Wakeup,
    /// A native function: `extra` is its address, called with (future, data).
    Native,
}

impl Callback {
    const EMPTY: Callback = Callback {
        kind: Kind::Empty,
        data: ptr::null_mut(),
        extra: ptr::null_mut(),
    };

    pub(crate) fn python(callable: Ref, context: Ref) -> Callback {
        Callback {
            kind: Kind::Python,
            data: callable.into_ptr(),
            extra: context.into_ptr(),
        }
    }

    pub(crate) fn wakeup(task: Ref, coro: *mut PyObject) -> Callback {
        Callback {
            kind: Kind::Wakeup,
            data: task.into_ptr(),
            extra: coro,
        }
    }

    pub(crate) fn native(run: DoneFn, data: Ref) -> Callback {
        Callback {
            kind: Kind::Native,
            data: data.into_ptr(),
            extra: run as *mut PyObject,
        }
    }

    /// What the collector must see.
    pub(crate) fn held(&self) -> [*mut PyObject; 2] {
        let context = if self.kind == Kind::Python {
            self.extra
        } else {
            ptr::null_mut()
        };
        [self.data, context]
    }

    /// The task that waits for the future through this callback: the one that it wakes, or
    /// the one that called `gather`, `wait`, or owns the task group.
    pub(crate) fn awaiting(&self) -> Option<*mut PyObject> {
        let waiter_of = |run: DoneFn, data: *mut PyObject| {
            // SAFETY: owned by self, hence alive.
            unsafe { gather::awaiting(data).or_else(|| awaited_by::waiter_of(run, data)) }
        };
        match self.kind {
            Kind::Wakeup => Some(self.data),
            Kind::Native => waiter_of(self.function(), self.data),
            // On a foreign loop our native callbacks are callables.
            // SAFETY: owned by self, hence alive.
            Kind::Python => unsafe { done_callback::parts(self.data) }
                .and_then(|(run, data)| waiter_of(run, data)),
            Kind::Empty => None,
        }
    }

    fn is_native(&self, run: DoneFn, data: *mut PyObject) -> bool {
        self.kind == Kind::Native && ptr::eq(self.data, data) && self.extra as usize == run as usize
    }

    /// The native function of a `Kind::Native`.
    fn function(&self) -> DoneFn {
        debug_assert!(self.kind == Kind::Native);
        // SAFETY: stored by `native` from a function of this very type.
        unsafe { core::mem::transmute::<*mut PyObject, DoneFn>(self.extra) }
    }

    /// The callback as a Python callable.
    pub(crate) fn callable(&self) -> Res {
        // SAFETY: `data` is owned by self, hence alive.
        unsafe {
            match self.kind {
                Kind::Python => Ok(Ref::borrow(self.data)),
                Kind::Wakeup => done_callback::new(tasks::wakeup, self.data),
                Kind::Native => done_callback::new(self.function(), self.data),
                Kind::Empty => Ok(Ref::none()),
            }
        }
    }

    /// The context it runs in, or None.
    pub(crate) fn context(&self) -> Res {
        // SAFETY: owned by self, hence alive.
        unsafe {
            match self.kind {
                Kind::Python => Ok(Ref::borrow(self.extra)),
                Kind::Wakeup => tasks::context_of(self.data),
                Kind::Native | Kind::Empty => Ok(Ref::none()),
            }
        }
    }

    /// Calls it now, for the job that a lone native callback becomes.
    unsafe fn run(self, future: *mut PyObject) -> Res<()> {
        // SAFETY: `future` is alive, says the caller; `data` through self.
        unsafe { (self.function())(future, self.data) }
    }

    /// Schedules it on our loop, giving its references to the job.
    unsafe fn schedule_native(self, core: &LoopCore, future: *mut PyObject) -> Res<()> {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: each owned pointer moves into exactly one job or handle.
        unsafe {
            match this.kind {
                Kind::Empty => {}
                Kind::Wakeup => core.engine().schedule(jobs::wakeup(Ref::own(this.data))),
                Kind::Python => {
                    let (callable, context) = (Ref::own(this.data), Ref::own(this.extra));
                    let handle = handles::for_callback(core, callable, future, context)?;
                    core.engine().schedule(jobs::handle(handle));
                }
                Kind::Native => {
                    let data = Ref::own(this.data);
                    gather::will_run(this.function(), data.ptr());
                    let call = handles::native_call2(this.function(), Ref::borrow(future), data)?;
                    core.engine().schedule(jobs::native_call(call));
                }
            }
        }
        Ok(())
    }

    /// Schedules it on a foreign loop, through the public method.
    unsafe fn schedule_foreign(self, loop_: *mut PyObject, future: *mut PyObject) -> Res<()> {
        if self.kind == Kind::Native {
            // SAFETY: alive through self.
            unsafe { gather::will_run(self.function(), self.data) };
        }
        let (callable, context) = (self.callable()?, self.context()?);
        // SAFETY: all alive.
        unsafe { call_soon_foreign(loop_, callable.ptr(), &[future], &context) }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: both are owned, or NULL.
        unsafe {
            counts::decrement_opt(self.data);
            if self.kind == Kind::Python {
                counts::decrement_opt(self.extra);
            }
        }
    }
}

/// `loop.call_soon(callable, *args, context=context)`; a None context is left out.
pub(crate) unsafe fn call_soon_foreign(
    loop_: *mut PyObject,
    callable: *mut PyObject,
    args: &[*mut PyObject],
    context: &Ref,
) -> Res<()> {
    // SAFETY: all alive, says the caller.
    unsafe {
        let method = Ref::borrow(loop_).attr(names().call_soon)?;
        let mut all = vec![callable];
        all.extend_from_slice(args);
        if context.is_none() {
            method.call(&all)?;
        } else {
            all.push(context.ptr());
            let kwnames = Ref::tuple(&[names().context])?;
            method.call_kw(&all, kwnames.ptr())?;
        }
        Ok(())
    }
}

/// The callbacks of one future, in the order they were added.
#[allow(
    clippy::box_collection,
    reason = "8 bytes in each future instead of 24"
)]
pub(crate) struct Callbacks {
    first: Callback,
    rest: Option<Box<Vec<Callback>>>,
}

impl Callbacks {
    pub(crate) const fn new() -> Callbacks {
        Callbacks {
            first: Callback::EMPTY,
            rest: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.kind == Kind::Empty && self.rest.is_none()
    }

    #[inline]
    pub(crate) fn push(&mut self, callback: Callback) {
        if self.first.kind == Kind::Empty {
            // SAFETY: an empty one has nothing to drop.
            unsafe { ptr::write(&raw mut self.first, callback) };
        } else {
            self.rest.get_or_insert_with(Box::default).push(callback);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Callback> {
        let first = (self.first.kind != Kind::Empty).then_some(&self.first);
        first
            .into_iter()
            .chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    /// Takes all out, leaving none.
    pub(crate) fn take(&mut self) -> Callbacks {
        core::mem::replace(self, Callbacks::new())
    }

    fn into_iter(self) -> impl Iterator<Item = Callback> {
        let first = (self.first.kind != Kind::Empty).then_some(self.first);
        first
            .into_iter()
            .chain(self.rest.into_iter().flat_map(|rest| rest.into_iter()))
    }

    /// Removes those for which `gone` answers true; order stays. `gone` may run Python
    /// code, so the callbacks are out of the future meanwhile and put back afterwards.
    pub(crate) unsafe fn remove_where(
        fut: *mut FutureObject,
        mut gone: impl FnMut(&Callback) -> Res<bool>,
    ) -> Res<usize> {
        // SAFETY: `fut` is alive, says the caller; no reference into it is held while
        // `gone` runs.
        unsafe {
            let taken = (*fut).callbacks.take();
            let mut kept = Callbacks::new();
            let (mut removed, mut failure) = (0, None);
            for callback in taken.into_iter() {
                let remove = failure.is_none()
                    && gone(&callback).unwrap_or_else(|raised| {
                        failure = Some(raised);
                        false
                    });
                if remove {
                    removed += 1;
                } else {
                    kept.push(callback);
                }
            }
            let added = (*fut).callbacks.take();
            for callback in added.into_iter() {
                kept.push(callback);
            }
            (*fut).callbacks = kept;
            match failure {
                Some(raised) => Err(raised),
                None => Ok(removed),
            }
        }
    }

    pub(crate) unsafe fn remove_native(
        fut: *mut FutureObject,
        run: DoneFn,
        data: *mut PyObject,
    ) -> Res<usize> {
        // SAFETY: as for `remove_where`.
        unsafe { Self::remove_where(fut, |callback| Ok(callback.is_native(run, data))) }
    }
}

/// Schedules all callbacks of a future that has just become done. Most have none, or one task
/// that waits.
#[inline]
pub(crate) unsafe fn schedule_all(fut: *mut FutureObject) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        if (*fut).callbacks.is_empty() {
            return Ok(());
        }
        if (*fut).callbacks.first.kind == Kind::Wakeup
            && (*fut).callbacks.rest.is_none()
            && let Some(core) = native((*fut).loop_)
            && !core.debug()
        {
            let task = Ref::own((*fut).callbacks.first.data);
            fetch::<3>(task.ptr().cast());
            fetch::<4>((*fut).callbacks.first.extra.cast());
            ptr::write(&raw mut (*fut).callbacks.first, Callback::EMPTY);
            core.engine().schedule(jobs::wakeup(task));
            return Ok(());
        }
        schedule_any(fut)
    }
}

#[inline(never)]
unsafe fn schedule_any(fut: *mut FutureObject) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        let future = fut.cast::<PyObject>();
        let Some(core) = native((*fut).loop_) else {
            let loop_ = Ref::borrow((*fut).loop_);
            for callback in (*fut).callbacks.take().into_iter() {
                callback.schedule_foreign(loop_.ptr(), future)?;
            }
            return Ok(());
        };
        core.check_thread_in_debug()?;
        let first = &(*fut).callbacks.first;
        if first.kind == Kind::Native && (*fut).callbacks.rest.is_none() {
            if gather::count_at_once(fut, first.function(), first.data) {
                drop((*fut).callbacks.take());
            } else {
                // It stays in its slot until the job takes it out: no allocation.
                core.engine()
                    .schedule(jobs::lone_callback(Ref::borrow(future)));
            }
            return Ok(());
        }
        for callback in (*fut).callbacks.take().into_iter() {
            callback.schedule_native(core, future)?;
        }
        Ok(())
    }
}

/// The job of a future whose only callback was native: runs it.
pub(crate) unsafe fn run_lone(fut: *mut FutureObject) -> Res<()> {
    // SAFETY: the job keeps `fut` alive.
    unsafe {
        let callback = core::mem::replace(&mut (*fut).callbacks.first, Callback::EMPTY);
        if callback.kind == Kind::Empty {
            Ok(())
        } else {
            callback.run(fut.cast())
        }
    }
}

/// Adds a callback to a pending future, or schedules it at once if it is done.
#[inline]
pub(crate) unsafe fn add(fut: *mut FutureObject, callback: Callback) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        if !FutureObject::is_done(fut) {
            (*fut).callbacks.push(callback);
            return Ok(());
        }
        add_to_done(fut, callback)
    }
}

#[cold]
unsafe fn add_to_done(fut: *mut FutureObject, callback: Callback) -> Res<()> {
    // SAFETY: as above.
    unsafe {
        match native((*fut).loop_) {
            Some(core) => {
                core.check_thread_in_debug()?;
                callback.schedule_native(core, fut.cast())
            }
            None => {
                let loop_ = Ref::borrow((*fut).loop_);
                callback.schedule_foreign(loop_.ptr(), fut.cast())
            }
        }
    }
}
