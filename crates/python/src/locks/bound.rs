//! What all primitives have in common: the loop that one is bound to at its first wait, a
//! `__dict__`, weak references, and their life as objects.

use core::ffi::{CStr, c_int, c_void};
use core::mem::offset_of;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::copying;
use crate::boundary;
use crate::coroutine::{FunctionDef, add_methods};
use crate::event_loop;
use crate::futures;
use crate::object::{Ref, Res, check, repr, runtime_error, set_slot};
use crate::stdlib::stdlib;
use crate::types::{TypeBuilder, free_instance};

/// The part of every primitive's layout that comes first. Pointers are owned and nullable.
#[repr(C)]
pub(crate) struct Bound {
    ob_base: PyObject,
    /// NULL until Python code sets an attribute that the class does not know.
    pub(crate) dict: *mut PyObject,
    weakrefs: *mut PyObject,
    /// The loop in which somebody has waited first.
    pub(crate) loop_: *mut PyObject,
    /// Somebody has waited.
    pub(crate) waited: bool,
}

/// A primitive: what is common to all, and what is its own.
#[repr(C)]
pub(crate) struct Object<F> {
    pub(crate) bound: Bound,
    pub(crate) fields: F,
}

/// What a primitive holds of its own.
pub(crate) trait Fields: Sized + 'static {
    /// The attributes that make a copy. Those of an [`unbound_class`] are not copied.
    const COPIED: &'static [&'static str] = &[];

    fn new() -> Self;

    /// Told once whose fields these are.
    unsafe fn belong_to(&self, _owner: *mut PyObject) {}

    /// Shows all references to the collector. No foreign code may run in `visit`.
    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject));

    /// Drops all references; the methods cope with what is left.
    fn clear(&mut self);
}

/// The fields of an instance that the caller keeps alive for as long as they are used.
#[inline]
pub(crate) unsafe fn fields<'a, F>(this: *mut PyObject) -> &'a F {
    // SAFETY: an instance of the class with these fields, says the caller.
    unsafe { &(*this.cast::<Object<F>>()).fields }
}

/// Whether an instance is of exactly this class, and no attribute of its own hides a method.
#[inline]
pub(crate) unsafe fn is_plain(this: *mut PyObject, class: *mut PyTypeObject) -> bool {
    // SAFETY: an instance of a primitive, says the caller.
    unsafe { ffi::Py_TYPE(this) == class && (*this.cast::<Bound>()).dict.is_null() }
}

/// A future for who is about to wait.
#[inline]
pub(crate) unsafe fn new_waiter(this: *mut PyObject) -> Res {
    // SAFETY: an instance of a primitive, says the caller.
    unsafe {
        let bound = this.cast::<Bound>();
        (*bound).waited = true;
        waiter_bound_to(this, &raw mut (*bound).loop_)
    }
}

/// The same for a part of `this` that has a pointer to its loop of its own.
#[inline]
pub(crate) unsafe fn waiter_bound_to(this: *mut PyObject, bound_to: *mut *mut PyObject) -> Res {
    let running = event_loop::running_native();
    // SAFETY: alive, says the caller.
    unsafe {
        if running.is_null() || running != *bound_to {
            return futures::new_future(bind(this, bound_to)?.ptr());
        }
        futures::new_future(running)
    }
}

/// `_get_loop()`: the running loop, to which the primitive is bound from now on.
unsafe fn get_loop(this: *mut PyObject) -> Res {
    // SAFETY: an instance of a primitive, says the caller.
    unsafe { bind(this, &raw mut (*this.cast::<Bound>()).loop_) }
}

unsafe fn bind(this: *mut PyObject, bound_to: *mut *mut PyObject) -> Res {
    let running = stdlib().get_running_loop_or_none.call0()?;
    // SAFETY: alive, says the caller.
    unsafe {
        if (*bound_to).is_null() && !running.is_none() {
            set_slot(bound_to, running.clone().into_ptr());
        }
        if !(*bound_to).is_null() && !running.is(*bound_to) {
            let this = repr(this)?;
            return Err(runtime_error(&format!(
                "{this} is bound to a different event loop"
            )));
        }
    }
    Ok(running)
}

noargs!(py_get_loop, |this: PyObject| get_loop(this));

getter!(bound_loop, |bound: Bound| Ok(or_none((*bound).loop_)));

setter!(set_bound_loop, |bound: Bound, value| {
    let meant = !value.is_null() && value != ffi::Py_None();
    let loop_ = if meant {
        Ref::borrow(value).into_ptr()
    } else {
        ptr::null_mut()
    };
    set_slot(&raw mut (*bound).loop_, loop_);
    Ok(())
});

/// What a nullable slot holds.
pub(crate) unsafe fn or_none(slot: *mut PyObject) -> Ref {
    // SAFETY: alive or NULL, says the caller.
    unsafe { Ref::borrow_opt(slot) }.unwrap_or_else(Ref::none)
}

/// `object.__repr__(self)[1:-1]` in angle brackets, with something about the state.
pub(crate) unsafe fn describe(this: *mut PyObject, state: &str) -> Res {
    // SAFETY: alive, says the caller; `object` has a repr.
    unsafe {
        let base = &raw mut ffi::PyBaseObject_Type;
        let plain = match (*base).tp_repr {
            Some(repr) => Ref::checked(repr(this))?,
            None => Ref::str("<>")?,
        };
        let plain = crate::object::to_string(&plain)?;
        let inner = plain.trim_start_matches('<').trim_end_matches('>');
        Ref::str(&format!("<{inner} [{state}]>"))
    }
}

unsafe extern "C" fn tp_new<F: Fields>(
    class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: our class or a subclass; the memory is zeroed, which suits `Bound`. It is tracked
    // already, but nothing here can start the collector before the fields are written.
    boundary::object(|| unsafe {
        let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let object = Ref::checked(alloc(class, 0))?;
        let fields = &raw mut (*object.ptr().cast::<Object<F>>()).fields;
        fields.write(F::new());
        (*fields).belong_to(object.ptr());
        Ok(object)
    })
}

unsafe extern "C" fn traverse<F: Fields>(
    this: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance; nothing is changed.
    unsafe {
        let object = this.cast::<Object<F>>();
        visit_opt!(ffi::Py_TYPE(this).cast(), visit, arg);
        visit_opt!((*object).bound.dict, visit, arg);
        visit_opt!((*object).bound.loop_, visit, arg);
        let mut answer = 0;
        (*object).fields.visit(&mut |held| {
            if answer == 0 && !held.is_null() {
                answer = visit(held, arg);
            }
        });
        answer
    }
}

unsafe extern "C" fn clear<F: Fields>(this: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        // SAFETY: an instance, unreachable or dead.
        unsafe {
            let object = this.cast::<Object<F>>();
            set_slot(&raw mut (*object).bound.dict, ptr::null_mut());
            set_slot(&raw mut (*object).bound.loop_, ptr::null_mut());
            (*object).fields.clear();
        }
    });
    0
}

unsafe extern "C" fn dealloc<F: Fields>(this: *mut PyObject) {
    // SAFETY: the last reference is gone.
    unsafe {
        ffi::PyObject_GC_UnTrack(this.cast());
        if !(*this.cast::<Bound>()).weakrefs.is_null() {
            ffi::PyObject_ClearWeakRefs(this);
        }
        clear::<F>(this);
        (&raw mut (*this.cast::<Object<F>>()).fields).drop_in_place();
        free_instance(this);
    }
}

/// Makes a class of `builder` and adds it to the module, with its coroutine methods.
pub(crate) unsafe fn add_class(
    module: *mut PyObject,
    name: &'static CStr,
    builder: TypeBuilder,
    base: *mut PyTypeObject,
    methods: &[&'static FunctionDef],
) -> Res<*mut PyTypeObject> {
    // SAFETY: the slots fit the layout and `base` is a class or NULL, says the caller. The
    // name of a class that is written in Python has no module in it, which messages show.
    unsafe {
        let class = builder.build(module, base)?;
        (*class).tp_name = name.as_ptr();
        add_methods(class, methods)?;
        check(ffi::PyModule_AddObjectRef(
            module,
            name.as_ptr(),
            class.cast(),
        ))?;
        Ok(class)
    }
}

/// A class with these fields, which is bound to a loop.
pub(crate) fn class<F: Fields>(name: &'static CStr, doc: &'static CStr) -> TypeBuilder {
    unbound_class::<F>(name, doc)
        .noargs(c"__reduce__", copying::reduce::<F>)
        .onearg(c"__setstate__", copying::set_state)
        .noargs(c"_get_loop", py_get_loop)
        .property(c"_loop", bound_loop, Some(set_bound_loop))
}

/// A class with these fields, which can be inherited from, has weak references and a
/// `__dict__`.
pub(crate) fn unbound_class<F: Fields>(name: &'static CStr, doc: &'static CStr) -> TypeBuilder {
    TypeBuilder::new::<Object<F>>(name)
        .doc(doc)
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_new, tp_new::<F> as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse::<F> as *mut c_void)
        .slot(ffi::Py_tp_clear, clear::<F> as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc::<F> as *mut c_void)
        .dict_offset(offset_of!(Bound, dict))
        .weaklist_offset(offset_of!(Bound, weakrefs))
}
