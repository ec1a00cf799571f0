//! `Future` as Python sees it: its class, methods and attributes.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::callbacks::{Callback, Callbacks, add};
use super::object::{self, FutureObject, State};
use super::{TYPE, future_type, iter, state};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, call_method, set_slot, value_error, write_unraisable};
use crate::stdlib::stdlib;
use crate::types::{TypeBuilder, free_instance};

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

getter!(get_state, |fut: FutureObject| Ref::str(
    match (*fut).state {
        State::Pending => "PENDING",
        State::Cancelled => "CANCELLED",
        State::Result | State::Exception => "FINISHED",
    }
));
getter!(get_blocking, |fut: FutureObject| Ok(Ref::bool(
    !(*fut).loop_.is_null() && (*fut).blocking
)));
getter!(get_loop_attr, |fut: FutureObject| Ok(Ref::borrow_opt(
    (*fut).loop_
)
.unwrap_or_else(Ref::none)));
getter!(get_log_traceback, |fut: FutureObject| Ok(Ref::bool(
    (*fut).log_traceback
)));
getter!(get_source_traceback, |fut: FutureObject| Ok(
    FutureObject::rare(fut, |rare| &rare.source_traceback).unwrap_or_else(Ref::none)
));
getter!(get_cancel_message, |fut: FutureObject| Ok(
    FutureObject::rare(fut, |rare| &rare.cancel_message).unwrap_or_else(Ref::none)
));
getter!(get_result_attr, |fut: FutureObject| Ok(
    match (*fut).state {
        State::Result => Ref::borrow((*fut).value),
        _ => Ref::none(),
    }
));
getter!(get_exception_attr, |fut: FutureObject| Ok(
    match (*fut).state {
        State::Exception => Ref::borrow((*fut).value),
        _ => Ref::none(),
    }
));
getter!(get_callbacks, |fut: FutureObject| {
    if FutureObject::is_done(fut) || (*fut).callbacks.is_empty() {
        return Ok(Ref::none());
    }
    let list = Ref::list()?;
    let pairs: Res<Vec<Ref>> = (*fut).callbacks.iter().map(object::callback_pair).collect();
    for pair in pairs? {
        crate::object::check(ffi::PyList_Append(list.ptr(), pair.ptr()))?;
    }
    Ok(list)
});
getter!(get_awaited_by, |fut: FutureObject| awaited_by(fut));

/// `_asyncio_awaited_by`: the tasks that wait here natively, and whoever registered.
unsafe fn awaited_by(fut: *mut FutureObject) -> Res {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        let explicit = FutureObject::rare(fut, |rare| &rare.awaited_by);
        let source = explicit.as_ref().map_or(ptr::null_mut(), Ref::ptr);
        let set = Ref::checked(ffi::PySet_New(source))?;
        let waiting: Vec<Ref> = (*fut)
            .callbacks
            .iter()
            .filter_map(|callback| callback.awaiting())
            .map(|task| Ref::borrow(task))
            .collect();
        for task in waiting {
            crate::object::check(ffi::PySet_Add(set.ptr(), task.ptr()))?;
        }
        if ffi::PySet_Size(set.ptr()) == 0 {
            Ok(Ref::none())
        } else {
            Ok(set)
        }
    }
}

setter!(set_blocking, |this: FutureObject, value| {
    state::ensure_alive(this)?;
    refuse_delete(value)?;
    (*this).blocking = Ref::borrow(value).truth()?;
    Ok(())
});

setter!(set_log_traceback, |this: FutureObject, value| {
    refuse_delete(value)?;
    if Ref::borrow(value).truth()? {
        return Err(value_error("_log_traceback can only be set to False"));
    }
    (*this).log_traceback = false;
    Ok(())
});

setter!(set_cancel_message, |this: FutureObject, value| {
    refuse_delete(value)?;
    state::set_cancel_message(this, value);
    Ok(())
});

pub(crate) fn refuse_delete(value: *mut PyObject) -> Res<()> {
    if value.is_null() {
        // SAFETY: a static exception class.
        return Err(unsafe {
            crate::object::raise(ffi::PyExc_AttributeError, "cannot delete attribute")
        });
    }
    Ok(())
}

/// Registers an awaiter that no wake-up link shows (a gather, a task group).
pub(crate) unsafe fn add_awaited_by(fut: *mut FutureObject, waiter: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let set = match FutureObject::rare(fut, |rare| &rare.awaited_by) {
            Some(set) => set,
            None => {
                let set = Ref::checked(ffi::PySet_New(ptr::null_mut()))?;
                FutureObject::rare_mut(fut).awaited_by = Some(set.clone());
                set
            }
        };
        crate::object::check(ffi::PySet_Add(set.ptr(), waiter))
    }
}

/// Undoes [`add_awaited_by`].
pub(crate) unsafe fn discard_awaited_by(fut: *mut FutureObject, waiter: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        if let Some(set) = FutureObject::rare(fut, |rare| &rare.awaited_by) {
            crate::object::check(ffi::PySet_Discard(set.ptr(), waiter).min(0))?;
        }
        Ok(())
    }
}

unsafe extern "C" fn repr(slf: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: a live instance.
        unsafe { state::ensure_alive(slf.cast())? };
        stdlib().future_repr.call1(slf)
    })
}

/// `__del__`: an exception that nobody looked at is reported.
pub(crate) unsafe extern "C" fn finalize(slf: *mut PyObject) {
    boundary::quiet(|| {
        let fut = slf.cast::<FutureObject>();
        // SAFETY: the object is alive while it is finalised; a pending error is kept.
        unsafe {
            if !(*fut).log_traceback || (*fut).loop_.is_null() {
                return;
            }
            (*fut).log_traceback = false;
            let pending = crate::object::stash_error();
            if let Err(raised) = report_unretrieved(fut) {
                write_unraisable(raised, slf);
            }
            crate::object::restore_error(pending);
        }
    });
}

unsafe fn report_unretrieved(fut: *mut FutureObject) -> Res<()> {
    // SAFETY: `fut` is alive, says the caller.
    unsafe {
        let context = Ref::dict()?;
        let class = crate::object::type_name(fut.cast());
        let message = Ref::str(&format!("{class} exception was never retrieved"))?;
        let set = |key: *mut PyObject, value: *mut PyObject| {
            crate::object::check(ffi::PyDict_SetItem(context.ptr(), key, value))
        };
        set(names().message, message.ptr())?;
        set(names().exception, (*fut).value)?;
        set(names().future, fut.cast())?;
        if let Some(stack) = FutureObject::rare(fut, |rare| &rare.source_traceback) {
            set(names().source_traceback, stack.ptr())?;
        }
        call_method(
            (*fut).loop_,
            names().call_exception_handler,
            &[context.ptr()],
        )?;
        Ok(())
    }
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        object::traverse(slf.cast(), visit, arg)
    }
}

unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    // SAFETY: called by the collector on a live instance.
    boundary::quiet(|| unsafe { object::clear(slf.cast()) });
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        // SAFETY: the object is dead; finalisation may bring it back, then we leave it.
        unsafe {
            let fut = slf.cast::<FutureObject>();
            if (*fut).log_traceback && ffi::PyObject_CallFinalizerFromDealloc(slf) < 0 {
                return;
            }
            ffi::PyObject_GC_UnTrack(slf.cast());
            object::release(fut);
            // A finalised object carries a mark that its memory must not pass on.
            let reusable =
                ffi::Py_TYPE(slf) == future_type() && ffi::PyObject_GC_IsFinalized(slf) == 0;
            if !reusable || !object::FREE.give(slf) {
                free_instance(slf);
            }
        }
    });
}

/// What `Future` and `Task` share in their class definitions is inherited; this makes
/// `Future`.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<FutureObject>(c"rasyncio.Future")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(DOC)
        .slot(ffi::Py_tp_new, tp_new as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_finalize, finalize as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_iter, iter::new as *mut c_void)
        .slot(ffi::Py_am_await, iter::new as *mut c_void)
        .noargs(c"result", result)
        .noargs(c"exception", exception)
        .noargs(c"done", done)
        .noargs(c"cancelled", cancelled)
        .noargs(c"get_loop", get_loop)
        .noargs(c"_make_cancelled_error", make_cancelled_error)
        .onearg(c"set_result", set_result)
        .onearg(c"set_exception", set_exception)
        .onearg(c"remove_done_callback", remove_done_callback)
        .fastcall(c"add_done_callback", add_done_callback)
        .fastcall(c"cancel", cancel)
        .docs(docs::FUTURE)
        .generic()
        .get(c"__class__", super::class::get_class)
        .get(c"_state", get_state)
        .property(
            c"_asyncio_future_blocking",
            get_blocking,
            Some(set_blocking),
        )
        .get(c"_asyncio_awaited_by", get_awaited_by)
        .get(c"_loop", get_loop_attr)
        .get(c"_callbacks", get_callbacks)
        .get(c"_result", get_result_attr)
        .get(c"_exception", get_exception_attr)
        .property(
            c"_log_traceback",
            get_log_traceback,
            Some(set_log_traceback),
        )
        .get(c"_source_traceback", get_source_traceback)
        .property(
            c"_cancel_message",
            get_cancel_message,
            Some(set_cancel_message),
        )
        .dict_offset(object::DICT_OFFSET)
        .weaklist_offset(object::WEAKREFS_OFFSET);
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
