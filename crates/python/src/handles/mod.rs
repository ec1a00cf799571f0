//! `asyncio.Handle` and `asyncio.TimerHandle`: a callback with its arguments and context.
//!
//! Three layouts share the head [`HandleObject`]:
//! - the plain handle that `call_soon` makes: 64 bytes, *outside the collector*, since
//!   thousands may be alive at once and each would be walked. It lets go of its callback
//!   when it has run, and the loop's own traverse looks through the handles that only the
//!   loop holds, so cycles through it are still found;
//! - the full handle, made from Python or in debug mode: collected, with a traceback;
//! - the timer handle, which programs store: collected.

mod methods;
mod native_call;
mod run;
mod timer;

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

pub(crate) use methods::init;
pub(crate) use native_call::{native_call1, native_call2, run_native_call};
pub(crate) use run::{report, run};
pub(crate) use timer::{TimerObject, new_timer};

/// The context that a handle is to run in.
pub(crate) use crate::contexts::RunContext as HandleContext;

use crate::contexts::RunContext;
use crate::event_loop::LoopCore;
use crate::freelist::FreeList;
use crate::global::Global;
use crate::object::{Ref, Res, counts, take_slot};

/// The head of all three layouts.
#[repr(C)]
pub(crate) struct HandleObject {
    ob_base: PyObject,
    weakrefs: *mut PyObject,
    /// Owned; NULL after cancelling (and, in a plain handle, after running).
    callback: *mut PyObject,
    /// Owned: nothing, the one argument itself, or a tuple, as `shape` says.
    args: *mut PyObject,
    context: RunContext,
    loop_: *mut PyObject,
    shape: Shape,
    layout: Layout,
    cancelled: bool,
    /// Registered for a descriptor: it runs many times and keeps its callback.
    repeats: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Shape {
    NoArgs,
    OneArg,
    Tuple,
}

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Layout {
    Plain,
    Full,
    Timer,
}

/// What a collected handle has beyond the head.
#[repr(C)]
pub(crate) struct FullHandle {
    head: HandleObject,
    source_traceback: *mut PyObject,
    /// The text of `repr()` from before cancelling (debug mode).
    repr_text: *mut PyObject,
}

struct Types {
    plain: *mut PyTypeObject,
    full: *mut PyTypeObject,
    timer: *mut PyTypeObject,
    native_call: *mut PyTypeObject,
}

static TYPES: Global<Types> = Global::new();

/// Memory of dead plain handles.
static FREE: FreeList<1024> = FreeList::new();

impl HandleObject {
    /// Sets every field.
    #[inline]
    unsafe fn fill(
        this: *mut HandleObject,
        layout: Layout,
        core_owner: *mut PyObject,
        callback: Ref,
        args: Packed,
        context: RunContext,
    ) {
        // SAFETY: `this` is fresh memory of the layout's size, says the caller.
        unsafe {
            counts::increment(core_owner);
            (*this).weakrefs = ptr::null_mut();
            (*this).callback = callback.into_ptr();
            (*this).args = args.args;
            ptr::write(&raw mut (*this).context, context);
            (*this).loop_ = core_owner;
            (*this).shape = args.shape;
            (*this).layout = layout;
            (*this).cancelled = false;
            (*this).repeats = false;
        }
    }

    /// The full part, if this layout has one.
    fn full(this: *mut HandleObject) -> Option<*mut FullHandle> {
        // SAFETY: `this` is a live handle; the layout says how long the struct is.
        unsafe { ((*this).layout != Layout::Plain).then_some(this.cast()) }
    }

    /// The arguments as a tuple, `_args`.
    unsafe fn args_tuple(this: *mut HandleObject) -> Res {
        // SAFETY: `this` is a live handle, says the caller.
        unsafe {
            match (*this).shape {
                Shape::NoArgs => Ref::tuple(&[]),
                Shape::OneArg => Ref::tuple(&[(*this).args]),
                Shape::Tuple => Ok(Ref::borrow((*this).args)),
            }
        }
    }

    /// Lets go of the callback and its arguments.
    pub(crate) unsafe fn forget_callback(this: *mut HandleObject) {
        // SAFETY: `this` is a live handle; the slots are empty before contents are dropped.
        unsafe {
            let callback = take_slot(&raw mut (*this).callback);
            let args = take_slot(&raw mut (*this).args);
            (*this).shape = Shape::NoArgs;
            drop((callback, args));
        }
    }
}

/// Arguments as a handle keeps them; owned.
struct Packed {
    shape: Shape,
    args: *mut PyObject,
}

#[inline]
unsafe fn pack(args: &[*mut PyObject]) -> Res<Packed> {
    // SAFETY: all alive, says the caller.
    let (shape, args) = unsafe {
        match args {
            [] => (Shape::NoArgs, ptr::null_mut()),
            [one] => (Shape::OneArg, counts::new_ref(*one)),
            many => (Shape::Tuple, Ref::tuple(many)?.into_ptr()),
        }
    };
    Ok(Packed { shape, args })
}

/// A handle for `call_soon` on our loop.
#[inline]
pub(crate) fn new_handle(
    core: &LoopCore,
    callback: Ref,
    args: &[*mut PyObject],
    context: RunContext,
) -> Res {
    // SAFETY: fresh memory of the class, filled before anybody sees it.
    unsafe {
        if core.debug() {
            return new_full(core, callback, args, context);
        }
        let args = pack(args)?;
        let class = TYPES.get().plain;
        let made = match FREE.take(class) {
            Some(memory) => Ref::own(memory),
            None => new_memory(class, &args)?,
        };
        let this = made.ptr().cast();
        HandleObject::fill(this, Layout::Plain, core.owner(), callback, args, context);
        Ok(made)
    }
}

#[cold]
unsafe fn new_memory(class: *mut PyTypeObject, args: &Packed) -> Res {
    // SAFETY: the class is alive; without a handle the arguments go.
    unsafe { Ref::checked(ffi::PyObject_New(class)).inspect_err(|_| drop(Ref::own_opt(args.args))) }
}

/// A collected handle: debug mode, and readers and writers.
pub(crate) fn new_full(
    core: &LoopCore,
    callback: Ref,
    args: &[*mut PyObject],
    context: RunContext,
) -> Res {
    // SAFETY: zeroed memory of the class's size.
    unsafe {
        let made = Ref::checked(ffi::PyType_GenericAlloc(TYPES.get().full, 0))?;
        let this = made.ptr().cast::<HandleObject>();
        (*this).layout = Layout::Full;
        let args = pack(args)?;
        HandleObject::fill(this, Layout::Full, core.owner(), callback, args, context);
        if core.debug() {
            record_source(this.cast())?;
        }
        Ok(made)
    }
}

/// A collected handle in the place of a plain one that only its job holds: it is about to be
/// shown to the exception handler, which may keep it where a cycle runs through it.
unsafe fn made_collected(this: *mut HandleObject) -> Res {
    // SAFETY: zeroed memory of the class's size; what the plain handle owned is moved.
    unsafe {
        let made = Ref::checked(ffi::PyType_GenericAlloc(TYPES.get().full, 0))?;
        let args = Packed {
            shape: (*this).shape,
            args: ptr::replace(&raw mut (*this).args, ptr::null_mut()),
        };
        let callback = Ref::own(ptr::replace(&raw mut (*this).callback, ptr::null_mut()));
        let context = RunContext::take(&raw mut (*this).context);
        let full = made.ptr().cast();
        HandleObject::fill(full, Layout::Full, (*this).loop_, callback, args, context);
        (*this).shape = Shape::NoArgs;
        Ok(made)
    }
}

/// A handle for a reader or a writer, which stays registered when it has run.
/// `context` is NULL or None for a copy of the current one.
pub(crate) unsafe fn new_repeating(
    core: &LoopCore,
    callback: Ref,
    args: &[*mut PyObject],
    context: *mut PyObject,
) -> Res {
    // SAFETY: all alive or NULL, says the caller; the handle is fresh.
    unsafe {
        let context = RunContext::given(context)?;
        let made = new_full(core, callback, args, context)?;
        (*made.ptr().cast::<HandleObject>()).repeats = true;
        Ok(made)
    }
}

/// A handle for a future's Python callback.
pub(crate) fn for_callback(
    core: &LoopCore,
    callback: Ref,
    future: *mut PyObject,
    context: Ref,
) -> Res {
    new_handle(core, callback, &[future], RunContext::own(context))
}

unsafe fn record_source(full: *mut FullHandle) -> Res<()> {
    let stack = crate::stdlib::stdlib().extract_stack.call0()?;
    // SAFETY: `full` is alive, says the caller.
    unsafe { crate::object::set_slot(&raw mut (*full).source_traceback, stack.into_ptr()) };
    Ok(())
}

/// `handle.cancel()` of a handle known to be ours.
pub(crate) unsafe fn cancel(handle: *mut PyObject) -> Res<()> {
    // SAFETY: a live handle of ours, says the caller.
    unsafe { methods::cancel_handle(handle.cast()) }
}

/// Shows the collector what an uncollected object of a job holds, when the job alone holds
/// it: if somebody else does too, its references are not the loop's to account for.
pub(crate) unsafe fn visit_through(
    data: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: a live object; called by the collector.
    unsafe {
        if ffi::Py_REFCNT(data) != 1 {
            return 0;
        }
        let class = ffi::Py_TYPE(data);
        if class == TYPES.get().plain {
            return traverse_head(data.cast(), visit, arg);
        }
        if class == TYPES.get().native_call {
            return native_call::traverse(data.cast(), visit, arg);
        }
    }
    0
}

unsafe fn traverse_head(this: *mut HandleObject, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: a live handle, says the caller.
    unsafe {
        visit_opt!((*this).callback, visit, arg);
        visit_opt!((*this).args, visit, arg);
        visit_opt!((*this).context.ptr(), visit, arg);
        visit_opt!((*this).loop_, visit, arg);
    }
    0
}

/// Drops a plain handle that has given its callback away, and that nobody else has seen.
#[inline]
unsafe fn recycle(handle: Ref) {
    let this = handle.ptr().cast::<HandleObject>();
    // SAFETY: as above; its memory goes to the free list, or to the allocator.
    unsafe {
        debug_assert!((*this).callback.is_null() && (*this).weakrefs.is_null());
        drop(RunContext::take(&raw mut (*this).context));
        if ffi::Py_REFCNT(handle.ptr()) == 1 {
            drop(take_slot(&raw mut (*this).loop_));
            if FREE.give(handle.ptr()) {
                core::mem::forget(handle);
            }
        }
    }
}

unsafe fn clear_head(this: *mut HandleObject) {
    // SAFETY: a live or dying handle; slots are emptied before contents are dropped.
    unsafe {
        HandleObject::forget_callback(this);
        drop(RunContext::take(&raw mut (*this).context));
        drop(take_slot(&raw mut (*this).loop_));
    }
}
