//! `asyncio.gather`.
//!
//! Each child has the outer future as the data of a native done callback, so collecting
//! the results allocates nothing but the list that holds them.

mod class;
mod seen;

use core::ptr;

use pyo3::ffi::{self, Py_ssize_t, PyObject, PyTypeObject};

pub(crate) use class::init;

use crate::args::Signature;
use crate::event_loop;
use crate::events;
use crate::futures::object as future_object;
use crate::futures::{self, DoneFn, FutureObject, State, as_exact, as_native, state};
use crate::global::Global;
use crate::names::names;
use crate::object::{Ref, Res, call_method};
use crate::stdlib::cancelled_error;
use crate::tasks::{self, TaskObject};
use seen::Seen;

/// `_GatheringFuture`: the future that `gather` answers.
#[repr(C)]
struct GatheringObject {
    future: FutureObject,
    /// A list of the children in the order of the arguments, repeated ones included.
    children: *mut PyObject,
    /// The task that called `gather`, for the call graph; owned, NULL for none.
    awaiting: *mut PyObject,
    /// Children that were not counted yet.
    unfinished: usize,
    /// Those of them that are done, and whose callback is scheduled.
    scheduled: usize,
    /// Of no child's end we learn only by its callback.
    is_told: bool,
    return_exceptions: bool,
    cancel_requested: bool,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// The class `_GatheringFuture`.
#[inline]
pub(crate) fn gathering_type() -> *mut PyTypeObject {
    *TYPE.get()
}

/// The task behind a gathering future that is still waiting; None for any other object.
pub(crate) unsafe fn awaiting(obj: *mut PyObject) -> Option<*mut PyObject> {
    // SAFETY: `obj` is alive, says the caller.
    unsafe {
        if ffi::Py_TYPE(obj) != gathering_type() || FutureObject::is_done(obj.cast()) {
            return None;
        }
        let task = (*obj.cast::<GatheringObject>()).awaiting;
        (!task.is_null()).then_some(task)
    }
}

static GATHER: Signature = Signature::required("gather", &[])
    .varargs()
    .keywords(&["return_exceptions"]);

vectorcall!(gather, |_module, GATHER [return_exceptions], awaitables| {
    let return_exceptions =
        !return_exceptions.is_null() && Ref::borrow(return_exceptions).truth()?;
    if awaitables.is_empty() {
        return empty();
    }
    gather_all(awaitables, return_exceptions)
});

/// `gather()` of nothing: done at once.
fn empty() -> Res {
    let outer = futures::new_future(events::event_loop()?.ptr())?;
    futures::set_result(outer.ptr(), Ref::list()?.ptr())?;
    Ok(outer)
}

/// `gather(*awaitables, return_exceptions=...)` of one or more, which are alive.
pub(crate) unsafe fn gather_all(awaitables: &[*mut PyObject], return_exceptions: bool) -> Res {
    // SAFETY: the arguments are alive, says the caller; lists are filled in place.
    unsafe {
        let mut seen = Seen::new(awaitables);
        let children = Ref::checked(ffi::PyList_New(awaitables.len() as Py_ssize_t))?;
        // The distinct children; the list keeps them alive.
        let mut distinct = Vec::with_capacity(awaitables.len());
        let mut loop_: Option<Ref> = None;
        for (i, &awaitable) in awaitables.iter().enumerate() {
            let child = match seen.first(i) {
                Some(first) => {
                    Ref::borrow(ffi::PyList_GET_ITEM(children.ptr(), first as Py_ssize_t))
                }
                None => {
                    let known = loop_.as_ref().map_or(ptr::null_mut(), Ref::ptr);
                    let child = events::ensure_future(awaitable, known)?;
                    if !child.is(awaitable) {
                        keep_quiet(&child)?;
                    }
                    if loop_.is_none() {
                        loop_ = Some(futures::get_loop(child.ptr())?);
                    }
                    distinct.push(child.ptr());
                    child
                }
            };
            ffi::PyList_SET_ITEM(children.ptr(), i as Py_ssize_t, child.into_ptr());
        }
        let loop_ = loop_.unwrap_or_else(Ref::none);
        let outer = new_outer(&loop_, &children, distinct.len(), return_exceptions)?;
        (*outer.ptr().cast::<GatheringObject>()).is_told = distinct
            .iter()
            .all(|&child| futures::is_on_native_loop(child));
        subscribe(&distinct, &outer)?;
        Ok(outer)
    }
}

/// Adds the done callbacks. Children that are done already are counted when all others
/// have theirs, as in asyncio since 3.12; before that in a later turn like the rest.
unsafe fn subscribe(children: &[*mut PyObject], outer: &Ref) -> Res<()> {
    let mut finished = Vec::new();
    for &child in children {
        if cfg!(Py_3_12) && futures::is_done(child)? {
            // SAFETY: the outer future's list keeps its children alive.
            finished.push(unsafe { Ref::borrow(child) });
        } else {
            futures::on_done(child, child_done, outer.ptr())?;
        }
    }
    for child in finished {
        // SAFETY: both alive.
        unsafe { child_done(child.ptr(), outer.ptr())? };
    }
    Ok(())
}

/// A task made for a coroutine is out of the caller's reach: no complaint if it is
/// destroyed while it is pending.
fn keep_quiet(child: &Ref) -> Res<()> {
    if child.type_ptr() == tasks::task_type() || tasks::is_task(child.ptr()) {
        // SAFETY: a task of ours.
        unsafe { (*child.ptr().cast::<TaskObject>()).log_destroy_pending = false };
        return Ok(());
    }
    child.set_attr(names()._log_destroy_pending, Ref::bool(false).ptr())
}

fn new_outer(loop_: &Ref, children: &Ref, unfinished: usize, return_exceptions: bool) -> Res {
    // SAFETY: zeroed memory of the class's size.
    unsafe {
        let outer = Ref::checked(ffi::PyType_GenericAlloc(gathering_type(), 0))?;
        let this = outer.ptr().cast::<GatheringObject>();
        future_object::blank(this.cast(), false);
        futures::methods::init_fields(this.cast(), loop_.ptr())?;
        (*this).children = children.clone().into_ptr();
        (*this).unfinished = unfinished;
        (*this).return_exceptions = return_exceptions;
        let task = match event_loop::running_native() {
            running if ptr::eq(running, loop_.ptr()) => events::current_task(running)?,
            _ => Ref::none(),
        };
        if !task.is_none() {
            (*this).awaiting = task.into_ptr();
        }
        Ok(outer)
    }
}

/// Counts a child that has just got a result, instead of scheduling [`child_done`]. That is
/// due for the last to end only: nobody can see when the others are counted.
#[inline]
pub(crate) unsafe fn count_at_once(
    child: *mut FutureObject,
    run: DoneFn,
    data: *mut PyObject,
) -> bool {
    // SAFETY: both alive, says the caller; the data of `child_done` is an outer future.
    unsafe {
        if !is_child_done(run) {
            return false;
        }
        let outer = data.cast::<GatheringObject>();
        let is_due = (*child).state != State::Result
            || !(*outer).is_told
            || (*outer).unfinished <= (*outer).scheduled + 1
            || FutureObject::is_done(outer.cast())
            || ffi::Py_REFCNT(data) == 1;
        if is_due {
            (*outer).scheduled += 1;
        } else {
            (*outer).unfinished -= 1;
        }
        !is_due
    }
}

/// To be told when a callback is scheduled of which [`count_at_once`] is not asked.
#[inline]
pub(crate) unsafe fn will_run(run: DoneFn, data: *mut PyObject) {
    if is_child_done(run) {
        // SAFETY: alive, says the caller; the data of `child_done` is an outer future.
        unsafe { (*data.cast::<GatheringObject>()).scheduled += 1 };
    }
}

#[inline]
fn is_child_done(run: DoneFn) -> bool {
    run as usize == child_done as DoneFn as usize
}

/// A child's done callback.
pub(crate) unsafe fn child_done(child: *mut PyObject, outer: *mut PyObject) -> Res<()> {
    let this = outer.cast::<GatheringObject>();
    // SAFETY: both alive; the outer future is ours.
    unsafe {
        (*this).unfinished = (*this).unfinished.saturating_sub(1);
        // Those that were done from the beginning were not scheduled.
        (*this).scheduled = (*this).scheduled.saturating_sub(1);
        if FutureObject::is_done(this.cast()) {
            if !futures::is_cancelled(child)? {
                // Looked at: not "never retrieved".
                drop(futures::exception(child)?);
            }
            return Ok(());
        }
        if !(*this).return_exceptions {
            if futures::is_cancelled(child)? {
                let error = make_cancelled_error(child)?;
                return state::set_exception(this.cast(), error);
            }
            let exception = futures::exception(child)?;
            if !exception.is_none() {
                return state::set_exception(this.cast(), exception);
            }
        }
        if (*this).unfinished == 0 {
            complete(this)
        } else {
            Ok(())
        }
    }
}

unsafe fn make_cancelled_error(fut: *mut PyObject) -> Res {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        match as_native(fut) {
            Some(native) => state::make_cancelled_error(native),
            None => call_method(fut, names()._make_cancelled_error, &[]),
        }
    }
}

/// All children are done.
unsafe fn complete(this: *mut GatheringObject) -> Res<()> {
    // SAFETY: `this` is alive and holds its children.
    unsafe {
        let children = Ref::borrow((*this).children);
        let count = ffi::PyList_GET_SIZE(children.ptr());
        if (*this).cancel_requested {
            // A cancelled gather is cancelled, whatever `return_exceptions` says, with the
            // message of the last child.
            let error = make_cancelled_error(ffi::PyList_GET_ITEM(children.ptr(), count - 1))?;
            return state::set_exception(this.cast(), error);
        }
        let results = Ref::checked(ffi::PyList_New(count))?;
        for i in 0..count {
            let child = Ref::borrow(ffi::PyList_GET_ITEM(children.ptr(), i));
            let result = outcome(&child)?;
            ffi::PyList_SET_ITEM(results.ptr(), i, result.into_ptr());
        }
        state::set_result(this.cast(), results)
    }
}

/// A child's result, or its exception as a result.
fn outcome(child: &Ref) -> Res {
    if let Some(native) = as_exact(child.ptr()) {
        // SAFETY: alive, and exact: the value is what its state says.
        unsafe {
            if (*native).state == State::Result {
                return Ok(Ref::borrow((*native).value));
            }
        }
    }
    if futures::is_cancelled(child.ptr())? {
        // SAFETY: a class.
        let class = unsafe { Ref::borrow(cancelled_error()) };
        let message = child.attr(names()._cancel_message)?;
        let message = if message.is_none() {
            Ref::str("")?
        } else {
            message
        };
        return class.call1(message.ptr());
    }
    let exception = futures::exception(child.ptr())?;
    if exception.is_none() {
        futures::result(child.ptr())
    } else {
        Ok(exception)
    }
}

/// `_GatheringFuture.cancel(msg)`
pub(crate) unsafe fn cancel_children(slf: *mut PyObject, message: *mut PyObject) -> Res<bool> {
    let this = slf.cast::<GatheringObject>();
    // SAFETY: a live instance of exactly this class or a subclass, says the caller.
    unsafe {
        if FutureObject::is_done(this.cast()) || (*this).children.is_null() {
            return Ok(false);
        }
        let children = Ref::borrow((*this).children);
        let message = Ref::borrow_opt(message).unwrap_or_else(Ref::none);
        let mut any = false;
        for i in 0..ffi::PyList_GET_SIZE(children.ptr()) {
            let child = Ref::borrow(ffi::PyList_GET_ITEM(children.ptr(), i));
            any |= tasks::cancel_waiter(&child, &message)?;
        }
        if any {
            // The error is raised when the children are done: see `complete`.
            (*this).cancel_requested = true;
        }
        Ok(any)
    }
}
