//! `Job` as Python sees it, but for its coroutines.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::job::{JobFields, fields_mut, job, set_up};
use super::or_none;
use super::waiting::{CLOSE_METHOD, WAIT_METHOD};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::locks::bound;
use crate::names::names;
use crate::object::{Ref, Res, call_method, set_slot, str_of};

static INIT: Signature =
    Signature::required("Job.__init__", &["coro", "scheduler"]).optional(&["name"]);

unsafe extern "C" fn tp_init(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        let [coro, owner, name] = INIT.parse_tuple::<3>(args, kwargs)?;
        if !super::is_scheduler(owner) {
            return Err(crate::object::type_error(&format!(
                "a Scheduler is expected, got {}",
                crate::object::repr(owner)?
            )));
        }
        set_up(this, coro, owner, or_none(name))
    })
}

unsafe fn is_pending(this: *mut PyObject) -> bool {
    // SAFETY: a job, alive, says the caller.
    unsafe { job(this).task.is_null() && !job(this).closed }
}

unsafe extern "C" fn repr_of(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance, alive.
    boundary::object(|| unsafe {
        let state = match () {
            () if job(this).closed => "closed ",
            () if is_pending(this) => "pending ",
            () => "",
        };
        let coro = str_of(or_none(job(this).coro).ptr())?;
        Ref::str(&format!("<Job {state}coro=<{coro}>>"))
    })
}

noargs!(
    get_name,
    |this: PyObject| match Ref::borrow_opt(job(this).task) {
        Some(task) => call_method(task.ptr(), names().get_name, &[]),
        None => Ok(or_none(job(this).name)),
    }
);

static SET_NAME: Signature = Signature::required("Job.set_name", &["name"]);

vectorcall!(set_name, |this, SET_NAME [name]| {
    set_slot(&raw mut (*fields_mut(this)).name, Ref::borrow(name).into_ptr());
    if let Some(task) = Ref::borrow_opt(job(this).task) {
        call_method(task.ptr(), names().set_name, &[name])?;
    }
    Ok(Ref::none())
});

getter!(active, |this: PyObject| Ok(Ref::bool(
    !job(this).closed && !is_pending(this)
)));
getter!(pending, |this: PyObject| Ok(Ref::bool(is_pending(this))));
getter!(closed, |this: PyObject| Ok(Ref::bool(job(this).closed)));
getter!(explicit, |this: PyObject| Ok(Ref::bool(job(this).explicit)));
getter!(task, |this: PyObject| Ok(or_none(job(this).task)));
getter!(coro, |this: PyObject| Ok(or_none(job(this).coro)));
getter!(owner, |this: PyObject| Ok(or_none(job(this).scheduler)));
getter!(name, |this: PyObject| Ok(or_none(job(this).name)));
getter!(source_traceback, |this: PyObject| Ok(or_none(
    job(this).source_traceback
)));

/// Makes the class and adds it to the module.
pub(super) unsafe fn add_class(module: *mut PyObject) -> Res<*mut PyTypeObject> {
    let builder = bound::unbound_class::<JobFields>(
        c"rasyncio.scheduler.Job",
        c"Job(coro, scheduler, name=None)\n--\n\n\
          A coroutine that a scheduler runs in the background; made by Scheduler.spawn().\n\n\
          It is pending until it starts, then active, and closed when it has ended or is about\n\
          to.  What it raises is told to the scheduler's exception handler unless somebody waits\n\
          for it or closes it.",
    )
    .slot(ffi::Py_tp_init, tp_init as *mut c_void)
    .slot(ffi::Py_tp_repr, repr_of as *mut c_void)
    .generic()
    .noargs(c"get_name", get_name)
    .fastcall(c"set_name", set_name)
    .docs(docs::JOB)
    .get(c"active", active)
    .get(c"pending", pending)
    .get(c"closed", closed)
    .get(c"_closed", closed)
    .get(c"_explicit", explicit)
    .get(c"_task", task)
    .get(c"_coro", coro)
    .get(c"_scheduler", owner)
    .get(c"_name", name)
    .get(c"_source_traceback", source_traceback);
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        bound::add_class(
            module,
            c"Job",
            builder,
            ptr::null_mut(),
            &[&WAIT_METHOD, &CLOSE_METHOD],
        )
    }
}
