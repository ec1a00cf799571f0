//! `_add_reader`, `_add_writer` and their removal: callbacks on descriptors.

use core::cell::RefCell;
use core::ffi::c_int;
use std::collections::BTreeMap;

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::Job;

use super::core::{LoopCore, os_error};
use super::methods::core_of;
use crate::args::Signature;
use crate::boundary;
use crate::handles;
use crate::jobs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, raised_matches, repr, take_raised, value_error};
use crate::sockets;

/// The objects that were given as descriptors and are watched: asyncio keeps them alive, and finds them
/// when they are closed and have no number any more.
pub(super) struct Watched(RefCell<BTreeMap<c_int, Ref>>);

impl Watched {
    pub(super) const fn new() -> Watched {
        Watched(RefCell::new(BTreeMap::new()))
    }

    fn keep(&self, fd: c_int, object: *mut PyObject) {
        // SAFETY: alive, says whoever passes an object.
        let object = unsafe { Ref::borrow(object) };
        let old = self.0.borrow_mut().insert(fd, object);
        drop(old);
    }

    fn forget(&self, fd: c_int) {
        let old = self.0.borrow_mut().remove(&fd);
        drop(old);
    }

    fn number_of(&self, object: *mut PyObject) -> Option<c_int> {
        let objects = self.0.borrow();
        objects
            .iter()
            .find_map(|(&fd, held)| held.is(object).then_some(fd))
    }

    /// For the collector: `visit` must not call back.
    pub(super) fn for_each(&self, mut visit: impl FnMut(*mut PyObject)) {
        self.0.borrow().values().for_each(|held| visit(held.ptr()));
    }

    pub(super) fn clear(&self) {
        drop(self.0.take());
    }
}

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
        let object = fd;
        let fd = descriptor(object)?;
        let handle = handles::new_repeating(core, Ref::borrow(callback), args, context)?;
        let job = jobs::handle(handle.clone());
        let replaced = match side {
            Side::Reader => core.engine().set_reader(fd, job),
            Side::Writer => core.engine().set_writer(fd, job),
        };
        let replaced = replaced.map_err(|error| os_error(&error))?;
        if ffi::PyLong_Check(object) == 0 {
            core.watched().keep(fd, object);
        }
        forget_watcher(replaced)?;
        Ok(handle)
    }
}

/// A number, or what `int(fd.fileno())` is, with the errors of the `selectors` module.
fn descriptor(fd: *mut PyObject) -> Res<c_int> {
    // SAFETY: `fd` is alive.
    let given = unsafe { Ref::borrow(fd) };
    // SAFETY: as above.
    let number = if unsafe { ffi::PyLong_Check(fd) } != 0 {
        given
    } else {
        asked(&given)?
    };
    // SAFETY: an int.
    let number = unsafe { ffi::PyLong_AsLong(number.ptr()) };
    // SAFETY: attached.
    if number == -1 && unsafe { !ffi::PyErr_Occurred().is_null() } {
        return Err(Raised::set());
    }
    match c_int::try_from(number) {
        Ok(number) if number >= 0 => Ok(number),
        _ => Err(value_error(&format!("Invalid file descriptor: {number}"))),
    }
}

fn asked(object: &Ref) -> Res {
    let answer = object.call_method(names().fileno, &[]).and_then(|answer| {
        // SAFETY: an object, as everything that was answered.
        unsafe { Ref::checked(ffi::PyNumber_Long(answer.ptr())) }
    });
    answer.or_else(|raised| {
        // SAFETY: static exception classes.
        let classes = unsafe {
            [
                ffi::PyExc_AttributeError,
                ffi::PyExc_TypeError,
                ffi::PyExc_ValueError,
            ]
        };
        if !classes.iter().any(|&class| raised_matches(&raised, class)) {
            return Err(raised);
        }
        drop(take_raised(raised));
        let text = repr(object.ptr())?;
        Err(value_error(&format!("Invalid file object: {text}")))
    })
}

/// The same for what is watched already, which may be closed by now.
fn known_descriptor(core: &LoopCore, fd: *mut PyObject) -> Res<c_int> {
    descriptor(fd).or_else(|raised| {
        // SAFETY: a static exception class.
        if raised_matches(&raised, unsafe { ffi::PyExc_ValueError })
            && let Some(number) = core.watched().number_of(fd)
        {
            drop(take_raised(raised));
            return Ok(number);
        }
        Err(raised)
    })
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
    let fd = known_descriptor(core, fd)?;
    let removed = core.remove_watcher(side, fd);
    if core.engine().watched(fd) == (false, false) {
        core.watched().forget(fd);
    }
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
