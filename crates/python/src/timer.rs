//! Timers for native code, on our loop and on any other.
//!
//! On our loop a timer is an entry in the engine, without handle or callable. Another loop
//! is asked by its public methods, the very ones that asyncio's own code calls there:
//! tests (and virtual-time loops) look at what `call_later` and `call_at` are given.

use core::ffi::{c_int, c_void};
use core::mem::offset_of;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio_engine::TimerKey;

use crate::boundary;
use crate::event_loop;
use crate::global::Global;
use crate::names::names;
use crate::object::{Raised, Ref, Res, call_method, set_slot, type_error};
use crate::types::{TypeBuilder, free_instance};

/// What a timer calls.
pub(crate) type TimerFn = unsafe fn(data: *mut PyObject) -> Res<()>;

/// A pending timer. Dropping it does not cancel it.
#[derive(Clone, Copy)]
pub(crate) enum Timer {
    /// On our loop.
    Native(TimerKey),
    /// Another loop gave a handle, which `keep` received: it belongs where the collector
    /// sees it.
    Handle,
}

impl Timer {
    /// Cancels the timer on its loop; no harm if it has fired. `handle` is what was kept.
    pub(crate) fn cancel(self, loop_: *mut PyObject, handle: *mut PyObject) -> Res<()> {
        match self {
            Timer::Native(key) => {
                if let Some(core) = event_loop::native(loop_) {
                    core.cancel_native(key);
                }
                Ok(())
            }
            // SAFETY: the caller kept the handle.
            Timer::Handle => unsafe { call_method(handle, names().cancel, &[]).map(drop) },
        }
    }
}

/// `loop.call_later(delay, run, data)`
pub(crate) fn call_later(
    loop_: *mut PyObject,
    delay: *mut PyObject,
    run: TimerFn,
    data: Ref,
    keep: impl FnOnce(Ref),
) -> Res<Timer> {
    match event_loop::native(loop_) {
        Some(core) => {
            let when = core.time() + as_f64(delay)?;
            Ok(Timer::Native(core.call_native_at(when, run, data)?))
        }
        None => foreign(loop_, names().call_later, &[delay], run, data, keep),
    }
}

/// `loop.call_at(when, run, data)`, or `loop.call_soon(run, data)` if that time is not later
/// than now.
pub(crate) fn call_at_or_soon(
    loop_: *mut PyObject,
    when: *mut PyObject,
    run: TimerFn,
    data: Ref,
    keep: impl FnOnce(Ref),
) -> Res<Timer> {
    match event_loop::native(loop_) {
        Some(core) => {
            let when = as_f64(when)?;
            if when > core.time() {
                return Ok(Timer::Native(core.call_native_at(when, run, data)?));
            }
        }
        None => {
            // SAFETY: all alive.
            let later = unsafe {
                let now = call_method(loop_, names().time, &[])?;
                truth(ffi::PyObject_RichCompareBool(when, now.ptr(), ffi::Py_GT))?
            };
            if later {
                return foreign(loop_, names().call_at, &[when], run, data, keep);
            }
        }
    }
    foreign(loop_, names().call_soon, &[], run, data, keep)
}

fn foreign(
    loop_: *mut PyObject,
    method: *mut PyObject,
    when: &[*mut PyObject],
    run: TimerFn,
    data: Ref,
    keep: impl FnOnce(Ref),
) -> Res<Timer> {
    let callback = callback(run, data)?;
    let mut args = when.to_vec();
    args.push(callback.ptr());
    // SAFETY: the caller keeps the loop alive.
    keep(unsafe { call_method(loop_, method, &args)? });
    Ok(Timer::Handle)
}

/// A number of seconds.
pub(crate) fn as_f64(seconds: *mut PyObject) -> Res<f64> {
    // SAFETY: alive; -1.0 may be an error or a number.
    let value = unsafe { ffi::PyFloat_AsDouble(seconds) };
    // SAFETY: attached.
    if value == -1.0 && !unsafe { ffi::PyErr_Occurred() }.is_null() {
        return Err(Raised::set());
    }
    Ok(value)
}

/// `number <= 0`, for whatever compares with numbers.
pub(crate) fn is_not_positive(number: *mut PyObject) -> Res<bool> {
    // SAFETY: alive; an exact number is compared in place.
    unsafe {
        if ffi::PyFloat_CheckExact(number) != 0 {
            return Ok(ffi::PyFloat_AS_DOUBLE(number) <= 0.0);
        }
        if ffi::PyLong_CheckExact(number) != 0 {
            let mut overflow = 0;
            let value = ffi::PyLong_AsLongLongAndOverflow(number, &mut overflow);
            return Ok(overflow < 0 || (overflow == 0 && value <= 0));
        }
        let zero = Ref::int(0)?;
        truth(ffi::PyObject_RichCompareBool(
            number,
            zero.ptr(),
            ffi::Py_LE,
        ))
    }
}

fn truth(answer: c_int) -> Res<bool> {
    if answer < 0 {
        Err(Raised::set())
    } else {
        Ok(answer != 0)
    }
}

/// A callable without arguments that runs native code.
#[repr(C)]
struct CallbackObject {
    head: PyObject,
    vectorcall: ffi::vectorcallfunc,
    run: TimerFn,
    data: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// Makes a Python callable that calls `run(data)`.
pub(crate) fn callback(run: TimerFn, data: Ref) -> Res {
    // SAFETY: the object is tracked when whole.
    unsafe {
        let callback: *mut CallbackObject = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(callback.cast())?;
        (&raw mut (*callback).vectorcall).write(vectorcall);
        (&raw mut (*callback).run).write(run);
        (&raw mut (*callback).data).write(data.into_ptr());
        ffi::PyObject_GC_Track(callback.cast());
        Ok(owned)
    }
}

unsafe extern "C" fn vectorcall(
    callable: *mut PyObject,
    _args: *const *mut PyObject,
    nargsf: usize,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance of our type; the data is kept alive across the call.
        unsafe {
            if ffi::PyVectorcall_NARGS(nargsf) != 0 || !kwnames.is_null() {
                return Err(type_error("a native callback takes no arguments"));
            }
            let callback = callable.cast::<CallbackObject>();
            let data = Ref::borrow((*callback).data);
            ((*callback).run)(data.ptr())?;
            Ok(Ref::none())
        }
    })
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        visit_opt!(ffi::Py_TYPE(object).cast(), visit, arg);
        visit_opt!((*object.cast::<CallbackObject>()).data, visit, arg);
    }
    0
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: the last reference is gone. There is no tp_clear: what the data refers to (a
    // future, a task) breaks cycles, and the call may rely on it.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        set_slot(
            &raw mut (*object.cast::<CallbackObject>()).data,
            ptr::null_mut(),
        );
        free_instance(object);
    }
}

/// Makes the type; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC
        | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
        | ffi::Py_TPFLAGS_HAVE_VECTORCALL;
    let builder = TypeBuilder::new::<CallbackObject>(c"rasyncio.native_callback")
        .doc(c"What a loop that is not rasyncio's own calls when a timer of ours is due.")
        .flags(flags)
        .slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .vectorcall_offset(offset_of!(CallbackObject, vectorcall));
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe { TYPE.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
