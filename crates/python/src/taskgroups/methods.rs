//! `TaskGroup` as Python sees it.

use core::ffi::{c_int, c_void};
use core::mem::offset_of;
use core::ptr;

use pyo3::ffi::{self, Py_ssize_t, PyObject, PyTypeObject};

use super::exit::leave;
use super::{Group, TaskGroupObject, abort, cancel, create_task, enter, has_tasks, is_base_error};
use super::{make_task, task_done};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{CoroutineDef, Slots, coroutine};
use crate::docs;
use crate::object::{Ref, Res, type_error};
use crate::timeouts::exception_of;
use crate::types::TypeBuilder;

static AENTER: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.taskgroups>",
    c"__aenter__",
    c"TaskGroup.__aenter__",
);
static AEXIT: CoroutineDef = CoroutineDef::method(
    c"<rasyncio.taskgroups>",
    c"__aexit__",
    c"TaskGroup.__aexit__",
);

static EXIT: Signature = Signature::required("TaskGroup.__aexit__", &["et", "exc", "tb"]);

vectorcall!(aexit, |this, EXIT [et, exc, _tb]| {
    let exception = exception_of(et, exc)?;
    coroutine(&AEXIT, [Some(Ref::borrow(this)), exception, None, None, None], leave)
});

unsafe extern "C" fn aenter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type, kept by the slot.
    boundary::object(|| coroutine(&AENTER, [Some(unsafe { Ref::borrow(this) })], arrive))
}

async fn arrive(slots: Slots<1>) -> Res {
    // SAFETY: the slot holds a group until it is taken.
    unsafe { enter(slots.get(0).cast())? };
    Ok(slots.take(0).unwrap_or_else(Ref::none))
}

/// `create_task(coro, **kwargs)`, the keywords being the loop's business.
unsafe extern "C" fn py_create_task(
    this: *mut PyObject,
    args: *const *mut PyObject,
    nargs: Py_ssize_t,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: vectorcall's contract: `nargs` values, then one for each keyword name.
    boundary::object(|| unsafe {
        let mut coro = if nargs == 1 { *args } else { ptr::null_mut() };
        let mut keywords = [(ptr::null_mut(), ptr::null_mut()); 4];
        let mut count = 0;
        if !kwnames.is_null() {
            for i in 0..ffi::PyTuple_GET_SIZE(kwnames) {
                let key = ffi::PyTuple_GET_ITEM(kwnames, i);
                let value = *args.add((nargs + i) as usize);
                if coro.is_null()
                    && nargs == 0
                    && ffi::PyUnicode_CompareWithASCIIString(key, c"coro".as_ptr()) == 0
                {
                    coro = value;
                    continue;
                }
                let Some(keyword) = keywords.get_mut(count) else {
                    return Err(type_error("TaskGroup.create_task() got too many arguments"));
                };
                *keyword = (key, value);
                count += 1;
            }
        }
        if coro.is_null() {
            return Err(type_error(&if nargs > 1 {
                let given = nargs + 1;
                format!(
                    "TaskGroup.create_task() takes 2 positional arguments but {given} were given"
                )
            } else {
                "TaskGroup.create_task() missing 1 required positional argument: 'coro'".to_owned()
            }));
        }
        create_task(this.cast(), coro, |loop_| {
            make_task(loop_, coro, &keywords[..count])
        })
    })
}

noargs!(py_cancel, |group: TaskGroupObject| cancel(group)
    .map(|()| Ref::none()));
noargs!(py_abort, |group: TaskGroupObject| abort(group)
    .map(|()| Ref::none()));

unsafe extern "C" fn on_task_done(this: *mut PyObject, task: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type and an object, alive.
    boundary::object(|| unsafe { task_done(task, this).map(|()| Ref::none()) })
}

unsafe extern "C" fn py_is_base_error(_: *mut PyObject, exc: *mut PyObject) -> *mut PyObject {
    // SAFETY: an object, alive.
    boundary::object(|| unsafe { is_base_error(exc).map(Ref::bool) })
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    let group: Group = this.cast();
    // SAFETY: an instance of our type, alive.
    boundary::object(|| unsafe {
        let mut text = String::from("<TaskGroup");
        if has_tasks(group) {
            text += &format!(" tasks={}", ffi::PySet_GET_SIZE((*group).tasks));
        }
        let errors = (*group).errors;
        if !errors.is_null() && ffi::PyList_GET_SIZE(errors) > 0 {
            text += &format!(" errors={}", ffi::PyList_GET_SIZE(errors));
        }
        if (*group).aborting {
            text += " cancelling";
        } else if (*group).entered {
            text += " entered";
        }
        Ref::str(&(text + ">"))
    })
}

getter!(tasks, |group: TaskGroupObject| Ok(or_none((*group).tasks)));
getter!(errors, |group: TaskGroupObject| Ok(or_none(
    (*group).errors
)));
getter!(get_loop, |group: TaskGroupObject| Ok(or_none(
    (*group).loop_
)));
getter!(parent_task, |group: TaskGroupObject| Ok(or_none(
    (*group).parent_task
)));
getter!(base_error, |group: TaskGroupObject| Ok(or_none(
    (*group).base_error
)));
getter!(on_completed, |group: TaskGroupObject| Ok(or_none(
    (*group).on_completed
)));
getter!(entered, |group: TaskGroupObject| Ok(Ref::bool(
    (*group).entered
)));
getter!(exiting, |group: TaskGroupObject| Ok(Ref::bool(
    (*group).exiting
)));
getter!(aborting, |group: TaskGroupObject| Ok(Ref::bool(
    (*group).aborting
)));
getter!(parent_cancel_requested, |group: TaskGroupObject| Ok(
    Ref::bool((*group).parent_cancel_requested)
));

unsafe fn or_none(slot: *mut PyObject) -> Ref {
    // SAFETY: owned by the group, or NULL.
    unsafe { Ref::borrow_opt(slot) }.unwrap_or_else(Ref::none)
}

/// Takes any arguments: they are for the `__init__` of a subclass.
unsafe extern "C" fn tp_new(
    class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: our type or a subclass; the memory is zeroed, which is a valid group but
        // for its containers.
        unsafe {
            let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
            let object = Ref::checked(alloc(class, 0))?;
            let group = object.ptr().cast::<TaskGroupObject>();
            (*group).tasks = Ref::checked(ffi::PySet_New(ptr::null_mut()))?.into_ptr();
            (*group).errors = Ref::list()?.into_ptr();
            Ok(object)
        }
    })
}

static INIT: Signature = Signature::required("TaskGroup.__init__", &[]);

unsafe extern "C" fn tp_init(
    _: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: a tuple, a dict or NULL.
    boundary::status(|| unsafe { INIT.parse_tuple::<0>(args, kwargs).map(|_| ()) })
}

collected!(TaskGroupObject: loop_, parent_task, tasks, errors, base_error, on_completed);

pub(super) fn class() -> TypeBuilder {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE;
    TypeBuilder::new::<TaskGroupObject>(c"rasyncio.taskgroups.TaskGroup")
        .doc(
            c"Asynchronous context manager for managing groups of tasks.\n\n\
              All tasks are awaited when the context manager exits.  Any exceptions other\n\
              than CancelledError raised within a task will cancel all remaining tasks and\n\
              wait for them to exit; they are then combined and raised as an ExceptionGroup.",
        )
        .flags(flags)
        .slot(ffi::Py_tp_new, tp_new as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .noargs(c"__aenter__", aenter)
        .fastcall(c"__aexit__", aexit)
        .fastcall(c"create_task", py_create_task)
        .noargs(c"cancel", py_cancel)
        .noargs(c"_abort", py_abort)
        .onearg(c"_on_task_done", on_task_done)
        .onearg(c"_is_base_error", py_is_base_error)
        .docs(docs::TASK_GROUP)
        .get(c"_tasks", tasks)
        .get(c"_errors", errors)
        .get(c"_loop", get_loop)
        .get(c"_parent_task", parent_task)
        .get(c"_base_error", base_error)
        .get(c"_on_completed_fut", on_completed)
        .get(c"_entered", entered)
        .get(c"_exiting", exiting)
        .get(c"_aborting", aborting)
        .get(c"_parent_cancel_requested", parent_cancel_requested)
        .weaklist_offset(offset_of!(TaskGroupObject, weakrefs))
}
