//! A new transport: whether its pipe is one, and how the protocol comes to know of it.

use core::ffi::c_int;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use super::super::making::{announce, given};
use super::super::object::{Kind, TransportObject};
use super::descriptor::{self, Pipe};
use crate::args::Signature;
use crate::boundary;
use crate::event_loop;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, counts, runtime_error, set_slot, type_error, value_error,
};

static READ_INIT: Signature = Signature::required(
    "_UnixReadPipeTransport.__init__",
    &["loop", "pipe", "protocol"],
)
.optional(&["waiter", "extra"]);
static WRITE_INIT: Signature = Signature::required(
    "_UnixWritePipeTransport.__init__",
    &["loop", "pipe", "protocol"],
)
.optional(&["waiter", "extra"]);

/// `__init__(loop, pipe, protocol, waiter=None, extra=None)` of a pipe that is read.
pub(super) unsafe extern "C" fn read_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: a live instance; the slots' contract.
    boundary::status(|| unsafe {
        let given = READ_INIT.parse_tuple::<5>(args, kwargs)?;
        let what = "Pipe transport is for pipes/sockets only.";
        start(slf.cast(), given, Kind::ReadPipe, what)
    })
}

/// The same of one that is written to.
pub(super) unsafe extern "C" fn write_init(
    slf: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: a live instance; the slots' contract.
    boundary::status(|| unsafe {
        let given = WRITE_INIT.parse_tuple::<5>(args, kwargs)?;
        let what = "Pipe transport is only for pipes, sockets and character devices";
        start(slf.cast(), given, Kind::WritePipe, what)
    })
}

unsafe fn start(
    this: *mut TransportObject,
    [loop_, pipe, protocol, waiter, extra]: [*mut PyObject; 5],
    kind: Kind,
    refusal: &str,
) -> Res<()> {
    // SAFETY: all alive or NULL, says the caller.
    unsafe {
        if !(*this).loop_.is_null() {
            return Err(runtime_error("the transport is initialised already"));
        }
        let extra = match Ref::borrow_opt(given(extra)) {
            Some(extra) => extra,
            None => Ref::dict()?,
        };
        set_slot(&raw mut (*this).extra, extra.clone().into_ptr());
        let held = Ref::borrow(pipe);
        check(ffi::PyObject_SetItem(extra.ptr(), names().pipe, pipe))?;
        let fd = number(&held)?;
        (*this).kind = kind;
        (*this).fd = fd;
        let Some(found) = Pipe(fd)
            .kind()
            .map_err(|error| event_loop::os_error(&error))?
        else {
            (*this).fd = -1;
            return Err(value_error(refusal));
        };
        // From here on the pipe is the transport's, which closes it.
        set_slot(&raw mut (*this).loop_, counts::new_ref(loop_));
        set_slot(&raw mut (*this).sock, held.into_ptr());
        set_slot(&raw mut (*this).protocol, counts::new_ref(protocol));
        (*this).protocol_connected = true;
        Pipe(fd)
            .set_nonblocking()
            .map_err(|error| event_loop::os_error(&error))?;
        let watched = kind == Kind::ReadPipe || found != descriptor::Kind::Device;
        announce(this, given(waiter), watched)
    }
}

/// `pipe.fileno()`
fn number(pipe: &Ref) -> Res<c_int> {
    let number = pipe.call_method(names().fileno, &[])?;
    // SAFETY: alive; -1 without an error is the number -1.
    unsafe {
        if ffi::PyLong_Check(number.ptr()) == 0 {
            return Err(type_error("fileno() returned a non-integer"));
        }
        let value = ffi::PyLong_AsLong(number.ptr());
        if value == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised::set());
        }
        // What is no descriptor's number gets the system's error.
        Ok(c_int::try_from(value).unwrap_or(-1))
    }
}

/// `set_protocol(protocol)`
pub(super) unsafe fn set_protocol(this: *mut TransportObject, protocol: *mut PyObject) {
    // SAFETY: both alive, says the caller.
    unsafe {
        let none = ptr::eq(protocol, ffi::Py_None());
        let protocol = if none {
            ptr::null_mut()
        } else {
            counts::new_ref(protocol)
        };
        set_slot(&raw mut (*this).protocol, protocol);
    }
}
