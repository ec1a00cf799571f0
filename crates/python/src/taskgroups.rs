//! `asyncio.TaskGroup`.
//!
//! The group's tasks tell it when they are done; the first failure cancels the others and
//! the parent, and leaving the block waits for all. What the parent was cancelled for is
//! kept apart throughout: a cancellation by the group itself is taken back (`uncancel`), one
//! from outside goes on.

mod exit;
mod methods;

use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::awaited_by;
use crate::events;
use crate::futures;
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Ref, Res, call_method, check, isinstance, repr, runtime_error, set_slot, str_of,
};
use crate::stdlib::stdlib;

/// All pointers are owned and nullable; the group's attributes in asyncio, by their names
/// there.
#[repr(C)]
pub(crate) struct TaskGroupObject {
    head: PyObject,
    weakrefs: *mut PyObject,
    loop_: *mut PyObject,
    parent_task: *mut PyObject,
    /// A set: the tasks that are not done.
    tasks: *mut PyObject,
    /// A list, or NULL once they have been handed on.
    errors: *mut PyObject,
    /// The first `SystemExit` or `KeyboardInterrupt`.
    base_error: *mut PyObject,
    on_completed: *mut PyObject,
    entered: bool,
    exiting: bool,
    aborting: bool,
    parent_cancel_requested: bool,
    cancel_on_enter: bool,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

type Group = *mut TaskGroupObject;

/// The way into the block.
unsafe fn enter(group: Group) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        if (*group).entered {
            let group = repr(group.cast())?;
            return Err(runtime_error(&format!(
                "TaskGroup {group} has already been entered"
            )));
        }
        if (*group).loop_.is_null() {
            set_slot(&raw mut (*group).loop_, events::running_loop()?.into_ptr());
        }
        let task = events::current_task((*group).loop_)?;
        if task.is_none() {
            let group = repr(group.cast())?;
            let message = format!("TaskGroup {group} cannot determine the parent task");
            return Err(runtime_error(&message));
        }
        set_slot(&raw mut (*group).parent_task, task.into_ptr());
        (*group).entered = true;
        if (*group).cancel_on_enter {
            cancel(group)?;
        }
        Ok(())
    }
}

/// Why no task may be added, if so.
unsafe fn refuses(group: Group) -> Option<&'static str> {
    // SAFETY: alive, says the caller.
    unsafe {
        if !(*group).entered {
            Some("has not been entered")
        } else if (*group).exiting && !has_tasks(group) {
            Some("is finished")
        } else if (*group).aborting {
            Some("is shutting down")
        } else {
            None
        }
    }
}

/// `group.create_task(coro, ...)`: `make` asks the loop for the task.
unsafe fn create_task(
    group: Group,
    coro: *mut PyObject,
    make: impl FnOnce(*mut PyObject) -> Res,
) -> Res {
    // SAFETY: both alive, says the caller.
    unsafe {
        if let Some(reason) = refuses(group) {
            if stdlib().closes_refused_coroutine {
                call_method(coro, names().close, &[])?;
            }
            let group = repr(group.cast())?;
            return Err(runtime_error(&format!("TaskGroup {group} {reason}")));
        }
        let task = make((*group).loop_)?;
        awaited_by::add(task.ptr(), (*group).parent_task)?;
        // Also for a task that is done already: its failure must not cancel the parent from
        // within the call that made it.
        check(ffi::PySet_Add((*group).tasks, task.ptr()))?;
        futures::on_done(task.ptr(), task_done, group.cast())?;
        // An eager task may have cancelled the group before it was one of its tasks.
        if (*group).aborting && !futures::is_done(task.ptr())? {
            futures::cancel(task.ptr(), ptr::null_mut())?;
        }
        Ok(task)
    }
}

unsafe fn has_tasks(group: Group) -> bool {
    // SAFETY: alive, says the caller; `tasks` is a set until the collector clears it.
    unsafe { !(*group).tasks.is_null() && ffi::PySet_GET_SIZE((*group).tasks) > 0 }
}

/// Whether an exception ends the program rather than the group.
unsafe fn is_base_error(exception: *mut PyObject) -> Res<bool> {
    // SAFETY: alive, says the caller; static classes.
    unsafe {
        Ok(isinstance(exception, ffi::PyExc_SystemExit)?
            || isinstance(exception, ffi::PyExc_KeyboardInterrupt)?)
    }
}

/// Cancels all tasks.
unsafe fn abort(group: Group) -> Res<()> {
    // SAFETY: alive, says the caller. The list keeps the tasks while cancelling them runs
    // whatever code.
    unsafe {
        (*group).aborting = true;
        if (*group).tasks.is_null() {
            return Ok(());
        }
        let tasks = Ref::checked(ffi::PySequence_List((*group).tasks))?;
        for i in 0..ffi::PyList_GET_SIZE(tasks.ptr()) {
            let task = Ref::borrow(ffi::PyList_GET_ITEM(tasks.ptr(), i));
            if !futures::is_done(task.ptr())? {
                futures::cancel(task.ptr(), ptr::null_mut())?;
            }
        }
        Ok(())
    }
}

/// `group.cancel()`: everything stops, the block included, and nothing is raised for it.
unsafe fn cancel(group: Group) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        if !(*group).entered {
            (*group).cancel_on_enter = true;
            return Ok(());
        }
        if (*group).aborting || ((*group).exiting && !has_tasks(group)) {
            return Ok(());
        }
        abort(group)?;
        if !(*group).parent_task.is_null() && !(*group).parent_cancel_requested {
            cancel_parent(group)?;
        }
        Ok(())
    }
}

unsafe fn cancel_parent(group: Group) -> Res<()> {
    // SAFETY: alive and entered, says the caller.
    unsafe {
        (*group).parent_cancel_requested = true;
        let parent = Ref::borrow((*group).parent_task);
        futures::cancel(parent.ptr(), ptr::null_mut()).map(drop)
    }
}

/// The task that waits for the tasks of a group, borrowed; NULL if none does.
pub(crate) unsafe fn parent_of(group: *mut PyObject) -> *mut PyObject {
    // SAFETY: a group, alive, says the caller.
    unsafe { (*group.cast::<TaskGroupObject>()).parent_task }
}

/// The tasks' done callback.
pub(crate) unsafe fn task_done(task: *mut PyObject, group: *mut PyObject) -> Res<()> {
    let group = group.cast::<TaskGroupObject>();
    // SAFETY: registered with a group, which the callback keeps alive.
    unsafe {
        if (*group).tasks.is_null() {
            return Ok(());
        }
        if ffi::PySet_Discard((*group).tasks, task) < 0 {
            return Err(crate::object::Raised::set());
        }
        if !(*group).parent_task.is_null() {
            awaited_by::discard(task, (*group).parent_task)?;
        }
        if !(*group).on_completed.is_null() && !has_tasks(group) {
            let completed = Ref::borrow((*group).on_completed);
            futures::set_result_unless_cancelled(completed.ptr(), Ref::bool(true).ptr())?;
        }
        if futures::is_cancelled(task)? {
            return Ok(());
        }
        let exception = futures::exception(task)?;
        if exception.is_none() {
            return Ok(());
        }
        failed(group, task, exception)
    }
}

#[cold]
unsafe fn failed(group: Group, task: *mut PyObject, exception: Ref) -> Res<()> {
    // SAFETY: all alive, says the caller.
    unsafe {
        if !(*group).errors.is_null() {
            check(ffi::PyList_Append((*group).errors, exception.ptr()))?;
        }
        if (*group).base_error.is_null() && is_base_error(exception.ptr())? {
            set_slot(&raw mut (*group).base_error, exception.clone().into_ptr());
        }
        let parent_done = match Ref::borrow_opt((*group).parent_task) {
            Some(parent) => futures::is_done(parent.ptr())?,
            None => true,
        };
        if parent_done {
            return report(group, task, &exception);
        }
        if !(*group).aborting && !(*group).parent_cancel_requested {
            // The parent is somewhere in the block, perhaps waiting for what will not come.
            abort(group)?;
            cancel_parent(group)?;
        }
        Ok(())
    }
}

/// Nobody is left to raise the exception in.
unsafe fn report(group: Group, task: *mut PyObject, exception: &Ref) -> Res<()> {
    // SAFETY: all alive, says the caller.
    unsafe {
        let parent = Ref::borrow_opt((*group).parent_task).unwrap_or_else(Ref::none);
        let message = Ref::str(&format!(
            "Task {} has errored out but its parent task {} is already completed",
            repr(task)?,
            str_of(parent.ptr())?
        ))?;
        let context = Ref::dict()?;
        let n = names();
        for (key, value) in [
            (n.message, message.ptr()),
            (n.exception, exception.ptr()),
            (n.task, task),
        ] {
            check(ffi::PyDict_SetItem(context.ptr(), key, value))?;
        }
        let loop_ = Ref::borrow((*group).loop_);
        loop_
            .call_method(n.call_exception_handler, &[context.ptr()])
            .map(drop)
    }
}

/// Asks a loop for a task, with what Python code gave as keywords.
unsafe fn make_task(
    loop_: *mut PyObject,
    coro: *mut PyObject,
    keywords: &[(*mut PyObject, *mut PyObject)],
) -> Res {
    let n = names();
    let [mut name, mut context, mut eager_start] = [ptr::null_mut(); 3];
    let mut all_known = true;
    for &(key, value) in keywords {
        // Keyword names are interned, so that identity is equality, nearly always; the
        // general way is right for the rest.
        if key == n.name {
            name = value;
        } else if key == n.context {
            context = value;
        } else if key == n.eager_start && cfg!(Py_3_14) {
            eager_start = value;
        } else {
            all_known = false;
        }
    }
    if all_known {
        return events::create_task(loop_, coro, name, context, eager_start);
    }
    // What this does not know, the loop may.
    let (keys, values): (Vec<_>, Vec<_>) = keywords.iter().copied().unzip();
    let mut args = vec![coro];
    args.extend(values);
    // SAFETY: alive, says the caller.
    let create_task = unsafe { Ref::borrow(loop_) }.attr(n.create_task)?;
    create_task.call_kw(&args, Ref::tuple(&keys)?.ptr())
}

/// Adds the class; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        let class = methods::class().build(module, ptr::null_mut())?;
        TYPE.set(class);
        check(ffi::PyModule_AddObjectRef(
            module,
            c"TaskGroup".as_ptr(),
            class.cast(),
        ))
    }
}
