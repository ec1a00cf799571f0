//! `_GatheringFuture` as Python sees it.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::{GatheringObject, TYPE, cancel_children, gather};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::futures::object as future_object;
use crate::futures::{self, future_type};
use crate::object::{Ref, Res, check, counts, set_slot};
use crate::types::{TypeBuilder, add_functions, fastcall_def, free_instance};

static CANCEL: Signature = Signature::required("cancel", &[]).optional(&["msg"]);

// Cancels the children; the outer future follows when they are done.
vectorcall!(cancel, |slf, CANCEL [message]| {
    Ok(Ref::bool(cancel_children(slf, message)?))
});

static INIT: Signature = Signature::required("_GatheringFuture", &["children"]).keywords(&["loop"]);

unsafe extern "C" fn tp_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    boundary::status(|| {
        // SAFETY: an instance, a tuple, and a dict or NULL, by the slot's contract.
        unsafe {
            let [children, loop_] = INIT.parse_tuple::<2>(args, kwargs)?;
            futures::methods::init_fields(slf.cast(), loop_)?;
            let children = Ref::checked(ffi::PySequence_List(children))?;
            let this = slf.cast::<GatheringObject>();
            (*this).cancel_requested = false;
            set_slot(&raw mut (*this).children, children.into_ptr());
        }
        Ok(())
    })
}

unsafe extern "C" fn get_children(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: a live instance.
    unsafe { Ref::borrow_opt((*slf.cast::<GatheringObject>()).children) }
        .unwrap_or_else(Ref::none)
        .into_ptr()
}

unsafe extern "C" fn get_cancel_requested(slf: *mut PyObject, _: *mut c_void) -> *mut PyObject {
    // SAFETY: a live instance.
    Ref::bool(unsafe { (*slf.cast::<GatheringObject>()).cancel_requested }).into_ptr()
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let this = slf.cast::<GatheringObject>();
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*this).children, visit, arg);
        visit_opt!((*this).awaiting, visit, arg);
        future_object::traverse(slf.cast(), visit, arg)
    }
}

unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        let this = slf.cast::<GatheringObject>();
        // SAFETY: called on a live or dying instance.
        unsafe {
            set_slot(&raw mut (*this).children, ptr::null_mut());
            set_slot(&raw mut (*this).awaiting, ptr::null_mut());
            future_object::clear(this.cast());
        }
    });
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        let this = slf.cast::<GatheringObject>();
        // SAFETY: the object is dead; finalisation may bring it back, then we leave it.
        unsafe {
            if (*this).future.log_traceback && ffi::PyObject_CallFinalizerFromDealloc(slf) < 0 {
                return;
            }
            ffi::PyObject_GC_UnTrack(slf.cast());
            if !(*this).future.weakrefs.is_null() {
                ffi::PyObject_ClearWeakRefs(slf);
            }
            counts::decrement_opt((*this).children);
            counts::decrement_opt((*this).awaiting);
            future_object::release_fields(this.cast());
            free_instance(slf);
        }
    });
}

/// Makes the class and adds the function.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<GatheringObject>(c"rasyncio.tasks._GatheringFuture")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .fastcall(c"cancel", cancel)
        .docs(docs::FUTURE)
        .get(c"_children", get_children)
        .get(c"_cancel_requested", get_cancel_requested)
        .dict_offset(future_object::DICT_OFFSET)
        .weaklist_offset(future_object::WEAKREFS_OFFSET);
    // SAFETY: called once, from the module's initialisation, after `Future` was made.
    unsafe {
        let class = builder.build(module, future_type())?;
        TYPE.set(class);
        check(ffi::PyModule_AddObjectRef(
            module,
            c"_GatheringFuture".as_ptr(),
            class.cast(),
        ))?;
        add_functions(module, vec![fastcall_def(c"gather", gather)])
    }
}
