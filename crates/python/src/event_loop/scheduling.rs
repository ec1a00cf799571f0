//! `call_soon`, `call_later`, `call_at`, `call_soon_threadsafe`, `create_task`.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::core::{LoopCore, to_nanoseconds};
use super::methods::core_of;
use crate::args::Signature;
use crate::handles::{self, HandleContext, TimerObject};
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, call_method, type_error};
use crate::tasks::{self, Options};
use crate::timer::as_f64;

const fn call_signature(name: &'static str, positional: &'static [&'static str]) -> Signature {
    Signature::required(name, positional)
        .varargs()
        .keywords(&["context"])
}

static CALL_SOON: Signature = call_signature("call_soon", &["callback"]);
static CALL_SOON_THREADSAFE: Signature = call_signature("call_soon_threadsafe", &["callback"]);
static CALL_LATER: Signature = call_signature("call_later", &["delay", "callback"]);
static CALL_AT: Signature = call_signature("call_at", &["when", "callback"]);

/// In debug mode a callback is looked at when it is scheduled.
#[cold]
fn check_callback(core: &LoopCore, callback: *mut PyObject, method: &str) -> Res<()> {
    let method = Ref::str(method)?;
    // SAFETY: the owner is alive while one of its methods runs.
    unsafe {
        call_method(
            core.owner(),
            names()._check_callback,
            &[callback, method.ptr()],
        )?
    };
    Ok(())
}

vectorcall!(call_soon, |slf, CALL_SOON [callback, context], rest| {
    let core = core_of(slf)?;
    core.check_closed()?;
    if core.debug() {
        core.check_thread_in_debug()?;
        check_callback(core, callback, "call_soon")?;
    }
    let context = HandleContext::given(context)?;
    let handle = handles::new_handle(core, Ref::borrow(callback), rest, context)?;
    core.engine().schedule(jobs::handle(handle.clone()));
    Ok(handle)
});

vectorcall!(call_soon_threadsafe, |slf, CALL_SOON_THREADSAFE [callback, context], rest| {
    let core = core_of(slf)?;
    core.check_closed()?;
    if core.debug() {
        check_callback(core, callback, "call_soon_threadsafe")?;
    }
    let context = HandleContext::given(context)?;
    let handle = handles::new_handle(core, Ref::borrow(callback), rest, context)?;
    core.schedule_from_any_thread(jobs::handle(handle.clone()));
    Ok(handle)
});

impl LoopCore {
    /// Puts a job on the queue from whatever thread this is, and wakes the loop.
    ///
    /// Straight into the queue, past the inbox: every caller holds the GIL, and the loop
    /// touches its queue only while it does. So callbacks run in the order in which they
    /// were scheduled, from whichever threads, as in asyncio.
    pub(crate) fn schedule_from_any_thread(&self, job: rasyncio_engine::Job) {
        self.engine().schedule(job);
        if !self.remote().is_loop_thread() {
            self.remote().wake();
        }
    }
}
vectorcall!(call_later, |slf, CALL_LATER [delay, callback, context], rest| {
    let core = core_of(slf)?;
    if ptr::eq(delay, ffi::Py_None()) {
        return Err(type_error("delay must not be None"));
    }
    // Of exact numbers without the detour through a `float` of the present time.
    let when = if let Some(now) = core.replaced_time()? {
        Ref::checked(ffi::PyNumber_Add(now.ptr(), delay))?
    } else if ffi::PyFloat_CheckExact(delay) != 0 || ffi::PyLong_CheckExact(delay) != 0 {
        Ref::float(core.time() + as_f64(delay)?)?
    } else {
        let now = Ref::float(core.time())?;
        Ref::checked(ffi::PyNumber_Add(now.ptr(), delay))?
    };
    schedule_at(core, when, callback, rest, context)
});

vectorcall!(call_at, |slf, CALL_AT [when, callback, context], rest| {
    let core = core_of(slf)?;
    if ptr::eq(when, ffi::Py_None()) {
        return Err(type_error("when cannot be None"));
    }
    schedule_at(core, Ref::borrow(when), callback, rest, context)
});

unsafe fn schedule_at(
    core: &LoopCore,
    when: Ref,
    callback: *mut PyObject,
    args: &[*mut PyObject],
    context: *mut PyObject,
) -> Res {
    // SAFETY: all alive, says the caller.
    unsafe {
        core.check_closed()?;
        if core.debug() {
            core.check_thread_in_debug()?;
            // Also for `call_later`, as asyncio's is made of `call_at`.
            check_callback(core, callback, "call_at")?;
        }
        let seconds = as_f64(when.ptr())?;
        let context = HandleContext::given(context)?;
        let handle = handles::new_timer(core, when, Ref::borrow(callback), args, context)?;
        let job = jobs::handle(handle.clone());
        let key = core.engine().set_timer(to_nanoseconds(seconds), job);
        TimerObject::set_key(handle.ptr().cast(), key);
        Ok(handle)
    }
}

static CREATE_TASK: Signature =
    Signature::required("create_task", &["coro"]).keywords(&["name", "context", "eager_start"]);

vectorcall!(create_task, |slf, CREATE_TASK [coro, name, context, eager]| {
    let core = core_of(slf)?;
    core.create_task(coro, name, context, eager)
});

impl LoopCore {
    /// `loop.create_task(coro, ...)`; NULL where an option was not given.
    #[inline]
    pub(crate) unsafe fn create_task(
        &self,
        coro: *mut PyObject,
        name: *mut PyObject,
        context: *mut PyObject,
        eager_start: *mut PyObject,
    ) -> Res {
        // SAFETY: all alive or NULL, says the caller.
        unsafe {
            self.check_closed()?;
            if !self.task_factory.ptr().is_null() {
                return self.call_task_factory(coro, name, context, eager_start);
            }
            let eager_start = !eager_start.is_null() && Ref::borrow(eager_start).truth()?;
            tasks::create(
                self,
                coro,
                Options {
                    name,
                    context,
                    eager_start,
                },
            )
        }
    }

    /// The factory gets what the running version's asyncio gives it: all keywords since
    /// 3.14; before that the context alone, and the name is set afterwards.
    #[cold]
    unsafe fn call_task_factory(
        &self,
        coro: *mut PyObject,
        name: *mut PyObject,
        context: *mut PyObject,
        eager_start: *mut PyObject,
    ) -> Res {
        // SAFETY: all alive or NULL, says the caller.
        unsafe {
            let none = ffi::Py_None();
            let all = cfg!(Py_3_14);
            let given = |value: *mut PyObject| !value.is_null() && (all || !ptr::eq(value, none));
            let mut keywords = Vec::new();
            let mut values = vec![self.owner(), coro];
            let offered = [
                (names().name, name, all),
                (names().context, context, true),
                (names().eager_start, eager_start, true),
            ];
            for (keyword, value, passed) in offered {
                if passed && given(value) {
                    keywords.push(keyword);
                    values.push(value);
                }
            }
            let kwnames = Ref::tuple(&keywords)?;
            let task = self.task_factory.get().call_kw(&values, kwnames.ptr())?;
            if !all && given(name) {
                task.call_method(names().set_name, &[name])?;
            }
            Ok(task)
        }
    }
}
