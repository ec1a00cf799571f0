//! `asyncio.Task`: a future that drives a coroutine.

mod cancelling;
pub(crate) mod current;
mod eager;
mod methods;
mod object;
pub(crate) mod registry;
mod step;
mod step_callable;
mod suspend;

use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

pub(crate) use cancelling::{cancel, cancel_waiter};
pub(crate) use methods::init;
pub(crate) use object::TaskObject;
pub(crate) use step::{run_step, run_wakeup, wakeup};

use crate::contexts::RunContext;
use crate::event_loop::LoopCore;
use crate::futures::methods as future_methods;
use crate::global::Global;
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, counts, set_slot, type_error};
use crate::stdlib::stdlib;

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// The class `Task`.
#[inline]
pub(crate) fn task_type() -> *mut PyTypeObject {
    *TYPE.get()
}

/// Whether an object is a task of ours (subclasses included).
pub(crate) fn is_task(obj: *mut PyObject) -> bool {
    // SAFETY: any live object may be asked for its type.
    unsafe { ffi::PyType_IsSubtype(ffi::Py_TYPE(obj), task_type()) != 0 }
}

/// `task.get_context()`: the context that a task runs in.
pub(crate) unsafe fn context_of(task: *mut PyObject) -> Res {
    // SAFETY: a live task of ours, says the caller.
    unsafe { RunContext::show(&raw mut (*task.cast::<TaskObject>()).context) }
}

/// `asyncio.iscoroutine(obj)`, the common kinds without a call.
#[inline]
pub(crate) fn is_coroutine(obj: *mut PyObject) -> Res<bool> {
    // SAFETY: `obj` is alive.
    unsafe {
        if ffi::PyCoro_CheckExact(obj) != 0 || crate::coroutine::is_native(obj) {
            return Ok(true);
        }
    }
    stdlib().is_coroutine.call1(obj)?.truth()
}

/// What may be given when a task is made; NULL where absent.
#[derive(Clone, Copy)]
pub(crate) struct Options {
    pub(crate) name: *mut PyObject,
    pub(crate) context: *mut PyObject,
    pub(crate) eager_start: bool,
}

/// `Task(coro, loop=loop, ...)` of exactly the native class on our loop: the fast way.
#[inline]
pub(crate) fn create(core: &LoopCore, coro: *mut PyObject, options: Options) -> Res {
    // SAFETY: the object is whole before it is tracked and seen.
    unsafe {
        if !is_coroutine(coro)? {
            return Err(not_a_coroutine(coro));
        }
        core.check_thread_in_debug()?;
        let made = object::alloc(task_type())?;
        let task = made.ptr().cast::<TaskObject>();
        (*task).future.loop_ = counts::new_ref(core.owner());
        let prepared = prepare(task, coro, options);
        ffi::PyObject_GC_Track(task.cast());
        prepared?;
        if core.debug() {
            future_methods::record_source(task.cast())?;
        }
        if options.eager_start || !core.is_native() {
            start(task, options.eager_start)?;
        } else {
            registry::add(task);
            core.engine().schedule(jobs::step(made.clone()));
        }
        Ok(made)
    }
}

fn not_a_coroutine(obj: *mut PyObject) -> crate::object::Raised {
    match crate::object::repr(obj) {
        Ok(text) => type_error(&format!("a coroutine was expected, got {text}")),
        Err(raised) => raised,
    }
}

/// Everything of a task but its loop.
#[inline(always)]
unsafe fn prepare(task: *mut TaskObject, coro: *mut PyObject, options: Options) -> Res<()> {
    // SAFETY: `task` and the options are alive, says the caller.
    unsafe {
        let none = ffi::Py_None();
        let given = |object: *mut PyObject| !object.is_null() && !ptr::eq(object, none);
        let context = if given(options.context) {
            if cfg!(Py_3_15) && ffi::PyContext_CheckExact(options.context) == 0 {
                let class = crate::object::type_name(options.context);
                return Err(type_error(&format!(
                    "context must be a contextvars.Context object or None, got {class}"
                )));
            }
            RunContext::own(Ref::borrow(options.context))
        } else {
            RunContext::current()?
        };
        drop(ptr::replace(&raw mut (*task).context, context));
        (*task).number = 0;
        if given(options.name) {
            set_name(task, options.name)?;
        } else {
            (*task).number = methods::next_number();
        }
        set_slot(&raw mut (*task).coro, counts::new_ref(coro));
        Ok(())
    }
}

unsafe fn set_name(task: *mut TaskObject, name: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let text = if ffi::PyUnicode_CheckExact(name) != 0 {
            Ref::borrow(name)
        } else {
            Ref::checked(ffi::PyObject_Str(name))?
        };
        set_slot(&raw mut (*task).name, text.into_ptr());
        Ok(())
    }
}

/// Registers a prepared task and schedules (or, eagerly, makes) its first step.
unsafe fn start(task: *mut TaskObject, eagerly: bool) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        registry::add(task);
        if eagerly && is_running_here((*task).future.loop_)? {
            return eager::start(task);
        }
        suspend::schedule_step(task)
    }
}

/// Eager tasks start at once only when their loop is the running one.
fn is_running_here(loop_: *mut PyObject) -> Res<bool> {
    // SAFETY: `loop_` is alive.
    unsafe { crate::object::call_method(loop_, names().is_running, &[])?.truth() }
}
