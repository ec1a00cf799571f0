//! The reader: what feeds it, what it asks of its transport, and its life as an object.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::streams::reader::{DEFAULT_LIMIT, ReaderState};
use rasyncio_engine::fetch;

use super::piece::Piece;
use crate::boundary;
use crate::direct::Direct;
use crate::futures;
use crate::global::Global;
use crate::names::names;
use crate::object::{Raised, Ref, Res, counts, raise, raised_matches, set_slot, take_raised};
use crate::transports::{self, Pulled};
use crate::types::free_instance;

/// Waiters are futures, exceptions are instances.
pub(super) type State = ReaderState<Piece, Ref, Ref>;

/// A reader's C layout. All pointers are owned and nullable; the state keeps no borrow while
/// Python code runs.
#[repr(C)]
pub(super) struct ReaderObject {
    ob_base: PyObject,
    /// NULL until `__init__`.
    pub(super) loop_: *mut PyObject,
    pub(super) transport: *mut PyObject,
    /// A method of the object was replaced that others of ours call directly.
    altered: bool,
    /// Where the coroutine was that waits, to fetch it ahead.
    pub(super) sleeper: *const (),
    /// Written by `__new__`, dropped by dealloc only; `__init__` replaces it, for its limit.
    state: State,
}

impl ReaderObject {
    /// The state. It is part of the object: the caller keeps that alive.
    #[inline]
    pub(super) unsafe fn state<'a>(this: *mut ReaderObject) -> &'a State {
        // SAFETY: written by `__new__`; all its methods take `&self`.
        unsafe { &(*this).state }
    }

    /// `__init__`'s work.
    pub(super) unsafe fn start(this: *mut ReaderObject, limit: usize, loop_: *mut PyObject) {
        // SAFETY: alive, says the caller; what is replaced is dropped when it is out of reach.
        unsafe {
            let old = ptr::replace(&raw mut (*this).state, ReaderState::new(limit));
            set_slot(&raw mut (*this).loop_, counts::new_ref(loop_));
            set_slot(&raw mut (*this).transport, ptr::null_mut());
            drop(old);
        }
    }
}

static CLASS: Global<*mut PyTypeObject> = Global::new();

static DIRECT: Direct = Direct::new();

/// The methods that others of ours call directly.
fn direct_methods() -> [*mut PyObject; 3] {
    [names().feed_data, names().feed_eof, names().exception]
}

/// A reader whose methods may be called directly.
#[inline]
pub(super) unsafe fn as_direct(object: *mut PyObject) -> Option<*mut ReaderObject> {
    // SAFETY: alive, says the caller; an instance of our class has our layout.
    unsafe {
        if !DIRECT.has(object, *CLASS.get(), direct_methods) {
            return None;
        }
        let this = object.cast::<ReaderObject>();
        (!(*this).altered).then_some(this)
    }
}

pub(super) unsafe extern "C" fn setattro(
    slf: *mut PyObject,
    name: *mut PyObject,
    value: *mut PyObject,
) -> c_int {
    // SAFETY: the interpreter passes an instance, a str, and a value or NULL.
    unsafe {
        if direct_methods().contains(&name) {
            (*slf.cast::<ReaderObject>()).altered = true;
        }
        ffi::PyObject_GenericSetAttr(slf, name, value)
    }
}

/// Says which class it is; called once by the module's initialisation.
pub(super) unsafe fn init(class: *mut PyTypeObject) {
    // SAFETY: called once, before any reader, says the caller.
    unsafe { CLASS.set(class) };
}

/// `reader.feed_data(data)`
pub(super) unsafe fn feed_data(this: *mut ReaderObject, data: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        let state = ReaderObject::state(this);
        if state.is_eof() {
            return Err(raise(ffi::PyExc_AssertionError, "feed_data after feed_eof"));
        }
        if !Ref::borrow(data).truth()? {
            return Ok(());
        }
        let fed = state.feed(Piece::of(data)?);
        if let Some(waiter) = fed.wake {
            futures::set_result_unless_cancelled(waiter.ptr(), ffi::Py_None())?;
        }
        if fed.pause { pause(this) } else { Ok(()) }
    }
}

/// Makes the transport pause reading. One that cannot is forgotten, so that it is not asked again.
unsafe fn pause(this: *mut ReaderObject) -> Res<()> {
    // SAFETY: alive, says the caller; the transport is held over the call.
    unsafe {
        let transport = Ref::borrow_opt((*this).transport).unwrap_or_else(Ref::none);
        match transport.call_method(names().pause_reading, &[]) {
            Ok(_) => Ok(()),
            Err(raised) => {
                ReaderObject::state(this).cannot_pause();
                if !raised_matches(&raised, ffi::PyExc_NotImplementedError) {
                    // It may be able to another time.
                    ReaderObject::state(this).can_pause();
                    return Err(raised);
                }
                drop(take_raised(raised));
                set_slot(&raw mut (*this).transport, ptr::null_mut());
                Ok(())
            }
        }
    }
}

/// Makes the transport read on.
pub(super) unsafe fn resume(this: *mut ReaderObject) -> Res<()> {
    // SAFETY: alive, says the caller; the transport is held over the call.
    unsafe {
        let transport = Ref::borrow_opt((*this).transport).unwrap_or_else(Ref::none);
        transport.call_method(names().resume_reading, &[]).map(drop)
    }
}

/// `reader._maybe_resume_transport()`
#[inline]
pub(super) unsafe fn taken(this: *mut ReaderObject) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        let state = ReaderObject::state(this);
        if state.taken() {
            resume(this)
        } else if state.overflows() {
            pause(this)
        } else {
            Ok(())
        }
    }
}

/// Something has come on a transport: wakes who waits to receive it. False if nobody does, or not
/// from there.
#[inline]
pub(super) unsafe fn wake_puller(this: *mut ReaderObject, transport: *mut PyObject) -> Res<bool> {
    // SAFETY: both alive, says the caller.
    unsafe {
        if !ptr::eq((*this).transport, transport) {
            return Ok(false);
        }
        let Some(waiter) = ReaderObject::state(this).take_puller() else {
            return Ok(false);
        };
        if futures::is_done(waiter.ptr())? {
            return Ok(false);
        }
        fetch::<4>((*this).sleeper);
        futures::set_result(waiter.ptr(), ffi::Py_None())?;
        Ok(true)
    }
}

/// Receives what a reader was woken for, if that is still left unread. False if it is not.
#[inline]
pub(super) unsafe fn pull(this: *mut ReaderObject) -> Res<bool> {
    // SAFETY: alive, says the caller; the transport is held over the call.
    unsafe {
        let Some(transport) = Ref::borrow_opt((*this).transport) else {
            return Ok(false);
        };
        match transports::pull(transport.ptr())? {
            Pulled::Data(data) => ReaderObject::state(this).put(Piece::received(data)),
            Pulled::Other => {}
            Pulled::NothingLeft => return Ok(false),
        }
        Ok(true)
    }
}

/// Has the transport read what was left unread: somebody else than the one who was woken looks, or
/// that one has given up.
pub(super) unsafe fn settle(this: *mut ReaderObject) -> Res<()> {
    // SAFETY: alive, says the caller; the transport is held over the call.
    unsafe {
        match Ref::borrow_opt((*this).transport) {
            Some(transport) => transports::settle_object(transport.ptr()),
            None => Ok(()),
        }
    }
}

/// `reader.feed_eof()`
pub(super) unsafe fn feed_eof(this: *mut ReaderObject) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        match ReaderObject::state(this).feed_eof() {
            Some(waiter) => futures::set_result_unless_cancelled(waiter.ptr(), ffi::Py_None()),
            None => Ok(()),
        }
    }
}

/// `reader.set_exception(exception)`
pub(super) unsafe fn set_exception(this: *mut ReaderObject, exception: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        match ReaderObject::state(this).set_exception(Ref::borrow(exception)) {
            Some(waiter) if !futures::is_done(waiter.ptr())? => {
                futures::set_exception(waiter.ptr(), exception)
            }
            _ => Ok(()),
        }
    }
}

/// `reader._transport = transport`
pub(super) unsafe fn set_transport(this: *mut ReaderObject, transport: *mut PyObject) {
    // SAFETY: both alive, says the caller; NULL and None are none.
    unsafe {
        if transport.is_null() || ptr::eq(transport, ffi::Py_None()) {
            set_slot(&raw mut (*this).transport, ptr::null_mut());
            ReaderObject::state(this).cannot_pause();
        } else {
            set_slot(&raw mut (*this).transport, counts::new_ref(transport));
            ReaderObject::state(this).can_pause();
        }
    }
}

/// Takes bytes out: as the object in which they came, if they are just that.
#[inline]
pub(super) unsafe fn take(this: *mut ReaderObject, count: usize) -> Res {
    // SAFETY: alive, says the caller; a fresh bytes object is ours until it is filled, and exactly
    // as many bytes are copied as it has room for.
    unsafe {
        let state = ReaderObject::state(this);
        if let Some(piece) = state.take_whole(count) {
            return Ok(piece.into_bytes());
        }
        let fresh = ffi::PyBytes_FromStringAndSize(ptr::null(), count as ffi::Py_ssize_t);
        let bytes = Ref::checked(fresh)?;
        if count > 0 {
            let mut at = ffi::PyBytes_AS_STRING(bytes.ptr()).cast_mut().cast::<u8>();
            let mut room = count;
            state.take(count, |slice| {
                let length = slice.len().min(room);
                ptr::copy_nonoverlapping(slice.as_ptr(), at, length);
                at = at.add(length);
                room -= length;
            });
            ptr::write_bytes(at, 0, room);
        }
        Ok(bytes)
    }
}

pub(super) unsafe extern "C" fn tp_new(
    class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: tp_alloc gives zeroed memory of the class's size.
        unsafe {
            let alloc = (*class).tp_alloc.unwrap_or(ffi::PyType_GenericAlloc);
            let made = Ref::checked(alloc(class, 0))?;
            let this = made.ptr().cast::<ReaderObject>();
            ptr::addr_of_mut!((*this).state).write(ReaderState::new(DEFAULT_LIMIT));
            Ok(made)
        }
    })
}

pub(super) unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let this = slf.cast::<ReaderObject>();
    // SAFETY: called by the collector on a live instance. Pieces are plain bytes, which refer to
    // nothing.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*this).loop_, visit, arg);
        visit_opt!((*this).transport, visit, arg);
        let state = ReaderObject::state(this);
        let of = |held: Option<&Ref>| held.map_or(ptr::null_mut(), Ref::ptr);
        visit_opt!(state.with_waiter(of), visit, arg);
        visit_opt!(state.with_exception(of), visit, arg);
    }
    0
}

pub(super) unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        let this = slf.cast::<ReaderObject>();
        // SAFETY: called by the collector on a live instance, or by dealloc.
        unsafe {
            let old = ptr::replace(&raw mut (*this).state, ReaderState::new(DEFAULT_LIMIT));
            set_slot(&raw mut (*this).loop_, ptr::null_mut());
            set_slot(&raw mut (*this).transport, ptr::null_mut());
            drop(old);
        }
    });
    0
}

pub(super) unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its fields go.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        clear(slf);
        ptr::drop_in_place(&raw mut (*slf.cast::<ReaderObject>()).state);
        free_instance(slf);
    }
}

/// `raise exception` for what a connection has failed with: a class or an instance.
#[cold]
pub(super) fn raise_failure(exception: Ref) -> Raised {
    // SAFETY: alive.
    unsafe {
        if ffi::PyExceptionClass_Check(exception.ptr()) != 0 {
            ffi::PyErr_SetNone(exception.ptr());
            return Raised::set();
        }
    }
    crate::object::raise_object(exception)
}
