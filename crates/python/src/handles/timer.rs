//! `TimerHandle`: a handle with a time, ordered by it.

use core::ffi::{c_int, c_void};

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio_engine::TimerKey;

use super::{FullHandle, HandleObject, Layout, TYPES, methods};
use crate::args::Signature;
use crate::boundary;
use crate::contexts::RunContext;
use crate::docs;
use crate::event_loop::{self, LoopCore};
use crate::names::names;
use crate::object::{Raised, Ref, Res, call_method, counts, set_slot, type_error};
use crate::types::TypeBuilder;

/// A timer's layout. `when` is the object that was given: repr and `when()` show it as it
/// came (an int stays an int).
#[repr(C)]
pub(crate) struct TimerObject {
    full: FullHandle,
    when: *mut PyObject,
    key: Option<TimerKey>,
    scheduled: bool,
}

/// A timer for our loop; the caller schedules it and stores the key.
pub(crate) fn new_timer(
    core: &LoopCore,
    when: Ref,
    callback: Ref,
    args: &[*mut PyObject],
    context: RunContext,
) -> Res {
    // SAFETY: zeroed memory of the class's size; `fill` sets the head.
    unsafe {
        let made = Ref::checked(ffi::PyType_GenericAlloc(TYPES.get().timer, 0))?;
        let head = made.ptr().cast::<HandleObject>();
        (*head).layout = Layout::Timer;
        let args = super::pack(args)?;
        HandleObject::fill(head, Layout::Timer, core.owner(), callback, args, context);
        let this = made.ptr().cast::<TimerObject>();
        (*this).when = when.into_ptr();
        if core.debug() {
            super::record_source(this.cast())?;
        }
        Ok(made)
    }
}

impl TimerObject {
    /// Remembers the engine's key, by which cancelling finds the timer.
    pub(crate) unsafe fn set_key(this: *mut TimerObject, key: TimerKey) {
        // SAFETY: `this` is alive, says the caller.
        unsafe {
            (*this).key = Some(key);
            (*this).scheduled = true;
        }
    }
}

/// Takes a timer that is being cancelled off its loop.
pub(super) unsafe fn unschedule(this: *mut TimerObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let loop_ = (*this.cast::<HandleObject>()).loop_;
        if let Some(key) = (*this).key.take() {
            if let Some(core) = event_loop::any_native(loop_) {
                drop(core.engine().cancel_timer(key));
            }
            return Ok(());
        }
        if !loop_.is_null() && event_loop::any_native(loop_).is_none() {
            call_method(loop_, names()._timer_handle_cancelled, &[this.cast()])?;
        }
        Ok(())
    }
}

/// `repr(when)`
pub(super) unsafe fn when_text(this: *mut TimerObject) -> Res<String> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        if (*this).when.is_null() {
            return Ok("None".to_owned());
        }
        crate::object::str_of((*this).when)
    }
}

static NEW: Signature = Signature::required("TimerHandle", &["when", "callback", "args", "loop"])
    .optional(&["context"]);

unsafe extern "C" fn tp_new(
    class: *mut PyTypeObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: a tuple, and a dict or NULL, by the slot's contract.
        unsafe {
            let [when, callback, args, loop_, context] = NEW.parse_tuple::<5>(args, kwargs)?;
            if core::ptr::eq(when, ffi::Py_None()) {
                return Err(if cfg!(Py_3_14) {
                    type_error("when cannot be None")
                } else {
                    // Until 3.14 this was an assertion.
                    crate::object::raise(ffi::PyExc_AssertionError, "")
                });
            }
            let made = methods::alloc(class)?;
            methods::fill(made.ptr().cast(), callback, args, loop_, context)?;
            set_slot(
                &raw mut (*made.ptr().cast::<TimerObject>()).when,
                counts::new_ref(when),
            );
            Ok(made)
        }
    })
}

unsafe extern "C" fn when(slf: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    // SAFETY: a live instance.
    unsafe { Ref::borrow_opt((*slf.cast::<TimerObject>()).when).unwrap_or_else(Ref::none) }
        .into_ptr()
}

unsafe extern "C" fn get_when(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: as for `when`.
    unsafe { when(slf, core::ptr::null_mut()) }
}

unsafe extern "C" fn get_scheduled(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: a live instance.
    Ref::bool(unsafe { (*slf.cast::<TimerObject>()).scheduled }).into_ptr()
}

unsafe extern "C" fn set_when(slf: *mut PyObject, value: *mut PyObject, _: *mut c_void) -> c_int {
    // SAFETY: a live instance; NULL means deletion.
    unsafe {
        counts::increment_opt(value);
        set_slot(&raw mut (*slf.cast::<TimerObject>()).when, value);
    }
    0
}

unsafe extern "C" fn set_scheduled(
    slf: *mut PyObject,
    value: *mut PyObject,
    _: *mut c_void,
) -> c_int {
    boundary::status(|| {
        // SAFETY: a live instance; NULL means deletion.
        unsafe {
            let scheduled = !value.is_null() && Ref::borrow(value).truth()?;
            (*slf.cast::<TimerObject>()).scheduled = scheduled;
        }
        Ok(())
    })
}

unsafe extern "C" fn hash(slf: *mut PyObject) -> ffi::Py_hash_t {
    // SAFETY: a live instance.
    unsafe {
        let when = Ref::borrow_opt((*slf.cast::<TimerObject>()).when).unwrap_or_else(Ref::none);
        ffi::PyObject_Hash(when.ptr())
    }
}

unsafe extern "C" fn richcompare(a: *mut PyObject, b: *mut PyObject, op: c_int) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: live objects, the first a timer.
        unsafe {
            if ffi::PyType_IsSubtype(ffi::Py_TYPE(b), TYPES.get().timer) == 0 {
                return Ok(Ref::borrow(ffi::Py_NotImplemented()));
            }
            let (x, y) = (a.cast::<TimerObject>(), b.cast::<TimerObject>());
            match op {
                ffi::Py_EQ => Ok(Ref::bool(equal(x, y)?)),
                ffi::Py_NE => Ok(Ref::bool(!equal(x, y)?)),
                ffi::Py_LT | ffi::Py_GT => Ok(Ref::bool(compare(x, y, op)?)),
                _ => Ok(Ref::bool(compare(x, y, op)? || equal(x, y)?)),
            }
        }
    })
}

unsafe fn compare(a: *mut TimerObject, b: *mut TimerObject, op: c_int) -> Res<bool> {
    // SAFETY: both alive, says the caller; `when` is set in whole timers.
    unsafe {
        let strict = match op {
            ffi::Py_LE => ffi::Py_LT,
            ffi::Py_GE => ffi::Py_GT,
            other => other,
        };
        match ffi::PyObject_RichCompareBool((*a).when, (*b).when, strict) {
            -1 => Err(Raised::set()),
            truth => Ok(truth != 0),
        }
    }
}

/// Equal timers have the same time, callback, arguments and cancelled state.
unsafe fn equal(a: *mut TimerObject, b: *mut TimerObject) -> Res<bool> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let (x, y) = (a.cast::<HandleObject>(), b.cast::<HandleObject>());
        if (*x).cancelled != (*y).cancelled {
            return Ok(false);
        }
        let callback =
            |this: *mut HandleObject| Ref::borrow_opt((*this).callback).unwrap_or_else(Ref::none);
        let pairs = [
            (Ref::borrow((*a).when), Ref::borrow((*b).when)),
            (callback(x), callback(y)),
            (HandleObject::args_tuple(x)?, HandleObject::args_tuple(y)?),
        ];
        for (left, right) in pairs {
            match ffi::PyObject_RichCompareBool(left.ptr(), right.ptr(), ffi::Py_EQ) {
                -1 => return Err(Raised::set()),
                0 => return Ok(false),
                _ => {}
            }
        }
        Ok(true)
    }
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        // SAFETY: the object is dead; `when` is a number and leads into no cycle, so the
        // collector need not see it.
        unsafe {
            ffi::PyObject_GC_UnTrack(slf.cast());
            set_slot(
                &raw mut (*slf.cast::<TimerObject>()).when,
                core::ptr::null_mut(),
            );
            methods::dealloc_full(slf);
        }
    });
}

pub(super) fn builder() -> TypeBuilder {
    methods::collected(
        TypeBuilder::new::<TimerObject>(c"rasyncio.TimerHandle"),
        dealloc,
    )
    .doc(c"A callback that the loop is going to call at a time: asyncio.TimerHandle.")
    .slot(ffi::Py_tp_new, tp_new as *mut c_void)
    .slot(ffi::Py_tp_hash, hash as *mut c_void)
    .slot(ffi::Py_tp_richcompare, richcompare as *mut c_void)
    .noargs(c"when", when)
    .docs(docs::HANDLE)
    .property(c"_when", get_when, Some(set_when))
    .property(c"_scheduled", get_scheduled, Some(set_scheduled))
}
