//! The layout of a future, and its life as an object: making, visiting, clearing, dying.

use core::mem::offset_of;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::callbacks::{Callback, Callbacks};
use crate::freelist::FreeList;
use crate::object::{Ref, Res, counts, set_slot};

/// Where a future is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    Pending,
    Cancelled,
    /// `value` is the result.
    Result,
    /// `value` is the exception.
    Exception,
}

/// A future's C layout; `TaskObject` begins with it.
///
/// All pointers are owned and nullable. No Rust reference to the struct is kept across a
/// call that may run Python code: such code may reach the same future.
#[repr(C)]
pub(crate) struct FutureObject {
    pub(crate) ob_base: PyObject,
    pub(crate) dict: *mut PyObject,
    pub(crate) weakrefs: *mut PyObject,
    /// NULL until `__init__`.
    pub(crate) loop_: *mut PyObject,
    pub(crate) value: *mut PyObject,
    pub(crate) callbacks: Callbacks,
    pub(crate) rare: Option<Box<Rare>>,
    pub(crate) state: State,
    /// `_asyncio_future_blocking`: yielded by an await, and not yet seen by a task.
    pub(crate) blocking: bool,
    /// The exception has not been looked at; `__del__` reports it.
    pub(crate) log_traceback: bool,
    /// Whether this is a Task (or a subclass): `TaskObject`'s fields follow.
    pub(crate) is_task: bool,
    /// The finalizer has run: the memory carries a mark that it must not pass on.
    pub(crate) finalized: bool,
}

/// What few futures have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) source_traceback: Option<Ref>,
    pub(crate) cancel_message: Option<Ref>,
    /// The CancelledError that ended a task, to be raised once.
    pub(crate) cancelled_exc: Option<Ref>,
    /// The traceback of the exception when it was set.
    pub(crate) exception_tb: Option<Ref>,
    /// Explicit entries of `_asyncio_awaited_by`; a set.
    pub(crate) awaited_by: Option<Ref>,
}

impl Rare {
    fn each(&self) -> [Option<&Ref>; 5] {
        [
            self.source_traceback.as_ref(),
            self.cancel_message.as_ref(),
            self.cancelled_exc.as_ref(),
            self.exception_tb.as_ref(),
            self.awaited_by.as_ref(),
        ]
    }
}

pub(crate) const DICT_OFFSET: usize = offset_of!(FutureObject, dict);
pub(crate) const WEAKREFS_OFFSET: usize = offset_of!(FutureObject, weakrefs);

impl FutureObject {
    /// The rare fields, made on demand.
    pub(crate) unsafe fn rare_mut<'a>(fut: *mut FutureObject) -> &'a mut Rare {
        // SAFETY: `fut` is alive, says the caller, and nobody else holds a reference into
        // the box: all uses end before Python code can run.
        unsafe { (*fut).rare.get_or_insert_with(Box::default) }
    }

    /// A copy of one of the rare fields.
    pub(crate) unsafe fn rare(
        fut: *mut FutureObject,
        field: impl FnOnce(&Rare) -> &Option<Ref>,
    ) -> Option<Ref> {
        // SAFETY: `fut` is alive, says the caller; the borrow ends with the clone.
        unsafe { (*fut).rare.as_ref().and_then(|rare| field(rare).clone()) }
    }

    /// Whether it has a result, an exception, or was cancelled.
    pub(crate) unsafe fn is_done(fut: *mut FutureObject) -> bool {
        // SAFETY: `fut` is alive, says the caller.
        unsafe { (*fut).state != State::Pending }
    }
}

/// Memory of dead futures of exactly the native class.
pub(super) static FREE: FreeList<256> = FreeList::new();

/// Puts fresh memory from `tp_alloc` (zeroed) into the state of an uninitialised future.
pub(crate) unsafe fn blank(fut: *mut FutureObject, is_task: bool) {
    // SAFETY: zeroed memory of the right size, says the caller; `write` drops nothing.
    unsafe {
        ptr::addr_of_mut!((*fut).callbacks).write(Callbacks::new());
        ptr::addr_of_mut!((*fut).rare).write(None);
        (*fut).state = State::Pending;
        (*fut).is_task = is_task;
        (*fut).finalized = false;
    }
}

/// A new future of exactly the native class, bound to `loop_`, without debug's traceback.
#[inline]
pub(crate) unsafe fn alloc(class: *mut PyTypeObject, loop_: *mut PyObject) -> Res {
    // SAFETY: `class` is the native future class; the object is tracked only when whole.
    unsafe {
        let owned = match FREE.take(class) {
            Some(memory) => Ref::own(memory),
            None => Ref::checked(ffi::PyObject_GC_New(class))?,
        };
        let fut = owned.ptr().cast::<FutureObject>();
        counts::increment(loop_);
        (*fut).dict = ptr::null_mut();
        (*fut).weakrefs = ptr::null_mut();
        (*fut).loop_ = loop_;
        (*fut).value = ptr::null_mut();
        (*fut).blocking = false;
        (*fut).log_traceback = false;
        blank(fut, false);
        ffi::PyObject_GC_Track(fut.cast());
        Ok(owned)
    }
}

/// Visits what a future holds.
pub(crate) unsafe fn traverse(
    fut: *mut FutureObject,
    visit: ffi::visitproc,
    arg: *mut core::ffi::c_void,
) -> core::ffi::c_int {
    // SAFETY: called by the collector on a live object; nothing is changed.
    unsafe {
        for held in [(*fut).dict, (*fut).loop_, (*fut).value] {
            visit_opt!(held, visit, arg);
        }
        for callback in (*fut).callbacks.iter() {
            for held in callback.held() {
                visit_opt!(held, visit, arg);
            }
        }
        if let Some(rare) = &(*fut).rare {
            for held in rare.each().into_iter().flatten() {
                visit_opt!(held.ptr(), visit, arg);
            }
        }
    }
    0
}

/// Drops what a future holds.
pub(crate) unsafe fn clear(fut: *mut FutureObject) {
    // SAFETY: the slot is emptied before its content is dropped.
    unsafe {
        set_slot(&raw mut (*fut).dict, ptr::null_mut());
        reset(fut);
    }
}

/// Drops all but the attributes that Python code has set: for `__init__` called again, or
/// called after a subclass's own.
pub(crate) unsafe fn reset(fut: *mut FutureObject) {
    // SAFETY: each slot is emptied before its content is dropped.
    unsafe {
        set_slot(&raw mut (*fut).loop_, ptr::null_mut());
        set_slot(&raw mut (*fut).value, ptr::null_mut());
        drop((*fut).callbacks.take());
        drop((*fut).rare.take());
        (*fut).state = State::Pending;
        (*fut).log_traceback = false;
    }
}

/// Drops the fields of a dead future (finalised, untracked, without weak references). Nobody sees them any
/// more: they keep what they had.
#[inline]
pub(crate) unsafe fn release_fields(fut: *mut FutureObject) {
    // SAFETY: the object is dead and untracked; each field is dropped once.
    unsafe {
        counts::decrement_opt((*fut).dict);
        counts::decrement_opt((*fut).loop_);
        counts::decrement_opt((*fut).value);
        if !(*fut).callbacks.is_empty() {
            ptr::drop_in_place(&raw mut (*fut).callbacks);
        }
        if (*fut).rare.is_some() {
            ptr::drop_in_place(&raw mut (*fut).rare);
        }
    }
}

/// One callback and its context as Python sees them in `_callbacks`.
pub(crate) fn callback_pair(callback: &Callback) -> Res {
    let callable = callback.callable()?;
    let context = callback.context()?;
    Ref::tuple(&[callable.ptr(), context.ptr()])
}
