//! The iterator of `as_completed` as an object.

use core::ffi::{c_int, c_void};
use core::ptr;
use std::collections::VecDeque;

use pyo3::ffi::{self, PyMethodDef, PyObject, PyTypeObject};

use super::{as_completed, next_coroutine, next_future};
use crate::boundary;
use crate::global::Global;
use crate::object::{Ref, Res, check, set_slot};
use crate::timer::Timer;
use crate::types::{TypeBuilder, fastcall_def, free_instance};

/// All pointers are owned and nullable.
#[repr(C)]
pub(super) struct IteratorObject {
    head: PyObject,
    /// `(fs, timeout)` until the iteration begins, where that is when work begins.
    pub(super) not_started: *mut PyObject,
    pub(super) loop_: *mut PyObject,
    /// The task that made the iterator, or None.
    pub(super) task: *mut PyObject,
    /// A set: the futures that are not done.
    pub(super) todo: *mut PyObject,
    /// How many are still to be handed out.
    pub(super) left: ffi::Py_ssize_t,
    /// The futures that are done and not handed out; None for one that came too late.
    pub(super) done: VecDeque<Ref>,
    /// Who waits for one.
    pub(super) waiters: VecDeque<Ref>,
    pub(super) timer: Option<Timer>,
    /// What a foreign loop gave for `timer`.
    pub(super) handle: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// An iterator over nothing yet.
pub(super) fn new() -> Res {
    // SAFETY: the object is tracked when whole.
    unsafe {
        let todo = Ref::checked(ffi::PySet_New(ptr::null_mut()))?;
        let iterator: *mut IteratorObject = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(iterator.cast())?;
        (&raw mut (*iterator).not_started).write(ptr::null_mut());
        (&raw mut (*iterator).loop_).write(ptr::null_mut());
        (&raw mut (*iterator).task).write(ptr::null_mut());
        (&raw mut (*iterator).todo).write(todo.into_ptr());
        (&raw mut (*iterator).left).write(0);
        (&raw mut (*iterator).done).write(VecDeque::new());
        (&raw mut (*iterator).waiters).write(VecDeque::new());
        (&raw mut (*iterator).timer).write(None);
        (&raw mut (*iterator).handle).write(ptr::null_mut());
        ffi::PyObject_GC_Track(iterator.cast());
        Ok(owned)
    }
}

unsafe extern "C" fn iternext(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type. NULL without an exception ends the iteration.
    match boundary::result(|| unsafe { next_coroutine(object.cast()) }) {
        Ok(next) => next.map_or(ptr::null_mut(), Ref::into_ptr),
        Err(raised) => crate::object::to_c(Err(raised)),
    }
}

unsafe extern "C" fn anext(object: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type.
    boundary::object(|| unsafe { next_future(object.cast()) })
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let iterator = object.cast::<IteratorObject>();
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        visit_opt!(ffi::Py_TYPE(object).cast(), visit, arg);
        visit_opt!((*iterator).not_started, visit, arg);
        visit_opt!((*iterator).loop_, visit, arg);
        visit_opt!((*iterator).task, visit, arg);
        visit_opt!((*iterator).todo, visit, arg);
        visit_opt!((*iterator).handle, visit, arg);
        let (done, waiters) = (&(*iterator).done, &(*iterator).waiters);
        for held in done.iter().chain(waiters) {
            visit_opt!(held.ptr(), visit, arg);
        }
    }
    0
}

unsafe extern "C" fn clear(object: *mut PyObject) -> c_int {
    let iterator = object.cast::<IteratorObject>();
    // SAFETY: an instance of our type. The queues are emptied before their content is
    // dropped, which may run code that looks at them.
    unsafe {
        (*iterator).timer = None;
        let done = core::mem::take(&mut (*iterator).done);
        let waiters = core::mem::take(&mut (*iterator).waiters);
        drop((done, waiters));
        set_slot(&raw mut (*iterator).not_started, ptr::null_mut());
        set_slot(&raw mut (*iterator).loop_, ptr::null_mut());
        set_slot(&raw mut (*iterator).task, ptr::null_mut());
        set_slot(&raw mut (*iterator).todo, ptr::null_mut());
        set_slot(&raw mut (*iterator).handle, ptr::null_mut());
    }
    0
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: the last reference is gone; empty queues own no memory.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        clear(object);
        free_instance(object);
    }
}

/// Makes the type and adds the function; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let builder = TypeBuilder::new::<IteratorObject>(c"rasyncio.tasks._AsCompletedIterator")
        .doc(c"Iterator of awaitables representing tasks of asyncio.as_completed.")
        .flags(flags)
        .slot(ffi::Py_tp_iter, ffi::PyObject_SelfIter as *mut c_void)
        .slot(ffi::Py_tp_iternext, iternext as *mut c_void)
        .slot(ffi::Py_am_aiter, ffi::PyObject_SelfIter as *mut c_void)
        .slot(ffi::Py_am_anext, anext as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void);
    // The interpreter keeps the table for as long as the function lives.
    let table: &mut [PyMethodDef] = Vec::leak(vec![
        fastcall_def(c"as_completed", as_completed),
        PyMethodDef::zeroed(),
    ]);
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        TYPE.set(builder.build(module, ptr::null_mut())?);
        check(ffi::PyModule_AddFunctions(module, table.as_mut_ptr()))
    }
}
