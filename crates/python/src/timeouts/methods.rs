//! `Timeout` and its functions as Python sees them.

use core::ffi::{c_int, c_void};
use core::mem::offset_of;

use pyo3::ffi::{self, PyMethodDef, PyObject, PyTypeObject};

use super::{State, TimeoutObject, blank, enter, exception_of, exit, new, schedule, timeout_in};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{CoroutineDef, Slots, coroutine};
use crate::docs;
use crate::object::{Ref, Res, check, import, runtime_error, set_slot, str_of};
use crate::types::{TypeBuilder, fastcall_def};

static AENTER: CoroutineDef =
    CoroutineDef::method(c"<rasyncio.timeouts>", c"__aenter__", c"Timeout.__aenter__");
static AEXIT: CoroutineDef =
    CoroutineDef::method(c"<rasyncio.timeouts>", c"__aexit__", c"Timeout.__aexit__");

static TIMEOUT: Signature = Signature::required("timeout", &["delay"]);
static TIMEOUT_AT: Signature = Signature::required("timeout_at", &["when"]);
static INIT: Signature = Signature::required("Timeout.__init__", &["when"]);
static RESCHEDULE: Signature = Signature::required("Timeout.reschedule", &["when"]);
static EXIT: Signature =
    Signature::required("Timeout.__aexit__", &["exc_type", "exc_val", "exc_tb"]);

vectorcall!(timeout, |_module, TIMEOUT [delay]| timeout_in(delay));
vectorcall!(timeout_at, |_module, TIMEOUT_AT [when]| new(when));
vectorcall!(reschedule, |this, RESCHEDULE [when]| {
    let timeout = this.cast::<TimeoutObject>();
    match (*timeout).state {
        State::Entered => {}
        State::Created => return Err(runtime_error("Timeout has not been entered")),
        state => {
            let state = state.name();
            return Err(runtime_error(&format!("Cannot change state of {state} Timeout")));
        }
    }
    schedule(timeout, Ref::borrow(when))?;
    Ok(Ref::none())
});
vectorcall!(aexit, |this, EXIT [exc_type, exc_val, _exc_tb]| {
    let value = exception_of(exc_type, exc_val)?;
    coroutine(&AEXIT, [Some(Ref::borrow(this)), value], leave)
});

async fn leave(slots: Slots<2>) -> Res {
    // SAFETY: the slots hold a timeout and an exception, or nothing.
    unsafe { exit(slots.get(0).cast(), slots.get(1))? };
    Ok(Ref::none())
}

unsafe extern "C" fn aenter(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type, kept by the slot.
    boundary::object(|| coroutine(&AENTER, [Some(unsafe { Ref::borrow(this) })], arrive))
}

async fn arrive(slots: Slots<1>) -> Res {
    // SAFETY: the slot holds a timeout until it is taken.
    unsafe { enter(slots.get(0).cast())? };
    Ok(slots.take(0).unwrap_or_else(Ref::none))
}

unsafe extern "C" fn when(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type, whose `when` is set until the collector clears it.
    unsafe {
        let when = Ref::borrow_opt((*this.cast::<TimeoutObject>()).when);
        when.unwrap_or_else(Ref::none).into_ptr()
    }
}

unsafe extern "C" fn expired(this: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type.
    let state = unsafe { (*this.cast::<TimeoutObject>()).state };
    Ref::bool(matches!(state, State::Expiring | State::Expired)).into_ptr()
}

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance of our type.
        let (state, when) = unsafe {
            let timeout = this.cast::<TimeoutObject>();
            ((*timeout).state, Ref::borrow_opt((*timeout).when))
        };
        let mut text = format!("<Timeout [{}]", state.name());
        if state == State::Entered
            && let Some(when) = when
        {
            let rounded = if when.is_none() {
                when
            } else {
                let round = import(c"builtins")?.attr(Ref::str("round")?.ptr())?;
                round.call(&[when.ptr(), Ref::int(3)?.ptr()])?
            };
            text += &format!(" when={}", str_of(rounded.ptr())?);
        }
        Ref::str(&(text + ">"))
    })
}

unsafe extern "C" fn tp_new(
    class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: our type or a subclass; the memory is zeroed.
        unsafe {
            let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
            let object = Ref::checked(alloc(class, 0))?;
            blank(object.ptr().cast(), ffi::Py_None());
            Ok(object)
        }
    })
}

unsafe extern "C" fn tp_init(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: an instance of our type, a tuple, a dict or NULL.
        unsafe {
            let [when] = INIT.parse_tuple::<1>(args, kwargs)?;
            let timeout = this.cast::<TimeoutObject>();
            set_slot(&raw mut (*timeout).when, Ref::borrow(when).into_ptr());
            Ok(())
        }
    })
}

collected!(TimeoutObject: when, loop_, task, handle; |timeout| {
    (*timeout).timer = None;
    (*timeout).state = State::Exited;
});

pub(super) fn class() -> TypeBuilder {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE;
    TypeBuilder::new::<TimeoutObject>(c"rasyncio.timeouts.Timeout")
        .doc(
            c"Asynchronous context manager for cancelling overdue coroutines.\n\n\
              Made by timeout() and timeout_at().",
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
        .noargs(c"when", when)
        .fastcall(c"reschedule", reschedule)
        .noargs(c"expired", expired)
        .docs(docs::TIMEOUT)
        .weaklist_offset(offset_of!(TimeoutObject, weakrefs))
}

/// Adds `timeout` and `timeout_at`.
pub(super) unsafe fn add_functions(module: *mut PyObject) -> Res<()> {
    // The interpreter keeps the table for as long as the functions live.
    let table: &mut [PyMethodDef] = Vec::leak(vec![
        fastcall_def(c"timeout", timeout),
        fastcall_def(c"timeout_at", timeout_at),
        PyMethodDef::zeroed(),
    ]);
    // SAFETY: a complete table that lives for ever.
    check(unsafe { ffi::PyModule_AddFunctions(module, table.as_mut_ptr()) })
}
