//! A native done callback as a Python callable: for futures that are not ours, and for
//! whoever looks at `_callbacks`.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::DoneFn;
use crate::boundary;
use crate::global::Global;
use crate::object::{Ref, Res, counts, type_error};
use crate::types::{TypeBuilder, free_instance};

#[repr(C)]
struct DoneCallback {
    ob_base: PyObject,
    run: DoneFn,
    data: *mut PyObject,
    weakrefs: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// A callable for `run` with `data`; two made for the same pair are equal.
pub(crate) unsafe fn new(run: DoneFn, data: *mut PyObject) -> Res {
    // SAFETY: tracked only when whole; `data` is alive, says the caller.
    unsafe {
        let made: *mut DoneCallback = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(made.cast())?;
        counts::increment(data);
        (*made).run = run;
        (*made).data = data;
        (*made).weakrefs = ptr::null_mut();
        ffi::PyObject_GC_Track(made.cast());
        Ok(owned)
    }
}

/// The native function and its data, if a callable is one of these.
pub(crate) unsafe fn parts(callable: *mut PyObject) -> Option<(DoneFn, *mut PyObject)> {
    // SAFETY: `callable` is alive, says the caller.
    unsafe {
        let ours = ffi::Py_TYPE(callable) == *TYPE.get();
        let this = callable.cast::<DoneCallback>();
        ours.then(|| ((*this).run, (*this).data))
    }
}

unsafe extern "C" fn call(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: the interpreter passes an instance, a tuple, and a dict or NULL.
        unsafe {
            let keywords = !kwargs.is_null() && ffi::PyDict_Size(kwargs) != 0;
            if ffi::PyTuple_GET_SIZE(args) != 1 || keywords {
                return Err(type_error("a done callback takes exactly one argument"));
            }
            let this = slf.cast::<DoneCallback>();
            // Held over the call: the callback may drop the last reference to `slf`.
            let data = Ref::borrow((*this).data);
            ((*this).run)(ffi::PyTuple_GET_ITEM(args, 0), data.ptr())?;
            Ok(Ref::none())
        }
    })
}

unsafe extern "C" fn richcompare(a: *mut PyObject, b: *mut PyObject, op: c_int) -> *mut PyObject {
    // SAFETY: the interpreter passes objects, the first of this class.
    unsafe {
        if !matches!(op, ffi::Py_EQ | ffi::Py_NE) || ffi::Py_TYPE(b) != *TYPE.get() {
            return counts::new_ref(ffi::Py_NotImplemented());
        }
        let (a, b) = (a.cast::<DoneCallback>(), b.cast::<DoneCallback>());
        let same = ptr::eq((*a).data, (*b).data) && (*a).run as usize == (*b).run as usize;
        Ref::bool(same == (op == ffi::Py_EQ)).into_ptr()
    }
}

unsafe extern "C" fn hash(slf: *mut PyObject) -> ffi::Py_hash_t {
    // SAFETY: an instance.
    let data = unsafe { (*slf.cast::<DoneCallback>()).data };
    (data as usize >> 4) as ffi::Py_hash_t
}

unsafe extern "C" fn qualname(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance.
        let run = unsafe { (*slf.cast::<DoneCallback>()).run };
        Ref::str(super::done_name(run))
    })
}

unsafe extern "C" fn owner(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: an instance, whose data is alive.
    unsafe { counts::new_ref((*slf.cast::<DoneCallback>()).data) }
}

unsafe extern "C" fn repr(slf: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance.
        let run = unsafe { (*slf.cast::<DoneCallback>()).run };
        Ref::str(&format!("<built-in callback {}>", super::done_name(run)))
    })
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*slf.cast::<DoneCallback>()).data, visit, arg);
    }
    0
}

// No tp_clear: whatever the data is can break its own cycle, and `run` needs `data`.

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its fields go.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        let this = slf.cast::<DoneCallback>();
        if !(*this).weakrefs.is_null() {
            ffi::PyObject_ClearWeakRefs(slf);
        }
        counts::decrement((*this).data);
        free_instance(slf);
    }
}

/// Makes the class.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    const NAME: &CStr = c"rasyncio.DoneCallback";
    let builder = TypeBuilder::new::<DoneCallback>(NAME)
        .flags(
            ffi::Py_TPFLAGS_HAVE_GC
                | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
                | ffi::Py_TPFLAGS_IMMUTABLETYPE,
        )
        .slot(ffi::Py_tp_call, call as *mut c_void)
        .slot(ffi::Py_tp_richcompare, richcompare as *mut c_void)
        .slot(ffi::Py_tp_hash, hash as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .get(c"__qualname__", qualname)
        .get(c"__name__", qualname)
        .get(c"__self__", owner)
        .weaklist_offset(core::mem::offset_of!(DoneCallback, weakrefs));
    // SAFETY: called once, from the module's initialisation.
    unsafe { TYPE.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
