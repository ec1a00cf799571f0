//! What Python code sees of a coroutine: the protocol of `collections.abc.Coroutine`, and the
//! attributes of the interpreter's own coroutines.

use core::ffi::c_void;
use core::ptr;

use pyo3::ffi::{self, Py_ssize_t, PyObject};

use super::frame;
use super::object::{
    CoroutineObject, Input, Outcome, State, already_executing, finish, resume, send_none,
};
use super::wrapper;
use crate::boundary;
use crate::object::{
    Ref, Res, raised_matches, restore_error, runtime_error, set_slot, stash_error, str_of,
    take_raised, to_c, type_error, write_unraisable,
};
use crate::returning::{end_iteration, stop_iteration};
use crate::stdlib::stdlib;
use crate::throwing::thrown;
use crate::types::TypeBuilder;

/// Adds slots, methods and attributes.
pub(super) fn add_to(builder: TypeBuilder) -> TypeBuilder {
    builder
        .slot(ffi::Py_am_await, am_await as *mut c_void)
        .slot(ffi::Py_am_send, am_send as *mut c_void)
        .slot(ffi::Py_tp_iternext, iternext as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .noargs_beside_slot(c"__await__", wrapper::wrap)
        .onearg(c"send", send)
        .fastcall(c"throw", throw)
        .noargs(c"close", close)
        .get(c"__class__", class)
        .property(c"__name__", name, Some(set_name))
        .property(c"__qualname__", qualname, Some(set_qualname))
        .get(c"cr_await", cr_await)
        .get(c"cr_code", cr_code)
        .get(c"cr_frame", cr_frame)
        .get(c"cr_origin", cr_origin)
        .get(c"cr_running", cr_running)
        .get(c"cr_state", cr_state)
        .get(c"cr_suspended", cr_suspended)
}

unsafe extern "C" fn am_await(object: *mut PyObject) -> *mut PyObject {
    let coroutine = object.cast::<CoroutineObject>();
    // SAFETY: an instance of our type, alive.
    unsafe {
        if (*coroutine).state == State::Suspended && !(*coroutine).awaiting.is_null() {
            return to_c(Err(runtime_error("coroutine is being awaited already")));
        }
        Ref::borrow(object).into_ptr()
    }
}

unsafe extern "C" fn am_send(
    object: *mut PyObject,
    value: *mut PyObject,
    result: *mut *mut PyObject,
) -> ffi::PySendResult {
    // SAFETY: an instance of our type, alive; `result` is writable.
    unsafe {
        match resume(object.cast(), Input::Send(value)) {
            Outcome::Yield(value) => {
                *result = value.into_ptr();
                ffi::PySendResult::PYGEN_NEXT
            }
            Outcome::Return(value) => {
                *result = value.into_ptr();
                ffi::PySendResult::PYGEN_RETURN
            }
            Outcome::Raise(_raised) => {
                *result = ptr::null_mut();
                ffi::PySendResult::PYGEN_ERROR
            }
        }
    }
}

/// `await` from an `async def` comes here.
pub(super) unsafe extern "C" fn iternext(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type, alive.
    unsafe {
        match send_none(object.cast()) {
            Outcome::Yield(value) => value.into_ptr(),
            Outcome::Return(value) => end_iteration(value),
            Outcome::Raise(raised) => to_c(Err(raised)),
        }
    }
}

/// What a method answers: a return value travels as `StopIteration`.
fn answer(outcome: Outcome) -> Res {
    match outcome {
        Outcome::Yield(value) => Ok(value),
        Outcome::Return(value) => Err(stop_iteration(value)),
        Outcome::Raise(raised) => Err(raised),
    }
}

pub(super) unsafe extern "C" fn send(object: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type and a value, alive.
    boundary::object(|| unsafe { answer(resume(object.cast(), Input::Send(value))) })
}

pub(super) unsafe extern "C" fn throw(
    object: *mut PyObject,
    args: *const *mut PyObject,
    nargs: Py_ssize_t,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        if !kwnames.is_null() {
            return Err(type_error("coroutine.throw() takes no keyword arguments"));
        }
        if nargs == 0 || nargs > 3 {
            let bound = if nargs == 0 {
                "at least 1 argument"
            } else {
                "at most 3 arguments"
            };
            return Err(type_error(&format!("throw expected {bound}, got {nargs}")));
        }
        // SAFETY: vectorcall's contract: `nargs` values, alive.
        unsafe {
            let given = core::slice::from_raw_parts(args, nargs as usize);
            let at = |i: usize| given.get(i).copied().unwrap_or(ptr::null_mut());
            let exception = thrown(at(0), at(1), at(2))?;
            answer(resume(object.cast(), Input::Throw(exception)))
        }
    })
}

pub(super) unsafe extern "C" fn close(object: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type, alive.
    boundary::object(|| unsafe { close_coroutine(object.cast()) })
}

/// Makes a coroutine leave its body: `GeneratorExit` is raised where it is suspended.
unsafe fn close_coroutine(coroutine: *mut CoroutineObject) -> Res {
    // SAFETY: alive, says the caller; static exception classes.
    unsafe {
        match (*coroutine).state {
            State::Finished => return Ok(Ref::none()),
            State::Running => return Err(already_executing()),
            State::Created => {
                finish(coroutine);
                return Ok(Ref::none());
            }
            State::Suspended => {}
        }
        let exit = Ref::checked(ffi::PyObject_CallNoArgs(ffi::PyExc_GeneratorExit))?;
        match resume(coroutine, Input::Throw(exit)) {
            Outcome::Yield(_) => Err(runtime_error("coroutine ignored GeneratorExit")),
            Outcome::Return(value) => Ok(if cfg!(Py_3_13) { value } else { Ref::none() }),
            Outcome::Raise(raised) if raised_matches(&raised, ffi::PyExc_GeneratorExit) => {
                drop(take_raised(raised));
                Ok(Ref::none())
            }
            Outcome::Raise(raised) => Err(raised),
        }
    }
}

unsafe extern "C" fn finalize(object: *mut PyObject) {
    let coroutine = object.cast::<CoroutineObject>();
    // SAFETY: an instance of our type, revived for this call. A destructor may be called with
    // an exception pending, which is put aside.
    boundary::quiet(|| unsafe {
        (*coroutine).finalized = true;
        let pending = stash_error();
        let done = match (*coroutine).state {
            State::Created => stdlib().warn_unawaited_coroutine.call1(object).map(drop),
            State::Suspended => close_coroutine(coroutine).map(drop),
            State::Running | State::Finished => Ok(()),
        };
        if let Err(raised) = done {
            write_unraisable(raised, object);
        }
        restore_error(pending);
    });
}

unsafe extern "C" fn repr(object: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance of our type, alive.
        let name = unsafe { name_of(object.cast(), Name::Qualified) }?;
        Ref::str(&format!(
            "<coroutine object {} at {object:p}>",
            str_of(name.ptr())?
        ))
    })
}

#[derive(Clone, Copy)]
enum Name {
    Short,
    Qualified,
}

unsafe fn name_of(coroutine: *mut CoroutineObject, which: Name) -> Res {
    // SAFETY: alive, says the caller; `names` is a pair, or NULL.
    unsafe {
        let names = (*coroutine).names;
        if !names.is_null() {
            return Ok(Ref::borrow(ffi::PyTuple_GET_ITEM(
                names,
                which as Py_ssize_t,
            )));
        }
        let def = (*coroutine).def;
        let name = match which {
            Name::Short => def.name,
            Name::Qualified => def.qualname,
        };
        Ref::checked(ffi::PyUnicode_FromString(name.as_ptr()))
    }
}

unsafe fn rename(object: *mut PyObject, value: *mut PyObject, which: Name) -> Res<()> {
    // SAFETY: an instance of our type; `value` is NULL for a deletion.
    unsafe {
        if value.is_null() || ffi::PyUnicode_Check(value) == 0 {
            let attribute = match which {
                Name::Short => "__name__",
                Name::Qualified => "__qualname__",
            };
            return Err(type_error(&format!(
                "{attribute} must be set to a string object"
            )));
        }
        let coroutine = object.cast();
        let (short, qualified) = match which {
            Name::Short => (Ref::borrow(value), name_of(coroutine, Name::Qualified)?),
            Name::Qualified => (name_of(coroutine, Name::Short)?, Ref::borrow(value)),
        };
        let names = Ref::tuple(&[short.ptr(), qualified.ptr()])?;
        set_slot(&raw mut (*coroutine).names, names.into_ptr());
        Ok(())
    }
}

setter!(set_name, |coroutine: PyObject, value| rename(
    coroutine,
    value,
    Name::Short
));
setter!(set_qualname, |coroutine: PyObject, value| rename(
    coroutine,
    value,
    Name::Qualified
));

getter!(name, |coroutine: CoroutineObject| name_of(
    coroutine,
    Name::Short
));
getter!(qualname, |coroutine: CoroutineObject| name_of(
    coroutine,
    Name::Qualified
));
// `inspect.iscoroutine` and many libraries ask `isinstance(x, types.CoroutineType)`, which also
// looks at `__class__`. `type(x)` tells the truth.
getter!(class, |_coroutine: CoroutineObject| Ok(Ref::borrow(
    (&raw mut ffi::PyCoro_Type).cast()
)));
getter!(cr_code, |coroutine: CoroutineObject| Ok(Ref::borrow(
    (*coroutine).def.code()?
)));
getter!(cr_origin, |_coroutine: CoroutineObject| Ok(Ref::none()));
getter!(cr_running, |coroutine: CoroutineObject| Ok(Ref::bool(
    (*coroutine).state == State::Running
)));
getter!(cr_suspended, |coroutine: CoroutineObject| Ok(Ref::bool(
    (*coroutine).state == State::Suspended
)));
getter!(cr_state, |coroutine: CoroutineObject| Ref::str(
    match (*coroutine).state {
        State::Created => "CORO_CREATED",
        State::Running => "CORO_RUNNING",
        State::Suspended => "CORO_SUSPENDED",
        State::Finished => "CORO_CLOSED",
    }
));
getter!(cr_frame, |coroutine: CoroutineObject| {
    if (*coroutine).state == State::Finished {
        Ok(Ref::none())
    } else {
        frame::new(coroutine, false)
    }
});
getter!(cr_await, |coroutine: CoroutineObject| {
    if (*coroutine).state != State::Suspended || (*coroutine).awaiting.is_null() {
        Ok(Ref::none())
    } else if (*coroutine).inner.get().is_some() {
        frame::new(coroutine, true)
    } else {
        Ok(Ref::borrow((*coroutine).awaiting))
    }
});
