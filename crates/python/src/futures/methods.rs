//! `Future` as Python sees it: its class and methods.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::callbacks::{Callback, Callbacks, add};
use super::object::{self, FutureObject, State};
use super::{TYPE, attributes, finalize, iter, state};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, set_slot};
use crate::stdlib::stdlib;
use crate::types::TypeBuilder;

static INIT: Signature = Signature::required("Future", &[]).keywords(&["loop"]);

unsafe extern "C" fn tp_new(
    class: *mut ffi::PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: tp_alloc gives zeroed, tracked memory of the class's size.
        unsafe {
            let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
            let made = Ref::checked(alloc(class, 0))?;
            object::blank(made.ptr().cast(), false);
            Ok(made)
        }
    })
}

unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: an instance, a tuple, and a dict or NULL, by the slot's contract.
        unsafe {
            let [loop_] = INIT.parse_tuple::<1>(args, kwargs)?;
            init_fields(slf.cast(), loop_)
        }
    })
}

/// `Future.__init__`: `loop` is NULL or None for the current one.
pub(crate) unsafe fn init_fields(fut: *mut FutureObject, loop_: *mut PyObject) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        if cfg!(Py_3_15) && !(*fut).loop_.is_null() {
            let class = crate::object::type_name(fut.cast());
            return Err(crate::object::runtime_error(&format!(
                "{class} object is already initialized"
            )));
        }
        object::reset(fut);
        (*fut).blocking = false;
        let loop_ = if loop_.is_null() || ptr::eq(loop_, ffi::Py_None()) {
            crate::events::event_loop()?
        } else {
            Ref::borrow(loop_)
        };
        let debug = match crate::event_loop::native(loop_.ptr()) {
            Some(core) => core.debug(),
            None => loop_.call_method(names().get_debug, &[])?.truth()?,
        };
        set_slot(&raw mut (*fut).loop_, loop_.into_ptr());
        if debug && is_finalizing() == 0 {
            record_source(fut)?;
        }
        Ok(())
    }
}

#[cfg(Py_3_13)]
use ffi::Py_IsFinalizing as is_finalizing;

#[cfg(not(Py_3_13))]
unsafe extern "C" {
    // Its name until 3.13.
    #[link_name = "_Py_IsFinalizing"]
    fn is_finalizing() -> c_int;
}

/// Debug mode: remembers where the future was made.
pub(crate) unsafe fn record_source(fut: *mut FutureObject) -> Res<()> {
    let stack = stdlib().extract_stack.call0()?;
    // SAFETY: `fut` is alive, says the caller.
    unsafe { FutureObject::rare_mut(fut).source_traceback = Some(stack) };
    Ok(())
}

noargs!(result, |fut: FutureObject| state::result(fut));
noargs!(exception, |fut: FutureObject| state::exception(fut));
noargs!(done, |fut: FutureObject| Ok(Ref::bool(
    FutureObject::is_done(fut)
)));
noargs!(cancelled, |fut: FutureObject| Ok(Ref::bool(
    (*fut).state == State::Cancelled
)));
noargs!(get_loop, |fut: FutureObject| {
    state::ensure_alive(fut)?;
    Ok(Ref::borrow((*fut).loop_))
});
noargs!(make_cancelled_error, |fut: FutureObject| {
    state::make_cancelled_error(fut)
});

unsafe extern "C" fn set_result(slf: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: the interpreter passes live objects.
        unsafe { state::set_result(slf.cast(), Ref::borrow(value))? };
        Ok(Ref::none())
    })
}

unsafe extern "C" fn set_exception(slf: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: the interpreter passes live objects.
        unsafe { state::set_exception(slf.cast(), Ref::borrow(value))? };
        Ok(Ref::none())
    })
}

static CANCEL: Signature = Signature::required("cancel", &[]).optional(&["msg"]);

vectorcall!(cancel, |slf, CANCEL [message]| {
    Ok(Ref::bool(state::cancel(slf.cast(), message)?))
});

static ADD_DONE_CALLBACK: Signature = Signature::required("add_done_callback", &["fn"])
    .positional_only()
    .keywords(&["context"]);

vectorcall!(add_done_callback, |slf, ADD_DONE_CALLBACK [callable, context]| {
    let fut = slf.cast::<FutureObject>();
    state::ensure_alive(fut)?;
    let context = if context.is_null() || ptr::eq(context, ffi::Py_None()) {
        Ref::checked(ffi::PyContext_CopyCurrent())?
    } else {
        Ref::borrow(context)
    };
    add(fut, Callback::python(Ref::borrow(callable), context))?;
    Ok(Ref::none())
});

unsafe extern "C" fn remove_done_callback(
    slf: *mut PyObject,
    callable: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        let fut = slf.cast::<FutureObject>();
        // SAFETY: the interpreter passes live objects.
        unsafe {
            state::ensure_alive(fut)?;
            let removed = if FutureObject::is_done(fut) {
                0
            } else {
                Callbacks::remove_where(fut, |callback| {
                    let held = callback.callable()?;
                    match ffi::PyObject_RichCompareBool(held.ptr(), callable, ffi::Py_EQ) {
                        -1 => Err(Raised::set()),
                        equal => Ok(equal != 0),
                    }
                })?
            };
            Ref::int(removed as i64)
        }
    })
}

unsafe extern "C" fn repr(slf: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: a live instance.
        unsafe { state::ensure_alive(slf.cast())? };
        stdlib().future_repr.call1(slf)
    })
}

/// The methods that `Future` and `Task` have in common. Each class has its own, rather than
/// that a task inherits them, since the interpreter specialises calls of native methods only
/// on the very class that they were made for.
pub(crate) fn common(builder: TypeBuilder) -> TypeBuilder {
    builder
        .noargs(c"result", result)
        .noargs(c"exception", exception)
        .noargs(c"done", done)
        .noargs(c"cancelled", cancelled)
        .noargs(c"get_loop", get_loop)
        .noargs(c"_make_cancelled_error", make_cancelled_error)
        .onearg(c"remove_done_callback", remove_done_callback)
        .fastcall(c"add_done_callback", add_done_callback)
        .docs(docs::FUTURE)
}

/// Makes `Future`; attributes and slots are inherited by `Task`.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<FutureObject>(c"rasyncio.Future")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(DOC)
        .slot(ffi::Py_tp_new, tp_new as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, finalize::dealloc as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize::finalize as *mut c_void)
        .slot(ffi::Py_tp_traverse, finalize::traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, finalize::clear as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_iter, iter::new as *mut c_void)
        .slot(ffi::Py_am_await, iter::new as *mut c_void)
        .onearg(c"set_result", set_result)
        .onearg(c"set_exception", set_exception)
        .fastcall(c"cancel", cancel)
        .generic()
        .dict_offset(object::DICT_OFFSET)
        .weaklist_offset(object::WEAKREFS_OFFSET);
    let builder = attributes::add(common(builder).docs(docs::FUTURE));
    // SAFETY: called once, from the module's initialisation.
    unsafe {
        let class = builder.build(module, ptr::null_mut())?;
        TYPE.set(class);
        crate::object::check(ffi::PyModule_AddObjectRef(
            module,
            c"Future".as_ptr(),
            class.cast(),
        ))?;
    }
    done_init(module)
}

fn done_init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, from the module's initialisation.
    unsafe {
        super::class::init()?;
        super::done_callback::init(module)?;
        iter::init(module)
    }
}

const DOC: &core::ffi::CStr = c"A result that will come: asyncio.Future.

Not thread-safe. `loop` defaults to the running loop.";
