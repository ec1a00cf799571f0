//! `Task` as Python sees it: its class, methods and attributes.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::object::{self, TaskObject};
use super::{Options, TYPE, registry, step_callable};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::futures::attributes::refuse_delete;
use crate::futures::object as future_object;
use crate::futures::{FutureObject, finalize, future_type, methods as future_methods, state};
use crate::names::names;
use crate::object::{Ref, Res, call_method, check, runtime_error, set_slot, write_unraisable};
use crate::stdlib::stdlib;
use crate::types::{TypeBuilder, free_instance};

struct Counter(Cell<u64>);

// SAFETY: used with the GIL held only (crate invariant, see `object.rs`).
unsafe impl Sync for Counter {}

static NUMBERS: Counter = Counter(Cell::new(0));

/// The number in the next default name, `Task-<number>`.
pub(super) fn next_number() -> u64 {
    let number = NUMBERS.0.get() + 1;
    NUMBERS.0.set(number);
    number
}

unsafe extern "C" fn tp_new(
    class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: tp_alloc gives zeroed, tracked memory of the class's size.
        unsafe {
            let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
            let made = Ref::checked(alloc(class, 0))?;
            object::blank(made.ptr().cast());
            Ok(made)
        }
    })
}

static INIT: Signature =
    Signature::required("Task", &["coro"]).keywords(&["loop", "name", "context", "eager_start"]);

unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: an instance, a tuple, and a dict or NULL, by the slot's contract.
        unsafe {
            let [coro, loop_, name, context, eager] = INIT.parse_tuple::<5>(args, kwargs)?;
            let task = slf.cast::<TaskObject>();
            future_methods::init_fields(task.cast(), loop_)?;
            if !super::is_coroutine(coro)? {
                // It never was a task: nothing to report when it goes.
                (*task).log_destroy_pending = false;
                return Err(super::not_a_coroutine(coro));
            }
            (*task).must_cancel = false;
            (*task).log_destroy_pending = true;
            (*task).cancel_requests = 0;
            set_slot(&raw mut (*task).waiter, ptr::null_mut());
            let eager_start = !eager.is_null() && Ref::borrow(eager).truth()?;
            super::prepare(
                task,
                coro,
                Options {
                    name,
                    context,
                    eager_start,
                },
            )?;
            super::start(task, eager_start)
        }
    })
}

macro_rules! flag_setter {
    ($name:ident, $field:ident) => {
        unsafe extern "C" fn $name(
            slf: *mut PyObject,
            value: *mut PyObject,
            _: *mut c_void,
        ) -> c_int {
            boundary::status(|| {
                refuse_delete(value)?;
                // SAFETY: live objects.
                unsafe { (*slf.cast::<TaskObject>()).$field = Ref::borrow(value).truth()? };
                Ok(())
            })
        }
    };
}

static CANCEL: Signature = Signature::required("cancel", &[]).optional(&["msg"]);

vectorcall!(cancel, |slf, CANCEL [message]| {
    Ok(Ref::bool(super::cancel(slf.cast(), message)?))
});

noargs!(cancelling, |task: TaskObject| Ref::int(i64::from(
    (*task).cancel_requests
)));
noargs!(uncancel, |task: TaskObject| {
    if (*task).cancel_requests > 0 {
        (*task).cancel_requests -= 1;
        if (*task).cancel_requests == 0 && stdlib().uncancel_takes_back {
            (*task).must_cancel = false;
        }
    }
    Ref::int(i64::from((*task).cancel_requests))
});
noargs!(get_coro, |task: TaskObject| Ok(Ref::borrow_opt(
    (*task).coro
)
.unwrap_or_else(Ref::none)));
noargs!(get_context, |task: TaskObject| super::context_of(
    task.cast()
));
noargs!(get_name, |task: TaskObject| name(task));

/// The name, made from the number when it is first asked for.
unsafe fn name(task: *mut TaskObject) -> Res {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        if (*task).name.is_null() {
            if (*task).number == 0 {
                return Ok(Ref::none());
            }
            let made = Ref::str(&format!("Task-{}", (*task).number))?;
            set_slot(&raw mut (*task).name, made.into_ptr());
        }
        Ok(Ref::borrow((*task).name))
    }
}

unsafe extern "C" fn set_name(slf: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: live objects.
        unsafe { super::set_name(slf.cast(), value)? };
        Ok(Ref::none())
    })
}

unsafe extern "C" fn set_result(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    boundary::object(|| Err(runtime_error("Task does not support set_result operation")))
}

unsafe extern "C" fn set_exception(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        Err(runtime_error(
            "Task does not support set_exception operation",
        ))
    })
}

static GET_STACK: Signature = Signature::required("get_stack", &[]).keywords(&["limit"]);

vectorcall!(get_stack, |slf, GET_STACK [limit]| {
    stdlib().task_get_stack.call(&[slf, or_none(limit)])
});

static PRINT_STACK: Signature =
    Signature::required("print_stack", &[]).keywords(&["limit", "file"]);

vectorcall!(print_stack, |slf, PRINT_STACK [limit, file]| {
    stdlib()
        .task_print_stack
        .call(&[slf, or_none(limit), or_none(file)])
});

fn or_none(object: *mut PyObject) -> *mut PyObject {
    if object.is_null() {
        // SAFETY: the address of an immortal object.
        unsafe { ffi::Py_None() }
    } else {
        object
    }
}

getter!(get_waiter, |task: TaskObject| Ok(Ref::borrow_opt(
    (*task).waiter
)
.unwrap_or_else(Ref::none)));
getter!(get_coro_attr, |task: TaskObject| Ok(Ref::borrow_opt(
    (*task).coro
)
.unwrap_or_else(Ref::none)));
getter!(get_must_cancel, |task: TaskObject| Ok(Ref::bool(
    (*task).must_cancel
)));
getter!(get_log_destroy_pending, |task: TaskObject| Ok(Ref::bool(
    (*task).log_destroy_pending
)));
flag_setter!(set_log_destroy_pending, log_destroy_pending);

unsafe extern "C" fn repr(slf: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: a live instance.
        unsafe { state::ensure_alive(slf.cast())? };
        stdlib().task_repr.call1(slf)
    })
}

/// `__del__`: a pending task that goes is a bug of the program, and is reported.
unsafe extern "C" fn tp_finalize(slf: *mut PyObject) {
    boundary::quiet(|| {
        let task = slf.cast::<TaskObject>();
        // SAFETY: the object is alive while it is finalised; a pending error is kept.
        unsafe {
            (*task).future.finalized = true;
            // Even if the handler keeps it: nobody finds it through `all_tasks` any more.
            registry::remove(task);
            if (*task).future.loop_.is_null() {
                return;
            }
            if TaskObject::is_pending(task) && (*task).log_destroy_pending {
                let pending = crate::object::stash_error();
                if let Err(raised) = report_destroyed(task) {
                    write_unraisable(raised, slf);
                }
                crate::object::restore_error(pending);
            }
        }
    });
    // SAFETY: as above.
    unsafe { finalize::finalize(slf) };
}

unsafe fn report_destroyed(task: *mut TaskObject) -> Res<()> {
    // SAFETY: `task` is alive, says the caller.
    unsafe {
        let context = Ref::dict()?;
        let message = Ref::str("Task was destroyed but it is pending!")?;
        let set = |key: *mut PyObject, value: *mut PyObject| {
            check(ffi::PyDict_SetItem(context.ptr(), key, value))
        };
        set(names().task, task.cast())?;
        set(names().message, message.ptr())?;
        if let Some(stack) = FutureObject::rare(task.cast(), |rare| &rare.source_traceback) {
            set(names().source_traceback, stack.ptr())?;
        }
        let loop_ = (*task).future.loop_;
        call_method(loop_, names().call_exception_handler, &[context.ptr()])?;
        Ok(())
    }
}

unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    // SAFETY: called by the collector on a live instance.
    boundary::quiet(|| unsafe { object::clear(slf.cast()) });
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        let task = slf.cast::<TaskObject>();
        // SAFETY: the object is dead; finalisation may bring it back, then we leave it.
        unsafe {
            let to_report = TaskObject::is_pending(task) || (*task).future.log_traceback;
            if to_report && ffi::PyObject_CallFinalizerFromDealloc(slf) < 0 {
                return;
            }
            ffi::PyObject_GC_UnTrack(slf.cast());
            if !(*task).future.weakrefs.is_null() {
                ffi::PyObject_ClearWeakRefs(slf);
            }
            object::release(task);
            let reusable = ffi::Py_TYPE(slf) == super::task_type() && !(*task).future.finalized;
            if !reusable || !object::FREE.give(slf) {
                free_instance(slf);
            }
        }
    });
}

const DOC: &core::ffi::CStr = c"A coroutine that the loop runs: asyncio.Task.

`name` defaults to Task-<number>, `context` to a copy of the current one; with
`eager_start` the first step is made at once if the loop is running.";

/// Makes `Task`.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = future_methods::common(TypeBuilder::new::<TaskObject>(c"rasyncio.Task"))
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(DOC)
        .slot(ffi::Py_tp_new, tp_new as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_finalize, tp_finalize as *mut c_void)
        .slot(ffi::Py_tp_traverse, object::traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .fastcall(c"cancel", cancel)
        .noargs(c"cancelling", cancelling)
        .noargs(c"uncancel", uncancel)
        .noargs(c"get_coro", get_coro)
        .noargs(c"get_context", get_context)
        .noargs(c"get_name", get_name)
        .onearg(c"set_name", set_name)
        .onearg(c"set_result", set_result)
        .onearg(c"set_exception", set_exception)
        .fastcall(c"get_stack", get_stack)
        .fastcall(c"print_stack", print_stack)
        .docs(docs::TASK)
        .generic()
        .get(c"_fut_waiter", get_waiter)
        .get(c"_coro", get_coro_attr)
        .get(c"_must_cancel", get_must_cancel)
        .property(
            c"_log_destroy_pending",
            get_log_destroy_pending,
            Some(set_log_destroy_pending),
        )
        .dict_offset(future_object::DICT_OFFSET)
        .weaklist_offset(future_object::WEAKREFS_OFFSET);
    // SAFETY: called once, from the module's initialisation, after `Future` was made.
    unsafe {
        let class = builder.build(module, future_type())?;
        TYPE.set(class);
        check(ffi::PyModule_AddObjectRef(
            module,
            c"Task".as_ptr(),
            class.cast(),
        ))?;
        step_callable::init(module)
    }
}
