//! `Scheduler` as Python sees it, but for its coroutines.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::job::{self, JobRef, is_job, job};
use super::spawn::SPAWN_METHOD;
use super::{
    SchedulerFields, State, call_exception_handler, closing, fields_mut, or_none, scheduler,
    shields,
};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::events;
use crate::futures;
use crate::locks::bound;
use crate::object::{Raised, Ref, Res, check, repr, set_slot, type_error};
use crate::shield;

static INIT: Signature = Signature::required("Scheduler.__init__", &[]).keywords(&[
    "close_timeout",
    "wait_timeout",
    "limit",
    "pending_limit",
    "exception_handler",
]);

unsafe extern "C" fn tp_init(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        let [close_timeout, wait_timeout, limit, pending_limit, handler] =
            INIT.parse_tuple::<5>(args, kwargs)?;
        let handler = Ref::borrow_opt(handler).filter(|handler| !handler.is_none());
        if let Some(handler) = &handler
            && ffi::PyCallable_Check(handler.ptr()) == 0
        {
            return Err(type_error(&format!(
                "A callable object or None is expected, got {}",
                repr(handler.ptr())?
            )));
        }
        let or = |given: *mut PyObject, default: fn() -> Res| match Ref::borrow_opt(given) {
            Some(given) => Ok(given),
            None => default(),
        };
        let limit = or(limit, || Ref::int(100))?;
        let pending_limit = or(pending_limit, || Ref::int(10_000))?;
        let state = State::new(
            limit_of(&limit)?,
            // None is no number, as for a queue's maxsize.
            number(&pending_limit)?,
        );
        let close_timeout = or(close_timeout, || Ref::float(0.1))?;
        let wait_timeout = or(wait_timeout, || Ref::int(60))?;
        let fields = fields_mut(this);
        let before = core::mem::replace(&mut (*fields).state, state);
        (*fields).over = false;
        let slots = (*fields).held();
        let values = [
            None,
            Some(limit),
            Some(pending_limit),
            Some(close_timeout),
            Some(wait_timeout),
            handler,
            None,
            None,
        ];
        for (slot, value) in slots.into_iter().zip(values) {
            set_slot(slot, value.map_or(ptr::null_mut(), Ref::into_ptr));
        }
        // What was there before goes last: its destructors find a whole scheduler.
        before.take().for_each(drop);
        Ok(())
    })
}

fn limit_of(limit: &Ref) -> Res<Option<usize>> {
    match limit.is_none() {
        true => Ok(None),
        false => number(limit).map(Some),
    }
}

/// A limit is compared with counts: what is no integer is rounded up, and what is negative is
/// no more than zero.
fn number(limit: &Ref) -> Res<usize> {
    // SAFETY: alive; the functions say -1 with an error set.
    unsafe {
        if ffi::PyIndex_Check(limit.ptr()) != 0 {
            // Without an exception class, what is too large is as large as can be.
            let number = ffi::PyNumber_AsSsize_t(limit.ptr(), ptr::null_mut());
            if number == -1 && !ffi::PyErr_Occurred().is_null() {
                return Err(Raised::set());
            }
            return Ok(usize::try_from(number).unwrap_or(0));
        }
        let number = ffi::PyFloat_AsDouble(limit.ptr());
        if number == -1.0 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised::set());
        }
        Ok(number.ceil() as usize)
    }
}

static SHIELD: Signature = Signature::required("Scheduler.shield", &["arg"]);

vectorcall!(py_shield, |this, SHIELD [arg]| {
    let inner = events::ensure_future(arg, ptr::null_mut())?;
    if futures::is_done(inner.ptr())? {
        return Ok(inner);
    }
    if scheduler(this).shields.is_null() {
        let shields = Ref::dict()?;
        set_slot(&raw mut (*fields_mut(this)).shields, shields.into_ptr());
    }
    let shields = Ref::borrow(scheduler(this).shields);
    check(ffi::PyDict_SetItem(shields.ptr(), inner.ptr(), ffi::Py_None()))?;
    futures::on_done(inner.ptr(), forget_shielded, shields.ptr())?;
    shield::outer_of(&inner)
});

/// The done callback of a shielded future.
unsafe fn forget_shielded(inner: *mut PyObject, shields: *mut PyObject) -> Res<()> {
    // SAFETY: a dict and one of its keys, if it has not been cleared.
    unsafe {
        match ffi::PyDict_Contains(shields, inner) {
            -1 => Err(Raised::set()),
            0 => Ok(()),
            _ => check(ffi::PyDict_DelItem(shields, inner)),
        }
    }
}

static HANDLE: Signature = Signature::required("Scheduler.call_exception_handler", &["context"]);

vectorcall!(py_call_exception_handler, |this, HANDLE [context]| {
    call_exception_handler(this, context)?;
    Ok(Ref::none())
});

unsafe extern "C" fn repr_of(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance, alive.
    boundary::object(|| unsafe {
        let state = &scheduler(this).state;
        let closed = if state.is_closed() { "closed " } else { "" };
        Ref::str(&format!("<Scheduler {closed}jobs={}>", state.len()))
    })
}

unsafe extern "C" fn length(this: *mut PyObject) -> ffi::Py_ssize_t {
    // SAFETY: an instance, alive.
    unsafe { scheduler(this).state.len() as ffi::Py_ssize_t }
}

unsafe extern "C" fn contains(this: *mut PyObject, object: *mut PyObject) -> c_int {
    // SAFETY: an instance and an object, alive.
    unsafe {
        if !is_job(object) {
            // As for a set: what cannot be hashed cannot be asked for.
            return if ffi::PyObject_Hash(object) == -1 {
                -1
            } else {
                0
            };
        }
        let listed = ptr::eq(job(object).scheduler, this)
            && scheduler(this).state.contains(&JobRef::borrow(object));
        c_int::from(listed)
    }
}

unsafe extern "C" fn iterate(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance, alive.
    boundary::object(|| unsafe { Ref::checked(ffi::PyObject_GetIter(jobs_of(this)?.ptr())) })
}

/// A list of the jobs, oldest first.
unsafe fn jobs_of(this: *mut PyObject) -> Res {
    // SAFETY: an instance, alive, says the caller.
    unsafe {
        let list = Ref::list()?;
        for job in scheduler(this).state.jobs() {
            check(ffi::PyList_Append(list.ptr(), job.into_ref().ptr()))?;
        }
        Ok(list)
    }
}

getter!(jobs, |this: PyObject| Ref::checked(ffi::PySet_New(
    jobs_of(this)?.ptr()
)));
getter!(shielded, |this: PyObject| {
    let set = Ref::checked(ffi::PySet_New(ptr::null_mut()))?;
    for shielded in shields(this)? {
        check(ffi::PySet_Add(set.ptr(), shielded.ptr()))?;
    }
    Ok(set)
});
getter!(limit, |this: PyObject| Ok(or_none(scheduler(this).limit)));
getter!(pending_limit, |this: PyObject| Ok(or_none(
    scheduler(this).pending_limit
)));
getter!(close_timeout, |this: PyObject| Ok(or_none(
    scheduler(this).close_timeout
)));
getter!(wait_timeout, |this: PyObject| Ok(or_none(
    scheduler(this).wait_timeout
)));
getter!(exception_handler, |this: PyObject| Ok(or_none(
    scheduler(this).exception_handler
)));
getter!(watcher, |this: PyObject| Ok(or_none(
    scheduler(this).watcher
)));
getter!(closed, |this: PyObject| Ok(Ref::bool(
    scheduler(this).state.is_closed()
)));
getter!(active_count, |this: PyObject| Ref::int(
    scheduler(this).state.active_count() as i64
));
getter!(pending_count, |this: PyObject| Ref::int(
    scheduler(this).state.pending_count() as i64
));

/// Makes the class and adds it to the module.
pub(super) unsafe fn add_class(module: *mut PyObject) -> Res<*mut PyTypeObject> {
    let builder = bound::unbound_class::<SchedulerFields>(
        c"rasyncio.scheduler.Scheduler",
        c"Scheduler(*, close_timeout=0.1, wait_timeout=60, limit=100, pending_limit=10000, \
          exception_handler=None)\n--\n\n\
          Runs coroutines in the background, as jobs.\n\n\
          Up to limit jobs are active, None for any number, and up to pending_limit more are\n\
          pending, 0 for any number.  close_timeout is how long a job may take to end when it\n\
          is cancelled, wait_timeout how long wait_and_close() waits; both in seconds, or None\n\
          for ever.  exception_handler(scheduler, context) is told of errors that nobody waits\n\
          for, in place of the loop's handler.",
    )
    .slot(ffi::Py_tp_init, tp_init as *mut c_void)
    .slot(ffi::Py_tp_repr, repr_of as *mut c_void)
    .slot(ffi::Py_tp_iter, iterate as *mut c_void)
    .slot(ffi::Py_sq_length, length as *mut c_void)
    .slot(ffi::Py_sq_contains, contains as *mut c_void)
    .generic()
    .fastcall(c"shield", py_shield)
    .fastcall(c"call_exception_handler", py_call_exception_handler)
    .docs(docs::SCHEDULER)
    .get(c"limit", limit)
    .get(c"pending_limit", pending_limit)
    .get(c"close_timeout", close_timeout)
    .get(c"exception_handler", exception_handler)
    .get(c"active_count", active_count)
    .get(c"pending_count", pending_count)
    .get(c"closed", closed)
    .get(c"_limit", limit)
    .get(c"_close_timeout", close_timeout)
    .get(c"_wait_timeout", wait_timeout)
    .get(c"_exception_handler", exception_handler)
    .get(c"_closed", closed)
    .get(c"_jobs", jobs)
    .get(c"_shields", shielded)
    .get(c"_failed_task", watcher);
    let mut methods = closing::METHODS.to_vec();
    methods.push(&SPAWN_METHOD);
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe { bound::add_class(module, c"Scheduler", builder, ptr::null_mut(), &methods) }
}

/// What a repr of a task calls the done callbacks of this folder.
pub(crate) const DONE_NAMES: [(futures::DoneFn, &str); 2] = [
    (job::done, "Job._done_callback"),
    (forget_shielded, "set.discard"),
];
