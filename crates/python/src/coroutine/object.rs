//! The coroutine object.
//!
//! One allocation: the fields below, then the slots, then the Rust future. A call that
//! completes at once costs that allocation and nothing else; and where a function says how it
//! does that ([`coroutine_at_once`]), not even a future.
//!
//! ```text
//! Created ──resume──> Running ──Pending──> Suspended
//!    │                   │ ^                   │
//!    │                   │ └──────resume───────┤
//!    └───────close───────┴──Ready─> Finished <─┘ close
//! ```
//!
//! The future is made when it is first polled; from then on it is alive in every state but
//! `Finished`. `Running` keeps all others out: a resume, a close and a throw are refused, so the
//! future is never polled or dropped while it is being polled.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::future::Future;
use core::panic::AssertUnwindSafe;
use core::ptr;
use core::task::{Context, Poll};
use std::panic::catch_unwind;
use std::sync::Arc;

use pyo3::ffi::{self, PyObject, PyTypeObject, PyVarObject};

use super::CoroutineDef;
use super::body::{Body, ITEM, Layout, conjure};
use super::frame;
use super::memory;
use super::slots::Slots;
use super::waker::{self, Bell, Turn};
use crate::boundary::panicked;
use crate::global::Global;
use crate::object::{
    Raised, Ref, Res, raise, raise_instance, raised_matches, runtime_error, set_slot, take_raised,
    type_error,
};
use crate::recursion::dealloc_in_turn;
use crate::types::{TypeBuilder, free_instance};

/// Where a coroutine is in its life; see the head of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Created,
    Running,
    Suspended,
    Finished,
}

/// Slots and future follow this header in the same allocation, which the collector's
/// allocator aligns to 16 bytes.
#[repr(C, align(16))]
pub(super) struct CoroutineObject {
    pub(super) head: PyVarObject,
    pub(super) weakrefs: *mut PyObject,
    pub(super) def: &'static CoroutineDef,
    body: &'static Body,
    /// What the coroutine awaits while suspended: a future, or the iterator of an awaitable.
    pub(super) awaiting: *mut PyObject,
    /// A coroutine which, in Python, this one would be awaiting: they are merged into one
    /// object, and only call graphs show both.
    pub(super) inner: Cell<Option<&'static CoroutineDef>>,
    /// What wakes the coroutine while its body awaits a plain Rust future.
    pub(super) bell: Option<Arc<Bell>>,
    /// `(name, qualname)` once Python code has set one of them.
    pub(super) names: *mut PyObject,
    pub(super) state: State,
    /// `awaiting` is the future that the bell completes.
    pub(super) waits_for_bell: bool,
    /// The future was made.
    started: bool,
    /// The finalizer has run: the memory carries a mark that it must not pass on.
    pub(super) finalized: bool,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// The type of all native coroutines.
#[inline]
pub(super) fn coroutine_type() -> *mut PyTypeObject {
    *TYPE.get()
}

/// Whether an object is a native coroutine.
#[inline]
pub(crate) fn is_native(object: *mut PyObject) -> bool {
    // SAFETY: alive.
    unsafe { ptr::eq(ffi::Py_TYPE(object), coroutine_type()) }
}

/// Makes a coroutine object. `body` captures nothing; it receives the slots, filled with `held`,
/// at the first `send`, and makes the future.
#[inline]
pub(crate) fn coroutine<const N: usize, F, Fut>(
    def: &'static CoroutineDef,
    held: [Option<Ref>; N],
    body: F,
) -> Res
where
    F: FnOnce(Slots<N>) -> Fut + Copy + 'static,
    Fut: Future<Output = Res> + 'static,
{
    let _: F = body;
    // SAFETY: the layout fits the body.
    unsafe {
        type Never<const N: usize> = fn(Slots<N>) -> Option<Res>;
        let body = &Layout::<F, Never<N>, Fut, N>::BODY;
        make(def, body, Layout::<F, Never<N>, Fut, N>::ITEMS, held)
    }
}

/// As [`coroutine`], for what mostly need not wait: `at_once` is asked at the first `send`. What
/// it answers is the outcome; if it answers nothing, `body` begins, and finds all as it was.
#[inline]
pub(crate) fn coroutine_at_once<const N: usize, Q, F, Fut>(
    def: &'static CoroutineDef,
    held: [Option<Ref>; N],
    at_once: Q,
    body: F,
) -> Res
where
    Q: FnOnce(Slots<N>) -> Option<Res> + Copy + 'static,
    F: FnOnce(Slots<N>) -> Fut + Copy + 'static,
    Fut: Future<Output = Res> + 'static,
{
    let _: (Q, F) = (at_once, body);
    // SAFETY: the layout fits the body.
    unsafe {
        let body = &Layout::<F, Q, Fut, N>::BODY_AT_ONCE;
        make(def, body, Layout::<F, Q, Fut, N>::ITEMS, held)
    }
}

/// As [`coroutine`], for a body that awaits nothing.
#[inline]
pub(crate) fn coroutine_without_await<const N: usize, Q>(
    def: &'static CoroutineDef,
    held: [Option<Ref>; N],
    body: Q,
) -> Res
where
    Q: FnOnce(Slots<N>) -> Res + Copy + 'static,
{
    let _: Q = body;
    coroutine_at_once(
        def,
        held,
        |slots| Some(conjure::<Q>()(slots)),
        |_| core::future::pending(),
    )
}

#[inline]
unsafe fn make<const N: usize>(
    def: &'static CoroutineDef,
    body: &'static Body,
    items: usize,
    held: [Option<Ref>; N],
) -> Res {
    // SAFETY: `coroutine_type` is variable-sized with items of ITEM bytes, and so many of them
    // hold slots and future, says the caller. Everything is written before the collector or
    // anyone else sees the object; nothing between allocation and tracking can fail.
    unsafe {
        let object = memory::alloc(items)?;
        (&raw mut (*object).weakrefs).write(ptr::null_mut());
        (&raw mut (*object).def).write(def);
        (&raw mut (*object).body).write(body);
        (&raw mut (*object).awaiting).write(ptr::null_mut());
        (&raw mut (*object).inner).write(Cell::new(None));
        (&raw mut (*object).bell).write(None);
        (&raw mut (*object).names).write(ptr::null_mut());
        (&raw mut (*object).state).write(State::Created);
        (&raw mut (*object).waits_for_bell).write(false);
        (&raw mut (*object).started).write(false);
        (&raw mut (*object).finalized).write(false);
        let slots = object.add(1).cast::<*mut PyObject>();
        for (i, value) in held.into_iter().enumerate() {
            slots
                .add(i)
                .write(value.map_or(ptr::null_mut(), Ref::into_ptr));
        }
        ffi::PyObject_GC_Track(object.cast());
        Ok(Ref::own(object.cast()))
    }
}

unsafe fn future_of(object: *mut CoroutineObject) -> *mut u8 {
    // SAFETY: within the allocation, see `make`.
    unsafe { object.add(1).cast::<u8>().add((*object).body.offset) }
}

/// What a coroutine is resumed with.
pub(super) enum Input {
    /// A value, borrowed; `None` from a task.
    Send(*mut PyObject),
    /// An exception instance, raised where the coroutine is suspended.
    Throw(Ref),
}

/// What came of resuming a coroutine.
pub(super) enum Outcome {
    Yield(Ref),
    Return(Ref),
    Raise(Raised),
}

/// Sends None into a coroutine that the caller keeps alive: what `await` does.
#[inline(always)]
pub(super) unsafe fn send_none(object: *mut CoroutineObject) -> Outcome {
    // SAFETY: alive, says the caller; a coroutine that was just made may begin.
    unsafe {
        if (*object).state == State::Created {
            // Most end here.
            if let Some(outcome) = begin(object) {
                return outcome;
            }
            return poll_body(object, Input::Send(ffi::Py_None()));
        }
        resume(object, Input::Send(ffi::Py_None()))
    }
}

/// Resumes a coroutine that the caller keeps alive.
#[inline]
pub(super) unsafe fn resume(object: *mut CoroutineObject, input: Input) -> Outcome {
    // SAFETY: alive, says the caller; `state` guards the future as the head of the file says.
    unsafe {
        match ((*object).state, &input) {
            (State::Suspended, _) => {}
            (State::Created, Input::Send(value)) => {
                if *value != ffi::Py_None() {
                    return Outcome::Raise(type_error(
                        "can't send non-None value to a just-started coroutine",
                    ));
                }
                if let Some(outcome) = begin(object) {
                    return outcome;
                }
            }
            (State::Created, Input::Throw(_)) => return throw_into_created(object, input),
            (State::Running, _) => return Outcome::Raise(already_executing()),
            (State::Finished, _) => {
                return Outcome::Raise(runtime_error("cannot reuse already awaited coroutine"));
            }
        }
        poll_body(object, input)
    }
}

/// Polls the future, which was made.
unsafe fn poll_body(object: *mut CoroutineObject, input: Input) -> Outcome {
    // SAFETY: alive and not running, says the caller.
    unsafe {
        (*object).state = State::Running;
        if (*object).bell.is_some() || (*object).waits_for_bell {
            forget_ring(object);
        }
        let turn = Turn::new(object, input);
        let waker = waker::borrowed(&turn);
        let polled = catch_unwind(AssertUnwindSafe(|| {
            ((*object).body.poll)(future_of(object), &mut Context::from_waker(&waker))
        }));
        match polled {
            Ok(Poll::Pending) => match turn.into_yielded() {
                Ok(yielded) => {
                    (*object).state = State::Suspended;
                    Outcome::Yield(yielded)
                }
                Err(raised) => raise_out(object, raised),
            },
            Ok(Poll::Ready(Ok(value))) => {
                finish(object);
                Outcome::Return(value)
            }
            Ok(Poll::Ready(Err(raised))) => raise_out(object, raised),
            Err(panic) => {
                ffi::PyErr_Clear();
                raise_out(object, panicked(&*panic))
            }
        }
    }
}

/// The first step: completes the coroutine without a future, or makes that.
#[inline(always)]
unsafe fn begin(object: *mut CoroutineObject) -> Option<Outcome> {
    // SAFETY: alive and just created, says the caller; the future's place is empty.
    unsafe {
        (*object).state = State::Running;
        let begun = catch_unwind(AssertUnwindSafe(|| {
            if let Some(at_once) = (*object).body.at_once
                && let Some(outcome) = at_once(object)
            {
                return Some(outcome);
            }
            ((*object).body.start)(object, future_of(object));
            (*object).started = true;
            None
        }));
        match begun {
            Ok(None) => None,
            Ok(Some(Ok(value))) => {
                (*object).state = State::Finished;
                release(object);
                Some(Outcome::Return(value))
            }
            Ok(Some(Err(raised))) => Some(raise_out(object, raised)),
            Err(panic) => {
                ffi::PyErr_Clear();
                Some(raise_out(object, panicked(&*panic)))
            }
        }
    }
}

/// The wording of every attempt to enter a coroutine that is running.
#[cold]
pub(super) fn already_executing() -> Raised {
    // SAFETY: a static exception class.
    unsafe { raise(ffi::PyExc_ValueError, "coroutine already executing") }
}

#[cold]
unsafe fn throw_into_created(object: *mut CoroutineObject, input: Input) -> Outcome {
    let Input::Throw(exception) = input else {
        unreachable!("called with an exception")
    };
    // SAFETY: alive and not running, says the caller.
    unsafe { raise_out(object, raise_instance(exception)) }
}

/// Ends a coroutine with the pending exception, which gets a traceback entry of it.
#[cold]
unsafe fn raise_out(object: *mut CoroutineObject, raised: Raised) -> Outcome {
    // SAFETY: alive, says the caller; the exception is put aside while destructors run.
    unsafe {
        let def = (*object).def;
        let exception = take_raised(stop_iteration_is_an_error(raised));
        finish(object);
        Outcome::Raise(frame::add_traceback(def, raise_instance(exception)))
    }
}

/// A `StopIteration` that leaves a coroutine would read as its completion.
fn stop_iteration_is_an_error(raised: Raised) -> Raised {
    // SAFETY: a static exception class.
    if !raised_matches(&raised, unsafe { ffi::PyExc_StopIteration }) {
        return raised;
    }
    let stop = take_raised(raised);
    let exception = take_raised(runtime_error("coroutine raised StopIteration"));
    // SAFETY: both exception instances; the setters steal a reference each.
    unsafe {
        ffi::PyException_SetCause(exception.ptr(), stop.clone().into_ptr());
        ffi::PyException_SetContext(exception.ptr(), stop.into_ptr());
    }
    raise_instance(exception)
}

/// Drops the future and what it held. No exception may be pending: destructors run.
#[inline]
pub(super) unsafe fn finish(object: *mut CoroutineObject) {
    // SAFETY: not finished yet, says the caller, so the future is alive if it was made. The
    // state comes first: whatever a destructor does with this object finds it finished.
    unsafe {
        (*object).state = State::Finished;
        if (*object).bell.is_some() || (*object).waits_for_bell {
            forget_ring(object);
        }
        if (*object).started {
            ((*object).body.drop)(future_of(object));
        }
        (*object).bell = None;
        release(object);
    }
}

/// Whatever woke the coroutine until now is answered by what happens next.
#[cold]
unsafe fn forget_ring(object: *mut CoroutineObject) {
    // SAFETY: alive, says the caller. The bell forgets the future before it is given up.
    unsafe {
        if let Some(bell) = &(*object).bell {
            bell.reset();
        }
        if core::mem::replace(&mut (*object).waits_for_bell, false) {
            set_slot(&raw mut (*object).awaiting, ptr::null_mut());
        }
    }
}

unsafe fn release(object: *mut CoroutineObject) {
    // SAFETY: the slots are valid as long as the object.
    unsafe {
        set_slot(&raw mut (*object).awaiting, ptr::null_mut());
        let slots = object.add(1).cast::<*mut PyObject>();
        for i in 0..(*object).body.slots {
            set_slot(slots.add(i), ptr::null_mut());
        }
    }
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let object = object.cast::<CoroutineObject>();
    // SAFETY: the collector passes an object of our type; only fields are read.
    unsafe {
        visit_opt!(ffi::Py_TYPE(object.cast()).cast(), visit, arg);
        visit_opt!((*object).awaiting, visit, arg);
        visit_opt!((*object).names, visit, arg);
        let slots = object.add(1).cast::<*mut PyObject>();
        for i in 0..(*object).body.slots {
            visit_opt!(*slots.add(i), visit, arg);
        }
    }
    0
}

unsafe extern "C" fn clear(object: *mut PyObject) -> c_int {
    let object = object.cast::<CoroutineObject>();
    // SAFETY: an object of our type, unreachable but for the collector, so it is not running.
    unsafe {
        if (*object).state != State::Finished {
            finish(object);
        }
    }
    0
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: the last reference is gone.
    unsafe {
        // A coroutine that has ended holds no other any more.
        if (*object.cast::<CoroutineObject>()).state == State::Finished {
            free(object);
        } else {
            dealloc_in_turn(object, dealloc_unfinished);
        }
    }
}

unsafe fn dealloc_unfinished(object: *mut PyObject) {
    // SAFETY: the last reference is gone. The finalizer runs Python code and may revive the
    // object; then it is no longer ours to free.
    unsafe {
        if ffi::PyObject_CallFinalizerFromDealloc(object) == 0 {
            free(object);
        }
    }
}

unsafe fn free(object: *mut PyObject) {
    let coroutine = object.cast::<CoroutineObject>();
    // SAFETY: the last reference is gone, and the finalizer has run where there was need.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        if !(*coroutine).weakrefs.is_null() {
            ffi::PyObject_ClearWeakRefs(object);
        }
        if (*coroutine).state != State::Finished {
            finish(coroutine);
        }
        set_slot(&raw mut (*coroutine).names, ptr::null_mut());
        if (*coroutine).finalized || !memory::keep(coroutine) {
            free_instance(object);
        }
    }
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let builder = TypeBuilder::new::<CoroutineObject>(c"rasyncio.coroutine")
        .doc(c"A coroutine whose body is native code.")
        .itemsize(ITEM)
        .flags(flags)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .weaklist_offset(core::mem::offset_of!(CoroutineObject, weakrefs));
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        TYPE.set(super::methods::add_to(builder).build(module, ptr::null_mut())?);
    }
    Ok(())
}
