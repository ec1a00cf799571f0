//! `Handle` as Python sees it, and the class definitions of all three layouts.

use core::ffi::{c_int, c_void};
use core::mem::offset_of;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::{FREE, FullHandle, HandleObject, Layout, Shape, TYPES, Types, native_call, run, timer};
use crate::args::Signature;
use crate::boundary;
use crate::contexts::RunContext;
use crate::docs;
use crate::event_loop;
use crate::names::names;
use crate::object::{Ref, Res, call_method, check, counts, set_slot};
use crate::types::{TypeBuilder, free_instance};

static NEW: Signature =
    Signature::required("Handle", &["callback", "args", "loop"]).optional(&["context"]);

unsafe extern "C" fn tp_new(
    class: *mut PyTypeObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: tp_alloc gives zeroed memory of the class's size.
        unsafe {
            let [callback, args, loop_, context] = NEW.parse_tuple::<4>(args, kwargs)?;
            let types = TYPES.get();
            // From Python comes a collected handle: its owner is a loop we do not traverse.
            let class = if class == types.plain {
                types.full
            } else {
                class
            };
            let made = alloc(class)?;
            fill(made.ptr().cast(), callback, args, loop_, context)?;
            Ok(made)
        }
    })
}

pub(super) unsafe fn alloc(class: *mut PyTypeObject) -> Res {
    // SAFETY: a class derived from one of ours, says the caller.
    unsafe {
        let types = TYPES.get();
        let allocate = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
        let made = Ref::checked(allocate(class, 0))?;
        let is = |base| ffi::PyType_IsSubtype(class, base) != 0;
        (*made.ptr().cast::<HandleObject>()).layout = if is(types.timer) {
            Layout::Timer
        } else if is(types.full) {
            Layout::Full
        } else {
            Layout::Plain
        };
        Ok(made)
    }
}

/// `Handle.__init__`'s work on zeroed memory.
pub(super) unsafe fn fill(
    this: *mut HandleObject,
    callback: *mut PyObject,
    args: *mut PyObject,
    loop_: *mut PyObject,
    context: *mut PyObject,
) -> Res<()> {
    // SAFETY: all alive, says the caller; slots of zeroed memory are NULL.
    unsafe {
        let context = RunContext::given(context)?;
        let args = Ref::checked(ffi::PySequence_Tuple(args))?;
        set_slot(&raw mut (*this).callback, counts::new_ref(callback));
        set_slot(&raw mut (*this).args, args.into_ptr());
        (*this).shape = Shape::Tuple;
        drop(ptr::replace(&raw mut (*this).context, context));
        set_slot(&raw mut (*this).loop_, counts::new_ref(loop_));
        if let Some(full) = HandleObject::full(this)
            && call_method(loop_, names().get_debug, &[])?.truth()?
        {
            super::record_source(full)?;
        }
        Ok(())
    }
}

/// `Handle.__init__`: everything happened in `__new__`; subclasses may call it with theirs.
unsafe extern "C" fn tp_init(_: *mut PyObject, _: *mut PyObject, _: *mut PyObject) -> c_int {
    0
}

noargs!(cancel, |this: HandleObject| {
    cancel_handle(this)?;
    Ok(Ref::none())
});
noargs!(cancelled, |this: HandleObject| Ok(Ref::bool(
    (*this).cancelled
)));
noargs!(get_context, |this: HandleObject| RunContext::show(
    &raw mut (*this).context
));

noargs!(run_method, |this: HandleObject| {
    run::run_here(this)?;
    Ok(Ref::none())
});

/// `handle.cancel()`
pub(super) unsafe fn cancel_handle(this: *mut HandleObject) -> Res<()> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        if (*this).cancelled {
            return Ok(());
        }
        if (*this).layout == Layout::Timer {
            timer::unschedule(this.cast())?;
        }
        (*this).cancelled = true;
        let debug = match event_loop::any_native((*this).loop_) {
            Some(core) => core.debug(),
            None if (*this).loop_.is_null() => false,
            None => call_method((*this).loop_, names().get_debug, &[])?.truth()?,
        };
        if debug {
            run::keep_repr(this)?;
        }
        HandleObject::forget_callback(this);
        Ok(())
    }
}

getter!(get_callback, |this: HandleObject| Ok(Ref::borrow_opt(
    (*this).callback
)
.unwrap_or_else(Ref::none)));
getter!(
    get_args,
    |this: HandleObject| if (*this).callback.is_null() {
        Ok(Ref::none())
    } else {
        HandleObject::args_tuple(this)
    }
);
getter!(get_cancelled, |this: HandleObject| Ok(Ref::bool(
    (*this).cancelled
)));
getter!(get_loop, |this: HandleObject| Ok(Ref::borrow_opt(
    (*this).loop_
)
.unwrap_or_else(Ref::none)));
getter!(get_context_attr, |this: HandleObject| RunContext::show(
    &raw mut (*this).context
));
getter!(get_source_traceback, |this: HandleObject| Ok(
    HandleObject::full(this)
        .and_then(|full| Ref::borrow_opt((*full).source_traceback))
        .unwrap_or_else(Ref::none)
));

unsafe extern "C" fn set_source_traceback(
    slf: *mut PyObject,
    value: *mut PyObject,
    _: *mut c_void,
) -> c_int {
    // SAFETY: a live instance; NULL means deletion. A plain handle keeps no traceback.
    unsafe {
        if let Some(full) = HandleObject::full(slf.cast()) {
            counts::increment_opt(value);
            set_slot(&raw mut (*full).source_traceback, value);
        }
    }
    0
}

setter!(set_cancelled, |this: HandleObject, value| {
    if value.is_null() {
        return Err(crate::object::type_error("cannot delete _cancelled"));
    }
    (*this).cancelled = Ref::borrow(value).truth()?;
    Ok(())
});

unsafe extern "C" fn repr(slf: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        let this = slf.cast::<HandleObject>();
        // SAFETY: the interpreter passes a live instance.
        unsafe {
            if let Some(full) = HandleObject::full(this)
                && !(*full).repr_text.is_null()
            {
                return Ok(Ref::borrow((*full).repr_text));
            }
            let mut info = vec![crate::object::type_name(slf)];
            if (*this).cancelled {
                info.push("cancelled".to_owned());
            }
            if (*this).layout == Layout::Timer {
                info.push(format!("when={}", timer::when_text(this.cast())?));
            }
            if !(*this).callback.is_null() {
                info.push(run::source(this)?);
            }
            if let Some(text) = created_at(this)? {
                info.push(text);
            }
            Ref::str(&format!("<{}>", info.join(" ")))
        }
    })
}

unsafe fn created_at(this: *mut HandleObject) -> Res<Option<String>> {
    // SAFETY: `this` is alive, says the caller.
    unsafe {
        let Some(full) = HandleObject::full(this) else {
            return Ok(None);
        };
        if (*full).source_traceback.is_null() {
            return Ok(None);
        }
        let stack = Ref::borrow((*full).source_traceback);
        if !stack.truth()? {
            return Ok(None);
        }
        let last = Ref::checked(ffi::PySequence_GetItem(stack.ptr(), -1))?;
        let file = Ref::checked(ffi::PySequence_GetItem(last.ptr(), 0))?;
        let line = Ref::checked(ffi::PySequence_GetItem(last.ptr(), 1))?;
        let (file, line) = (
            crate::object::str_of(file.ptr())?,
            crate::object::str_of(line.ptr())?,
        );
        Ok(Some(format!("created at {file}:{line}")))
    }
}

unsafe extern "C" fn dealloc_plain(slf: *mut PyObject) {
    boundary::quiet(|| {
        // SAFETY: the object is dead.
        unsafe {
            release_head(slf);
            if ffi::Py_TYPE(slf) != TYPES.get().plain || !FREE.give(slf) {
                free_instance(slf);
            }
        }
    });
}

unsafe fn release_head(slf: *mut PyObject) {
    let this = slf.cast::<HandleObject>();
    // SAFETY: the object is dead.
    unsafe {
        if !(*this).weakrefs.is_null() {
            ffi::PyObject_ClearWeakRefs(slf);
        }
        super::clear_head(this);
    }
}

unsafe extern "C" fn traverse_full(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance with the full layout.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*slf.cast::<FullHandle>()).source_traceback, visit, arg);
        super::traverse_head(slf.cast(), visit, arg)
    }
}

unsafe extern "C" fn clear_full(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        // SAFETY: called on a live or dying instance with the full layout.
        unsafe {
            let full = slf.cast::<FullHandle>();
            set_slot(&raw mut (*full).source_traceback, ptr::null_mut());
            set_slot(&raw mut (*full).repr_text, ptr::null_mut());
            super::clear_head(slf.cast());
        }
    });
    0
}

pub(super) unsafe extern "C" fn dealloc_full(slf: *mut PyObject) {
    boundary::quiet(|| {
        // SAFETY: the object is dead; untracked before its fields go.
        unsafe {
            ffi::PyObject_GC_UnTrack(slf.cast());
            clear_full(slf);
            release_head(slf);
            free_instance(slf);
        }
    });
}

/// The methods of all three classes: each has its own, for calls to be specialised.
fn common(builder: TypeBuilder) -> TypeBuilder {
    builder
        .noargs(c"cancel", cancel)
        .noargs(c"cancelled", cancelled)
        .noargs(c"get_context", get_context)
        .noargs(c"_run", run_method)
        .docs(docs::HANDLE)
}

/// The slots that make a subclass of `Handle` a collected one.
pub(super) fn collected(builder: TypeBuilder, dealloc: ffi::destructor) -> TypeBuilder {
    common(builder)
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_BASETYPE)
        .slot(ffi::Py_tp_traverse, traverse_full as *mut c_void)
        .slot(ffi::Py_tp_clear, clear_full as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
}

/// Makes `Handle` and its relatives.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let plain = TypeBuilder::new::<HandleObject>(c"rasyncio.Handle")
        .flags(ffi::Py_TPFLAGS_BASETYPE)
        .doc(c"A callback that the loop is going to call: asyncio.Handle.")
        .slot(ffi::Py_tp_new, tp_new as *mut c_void)
        .slot(ffi::Py_tp_init, tp_init as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc_plain as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .get(c"_callback", get_callback)
        .get(c"_args", get_args)
        .property(c"_cancelled", get_cancelled, Some(set_cancelled))
        .get(c"_loop", get_loop)
        .get(c"_context", get_context_attr)
        .property(
            c"_source_traceback",
            get_source_traceback,
            Some(set_source_traceback),
        )
        .weaklist_offset(offset_of!(HandleObject, weakrefs));
    // SAFETY: called once, from the module's initialisation.
    unsafe {
        let plain = common(plain).build(module, ptr::null_mut())?;
        let full = collected(
            TypeBuilder::new::<FullHandle>(c"rasyncio.Handle"),
            dealloc_full,
        );
        let types = Types {
            plain,
            full: full.build(module, plain)?,
            timer: timer::builder().build(module, plain)?,
            native_call: native_call::builder().build(module, ptr::null_mut())?,
        };
        check(ffi::PyModule_AddObjectRef(
            module,
            c"Handle".as_ptr(),
            types.plain.cast(),
        ))?;
        check(ffi::PyModule_AddObjectRef(
            module,
            c"_CollectedHandle".as_ptr(),
            types.full.cast(),
        ))?;
        check(ffi::PyModule_AddObjectRef(
            module,
            c"TimerHandle".as_ptr(),
            types.timer.cast(),
        ))?;
        TYPES.set(types);
    }
    Ok(())
}
