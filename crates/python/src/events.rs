//! Which loop runs, which task is current, and making tasks: the module-level functions.

use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{CoroutineDef, Slots, await_object, coroutine};
use crate::event_loop;
use crate::futures;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, call_method, check, import, raised_matches, type_error, value_error,
};
use crate::stdlib::stdlib;
use crate::tasks::{current, is_coroutine, registry};
use crate::types::fastcall_def;

/// `get_running_loop()`
#[inline]
pub(crate) fn running_loop() -> Res {
    let native = event_loop::running_native();
    if !native.is_null() {
        // SAFETY: a running loop is alive.
        return Ok(unsafe { Ref::borrow(native) });
    }
    stdlib().get_running_loop.call0()
}

/// `get_event_loop()`
pub(crate) fn event_loop() -> Res {
    let native = event_loop::running_native();
    if !native.is_null() {
        // SAFETY: a running loop is alive.
        return Ok(unsafe { Ref::borrow(native) });
    }
    stdlib().get_event_loop.call0()
}

/// `current_task(loop)`, or None.
pub(crate) fn current_task(loop_: *mut PyObject) -> Res {
    current::current(loop_)
}

/// `loop.create_task(coro, ...)` as `asyncio.create_task` calls it; NULL where absent.
#[inline]
pub(crate) fn create_task(
    loop_: *mut PyObject,
    coro: *mut PyObject,
    name: *mut PyObject,
    context: *mut PyObject,
    eager_start: *mut PyObject,
) -> Res {
    // SAFETY: all alive or NULL.
    unsafe {
        if let Some(core) = event_loop::native(loop_) {
            return core.create_task(coro, name, context, eager_start);
        }
        create_task_foreign(loop_, coro, name, context, eager_start)
    }
}

/// Other loops get what the running version's asyncio passes: every keyword since 3.14;
/// before that the context if there is one, and the name is set afterwards (3.13 passes it).
#[cold]
unsafe fn create_task_foreign(
    loop_: *mut PyObject,
    coro: *mut PyObject,
    name: *mut PyObject,
    context: *mut PyObject,
    eager_start: *mut PyObject,
) -> Res {
    // SAFETY: all alive or NULL, says the caller.
    unsafe {
        let none = ffi::Py_None();
        let meant = |value: *mut PyObject| !value.is_null() && !ptr::eq(value, none);
        let offered = if cfg!(Py_3_14) {
            [
                (names().name, name, !name.is_null()),
                (names().context, context, !context.is_null()),
                (names().eager_start, eager_start, !eager_start.is_null()),
            ]
        } else {
            [
                (names().name, name, cfg!(Py_3_13)),
                (names().context, context, meant(context)),
                (names().eager_start, eager_start, meant(eager_start)),
            ]
        };
        let mut keywords = Vec::new();
        let mut values = vec![coro];
        for (keyword, value, passed) in offered {
            if passed {
                keywords.push(keyword);
                values.push(if value.is_null() { none } else { value });
            }
        }
        let kwnames = Ref::tuple(&keywords)?;
        let create = Ref::borrow(loop_).attr(names().create_task)?;
        let task = create.call_kw(&values, kwnames.ptr())?;
        if !cfg!(Py_3_13) && meant(name) {
            match task.attr_opt(names().set_name)? {
                Some(set_name) => drop(set_name.call1(name)?),
                None => warn_nameless(&task)?,
            }
        }
        Ok(task)
    }
}

/// A custom task class without `set_name` is tolerated, as asyncio does.
fn warn_nameless(task: &Ref) -> Res<()> {
    let class = crate::object::type_name(task.ptr());
    let text = format!(
        "{class}.set_name() was added in Python 3.8, the method support will be mandatory for \
         third-party task implementations since 3.13."
    );
    let text = std::ffi::CString::new(text).unwrap_or_default();
    // SAFETY: a static class and a C string.
    check(unsafe { ffi::PyErr_WarnEx(ffi::PyExc_DeprecationWarning, text.as_ptr(), 3) })
}

static WRAP_AWAITABLE: CoroutineDef = CoroutineDef::new(c"<rasyncio.tasks>", c"_wrap_awaitable");

/// `ensure_future(obj, loop=loop)`; NULL for the current loop.
#[inline]
pub(crate) fn ensure_future(obj: *mut PyObject, loop_: *mut PyObject) -> Res {
    // SAFETY: `obj` is alive, `loop_` alive or NULL.
    unsafe {
        let none = ffi::Py_None();
        let loop_ = if ptr::eq(loop_, none) {
            ptr::null_mut()
        } else {
            loop_
        };
        if ffi::PyCoro_CheckExact(obj) == 0 && futures::is_future(obj)? {
            if !loop_.is_null() && !futures::get_loop(obj)?.is(loop_) {
                return Err(value_error(
                    "The future belongs to a different loop than the one specified as the loop \
                     argument",
                ));
            }
            return Ok(Ref::borrow(obj));
        }
        let coro = if is_coroutine(obj)? {
            Ref::borrow(obj)
        } else {
            wrap_awaitable(obj)?
        };
        spawn(coro.ptr(), loop_).or_else(|raised| refused(&coro, raised))
    }
}

#[cold]
fn refused(coro: &Ref, raised: Raised) -> Res {
    // SAFETY: a static class.
    if !raised_matches(&raised, unsafe { ffi::PyExc_RuntimeError }) {
        return Err(raised);
    }
    let exception = crate::object::take_raised(raised);
    // Nobody is going to await it: no complaint about that on top.
    coro.call_method(names().close, &[])?;
    Err(crate::object::raise_instance(exception))
}

fn spawn(coro: *mut PyObject, loop_: *mut PyObject) -> Res {
    let loop_ = if loop_.is_null() {
        event_loop()?
    } else {
        // SAFETY: alive.
        unsafe { Ref::borrow(loop_) }
    };
    let absent = ptr::null_mut();
    match event_loop::native(loop_.ptr()) {
        Some(_) => create_task(loop_.ptr(), coro, absent, absent, absent),
        // SAFETY: alive.
        None => unsafe { call_method(loop_.ptr(), names().create_task, &[coro]) },
    }
}

/// A coroutine around anything else that can be awaited.
fn wrap_awaitable(obj: *mut PyObject) -> Res {
    // SAFETY: `obj` is alive.
    let awaitable = unsafe { Ref::borrow(obj) };
    let is_awaitable = import(c"inspect")?.attr(names().isawaitable)?;
    if !is_awaitable.call1(obj)?.truth()? {
        return Err(type_error(
            "An asyncio.Future, a coroutine or an awaitable is required",
        ));
    }
    coroutine(
        &WRAP_AWAITABLE,
        [Some(awaitable)],
        |slots: Slots<1>| async move { await_object(slots.get(0)).await },
    )
}

static CREATE_TASK: Signature =
    Signature::required("create_task", &["coro"]).keywords(&["name", "context", "eager_start"]);

vectorcall!(py_create_task, |_module, CREATE_TASK [coro, name, context, eager_start]| {
    create_task(running_loop()?.ptr(), coro, name, context, eager_start)
});

static ENSURE_FUTURE: Signature =
    Signature::required("ensure_future", &["coro_or_future"]).keywords(&["loop"]);

vectorcall!(py_ensure_future, |_module, ENSURE_FUTURE [obj, loop_]| {
    ensure_future(obj, loop_)
});

static CURRENT_TASK: Signature = Signature::required("current_task", &[]).optional(&["loop"]);

vectorcall!(py_current_task, |_module, CURRENT_TASK [loop_]| {
    if loop_.is_null() || ptr::eq(loop_, ffi::Py_None()) {
        return current::current_for_all(running_loop()?.ptr());
    }
    current::current_for_all(loop_)
});

unsafe extern "C" fn py_isfuture(_: *mut PyObject, obj: *mut PyObject) -> *mut PyObject {
    boundary::object(|| Ok(Ref::bool(futures::is_future(obj)?)))
}

unsafe extern "C" fn py_native_tasks(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    boundary::object(|| registry::all(ptr::null_mut()))
}

/// `_set_running_loop(loop)`: keeps the thread's own note in step with the interpreter's.
unsafe extern "C" fn py_set_running_loop(_: *mut PyObject, loop_: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        let running = match event_loop::any_native(loop_) {
            Some(core) if core.thread() != 0 => loop_,
            _ => ptr::null_mut(),
        };
        event_loop::set_running_native(running);
        stdlib().set_running_loop.call1(loop_)
    })
}

/// In a forked child no loop runs.
unsafe extern "C" fn py_after_fork(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    event_loop::set_running_native(ptr::null_mut());
    Ref::none().into_ptr()
}

static AWAITED_BY: Signature =
    Signature::required("future_add_to_awaited_by", &["future", "waiter"]).positional_only();

vectorcall!(py_add_to_awaited_by, |_module, AWAITED_BY [fut, waiter]| {
    futures::add_awaited_by(fut, waiter)?;
    Ok(Ref::none())
});

vectorcall!(py_discard_from_awaited_by, |_module, AWAITED_BY [fut, waiter]| {
    futures::discard_awaited_by(fut, waiter)?;
    Ok(Ref::none())
});

/// Adds the functions to the module.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let plain = |name: &'static core::ffi::CStr, function, flags| ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            PyCFunction: function,
        },
        ml_flags: flags,
        ml_doc: ptr::null(),
    };
    let functions = vec![
        fastcall_def(c"create_task", py_create_task),
        fastcall_def(c"ensure_future", py_ensure_future),
        fastcall_def(c"current_task", py_current_task),
        fastcall_def(c"future_add_to_awaited_by", py_add_to_awaited_by),
        fastcall_def(
            c"future_discard_from_awaited_by",
            py_discard_from_awaited_by,
        ),
        plain(c"isfuture", py_isfuture, ffi::METH_O),
        plain(c"_native_tasks", py_native_tasks, ffi::METH_NOARGS),
        plain(c"_set_running_loop", py_set_running_loop, ffi::METH_O),
        plain(c"_after_fork", py_after_fork, ffi::METH_NOARGS),
    ];
    // SAFETY: called once, from the module's initialisation.
    unsafe { crate::types::add_functions(module, functions)? };
    let module = {
        // SAFETY: the module is alive.
        unsafe { Ref::borrow(module) }
    };
    for (name, object) in [
        ("get_running_loop", &stdlib().get_running_loop),
        ("_get_running_loop", &stdlib().get_running_loop_or_none),
    ] {
        module.set_attr(Ref::str(name)?.ptr(), object.ptr())?;
    }
    let name = Ref::str("_after_fork")?;
    let hook = module.attr(name.ptr())?;
    let kwnames = Ref::tuple(&[Ref::str("after_in_child")?.ptr()])?;
    let register = import(c"os")?.attr(Ref::str("register_at_fork")?.ptr())?;
    register.call_kw(&[hook.ptr()], kwnames.ptr()).map(drop)
}
