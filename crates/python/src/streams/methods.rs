//! `StreamReader` as Python sees it.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::reader::{self, ReaderObject, settle};
use super::{piece::Piece, reading};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::add_methods;
use crate::docs;
use crate::futures;
use crate::object::{Ref, Res, check, counts, raise, saturating_int, set_slot};
use crate::types::TypeBuilder;

static INIT: Signature = Signature::required("StreamReader", &["limit", "loop"]);

unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: a live instance; the slots' contract.
        unsafe {
            let [limit, loop_] = INIT.parse_tuple::<2>(args, kwargs)?;
            let limit = saturating_int(limit)?.max(0) as usize;
            ReaderObject::start(slf.cast(), limit, loop_);
            Ok(())
        }
    })
}

macro_rules! onearg {
    ($name:ident, |$this:ident, $arg:ident| $body:expr) => {
        unsafe extern "C" fn $name(slf: *mut PyObject, $arg: *mut PyObject) -> *mut PyObject {
            let $this = slf.cast::<ReaderObject>();
            // SAFETY: the interpreter passes a live instance and a live object.
            boundary::object(|| unsafe { $body })
        }
    };
}

onearg!(feed_data, |this, data| {
    settle(this)?;
    reader::feed_data(this, data)?;
    Ok(Ref::none())
});
onearg!(set_exception, |this, exception| {
    reader::set_exception(this, exception)?;
    Ok(Ref::none())
});
onearg!(set_transport, |this, transport| {
    if !(*this).transport.is_null() {
        return Err(raise(ffi::PyExc_AssertionError, "Transport already set"));
    }
    reader::set_transport(this, transport);
    Ok(Ref::none())
});
onearg!(replace_transport, |this, transport| {
    if (*this).transport.is_null() {
        return Err(raise(ffi::PyExc_AssertionError, "Transport not set"));
    }
    settle(this)?;
    reader::set_transport(this, transport);
    Ok(Ref::none())
});
onearg!(take, |this, count| {
    settle(this)?;
    let here = ReaderObject::state(this).buffered();
    let count = saturating_int(count)?.max(0) as usize;
    reader::take(this, count.min(here))
});
onearg!(put, |this, data| {
    settle(this)?;
    // Behind what is there, and nobody is told.
    let waiter = ReaderObject::state(this).end_wait();
    let fed = ReaderObject::state(this).feed(Piece::of(data)?);
    debug_assert!(fed.wake.is_none());
    if let Some(waiter) = waiter {
        let _ = ReaderObject::state(this).wait(waiter);
    }
    Ok(Ref::none())
});

noargs!(feed_eof, |this: ReaderObject| {
    reader::feed_eof(this)?;
    Ok(Ref::none())
});
noargs!(at_eof, |this: ReaderObject| {
    settle(this)?;
    Ok(Ref::bool(ReaderObject::state(this).at_eof()))
});
noargs!(exception, |this: ReaderObject| Ok(ReaderObject::state(
    this
)
.exception()
.unwrap_or_else(Ref::none)));
noargs!(maybe_resume_transport, |this: ReaderObject| {
    reader::taken(this)?;
    Ok(Ref::none())
});
noargs!(wakeup_waiter, |this: ReaderObject| {
    if let Some(waiter) = ReaderObject::state(this).end_wait() {
        futures::set_result_unless_cancelled(waiter.ptr(), ffi::Py_None())?;
    }
    Ok(Ref::none())
});
noargs!(peek, |this: ReaderObject| {
    settle(this)?;
    ReaderObject::state(this).with_bytes(|bytes| {
        let length = bytes.len() as ffi::Py_ssize_t;
        Ref::checked(ffi::PyBytes_FromStringAndSize(
            bytes.as_ptr().cast(),
            length,
        ))
    })
});

unsafe extern "C" fn aiter(slf: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    unsafe { counts::new_ref(slf) }
}

getter!(get_limit, |this: ReaderObject| Ref::int(
    ReaderObject::state(this).limit() as i64
));
getter!(get_eof, |this: ReaderObject| Ok(Ref::bool(
    ReaderObject::state(this).is_eof()
)));
getter!(get_paused, |this: ReaderObject| Ok(Ref::bool(
    ReaderObject::state(this).is_paused()
)));
getter!(get_exception, |this: ReaderObject| Ok(ReaderObject::state(
    this
)
.exception()
.unwrap_or_else(Ref::none)));
getter!(get_loop, |this: ReaderObject| Ok(Ref::borrow_opt(
    (*this).loop_
)
.unwrap_or_else(Ref::none)));
getter!(get_transport, |this: ReaderObject| Ok(Ref::borrow_opt(
    (*this).transport
)
.unwrap_or_else(Ref::none)));
getter!(get_waiter, |this: ReaderObject| Ok(ReaderObject::state(
    this
)
.with_waiter(|waiter| waiter.cloned())
.unwrap_or_else(Ref::none)));
setter!(set_waiter, |this: ReaderObject, value| {
    let state = ReaderObject::state(this);
    if value.is_null() || ptr::eq(value, ffi::Py_None()) {
        drop(state.end_wait());
    } else if state.wait(Ref::borrow(value)) {
        reader::resume(this)?;
    }
    Ok(())
});
setter!(set_transport_attr, |this: ReaderObject, value| {
    reader::set_transport(this, value);
    Ok(())
});
setter!(set_loop, |this: ReaderObject, value| {
    let value = if value.is_null() {
        value
    } else {
        counts::new_ref(value)
    };
    set_slot(&raw mut (*this).loop_, value);
    Ok(())
});

/// Makes `StreamReader`; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<ReaderObject>(c"rasyncio._rasyncio.StreamReader")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"The native part of a stream reader: what has come, and the coroutines that wait for it.")
        .slot(ffi::Py_tp_new, reader::tp_new as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_setattro, reader::setattro as *mut c_void)
        .slot(ffi::Py_tp_dealloc, reader::dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, reader::traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, reader::clear as *mut c_void)
        .slot(ffi::Py_am_aiter, aiter as *mut c_void)
        .slot(ffi::Py_am_anext, reading::anext as *mut c_void)
        .onearg(c"feed_data", feed_data)
        .noargs(c"feed_eof", feed_eof)
        .noargs(c"at_eof", at_eof)
        .noargs(c"exception", exception)
        .onearg(c"set_exception", set_exception)
        .onearg(c"set_transport", set_transport)
        .onearg(c"_replace_transport", replace_transport)
        .noargs(c"_maybe_resume_transport", maybe_resume_transport)
        .noargs(c"_wakeup_waiter", wakeup_waiter)
        .noargs(c"_peek", peek)
        .onearg(c"_take", take)
        .onearg(c"_put", put)
        .docs(docs::STREAM_READER)
        .get(c"_limit", get_limit)
        .get(c"_eof", get_eof)
        .get(c"_paused", get_paused)
        .get(c"_exception", get_exception)
        .property(c"_loop", get_loop, Some(set_loop))
        .property(c"_transport", get_transport, Some(set_transport_attr))
        .property(c"_waiter", get_waiter, Some(set_waiter));
    // SAFETY: called once, before any instance, says the caller.
    unsafe {
        let class = builder.build(module, ptr::null_mut())?;
        reader::init(class);
        add_methods(class, &reading::METHODS)?;
        check(ffi::PyModule_AddObjectRef(
            module,
            c"StreamReader".as_ptr(),
            class.cast(),
        ))
    }
}
