//! What `await future` drives: yields the future once, then gives its result.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::object::FutureObject;
use super::state;
use crate::args::Signature;
use crate::boundary;
use crate::freelist::FreeList;
use crate::global::Global;
use crate::object::{Ref, Res, counts, runtime_error, to_c};
use crate::returning::{end_iteration, stop_iteration};
use crate::throwing::thrown;
use crate::types::{TypeBuilder, free_instance};

#[repr(C)]
struct FutureIter {
    ob_base: PyObject,
    /// The awaited future, owned; NULL when the await is over.
    future: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// Memory of dead iterators: there is one for each await.
static FREE: FreeList<256> = FreeList::new();

/// `future.__await__()`
pub(crate) unsafe extern "C" fn new(future: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: a live future, by the slot's contract; tracked only when whole.
        unsafe {
            state::ensure_alive(future.cast())?;
            let owned = match FREE.take(*TYPE.get()) {
                Some(memory) => Ref::own(memory),
                None => Ref::checked(ffi::PyObject_GC_New(*TYPE.get()))?,
            };
            let made = owned.ptr().cast::<FutureIter>();
            counts::increment(future);
            (*made).future = future;
            ffi::PyObject_GC_Track(made.cast());
            Ok(owned)
        }
    })
}

enum Step {
    Yield(Ref),
    Return(Ref),
}

unsafe fn step(slf: *mut PyObject) -> Res<Option<Step>> {
    let this = slf.cast::<FutureIter>();
    // SAFETY: a live instance; its future is alive while in the slot.
    unsafe {
        let fut = (*this).future.cast::<FutureObject>();
        if fut.is_null() {
            return Ok(None);
        }
        if !FutureObject::is_done(fut) {
            if (*fut).blocking {
                return Err(runtime_error("await wasn't used with future"));
            }
            (*fut).blocking = true;
            return Ok(Some(Step::Yield(Ref::borrow(fut.cast()))));
        }
        let owned = Ref::own(ptr::replace(&raw mut (*this).future, ptr::null_mut()));
        let result = state::result(fut);
        drop(owned);
        result.map(|value| Some(Step::Return(value)))
    }
}

unsafe extern "C" fn send(
    slf: *mut PyObject,
    _value: *mut PyObject,
    out: *mut *mut PyObject,
) -> ffi::PySendResult {
    // SAFETY: a live instance; `out` is writable, by the slot's contract.
    unsafe {
        let (kind, object) = match boundary::result(|| step(slf)) {
            Ok(Some(Step::Yield(future))) => (ffi::PySendResult::PYGEN_NEXT, future.into_ptr()),
            Ok(Some(Step::Return(value))) => (ffi::PySendResult::PYGEN_RETURN, value.into_ptr()),
            Ok(None) => (ffi::PySendResult::PYGEN_RETURN, Ref::none().into_ptr()),
            Err(raised) => (ffi::PySendResult::PYGEN_ERROR, to_c(Err(raised))),
        };
        *out = object;
        kind
    }
}

unsafe extern "C" fn iternext(slf: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live instance.
    match boundary::result(|| unsafe { step(slf) }) {
        Ok(Some(Step::Yield(future))) => future.into_ptr(),
        Ok(Some(Step::Return(value))) => end_iteration(value),
        Ok(None) => ptr::null_mut(),
        Err(raised) => to_c(Err(raised)),
    }
}

unsafe extern "C" fn send_method(slf: *mut PyObject, _value: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: a live instance.
        match unsafe { step(slf) }? {
            Some(Step::Yield(future)) => Ok(future),
            Some(Step::Return(value)) => Err(stop_iteration(value)),
            None => Err(stop_iteration(Ref::none())),
        }
    })
}

static THROW: Signature = Signature::required("throw", &["type"])
    .optional(&["value", "traceback"])
    .positional_only();

vectorcall!(throw, |slf, THROW [kind, value, traceback]| {
    let exception = thrown(kind, value, traceback)?;
    let future = ptr::replace(&raw mut (*slf.cast::<FutureIter>()).future, ptr::null_mut());
    drop(Ref::own_opt(future));
    Err(crate::object::raise_instance(exception))
});

unsafe extern "C" fn close(slf: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live instance; the slot is empty before the future is dropped.
    unsafe {
        let future = ptr::replace(&raw mut (*slf.cast::<FutureIter>()).future, ptr::null_mut());
        drop(Ref::own_opt(future));
    }
    Ref::none().into_ptr()
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*slf.cast::<FutureIter>()).future, visit, arg);
    }
    0
}

unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    // SAFETY: as for `close`.
    unsafe {
        let future = ptr::replace(&raw mut (*slf.cast::<FutureIter>()).future, ptr::null_mut());
        drop(Ref::own_opt(future));
    }
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its field goes.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        counts::decrement_opt((*slf.cast::<FutureIter>()).future);
        if !FREE.give(slf) {
            free_instance(slf);
        }
    }
}

/// Makes the class.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<FutureIter>(c"rasyncio.FutureIter")
        .flags(
            ffi::Py_TPFLAGS_HAVE_GC
                | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
                | ffi::Py_TPFLAGS_IMMUTABLETYPE,
        )
        .slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void)
        .slot(ffi::Py_tp_iternext, iternext as *mut c_void)
        .slot(ffi::Py_am_send, send as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .onearg(c"send", send_method)
        .fastcall(c"throw", throw)
        .noargs(c"close", close);
    // SAFETY: called once, from the module's initialisation.
    unsafe { TYPE.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
