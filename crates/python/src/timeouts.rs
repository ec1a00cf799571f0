//! `asyncio.timeout`, `timeout_at` and the `Timeout` they make.
//!
//! A deadline is a timer that cancels the task. On the way out, a cancellation that only the
//! timer asked for is taken back and becomes a `TimeoutError`; any other passes through.

mod errors;
mod methods;

use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::cancellation::{cancelling, uncancel};
use crate::coroutine::raised_during;
use crate::event_loop;
use crate::events;
use crate::futures;
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Ref, Res, check, raise_instance, runtime_error, set_slot, take_raised, take_slot,
};
use crate::timer::{self, Timer};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Created,
    Entered,
    /// The deadline has passed and the task was cancelled.
    Expiring,
    Expired,
    Exited,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Entered => "active",
            State::Expiring => "expiring",
            State::Expired => "expired",
            State::Exited => "finished",
        }
    }
}

/// All pointers are owned and nullable.
#[repr(C)]
pub(crate) struct TimeoutObject {
    head: PyObject,
    weakrefs: *mut PyObject,
    /// A time of the loop's clock, or None.
    when: *mut PyObject,
    loop_: *mut PyObject,
    task: *mut PyObject,
    /// What a foreign loop gave for `timer`.
    handle: *mut PyObject,
    timer: Option<Timer>,
    /// The task's count of cancellation requests on entry.
    cancelling: i64,
    state: State,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// A timeout that ends `delay` seconds from now (never, if it is None).
pub(crate) fn timeout_in(delay: *mut PyObject) -> Res {
    let running = events::running_loop()?;
    // SAFETY: alive; None lives for ever.
    unsafe {
        if delay == ffi::Py_None() {
            return new(delay);
        }
        let when = match event_loop::native(running.ptr()) {
            Some(core) => Ref::float(core.time() + timer::as_f64(delay)?)?,
            None => {
                let now = running.call_method(names().time, &[])?;
                Ref::checked(ffi::PyNumber_Add(now.ptr(), delay))?
            }
        };
        new(when.ptr())
    }
}

fn new(when: *mut PyObject) -> Res {
    // SAFETY: fresh memory, zeroed or written before it is seen.
    unsafe {
        let class = *TYPE.get();
        let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let object = Ref::checked(alloc(class, 0))?;
        blank(object.ptr().cast(), when);
        Ok(object)
    }
}

/// Puts zeroed memory into the first state.
unsafe fn blank(timeout: *mut TimeoutObject, when: *mut PyObject) {
    // SAFETY: memory from `tp_alloc`, says the caller; `write` drops nothing.
    unsafe {
        (&raw mut (*timeout).timer).write(None);
        (&raw mut (*timeout).state).write(State::Created);
        (*timeout).when = Ref::borrow(when).into_ptr();
    }
}

/// `async with timeout`: the way in.
pub(crate) unsafe fn enter(timeout: *mut TimeoutObject) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        if (*timeout).state != State::Created {
            return Err(runtime_error("Timeout has already been entered"));
        }
        let running = events::running_loop()?;
        let task = events::current_task(running.ptr())?;
        if task.is_none() {
            return Err(runtime_error("Timeout should be used inside a task"));
        }
        (*timeout).cancelling = cancelling(task.ptr())?;
        (*timeout).state = State::Entered;
        set_slot(&raw mut (*timeout).task, task.into_ptr());
        set_slot(&raw mut (*timeout).loop_, running.into_ptr());
        let when = Ref::borrow((*timeout).when);
        schedule(timeout, when)
    }
}

/// Sets the deadline of an entered timeout.
unsafe fn schedule(timeout: *mut TimeoutObject, when: Ref) -> Res<()> {
    // SAFETY: alive and entered, says the caller, so it has a loop.
    unsafe {
        set_slot(&raw mut (*timeout).when, when.clone().into_ptr());
        cancel_timer(timeout)?;
        if !when.is_none() {
            let data = Ref::borrow(timeout.cast());
            let loop_ = Ref::borrow((*timeout).loop_);
            let timer = timer::call_at_or_soon(loop_.ptr(), when.ptr(), expire, data, |handle| {
                set_slot(&raw mut (*timeout).handle, handle.into_ptr());
            })?;
            (*timeout).timer = Some(timer);
        }
        Ok(())
    }
}

unsafe fn cancel_timer(timeout: *mut TimeoutObject) -> Res<()> {
    // SAFETY: alive, says the caller; a timer was set on this very loop.
    unsafe {
        let handle = take_slot(&raw mut (*timeout).handle);
        match (*timeout).timer.take() {
            Some(timer) => {
                let handle = handle.map_or(ptr::null_mut(), Ref::into_ptr);
                let cancelled = timer.cancel((*timeout).loop_, handle);
                drop(Ref::own_opt(handle));
                cancelled
            }
            None => Ok(()),
        }
    }
}

/// The timer's function.
unsafe fn expire(timeout: *mut PyObject) -> Res<()> {
    let timeout = timeout.cast::<TimeoutObject>();
    // SAFETY: the timer keeps the timeout alive. Leaving cancels the timer, so this finds the
    // timeout entered, and such a one has a task.
    unsafe {
        if (*timeout).state != State::Entered {
            return Ok(());
        }
        let task = Ref::borrow((*timeout).task);
        futures::cancel(task.ptr(), ptr::null_mut())?;
        (*timeout).state = State::Expiring;
        (*timeout).timer = None;
        set_slot(&raw mut (*timeout).handle, ptr::null_mut());
        Ok(())
    }
}

/// The way out, with the exception that leaves the block or NULL. An error replaces it.
pub(crate) unsafe fn exit(timeout: *mut TimeoutObject, exception: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        cancel_timer(timeout)?;
        match (*timeout).state {
            State::Expiring => {
                (*timeout).state = State::Expired;
                let task = Ref::borrow((*timeout).task);
                let uncancelled = uncancel(task.ptr())?;
                if uncancelled <= (*timeout).cancelling && !exception.is_null() {
                    // No one else asked for a cancellation: this one is ours to handle.
                    errors::expired(exception)?;
                }
            }
            State::Entered => (*timeout).state = State::Exited,
            State::Created | State::Expired | State::Exited => {}
        }
        Ok(())
    }
}

/// The exception that leaves an `async with` block, from what `__aexit__` is given.
pub(crate) unsafe fn exception_of(kind: *mut PyObject, value: *mut PyObject) -> Res<Option<Ref>> {
    // SAFETY: alive, says the caller.
    unsafe {
        if ffi::PyExceptionInstance_Check(value) != 0 {
            Ok(Some(Ref::borrow(value)))
        } else if ffi::PyExceptionClass_Check(kind) != 0 {
            Ref::borrow(kind).call0().map(Some)
        } else {
            Ok(None)
        }
    }
}

/// [`exit`] for native code: the outcome of the block, as it leaves the timeout.
#[cfg_attr(
    not(Py_3_12),
    allow(dead_code, reason = "wait_for has no need of it there")
)]
pub(crate) unsafe fn exit_with(timeout: *mut TimeoutObject, outcome: Res) -> Res {
    match outcome {
        Ok(value) => {
            // SAFETY: alive, says the caller.
            unsafe { exit(timeout, ptr::null_mut())? };
            Ok(value)
        }
        Err(raised) => {
            let exception = take_raised(raised);
            // SAFETY: as above.
            match unsafe { exit(timeout, exception.ptr()) } {
                Ok(()) => Err(raise_instance(exception)),
                Err(newer) => Err(raised_during(newer, exception)),
            }
        }
    }
}

/// Adds the class and the functions; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        let class = methods::class().build(module, ptr::null_mut())?;
        TYPE.set(class);
        check(ffi::PyModule_AddObjectRef(
            module,
            c"Timeout".as_ptr(),
            class.cast(),
        ))?;
        methods::add_functions(module)
    }
}
