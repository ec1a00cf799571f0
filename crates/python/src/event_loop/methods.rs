//! `BaseLoop` as Python sees it: the class, and its small methods.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::core::LoopCore;
use super::object::{self, LoopObject};
use super::{TYPE, capsule, class, executor, numbers, readers, replaced, run, scheduling};
use crate::boundary;
use crate::docs;
use crate::futures;
use crate::names::names;
use crate::object::{Ref, Res, check, import, runtime_error, type_error};
use crate::types::{TypeBuilder, add_functions, onearg_def};

/// The core of the loop that a method was called on.
#[inline]
pub(super) unsafe fn core_of<'a>(slf: *mut PyObject) -> Res<&'a LoopCore> {
    // SAFETY: a live instance, says the caller; it outlives the method call.
    match unsafe { (*slf.cast::<LoopObject>()).core() } {
        Some(core) => Ok(core),
        None => Err(runtime_error("the event loop is not initialized")),
    }
}

macro_rules! noargs {
    ($name:ident, |$core:ident| $body:expr) => {
        unsafe extern "C" fn $name(slf: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
            boundary::object(|| {
                // SAFETY: the interpreter passes a live instance.
                let $core = unsafe { core_of(slf)? };
                $body
            })
        }
    };
}

macro_rules! getter {
    ($name:ident, |$core:ident| $body:expr) => {
        unsafe extern "C" fn $name(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
            boundary::object(|| {
                // SAFETY: the interpreter passes a live instance.
                let $core = unsafe { core_of(slf)? };
                $body
            })
        }
    };
}

macro_rules! slot_setter {
    ($name:ident, $field:ident) => {
        unsafe extern "C" fn $name(
            slf: *mut PyObject,
            value: *mut PyObject,
            _: *mut c_void,
        ) -> c_int {
            boundary::status(|| {
                // SAFETY: a live instance; NULL means deletion.
                unsafe { core_of(slf)?.$field.set(Ref::borrow_opt(value)) };
                Ok(())
            })
        }
    };
}

noargs!(run_forever, |core| {
    run::run_forever(core)?;
    Ok(Ref::none())
});
noargs!(stop, |core| {
    core.engine().stop();
    Ok(Ref::none())
});
noargs!(close, |core| {
    if core.thread() != 0 {
        return Err(runtime_error("Cannot close a running event loop"));
    }
    core.engine().close();
    core.watched().clear();
    Ok(Ref::none())
});
noargs!(is_running, |core| Ok(Ref::bool(core.thread() != 0)));
noargs!(is_closed, |core| Ok(Ref::bool(core.engine().is_closed())));
noargs!(time, |core| Ref::float(core.time()));
noargs!(get_debug, |core| Ok(Ref::bool(core.debug())));
noargs!(create_future, |core| futures::new_native(core));
noargs!(get_task_factory, |core| Ok(core.task_factory.get()));
noargs!(abi_capsule, |core| capsule::publish(core));
noargs!(check_closed, |core| {
    core.check_closed()?;
    Ok(Ref::none())
});

unsafe extern "C" fn set_task_factory(slf: *mut PyObject, factory: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: live objects.
        unsafe {
            let core = core_of(slf)?;
            if !ptr::eq(factory, ffi::Py_None()) && ffi::PyCallable_Check(factory) == 0 {
                return Err(type_error("task factory must be a callable or None"));
            }
            core.task_factory.set(Some(Ref::borrow(factory)));
        }
        Ok(Ref::none())
    })
}

unsafe extern "C" fn set_debug(slf: *mut PyObject, enabled: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: live objects.
        unsafe {
            let core = core_of(slf)?;
            let debug = Ref::borrow(enabled).truth()?;
            core.set_debug(debug);
            if core.thread() != 0 {
                let owner = Ref::borrow(slf);
                let track = owner.attr(names()._set_coroutine_origin_tracking)?;
                let enabled = Ref::bool(debug);
                owner.call_method(names().call_soon_threadsafe, &[track.ptr(), enabled.ptr()])?;
            }
        }
        Ok(Ref::none())
    })
}

getter!(get_closed, |core| Ok(Ref::bool(core.engine().is_closed())));
getter!(get_thread_id, |core| match core.thread() {
    0 => Ok(Ref::none()),
    // SAFETY: attached.
    thread => unsafe { Ref::checked(ffi::PyLong_FromUnsignedLong(thread)) },
});
getter!(get_debug_attr, |core| Ok(Ref::bool(core.debug())));
getter!(get_default_executor, |core| Ok(core.default_executor.get()));
slot_setter!(set_default_executor, default_executor);
getter!(get_exception_handler, |core| Ok(core
    .exception_handler
    .get()));
slot_setter!(set_exception_handler, exception_handler);
getter!(get_task_factory_attr, |core| Ok(core.task_factory.get()));
slot_setter!(set_task_factory_attr, task_factory);
getter!(get_slow_duration, |core| Ok(core
    .slow_callback_duration
    .get()));
slot_setter!(set_slow_duration, slow_callback_duration);
getter!(get_current_handle, |core| Ok(core.current_handle()));

unsafe extern "C" fn set_current_handle(
    slf: *mut PyObject,
    value: *mut PyObject,
    _: *mut c_void,
) -> c_int {
    boundary::status(|| {
        // SAFETY: a live instance; NULL means deletion.
        unsafe { core_of(slf)?.set_current_handle(Ref::borrow_opt(value)) };
        Ok(())
    })
}

unsafe extern "C" fn set_debug_attr(
    slf: *mut PyObject,
    value: *mut PyObject,
    _: *mut c_void,
) -> c_int {
    boundary::status(|| {
        // SAFETY: a live instance; NULL means deletion, which turns it off.
        unsafe {
            let debug = !value.is_null() && Ref::borrow(value).truth()?;
            core_of(slf)?.set_debug(debug);
        }
        Ok(())
    })
}

/// `__init__`: `__new__` made the loop; what is asked here is asyncio's debug mode.
unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        let is_debug_mode = import(c"asyncio.coroutines")?.attr(names()._is_debug_mode)?;
        // SAFETY: a live instance.
        unsafe { core_of(slf)?.set_debug(is_debug_mode.call0()?.truth()?) };
        Ok(())
    })
}

/// Makes `BaseLoop`.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<LoopObject>(c"rasyncio._rasyncio.BaseLoop")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"The native part of the event loop: scheduling, timers, tasks, descriptors.")
        .slot(ffi::Py_tp_new, object::tp_new as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, object::dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, object::traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, object::clear as *mut c_void)
        .slot(ffi::Py_tp_setattro, object::setattro as *mut c_void)
        .noargs(c"run_forever", run_forever)
        .noargs(c"stop", stop)
        .noargs(c"close", close)
        .noargs(c"is_running", is_running)
        .noargs(c"is_closed", is_closed)
        .noargs(c"time", time)
        .noargs(c"get_debug", get_debug)
        .onearg(c"set_debug", set_debug)
        .noargs(c"create_future", create_future)
        .noargs(c"get_task_factory", get_task_factory)
        .onearg(c"set_task_factory", set_task_factory)
        .noargs(c"_check_closed", check_closed)
        .fastcall(c"call_soon", scheduling::call_soon)
        .fastcall(c"call_soon_threadsafe", scheduling::call_soon_threadsafe)
        .fastcall(c"call_later", scheduling::call_later)
        .fastcall(c"call_at", scheduling::call_at)
        .fastcall(c"create_task", scheduling::create_task)
        .fastcall(c"run_in_executor", executor::run_in_executor)
        .fastcall(c"_add_reader", readers::add_reader)
        .fastcall(c"_add_writer", readers::add_writer)
        .onearg(c"_remove_reader", readers::remove_reader)
        .onearg(c"_remove_writer", readers::remove_writer)
        .onearg(c"_interest", readers::interest)
        .onearg(c"_transport_of", numbers::transport_of)
        .onearg(c"_forget_transport", numbers::forget_transport)
        .noargs(c"_transport_numbers", numbers::transport_numbers)
        .onearg(c"_select", replaced::select)
        .noargs(c"_select_is_replaced", replaced::select_is_replaced)
        .fastcall(c"_listen", crate::servers::listen)
        .fastcall(c"_watch_child", crate::children::watch)
        .noargs(c"_abi_capsule", abi_capsule)
        .docs(docs::LOOP)
        .get(c"_closed", get_closed)
        .get(c"_thread_id", get_thread_id)
        .property(c"_debug", get_debug_attr, Some(set_debug_attr))
        .property(
            c"_default_executor",
            get_default_executor,
            Some(set_default_executor),
        )
        .property(
            c"_exception_handler",
            get_exception_handler,
            Some(set_exception_handler),
        )
        .property(
            c"_task_factory",
            get_task_factory_attr,
            Some(set_task_factory_attr),
        )
        .property(
            c"slow_callback_duration",
            get_slow_duration,
            Some(set_slow_duration),
        )
        .property(
            c"_current_handle",
            get_current_handle,
            Some(set_current_handle),
        );
    #[cfg(not(Py_3_14))]
    let builder = builder.slot(
        ffi::Py_tp_hash,
        crate::tasks::current::hash_loop as *mut c_void,
    );
    // SAFETY: called once, from the module's initialisation.
    unsafe {
        let class = builder.build(module, ptr::null_mut())?;
        TYPE.set(class);
        check(ffi::PyModule_AddObjectRef(
            module,
            c"BaseLoop".as_ptr(),
            class.cast(),
        ))?;
        let own_methods = onearg_def(c"_own_methods", class::own_methods);
        add_functions(module, vec![own_methods])?;
        executor::init(module)
    }
}
