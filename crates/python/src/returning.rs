//! How an iterator ends with a value, at the least cost.
//!
//! `await` in bytecode asks `tp_iternext`, so a returned value travels in a `StopIteration`.
//! Raising one the usual way costs 1100 instructions, most of them in calling its class. Here it
//! is an instance of a class of our own, derived from `StopIteration`: since its deallocator is
//! ours, its memory is used again, and the value is let go as early as any other.
//!
//! Such an exception hardly ever meets Python code: the interpreter takes it apart at once.
//! Those who do see it (a tracer, a program that calls `next()` on `future.__await__()`) find
//! the same name, `value`, `args` and repr.
//!
//! Python 3.11 can have an exception pending without an instance, which costs even less.

use pyo3::ffi::{self, PyObject};

use crate::object::{Raised, Ref, Res};

unsafe extern "C" {
    // Exported by every supported version, and not in pyo3-ffi.
    fn _PyGen_SetStopIterationValue(value: *mut PyObject) -> core::ffi::c_int;
}

/// Ends a `tp_iternext` with a value: NULL alone means None.
#[inline]
pub(crate) fn end_iteration(value: Ref) -> *mut PyObject {
    if !value.is_none() {
        quick::raise(value);
    }
    core::ptr::null_mut()
}

/// `raise StopIteration(value)`, of exactly that class: for methods that Python code calls.
pub(crate) fn stop_iteration(value: Ref) -> Raised {
    // SAFETY: alive; both functions set the indicator, even when they fail.
    unsafe {
        if value.is_none() {
            ffi::PyErr_SetNone(ffi::PyExc_StopIteration);
        } else {
            _PyGen_SetStopIterationValue(value.ptr());
        }
    }
    Raised::set()
}

/// Makes the class; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: `module` is being initialised, says the caller.
    unsafe { quick::init(module) }
}

#[cfg(not(Py_3_12))]
mod quick {
    use super::*;

    #[inline]
    pub(super) fn raise(value: Ref) {
        // SAFETY: alive, and static classes. What `raise` would take apart, or take for the
        // exception itself, needs an instance.
        unsafe {
            if ffi::PyTuple_Check(value.ptr()) != 0
                || ffi::PyExceptionInstance_Check(value.ptr()) != 0
            {
                _PyGen_SetStopIterationValue(value.ptr());
                return;
            }
            let class = Ref::borrow(ffi::PyExc_StopIteration).into_ptr();
            ffi::PyErr_Restore(class, value.into_ptr(), core::ptr::null_mut());
        }
    }

    pub(super) unsafe fn init(_module: *mut PyObject) -> Res<()> {
        Ok(())
    }
}

#[cfg(Py_3_12)]
mod quick {
    use core::ffi::c_void;
    use core::ptr;

    use pyo3::ffi::{PyStopIterationObject, PyTypeObject};

    use super::*;
    use crate::freelist::FreeList;
    use crate::global::Global;
    use crate::object::set_slot;
    use crate::types::{TypeBuilder, free_instance};

    static TYPE: Global<*mut PyTypeObject> = Global::new();

    /// One is alive at a time, as a rule.
    static FREE: FreeList<4> = FreeList::new();

    /// `args` until somebody asks for it.
    static NO_ARGS: Global<Ref> = Global::new();

    #[inline]
    pub(super) fn raise(value: Ref) {
        // SAFETY: memory of our class, whose layout is that of StopIteration; all fields are
        // set, or were left NULL.
        unsafe {
            let Some(memory) = FREE.take(*TYPE.get()) else {
                return raise_new(value);
            };
            let stop = memory.cast::<PyStopIterationObject>();
            (*stop).value = value.into_ptr();
            ffi::PyErr_SetRaisedException(memory);
        }
    }

    #[cold]
    unsafe fn raise_new(value: Ref) {
        // SAFETY: as above. Zero is what the interpreter sets the other fields to. The object
        // stays untracked: as long as no tracer makes one of it, it is in no circle.
        unsafe {
            let stop: *mut PyStopIterationObject = ffi::PyObject_GC_New(*TYPE.get());
            if stop.is_null() {
                return;
            }
            let head = size_of::<PyObject>();
            let rest = size_of::<PyStopIterationObject>() - head;
            ptr::write_bytes(stop.cast::<u8>().add(head), 0, rest);
            (*stop).args = NO_ARGS.get().clone().into_ptr();
            (*stop).value = value.into_ptr();
            ffi::PyErr_SetRaisedException(stop.cast());
        }
    }

    unsafe extern "C" fn dealloc(exception: *mut PyObject) {
        let stop = exception.cast::<PyStopIterationObject>();
        // SAFETY: the last reference is gone. The value goes last: its destructor may raise
        // the next one, which must not be given this memory too early.
        unsafe {
            ffi::PyObject_GC_UnTrack(exception.cast());
            let value = Ref::own_opt(ptr::replace(&raw mut (*stop).value, ptr::null_mut()));
            let touched = [
                (*stop).dict,
                (*stop).notes,
                (*stop).traceback,
                (*stop).context,
                (*stop).cause,
            ];
            let pristine = touched.iter().all(|field| field.is_null())
                && ptr::eq((*stop).args, NO_ARGS.get().ptr());
            if !(pristine && FREE.give(exception)) {
                forget(stop);
                free_instance(exception);
            }
            drop(value);
        }
    }

    #[cold]
    unsafe fn forget(stop: *mut PyStopIterationObject) {
        // SAFETY: dead, and of StopIteration's layout, says the caller.
        unsafe {
            let base = ffi::PyExc_StopIteration.cast::<PyTypeObject>();
            if let Some(clear) = (*base).tp_clear {
                clear(stop.cast());
            }
        }
    }

    /// Fills in what was left out to save time.
    unsafe fn complete(exception: *mut PyObject) -> Res<()> {
        let stop = exception.cast::<PyStopIterationObject>();
        // SAFETY: an instance of our class, alive.
        unsafe {
            if ptr::eq((*stop).args, NO_ARGS.get().ptr()) && !(*stop).value.is_null() {
                let args = Ref::tuple(&[(*stop).value])?;
                set_slot(&raw mut (*stop).args, args.into_ptr());
            }
        }
        Ok(())
    }

    getter!(args, |stop: PyStopIterationObject| {
        complete(stop.cast())?;
        Ok(Ref::borrow((*stop).args))
    });

    setter!(set_args, |stop: PyStopIterationObject, value| {
        let args = Ref::checked(ffi::PySequence_Tuple(value))?;
        set_slot(&raw mut (*stop).args, args.into_ptr());
        Ok(())
    });

    unsafe extern "C" fn repr(exception: *mut PyObject) -> *mut PyObject {
        // SAFETY: the interpreter passes an instance of our class; the base has this slot.
        crate::boundary::object(|| unsafe {
            complete(exception)?;
            let base = ffi::PyExc_StopIteration.cast::<PyTypeObject>();
            match (*base).tp_repr {
                Some(repr) => Ref::checked(repr(exception)),
                None => Ref::str("StopIteration()"),
            }
        })
    }

    unsafe extern "C" fn text(exception: *mut PyObject) -> *mut PyObject {
        // SAFETY: as above.
        crate::boundary::object(|| unsafe {
            complete(exception)?;
            let base = ffi::PyExc_StopIteration.cast::<PyTypeObject>();
            match (*base).tp_str {
                Some(text) => Ref::checked(text(exception)),
                None => Ref::str(""),
            }
        })
    }

    noargs!(reduce, |stop: PyStopIterationObject| {
        complete(stop.cast())?;
        Ref::tuple(&[ffi::PyExc_StopIteration, (*stop).args])
    });

    pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
        let builder = TypeBuilder::new::<PyStopIterationObject>(c"builtins.StopIteration")
            .flags(ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
            .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
            .slot(ffi::Py_tp_repr, repr as *mut c_void)
            .slot(ffi::Py_tp_str, text as *mut c_void)
            .property(c"args", args, Some(set_args))
            .noargs(c"__reduce__", reduce);
        // SAFETY: the layout is the base's; traverse and clear are inherited. Called once,
        // before any reader.
        unsafe {
            NO_ARGS.set(Ref::tuple(&[])?);
            TYPE.set(builder.build(module, ffi::PyExc_StopIteration.cast())?);
        }
        Ok(())
    }
}
