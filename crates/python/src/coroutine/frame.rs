//! Frames of native coroutines.
//!
//! There is no interpreter frame while native code runs. Two things stand in for it:
//! a real, empty frame in each traceback that passes through a coroutine, and for
//! `cr_frame` an object that has a frame's attributes, among them `f_generator` (Python
//! 3.14), which a made-up real frame cannot have and call graphs are drawn with.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::CoroutineDef;
use super::object::{CoroutineObject, State};
use crate::boundary;
use crate::global::Global;
use crate::object::{Raised, Ref, Res, raise_instance, set_slot, take_raised};
use crate::types::{TypeBuilder, free_instance};

/// What the types of this file need.
struct Shared {
    kind: *mut PyTypeObject,
    /// The globals of all native frames.
    globals: Ref,
    frame_type: Ref,
}

static SHARED: Global<Shared> = Global::new();

/// Gives the pending exception a traceback entry that names the coroutine.
pub(super) fn add_traceback(def: &'static CoroutineDef, raised: Raised) -> Raised {
    let exception = take_raised(raised);
    let frame = def.code().and_then(|code| {
        // SAFETY: a code object without variables, and a dict of globals.
        unsafe {
            let globals = SHARED.get().globals.ptr();
            let thread = ffi::PyThreadState_Get();
            let frame = ffi::PyFrame_New(thread, code.cast(), globals, ptr::null_mut());
            Ref::checked(frame.cast())
        }
    });
    match frame {
        Ok(frame) => {
            let raised = raise_instance(exception);
            // SAFETY: a frame; an exception is pending. On failure another one is.
            unsafe { ffi::PyTraceBack_Here(frame.ptr().cast()) };
            raised
        }
        // The entry is a courtesy: without memory for it, the exception itself goes on.
        Err(no_memory) => {
            drop(take_raised(no_memory));
            raise_instance(exception)
        }
    }
}

/// One activation of a coroutine, as `cr_frame` shows it. Where one native coroutine does
/// the work of two Python ones, the inner one is an activation too, found through `cr_await`.
#[repr(C)]
struct FrameObject {
    head: PyObject,
    coroutine: *mut PyObject,
    def: &'static CoroutineDef,
    /// Whether this is the inner one.
    inner: bool,
}

/// The frame of a coroutine, or of the coroutine that it stands for as well.
pub(super) fn new(coroutine: *mut CoroutineObject, inner: bool) -> Res {
    // SAFETY: the coroutine is alive; the object is tracked when whole.
    unsafe {
        let def = match (*coroutine).inner.get() {
            Some(def) if inner => def,
            _ => (*coroutine).def,
        };
        let frame: *mut FrameObject = ffi::PyObject_GC_New(SHARED.get().kind);
        let owned = Ref::checked(frame.cast())?;
        (&raw mut (*frame).coroutine).write(Ref::borrow(coroutine.cast()).into_ptr());
        (&raw mut (*frame).def).write(def);
        (&raw mut (*frame).inner).write(inner);
        ffi::PyObject_GC_Track(frame.cast());
        Ok(owned)
    }
}

getter!(f_code, |frame: FrameObject| Ok(Ref::borrow(
    (*frame).def.code()?
)));
getter!(f_lineno, |_frame: FrameObject| Ref::int(1));
getter!(f_lasti, |_frame: FrameObject| Ref::int(-1));
getter!(f_globals, |_frame: FrameObject| Ok(SHARED
    .get()
    .globals
    .clone()));
getter!(f_builtins, |_frame: FrameObject| Ok(Ref::borrow(
    ffi::PyEval_GetBuiltins()
)));
getter!(f_locals, |_frame: FrameObject| Ref::dict());
getter!(none, |_frame: FrameObject| Ok(Ref::none()));
getter!(class, |_frame: FrameObject| Ok(SHARED
    .get()
    .frame_type
    .clone()));
getter!(itself, |frame: FrameObject| Ok(Ref::borrow(frame.cast())));
getter!(f_generator, |frame: FrameObject| {
    let generator = if (*frame).inner {
        frame.cast()
    } else {
        (*frame).coroutine
    };
    Ok(Ref::borrow(generator))
});
getter!(cr_await, |frame: FrameObject| {
    let coroutine = (*frame).coroutine.cast::<CoroutineObject>();
    let awaiting = if (*coroutine).state == State::Suspended {
        Ref::borrow_opt((*coroutine).awaiting)
    } else {
        None
    };
    Ok(awaiting.unwrap_or_else(Ref::none))
});
getter!(qualname, |frame: FrameObject| {
    let name = (*frame).def.qualname;
    Ref::checked(ffi::PyUnicode_FromString(name.as_ptr()))
});

unsafe extern "C" fn frame_clear(_: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    Ref::none().into_ptr()
}

unsafe extern "C" fn repr(object: *mut PyObject) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance of our type, alive.
        let def = unsafe { (*object.cast::<FrameObject>()).def };
        let (file, name) = (def.file.to_string_lossy(), def.name.to_string_lossy());
        Ref::str(&format!(
            "<frame at {object:p}, file '{file}', line 1, code {name}>"
        ))
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
        visit_opt!((*object.cast::<FrameObject>()).coroutine, visit, arg);
    }
    0
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: the last reference is gone. There is no tp_clear: the coroutine breaks cycles.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        set_slot(
            &raw mut (*object.cast::<FrameObject>()).coroutine,
            ptr::null_mut(),
        );
        free_instance(object);
    }
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let builder = TypeBuilder::new::<FrameObject>(c"rasyncio.coroutine_frame")
        .doc(c"What stands for the frame of a native coroutine.")
        .flags(flags)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .noargs(c"clear", frame_clear)
        .get(c"__class__", class)
        .get(c"f_back", none)
        .get(c"f_builtins", f_builtins)
        .get(c"f_code", f_code)
        .get(c"f_generator", f_generator)
        .get(c"f_globals", f_globals)
        .get(c"f_lasti", f_lasti)
        .get(c"f_lineno", f_lineno)
        .get(c"f_locals", f_locals)
        .get(c"f_trace", none)
        .get(c"__qualname__", qualname)
        .get(c"cr_await", cr_await)
        .get(c"cr_code", f_code)
        .get(c"cr_frame", itself);
    let globals = Ref::dict()?;
    let name = Ref::str("rasyncio")?;
    let types = crate::object::import(c"types")?;
    let frame_type = types.attr(Ref::str("FrameType")?.ptr())?;
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        ffi::PyDict_SetItem(globals.ptr(), crate::names::names().__name__, name.ptr());
        SHARED.set(Shared {
            kind: builder.build(module, ptr::null_mut())?,
            globals,
            frame_type,
        });
    }
    Ok(())
}
