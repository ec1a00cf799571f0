//! `_add_reader`, `_add_writer` and their removal: callbacks on descriptors.

use core::ffi::c_int;

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::Job;

use super::core::{LoopCore, os_error};
use super::methods::core_of;
use crate::args::Signature;
use crate::boundary;
use crate::handles;
use crate::jobs;
use crate::object::{Raised, Ref, Res, repr, take_raised, value_error};
use crate::sockets;

#[derive(Clone, Copy)]
enum Side {
    Reader,
    Writer,
}

const fn add_signature(name: &'static str) -> Signature {
    Signature::required(name, &["fd", "callback"])
        .varargs()
        .keywords(&["context"])
}

static ADD_READER: Signature = add_signature("_add_reader");
static ADD_WRITER: Signature = add_signature("_add_writer");

unsafe fn add(
    slf: *mut PyObject,
    side: Side,
    parsed: ([*mut PyObject; 3], &[*mut PyObject]),
) -> Res {
    // SAFETY: a live instance and live arguments, says the caller.
    unsafe {
        let core = core_of(slf)?;
        let ([fd, callback, context], args) = parsed;
        core.check_closed()?;
        let fd = descriptor(fd)?;
        let handle = handles::new_repeating(core, Ref::borrow(callback), args, context)?;
        let job = jobs::handle(handle.clone());
        let replaced = match side {
            Side::Reader => core.engine().set_reader(fd, job),
            Side::Writer => core.engine().set_writer(fd, job),
        };
        forget_watcher(replaced.map_err(|error| os_error(&error))?)?;
        Ok(handle)
    }
}

/// A number, or what `fileno()` answers, with the errors of the `selectors` module.
fn descriptor(fd: *mut PyObject) -> Res<c_int> {
    // SAFETY: `fd` is alive; a pending error is replaced or left alone.
    unsafe {
        if ffi::PyLong_Check(fd) == 0 {
            let number = ffi::PyObject_AsFileDescriptor(fd);
            if number >= 0 {
                return Ok(number);
            }
            drop(take_raised(Raised::set()));
            return Err(value_error(&format!("Invalid file object: {}", repr(fd)?)));
        }
        let number = ffi::PyLong_AsLong(fd);
        if number == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised::set());
        }
        match c_int::try_from(number) {
            Ok(number) if number >= 0 => Ok(number),
            _ => Err(value_error(&format!("Invalid file descriptor: {number}"))),
        }
    }
}

/// A handle that is taken off its descriptor must not run any more, even if it is queued. What
/// else is watched for (transports) knows by itself whether it has something to do.
pub(crate) fn forget_watcher(job: Option<Job>) -> Res<()> {
    match job {
        // SAFETY: the job is a handle, and keeps it alive.
        Some(job) if jobs::is_handle(&job) => unsafe { handles::cancel(job.data().cast()) },
        _ => Ok(()),
    }
}

unsafe fn remove(slf: *mut PyObject, side: Side, fd: *mut PyObject) -> Res {
    // SAFETY: a live instance, says the caller.
    let core = unsafe { core_of(slf)? };
    if core.engine().is_closed() {
        return Ok(Ref::bool(false));
    }
    let removed = core.remove_watcher(side, descriptor(fd)?);
    // What has stayed of a `sock_recv` is nobody's business.
    let found = removed
        .as_ref()
        .is_some_and(|job| !sockets::is_idle_watch(job));
    forget_watcher(removed)?;
    Ok(Ref::bool(found))
}

impl LoopCore {
    fn remove_watcher(&self, side: Side, fd: c_int) -> Option<Job> {
        match side {
            Side::Reader => self.engine().remove_reader(fd),
            Side::Writer => self.engine().remove_writer(fd),
        }
    }
}

vectorcall!(add_reader, |slf, ADD_READER given, rest| add(slf, Side::Reader, (given, rest)));

vectorcall!(add_writer, |slf, ADD_WRITER given, rest| add(slf, Side::Writer, (given, rest)));

pub(super) unsafe extern "C" fn remove_reader(
    slf: *mut PyObject,
    fd: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: live objects.
    boundary::object(|| unsafe { remove(slf, Side::Reader, fd) })
}

pub(super) unsafe extern "C" fn remove_writer(
    slf: *mut PyObject,
    fd: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: live objects.
    boundary::object(|| unsafe { remove(slf, Side::Writer, fd) })
}

/// `_interest(fd)`: what a descriptor is watched for, as a sum of `selectors`' constants.
pub(super) unsafe extern "C" fn interest(slf: *mut PyObject, fd: *mut PyObject) -> *mut PyObject {
    const EVENT_READ: i64 = 1;
    const EVENT_WRITE: i64 = 2;
    boundary::object(|| {
        // SAFETY: live objects.
        let core = unsafe { core_of(slf)? };
        let (read, write) = core.engine().watched(descriptor(fd)?);
        Ref::int(i64::from(read) * EVENT_READ + i64::from(write) * EVENT_WRITE)
    })
}
