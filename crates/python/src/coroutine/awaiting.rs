//! `await` inside a body.
//!
//! Each function here is a leaf: it yields to whoever drives the coroutine, and is resumed
//! with what that one sends or throws. A leaf that waits for an object publishes it in the
//! coroutine, for `cr_await` and for the collector.

use core::future::Future;
use core::pin::Pin;
use core::ptr;
use core::task::{Context, Poll};

use pyo3::ffi::{self, PyObject};

use super::object::{CoroutineObject, Input};
use super::waker::Turn;
use crate::futures::{self, FutureObject};
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, call_method, full_type_name, raise_instance, raised_matches, runtime_error,
    set_slot, type_error, type_name,
};
use crate::recursion::Level;

unsafe extern "C" {
    // Exported by every supported version, and not in pyo3-ffi.
    fn _PyGen_FetchStopIterationValue(value: *mut *mut PyObject) -> core::ffi::c_int;
}

/// A bare `yield`: lets the loop turn once, as `sleep(0)` does.
pub(crate) fn yield_none() -> impl Future<Output = Res<()>> {
    YieldNone { suspended: false }
}

struct YieldNone {
    suspended: bool,
}

impl Future for YieldNone {
    type Output = Res<()>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Res<()>> {
        let turn = Turn::of(cx);
        if !self.suspended {
            self.suspended = true;
            turn.yield_(Ref::none());
            return Poll::Pending;
        }
        Poll::Ready(match turn.take_input() {
            Some(Input::Throw(exception)) => Err(raise_instance(exception)),
            Some(Input::Send(_)) | None => Ok(()),
        })
    }
}

/// Awaits a future (ours, or anyone's). The caller keeps it alive.
pub(crate) fn await_future(future: *mut PyObject) -> impl Future<Output = Res> {
    Await {
        awaitable: future,
        stage: Stage::Fresh,
    }
}

/// Awaits any awaitable, as the expression `await awaitable`. The caller keeps it alive.
pub(crate) fn await_object(awaitable: *mut PyObject) -> impl Future<Output = Res> {
    Await {
        awaitable,
        stage: Stage::Fresh,
    }
}

struct Await {
    awaitable: *mut PyObject,
    stage: Stage,
}

enum Stage {
    Fresh,
    /// Suspended on a future of ours, without an iterator in between.
    Future(*mut CoroutineObject),
    /// Suspended in the iterator that the coroutine's `awaiting` owns.
    Iterator(*mut CoroutineObject),
    Done,
}

impl Future for Await {
    type Output = Res;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Res> {
        let turn = Turn::of(cx);
        let polled = match self.stage {
            Stage::Fresh => self.start(turn),
            Stage::Future(_) => self.future_resumed(turn),
            Stage::Iterator(object) => {
                // SAFETY: this leaf put the iterator there, and takes it away when it is done.
                let iterator = unsafe { (*object).awaiting };
                match turn.take_input() {
                    Some(Input::Throw(exception)) => throw(turn, iterator, exception),
                    Some(Input::Send(value)) => send(turn, iterator, value),
                    // SAFETY: None lives for ever.
                    None => send(turn, iterator, unsafe { ffi::Py_None() }),
                }
            }
            Stage::Done => unreachable!("polled after completion"),
        };
        if polled.is_ready() {
            self.leave();
        }
        polled
    }
}

impl Await {
    #[inline]
    fn start(&mut self, turn: &Turn) -> Poll<Res> {
        let object = turn.object();
        if let Some(native) = futures::as_exact(self.awaitable) {
            // SAFETY: the caller keeps the future alive.
            let future = unsafe {
                if FutureObject::is_done(native) {
                    return Poll::Ready(futures::state::result(native));
                }
                (*native).blocking = true;
                Ref::borrow(self.awaitable)
            };
            self.stage = Stage::Future(object);
            publish(object, future.clone());
            turn.yield_(future);
            return Poll::Pending;
        }
        let iterator = match awaitable_iterator(self.awaitable) {
            Ok(iterator) => iterator,
            Err(raised) => return Poll::Ready(Err(raised)),
        };
        let iterator_ptr = iterator.ptr();
        self.stage = Stage::Iterator(object);
        publish(object, iterator);
        // SAFETY: None lives for ever.
        send(turn, iterator_ptr, unsafe { ffi::Py_None() })
    }

    fn future_resumed(&self, turn: &Turn) -> Poll<Res> {
        if let Some(Input::Throw(exception)) = turn.take_input() {
            return Poll::Ready(Err(raise_instance(exception)));
        }
        Poll::Ready(match futures::is_done(self.awaitable) {
            Ok(true) => futures::result(self.awaitable),
            Ok(false) => Err(runtime_error("await wasn't used with future")),
            Err(raised) => Err(raised),
        })
    }

    /// Withdraws what was published. An exception may be pending: a destructor must not
    /// meet it.
    fn leave(&mut self) {
        let stage = core::mem::replace(&mut self.stage, Stage::Done);
        if let Stage::Future(object) | Stage::Iterator(object) = stage {
            // SAFETY: the body, and this leaf in it, lives inside the object. Destructors of
            // the interpreter's own types save a pending exception themselves.
            unsafe { set_slot(&raw mut (*object).awaiting, ptr::null_mut()) };
        }
    }
}

impl Drop for Await {
    fn drop(&mut self) {
        self.leave();
    }
}

fn publish(object: *mut CoroutineObject, awaited: Ref) {
    // SAFETY: the object is being polled, hence alive.
    unsafe { set_slot(&raw mut (*object).awaiting, awaited.into_ptr()) };
}

/// Coroutines that await each other nest on the C stack, by way of us.
#[inline]
fn nested() -> Res<Level> {
    Level::enter("resuming a coroutine")
}

/// `iterator.send(value)`
fn send(turn: &Turn, iterator: *mut PyObject, value: *mut PyObject) -> Poll<Res> {
    let _level = match nested() {
        Ok(level) => level,
        Err(raised) => return Poll::Ready(Err(raised)),
    };
    let mut result = ptr::null_mut();
    // SAFETY: all alive; the published reference keeps the iterator so.
    unsafe {
        match ffi::PyIter_Send(iterator, value, &mut result) {
            ffi::PySendResult::PYGEN_NEXT => {
                turn.yield_(Ref::own(result));
                Poll::Pending
            }
            ffi::PySendResult::PYGEN_RETURN => Poll::Ready(Ok(Ref::own(result))),
            ffi::PySendResult::PYGEN_ERROR => Poll::Ready(Err(Raised::set())),
        }
    }
}

/// Passes a thrown exception on to what is awaited, as `yield from` does.
#[cold]
fn throw(turn: &Turn, iterator: *mut PyObject, exception: Ref) -> Poll<Res> {
    let _level = match nested() {
        Ok(level) => level,
        Err(raised) => return Poll::Ready(Err(raised)),
    };
    // SAFETY: the published reference keeps the iterator alive; static exception classes.
    unsafe {
        let iterator = Ref::borrow(iterator);
        if ffi::PyErr_GivenExceptionMatches(exception.ptr(), ffi::PyExc_GeneratorExit) != 0 {
            // The body may not go on in the iterator after this, so it is closed first.
            let closed = match iterator.attr_opt(names().close) {
                Ok(Some(close)) => close.call0().map(drop),
                Ok(None) => Ok(()),
                Err(raised) => Err(raised),
            };
            return Poll::Ready(Err(match closed {
                Ok(()) => raise_instance(exception),
                Err(raised) => raised,
            }));
        }
        match iterator.attr_opt(names().throw_) {
            Ok(Some(_)) => {}
            Ok(None) => return Poll::Ready(Err(raise_instance(exception))),
            Err(raised) => return Poll::Ready(Err(raised)),
        }
        match call_method(iterator.ptr(), names().throw_, &[exception.ptr()]) {
            Ok(value) => {
                turn.yield_(value);
                Poll::Pending
            }
            Err(raised) if raised_matches(&raised, ffi::PyExc_StopIteration) => {
                let mut value = ptr::null_mut();
                if _PyGen_FetchStopIterationValue(&mut value) < 0 {
                    return Poll::Ready(Err(raised));
                }
                Poll::Ready(Ok(Ref::own(value)))
            }
            Err(raised) => Poll::Ready(Err(raised)),
        }
    }
}

/// What `await awaitable` iterates over.
fn awaitable_iterator(awaitable: *mut PyObject) -> Res {
    // SAFETY: the caller keeps the awaitable alive; slots get what they expect.
    unsafe {
        if is_interpreters_coroutine(awaitable)? {
            return Ok(Ref::borrow(awaitable));
        }
        let kind = ffi::Py_TYPE(awaitable);
        let methods = (*kind).tp_as_async;
        let Some(am_await) = methods.as_ref().and_then(|methods| methods.am_await) else {
            let name = type_name(awaitable);
            return Err(type_error(&if cfg!(Py_3_14) {
                format!("'{name}' object can't be awaited")
            } else {
                format!("object {name} can't be used in 'await' expression")
            }));
        };
        let iterator = Ref::checked(am_await(awaitable))?;
        if is_interpreters_coroutine(iterator.ptr())? {
            return Err(type_error(&if cfg!(Py_3_15) {
                let name = full_type_name(awaitable)?;
                format!("{name}.__await__() must return an iterator, not coroutine")
            } else {
                "__await__() returned a coroutine".to_owned()
            }));
        }
        if ffi::PyIter_Check(iterator.ptr()) == 0 {
            let got = type_name(iterator.ptr());
            return Err(type_error(&if cfg!(Py_3_15) {
                let name = full_type_name(awaitable)?;
                format!("{name}.__await__() must return an iterator, not {got}")
            } else {
                format!("__await__() returned non-iterator of type '{got}'")
            }));
        }
        Ok(iterator)
    }
}

/// Whether `await` drives the object itself: an `async def` coroutine that nobody else
/// awaits, or a generator made by `types.coroutine`.
fn is_interpreters_coroutine(object: *mut PyObject) -> Res<bool> {
    const CO_ITERABLE_COROUTINE: i64 = 0x100;
    // SAFETY: alive; the types are static.
    unsafe {
        let kind = ffi::Py_TYPE(object);
        if ptr::eq(kind, &raw mut ffi::PyCoro_Type) {
            if !Ref::borrow(object).attr(names().cr_await)?.is_none() {
                return Err(runtime_error("coroutine is being awaited already"));
            }
            return Ok(true);
        }
        if ptr::eq(kind, &raw mut ffi::PyGen_Type) {
            let code = Ref::borrow(object).attr(names().gi_code)?;
            let flags = code.attr(names().co_flags)?;
            return Ok(ffi::PyLong_AsLongLong(flags.ptr()) & CO_ITERABLE_COROUTINE != 0);
        }
        Ok(false)
    }
}
