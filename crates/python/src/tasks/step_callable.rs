//! A step of a task as a callable, for the `call_soon` of foreign loops.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::step;
use crate::boundary;
use crate::global::Global;
use crate::object::{Ref, Res, counts, set_slot, type_error};
use crate::types::{TypeBuilder, free_instance};

#[repr(C)]
struct StepCallable {
    ob_base: PyObject,
    task: *mut PyObject,
    /// What to throw, or NULL.
    failure: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// A callable that steps `task` once.
pub(super) unsafe fn new(task: *mut PyObject, failure: Option<Ref>) -> Res {
    // SAFETY: tracked only when whole; `task` is alive, says the caller.
    unsafe {
        let made: *mut StepCallable = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(made.cast())?;
        (*made).task = counts::new_ref(task);
        (*made).failure = failure.map_or(ptr::null_mut(), Ref::into_ptr);
        ffi::PyObject_GC_Track(made.cast());
        Ok(owned)
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
            if ffi::PyTuple_GET_SIZE(args) != 0 || keywords {
                return Err(type_error("function takes no positional arguments"));
            }
            let this = slf.cast::<StepCallable>();
            let task = Ref::borrow((*this).task);
            step::step(task.ptr().cast(), Ref::borrow_opt((*this).failure))?;
            Ok(Ref::none())
        }
    })
}

unsafe extern "C" fn owner(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: a live instance, whose task is alive.
    unsafe { counts::new_ref((*slf.cast::<StepCallable>()).task) }
}

unsafe extern "C" fn qualname(_: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    boundary::object(|| Ref::str("TaskStepMethWrapper"))
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let this = slf.cast::<StepCallable>();
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*this).task, visit, arg);
        visit_opt!((*this).failure, visit, arg);
    }
    0
}

// No tp_clear: a cycle through here runs through the task, which can be cleared.

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    let this = slf.cast::<StepCallable>();
    // SAFETY: the object is dead; untracked before its fields go.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        set_slot(&raw mut (*this).task, ptr::null_mut());
        set_slot(&raw mut (*this).failure, ptr::null_mut());
        free_instance(slf);
    }
}

/// Makes the class.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<StepCallable>(c"rasyncio.TaskStepMethWrapper")
        .flags(
            ffi::Py_TPFLAGS_HAVE_GC
                | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
                | ffi::Py_TPFLAGS_IMMUTABLETYPE,
        )
        .slot(ffi::Py_tp_call, call as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .get(c"__self__", owner)
        .get(c"__qualname__", qualname)
        .get(c"__name__", qualname);
    // SAFETY: called once, from the module's initialisation.
    unsafe { TYPE.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
