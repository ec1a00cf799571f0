//! The layout of the protocol, and its life as an object.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::tls::TlsState;

use crate::boundary;
use crate::global::Global;
use crate::object::{Raised, Ref, Res, set_slot, type_error};
use crate::timer::Timer;
use crate::transports::bytes_of;
use crate::types::free_instance;

/// What the application has written and the session has not taken: `bytes`, and where what is left
/// begins.
pub(super) struct Plain {
    pub(super) bytes: Ref,
    pub(super) from: usize,
}

impl Plain {
    /// A piece of any bytes-like object, and its length. All but `bytes` are copied, since a
    /// program may use its buffer for something else as soon as `write` returns.
    pub(super) fn of(data: *mut PyObject) -> Res<(Plain, usize)> {
        // SAFETY: alive, says the caller.
        unsafe {
            let bytes = if ffi::PyBytes_CheckExact(data) != 0 {
                Ref::borrow(data)
            } else if ffi::PyObject_CheckBuffer(data) != 0 {
                Ref::checked(ffi::PyBytes_FromObject(data))?
            } else {
                return Err(type_error(&format!(
                    "a bytes-like object is required, not '{}'",
                    crate::object::type_name(data)
                )));
            };
            let len = bytes_of(bytes.ptr()).len();
            Ok((Plain { bytes, from: 0 }, len))
        }
    }
}

/// A protocol's C layout. All pointers are owned and nullable. No Rust reference to the struct is
/// kept across a call that may run Python code; the state has `&self` methods and keeps no borrow
/// over one.
#[repr(C)]
pub(crate) struct TlsObject {
    ob_base: PyObject,
    /// NULL before `__init__`.
    pub(super) loop_: *mut PyObject,
    /// What `get_extra_info` answers by itself: a dict.
    pub(super) extra: *mut PyObject,
    /// The future of whoever waits for the connection.
    pub(super) waiter: *mut PyObject,
    /// The application's protocol. It, and the two transports, are NULL once the link is lost.
    pub(super) app: *mut PyObject,
    pub(super) app_transport: *mut PyObject,
    /// The transport below.
    pub(super) link: *mut PyObject,
    /// The two `ssl.MemoryBIO` between the session and the link.
    pub(super) incoming: *mut PyObject,
    pub(super) outgoing: *mut PyObject,
    /// The `ssl.SSLObject`.
    pub(super) sslobj: *mut PyObject,
    /// Whose `read` and `write` are called: the object in the SSLObject that does the work, or,
    /// where that is of a program's own class, itself.
    pub(super) worker: *mut PyObject,
    pub(super) handshake_timeout: *mut PyObject,
    pub(super) shutdown_timeout: *mut PyObject,
    /// Handles of the timers, on a loop that gives some.
    pub(super) handshake_handle: *mut PyObject,
    pub(super) shutdown_handle: *mut PyObject,
    /// What `get_buffer` has given to a transport below that is not ours.
    pub(super) buffer: *mut PyObject,
    pub(super) handshake_timer: Cell<Option<Timer>>,
    pub(super) shutdown_timer: Cell<Option<Timer>>,
    /// `worker` and the two in memory are of the `ssl` module's own classes.
    pub(super) known: bool,
    pub(super) server_side: bool,
    /// The application's protocol is a BufferedProtocol.
    pub(super) app_is_buffered: bool,
    /// The session may have decrypted more than was taken from it.
    pub(super) holds_rest: Cell<bool>,
    /// How much is in `incoming`, where that is known.
    pub(super) incoming_len: Cell<Option<usize>>,
    /// Nothing is in `outgoing`, for sure.
    pub(super) outgoing_empty: Cell<bool>,
    /// Written by `__new__`, dropped by dealloc only.
    pub(super) state: TlsState<Plain>,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// Notes the class. To be called once, by the module's initialisation.
pub(super) unsafe fn set_type(class: *mut PyTypeObject) {
    // SAFETY: no reader yet, says the caller.
    unsafe { TYPE.set(class) };
}

/// The struct of a protocol of ours.
pub(crate) fn is_protocol(object: *mut PyObject) -> bool {
    // SAFETY: any live object may be asked for its type.
    unsafe { ffi::PyType_IsSubtype(ffi::Py_TYPE(object), *TYPE.get()) != 0 }
}

impl TlsObject {
    /// The state. It is part of the object: the caller keeps that alive.
    #[inline]
    pub(super) unsafe fn state<'a>(this: *mut TlsObject) -> &'a TlsState<Plain> {
        // SAFETY: written by `__new__`; all its methods take `&self`.
        unsafe { &(*this).state }
    }

    unsafe fn slots(this: *mut TlsObject) -> [*mut *mut PyObject; 15] {
        // SAFETY: addresses of fields of a live object.
        unsafe {
            [
                &raw mut (*this).loop_,
                &raw mut (*this).extra,
                &raw mut (*this).waiter,
                &raw mut (*this).app,
                &raw mut (*this).app_transport,
                &raw mut (*this).link,
                &raw mut (*this).incoming,
                &raw mut (*this).outgoing,
                &raw mut (*this).sslobj,
                &raw mut (*this).worker,
                &raw mut (*this).handshake_timeout,
                &raw mut (*this).shutdown_timeout,
                &raw mut (*this).handshake_handle,
                &raw mut (*this).shutdown_handle,
                &raw mut (*this).buffer,
            ]
        }
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
            let this = made.ptr().cast::<TlsObject>();
            ptr::addr_of_mut!((*this).state).write(TlsState::new());
            ptr::addr_of_mut!((*this).handshake_timer).write(Cell::new(None));
            ptr::addr_of_mut!((*this).shutdown_timer).write(Cell::new(None));
            ptr::addr_of_mut!((*this).incoming_len).write(Cell::new(None));
            Ok(made)
        }
    })
}

pub(super) unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let this = slf.cast::<TlsObject>();
    // SAFETY: called by the collector on a live instance. What waits to be written is `bytes`,
    // which lead nowhere.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        for slot in TlsObject::slots(this) {
            visit_opt!(*slot, visit, arg);
        }
    }
    0
}

pub(super) unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        let this = slf.cast::<TlsObject>();
        // SAFETY: called by the collector on a live instance, or by dealloc.
        unsafe {
            drop(TlsObject::state(this).clear());
            for slot in TlsObject::slots(this) {
                set_slot(slot, ptr::null_mut());
            }
        }
    });
    0
}

pub(super) unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its fields go.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        clear(slf);
        ptr::drop_in_place(&raw mut (*slf.cast::<TlsObject>()).state);
        free_instance(slf);
    }
}

/// The result of a call that answers an `int` of at least 0.
#[inline]
pub(super) fn as_size(number: &Ref) -> Res<usize> {
    // SAFETY: alive; an error is told from a number by the indicator.
    match unsafe { ffi::PyLong_AsSsize_t(number.ptr()) } {
        -1 => Err(Raised::set()),
        size => Ok(size.max(0) as usize),
    }
}
