//! `asyncio.Future`, and the protocol by which any object can be a future.
//!
//! The free functions here take *any* future: ours (by struct), or foreign ones such as
//! `_asyncio.Future` or duck-typed classes (by attribute, as asyncio does).

pub(crate) mod attributes;
mod awaited_by;
mod callbacks;
mod class;
pub(crate) mod done_callback;
pub(crate) mod finalize;
pub(crate) mod iter;
pub(crate) mod methods;
pub(crate) mod object;
pub(crate) mod state;

use pyo3::ffi::{self, PyObject, PyTypeObject};

pub(crate) use callbacks::{Callback, Callbacks, add as add_callback, call_soon_foreign, run_lone};
pub(crate) use methods::init;
pub(crate) use object::{FutureObject, State};

use crate::event_loop::{self, LoopCore};
use crate::global::Global;
use crate::names::names;
use crate::object::{Ref, Res, call_method, check};
use crate::tasks;

/// A native done callback: called in a later turn with the future and what it was
/// registered with.
pub(crate) type DoneFn = unsafe fn(future: *mut PyObject, data: *mut PyObject) -> Res<()>;

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// The class `Future`.
#[inline]
pub(crate) fn future_type() -> *mut PyTypeObject {
    *TYPE.get()
}

/// The struct of a future of ours (subclasses and tasks included).
#[inline]
pub(crate) fn as_native(obj: *mut PyObject) -> Option<*mut FutureObject> {
    // SAFETY: any live object may be asked for its type.
    unsafe {
        let class = ffi::Py_TYPE(obj);
        if class == future_type() || class == tasks::task_type() {
            return Some(obj.cast());
        }
        (ffi::PyType_IsSubtype(class, future_type()) != 0).then_some(obj.cast())
    }
}

/// The struct of a future of exactly our classes, on which nothing is overridden.
#[inline]
pub(crate) fn as_exact(obj: *mut PyObject) -> Option<*mut FutureObject> {
    // SAFETY: as above.
    let class = unsafe { ffi::Py_TYPE(obj) };
    let exact = class == future_type()
        || class == tasks::task_type()
        || class == crate::gather::gathering_type();
    exact.then_some(obj.cast())
}

/// A new future for a loop of ours, in debug mode with the traceback of its making.
pub(crate) fn new_native(core: &LoopCore) -> Res {
    // SAFETY: the class is made; the core's loop is alive through the core.
    unsafe {
        let future = object::alloc(future_type(), core.owner())?;
        if core.debug() {
            methods::record_source(future.ptr().cast())?;
        }
        Ok(future)
    }
}

/// `loop.create_future()`
pub(crate) fn new_future(loop_: *mut PyObject) -> Res {
    match event_loop::native(loop_) {
        Some(core) => new_native(core),
        // SAFETY: `loop_` is alive.
        None => unsafe { call_method(loop_, names().create_future, &[]) },
    }
}

/// `asyncio.isfuture(obj)`
pub(crate) fn is_future(obj: *mut PyObject) -> Res<bool> {
    if as_native(obj).is_some() {
        return Ok(true);
    }
    // SAFETY: `obj` is alive; the class attribute decides, as asyncio does it, so that an
    // object which answers any attribute (a mock) is no future.
    unsafe {
        let class = Ref::borrow(ffi::Py_TYPE(obj).cast());
        if class.attr_opt(names()._asyncio_future_blocking)?.is_none() {
            let claimed = Ref::borrow(obj).attr_opt(names().__class__)?;
            let claims = match claimed {
                Some(claimed) => claimed
                    .attr_opt(names()._asyncio_future_blocking)?
                    .is_some(),
                None => false,
            };
            if !claims {
                return Ok(false);
            }
        }
        let blocking = Ref::borrow(obj).attr_opt(names()._asyncio_future_blocking)?;
        Ok(blocking.is_some_and(|blocking| !blocking.is_none()))
    }
}

fn method(obj: *mut PyObject, name: *mut PyObject, args: &[*mut PyObject]) -> Res {
    // SAFETY: all alive, as everywhere in this module.
    unsafe { call_method(obj, name, args) }
}

/// `future.done()`
#[inline]
pub(crate) fn is_done(fut: *mut PyObject) -> Res<bool> {
    match as_exact(fut) {
        // SAFETY: exact, hence a FutureObject.
        Some(native) => Ok(unsafe { FutureObject::is_done(native) }),
        None => method(fut, names().done, &[])?.truth(),
    }
}

/// `future.cancelled()`
#[inline]
pub(crate) fn is_cancelled(fut: *mut PyObject) -> Res<bool> {
    match as_exact(fut) {
        // SAFETY: exact, hence a FutureObject.
        Some(native) => Ok(unsafe { (*native).state == State::Cancelled }),
        None => method(fut, names().cancelled, &[])?.truth(),
    }
}

/// `future.result()`: raises its exception.
#[inline]
pub(crate) fn result(fut: *mut PyObject) -> Res {
    match as_exact(fut) {
        // SAFETY: exact, hence a FutureObject.
        Some(native) => unsafe { state::result(native) },
        None => method(fut, names().result, &[]),
    }
}

/// `future.exception()`
pub(crate) fn exception(fut: *mut PyObject) -> Res {
    match as_exact(fut) {
        // SAFETY: exact, hence a FutureObject.
        Some(native) => unsafe { state::exception(native) },
        None => method(fut, names().exception, &[]),
    }
}

/// `future.set_result(value)`
pub(crate) fn set_result(fut: *mut PyObject, value: *mut PyObject) -> Res<()> {
    match as_exact(fut) {
        // SAFETY: exact, hence a FutureObject; `value` is alive.
        Some(native) => unsafe { state::set_result(native, Ref::borrow(value)) },
        None => method(fut, names().set_result, &[value]).map(drop),
    }
}

/// `future.set_exception(exception)`
pub(crate) fn set_exception(fut: *mut PyObject, exception: *mut PyObject) -> Res<()> {
    match as_exact(fut) {
        // SAFETY: exact, hence a FutureObject; `exception` is alive.
        Some(native) => unsafe { state::set_exception(native, Ref::borrow(exception)) },
        None => method(fut, names().set_exception, &[exception]).map(drop),
    }
}

/// `future.set_result(value)` unless the future is done (asyncio's own guard says
/// "unless cancelled").
pub(crate) fn set_result_unless_cancelled(fut: *mut PyObject, value: *mut PyObject) -> Res<()> {
    if is_done(fut)? {
        Ok(())
    } else {
        set_result(fut, value)
    }
}

/// `future.cancel(msg=message)`; NULL leaves the message out.
pub(crate) fn cancel(fut: *mut PyObject, message: *mut PyObject) -> Res<bool> {
    if let Some(native) = as_exact(fut) {
        // SAFETY: exact, hence the structs are what their flags say.
        unsafe {
            if (*native).is_task {
                return tasks::cancel(native.cast(), message);
            }
            if ffi::Py_TYPE(fut) == future_type() {
                return state::cancel(native, message);
            }
        }
    }
    // SAFETY: all alive.
    unsafe {
        if message.is_null() {
            return method(fut, names().cancel, &[])?.truth();
        }
        let kwnames = Ref::tuple(&[names().msg])?;
        let cancel = Ref::borrow(fut).attr(names().cancel)?;
        cancel.call_kw(&[message], kwnames.ptr())?.truth()
    }
}

/// `future.get_loop()`, or `_loop` of those that lack the method.
pub(crate) fn get_loop(fut: *mut PyObject) -> Res {
    if let Some(native) = as_exact(fut) {
        // SAFETY: exact; an initialised future holds its loop.
        unsafe {
            state::ensure_alive(native)?;
            return Ok(Ref::borrow((*native).loop_));
        }
    }
    // SAFETY: alive.
    let fut = unsafe { Ref::borrow(fut) };
    match fut.attr_opt(names().get_loop)? {
        Some(get_loop) => get_loop.call0(),
        None => fut.attr(names()._loop),
    }
}

/// Whether it is a future of exactly our classes, on a loop of ours.
#[inline]
pub(crate) fn is_on_native_loop(fut: *mut PyObject) -> bool {
    // SAFETY: a future is alive as long as the reference, and its loop through it.
    as_exact(fut).is_some_and(|native| unsafe {
        !(*native).loop_.is_null() && event_loop::native((*native).loop_).is_some()
    })
}

/// `future.add_done_callback(...)` with a native function. `data` is kept alive.
pub(crate) fn on_done(fut: *mut PyObject, run: DoneFn, data: *mut PyObject) -> Res<()> {
    // SAFETY: all alive.
    unsafe {
        if is_on_native_loop(fut) {
            return add_callback(fut.cast(), Callback::native(run, Ref::borrow(data)));
        }
        let callable = done_callback::new(run, data)?;
        method(fut, names().add_done_callback, &[callable.ptr()]).map(drop)
    }
}

/// Undoes [`on_done`]; answers how many were removed.
pub(crate) fn off_done(fut: *mut PyObject, run: DoneFn, data: *mut PyObject) -> Res<usize> {
    // SAFETY: all alive.
    unsafe {
        if is_on_native_loop(fut) {
            if FutureObject::is_done(fut.cast()) {
                return Ok(0);
            }
            return Callbacks::remove_native(fut.cast(), run, data);
        }
        let callable = done_callback::new(run, data)?;
        let removed = method(fut, names().remove_done_callback, &[callable.ptr()])?;
        let count = ffi::PyLong_AsSsize_t(removed.ptr());
        if count == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(crate::object::Raised::set());
        }
        Ok(count as usize)
    }
}

/// Sets `future._asyncio_future_blocking`.
#[inline]
pub(crate) fn set_blocking(fut: *mut PyObject, blocking: bool) -> Res<()> {
    match as_native(fut) {
        // SAFETY: a FutureObject.
        Some(native) => unsafe {
            (*native).blocking = blocking;
            Ok(())
        },
        // SAFETY: alive.
        None => unsafe {
            let value = Ref::bool(blocking);
            check(ffi::PyObject_SetAttr(
                fut,
                names()._asyncio_future_blocking,
                value.ptr(),
            ))
        },
    }
}

/// `future_add_to_awaited_by(future, waiter)`: futures that are not ours keep no note.
pub(crate) fn add_awaited_by(fut: *mut PyObject, waiter: *mut PyObject) -> Res<()> {
    match as_native(fut) {
        // SAFETY: a FutureObject; both alive.
        Some(native) if as_native(waiter).is_some() => unsafe { awaited_by::add(native, waiter) },
        _ => Ok(()),
    }
}

/// `future_discard_from_awaited_by(future, waiter)`
pub(crate) fn discard_awaited_by(fut: *mut PyObject, waiter: *mut PyObject) -> Res<()> {
    match as_native(fut) {
        // SAFETY: a FutureObject; both alive.
        Some(native) => unsafe { awaited_by::discard(native, waiter) },
        None => Ok(()),
    }
}

/// What a native callback is called in reprs, as asyncio's own functions are called there.
pub(crate) fn done_name(run: DoneFn) -> &'static str {
    let known: [(DoneFn, &str); 8] = [
        (tasks::wakeup, "Task.task_wakeup"),
        (
            event_loop::cancel_source,
            "_chain_future.<locals>._call_check_cancel",
        ),
        (crate::gather::child_done, "gather.<locals>._done_callback"),
        (crate::wait::completed, "_wait.<locals>._on_completion"),
        (crate::wait_for::release, "_release_waiter"),
        (
            crate::as_completed::completed,
            "_AsCompletedIterator._handle_completion",
        ),
        (crate::taskgroups::task_done, "TaskGroup._on_task_done"),
        (
            crate::shield::inner_done,
            "shield.<locals>._inner_done_callback",
        ),
    ];
    let found = known
        .into_iter()
        .chain(crate::scheduler::DONE_NAMES)
        .find(|(known, _)| *known as usize == run as usize);
    found.map_or("_on_completion", |(_, name)| name)
}
