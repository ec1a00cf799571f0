//! `obj.__aenter__`, where it is not called at once.
//!
//! Up to Python 3.13 `async with` binds both its methods before it calls them. The interpreter's
//! own bound methods are made anew each time, which is a fifth of what an uncontended lock
//! costs; these come from a free list. (From 3.14 on it binds nothing.)

use core::ffi::{c_int, c_void};
use core::mem::offset_of;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::function::FunctionDef;
use crate::boundary;
use crate::freelist::FreeList;
use crate::global::Global;
use crate::object::{Ref, Res, repr, set_slot};
use crate::types::{TypeBuilder, free_instance};

unsafe extern "C" {
    // Part of the C API, and not in pyo3-ffi.
    static mut PyMethod_Type: PyTypeObject;
}

#[repr(C)]
struct BoundObject {
    head: PyObject,
    vectorcall: ffi::vectorcallfunc,
    def: &'static FunctionDef,
    function: *mut PyObject,
    instance: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

static FREE: FreeList<32> = FreeList::new();

/// `function`, which is a method of `instance`'s class, bound to it.
#[inline]
pub(super) unsafe fn new(
    def: &'static FunctionDef,
    function: *mut PyObject,
    instance: *mut PyObject,
) -> Res {
    // SAFETY: alive, says the caller; tracked when whole.
    unsafe {
        let owned = match FREE.take(*TYPE.get()) {
            Some(memory) => Ref::own(memory),
            None => Ref::checked(ffi::PyObject_GC_New(*TYPE.get()))?,
        };
        let bound = owned.ptr().cast::<BoundObject>();
        (&raw mut (*bound).vectorcall).write(vectorcall);
        (&raw mut (*bound).def).write(def);
        (&raw mut (*bound).function).write(Ref::borrow(function).into_ptr());
        (&raw mut (*bound).instance).write(Ref::borrow(instance).into_ptr());
        ffi::PyObject_GC_Track(bound.cast());
        Ok(owned)
    }
}

unsafe extern "C" fn vectorcall(
    callable: *mut PyObject,
    args: *const *mut PyObject,
    nargsf: usize,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: an instance of our type, which the caller keeps alive; the arguments are passed
    // on as they came.
    unsafe {
        let bound = callable.cast::<BoundObject>();
        let nargs = ffi::PyVectorcall_NARGS(nargsf);
        ((*bound).def.call)((*bound).instance, args, nargs, kwnames)
    }
}

/// What a bound method has not itself, its function has.
unsafe extern "C" fn getattro(bound: *mut PyObject, name: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type and a `str`.
    unsafe {
        let own = ffi::PyObject_GenericGetAttr(bound, name);
        if !own.is_null() || ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) == 0 {
            return own;
        }
        ffi::PyErr_Clear();
        ffi::PyObject_GetAttr((*bound.cast::<BoundObject>()).function, name)
    }
}

// For `inspect` and others who ask whether it is a method.
getter!(class, |_bound: BoundObject| Ok(Ref::borrow(
    (&raw mut PyMethod_Type).cast()
)));
getter!(function, |bound: BoundObject| Ok(Ref::borrow(
    (*bound).function
)));
getter!(instance, |bound: BoundObject| Ok(Ref::borrow(
    (*bound).instance
)));
getter!(doc, |bound: BoundObject| Ref::borrow((*bound).function)
    .attr(Ref::str("__doc__")?.ptr()));

unsafe extern "C" fn describe(bound: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type, alive.
    boundary::object(|| unsafe {
        let bound = bound.cast::<BoundObject>();
        let name = Ref::borrow((*bound).function).attr(Ref::str("__qualname__")?.ptr())?;
        let name = crate::object::to_string(&name)?;
        let instance = repr((*bound).instance)?;
        Ref::str(&format!("<bound method {name} of {instance}>"))
    })
}

unsafe extern "C" fn compare(
    bound: *mut PyObject,
    other: *mut PyObject,
    how: c_int,
) -> *mut PyObject {
    // SAFETY: an instance of our type and an object, alive.
    unsafe {
        let same_type = ffi::Py_TYPE(other) == *TYPE.get();
        if !same_type || (how != ffi::Py_EQ && how != ffi::Py_NE) {
            return Ref::borrow(ffi::Py_NotImplemented()).into_ptr();
        }
        let (bound, other) = (bound.cast::<BoundObject>(), other.cast::<BoundObject>());
        let equal =
            (*bound).function == (*other).function && (*bound).instance == (*other).instance;
        Ref::bool(equal == (how == ffi::Py_EQ)).into_ptr()
    }
}

unsafe extern "C" fn hash(bound: *mut PyObject) -> ffi::Py_hash_t {
    // SAFETY: an instance of our type, alive.
    let (function, instance) = unsafe {
        let bound = bound.cast::<BoundObject>();
        ((*bound).function as isize, (*bound).instance as isize)
    };
    // -1 would mean an error; addresses are aligned, so this is none.
    (function >> 4) ^ (instance >> 4).rotate_left(8)
}

unsafe extern "C" fn traverse(
    bound: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        visit_opt!(ffi::Py_TYPE(bound).cast(), visit, arg);
        visit_opt!((*bound.cast::<BoundObject>()).function, visit, arg);
        visit_opt!((*bound.cast::<BoundObject>()).instance, visit, arg);
    }
    0
}

unsafe extern "C" fn dealloc(bound: *mut PyObject) {
    // SAFETY: the last reference is gone. There is no tp_clear: the instance breaks circles.
    unsafe {
        ffi::PyObject_GC_UnTrack(bound.cast());
        let object = bound.cast::<BoundObject>();
        set_slot(&raw mut (*object).function, ptr::null_mut());
        set_slot(&raw mut (*object).instance, ptr::null_mut());
        if !FREE.give(bound) {
            free_instance(bound);
        }
    }
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC
        | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
        | ffi::Py_TPFLAGS_HAVE_VECTORCALL;
    let builder = TypeBuilder::new::<BoundObject>(c"rasyncio.coroutine_method")
        .flags(flags)
        .slot(ffi::Py_tp_call, ffi::PyVectorcall_Call as *mut c_void)
        .slot(ffi::Py_tp_getattro, getattro as *mut c_void)
        .slot(ffi::Py_tp_repr, describe as *mut c_void)
        .slot(ffi::Py_tp_richcompare, compare as *mut c_void)
        .slot(ffi::Py_tp_hash, hash as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .get(c"__class__", class)
        .get(c"__doc__", doc)
        .get(c"__func__", function)
        .get(c"__self__", instance)
        .vectorcall_offset(offset_of!(BoundObject, vectorcall));
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe { TYPE.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
