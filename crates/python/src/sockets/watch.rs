//! Who waits for a socket to be readable.

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio_engine::Job;

use super::recv::{recv, recv_into};
use super::{LOOP, SOCKET, SockSlots, WAITER, WATCH};
use crate::boundary;
use crate::coroutine::{await_future, finally};
use crate::event_loop::{self, LoopCore};
use crate::futures;
use crate::global::Global;
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, runtime_error, set_slot, take_raised, take_slot};
use crate::transports::{Fd, NOTABLE, plain_descriptor};
use crate::types::{TypeBuilder, free_instance};

/// Who waits for a socket to be readable, and what for.
#[repr(C)]
pub(crate) struct SocketWatch {
    ob_base: PyObject,
    /// A weak reference.
    socket: *mut PyObject,
    /// The future that a coroutine awaits; NULL when nobody waits.
    waiter: *mut PyObject,
    /// What to fill, for `sock_recv_into`; NULL for `sock_recv`.
    buffer: *mut PyObject,
    loop_: *mut PyObject,
    fd: c_int,
    most: usize,
    last: Cell<usize>,
}

static CLASS: Global<*mut PyTypeObject> = Global::new();

/// Waits until the job of the watch has read.
pub(super) async unsafe fn wait(
    slots: SockSlots,
    core: &'static LoopCore,
    fd: Fd,
    buffer: *mut PyObject,
    most: usize,
) -> Res {
    // SAFETY: alive, says the caller; the slots keep the watch and the waiter alive.
    unsafe {
        let watch = slots.set(WATCH, watched(core, fd, slots.get(SOCKET))?);
        let watch = watch.cast::<SocketWatch>();
        let waiter = slots.set(WAITER, futures::new_future(slots.get(LOOP))?);
        (*watch).most = most;
        let held = if buffer.is_null() {
            buffer
        } else {
            ffi::Py_NewRef(buffer)
        };
        set_slot(&raw mut (*watch).buffer, held);
        set_slot(&raw mut (*watch).waiter, ffi::Py_NewRef(waiter));
        let read = await_future(waiter).await;
        finally(read, || {
            // Somebody else may have begun to wait in our place.
            if ptr::eq((*watch).waiter, waiter) {
                set_slot(&raw mut (*watch).waiter, ptr::null_mut());
                set_slot(&raw mut (*watch).buffer, ptr::null_mut());
            }
            Ok(())
        })
    }
}

/// The watch of a socket: the one that has stayed, or a new one.
unsafe fn watched(core: &LoopCore, fd: Fd, sock: *mut PyObject) -> Res {
    core.check_closed()?;
    // SAFETY: all alive, says the caller.
    unsafe {
        let stayed = core.engine().with_reader(fd.0, |job| {
            jobs::is_socket_watch(job).then(|| Ref::borrow(job.data().cast()))
        });
        if let Some(Some(stayed)) = stayed {
            let reference = Ref::borrow((*stayed.ptr().cast::<SocketWatch>()).socket);
            if reference.call0()?.is(sock) {
                return Ok(stayed);
            }
        }
        let owner = Ref::borrow(core.owner());
        owner.call_method(names()._ensure_fd_no_transport, &[sock])?;
        let made = Ref::checked(ffi::PyType_GenericAlloc(*CLASS.get(), 0))?;
        let this = made.ptr().cast::<SocketWatch>();
        (*this).socket = Ref::checked(ffi::PyWeakref_NewRef(sock, ptr::null_mut()))?.into_ptr();
        (*this).loop_ = owner.into_ptr();
        (*this).fd = fd.0;
        let replaced = core
            .engine()
            .set_reader(fd.0, jobs::socket_readable(made.clone()));
        event_loop::forget_watcher(replaced.map_err(|error| event_loop::os_error(&error))?)?;
        Ok(made)
    }
}

/// The job of a watch: reads for who waits.
pub(crate) unsafe fn readable(this: *mut SocketWatch) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        let Some(waiter) = Ref::borrow_opt((*this).waiter) else {
            return stop(this);
        };
        if futures::is_done(waiter.ptr())? {
            return stop(this);
        }
        let outcome = (|| {
            let sock = Ref::borrow((*this).socket).call0()?;
            let Some(fd) = (!sock.is_none())
                .then(|| plain_descriptor(sock.ptr()))
                .flatten()
            else {
                return Err(runtime_error("the socket is gone"));
            };
            if (*this).buffer.is_null() {
                let got = recv(fd, (*this).last.get(), (*this).most)?;
                return Ok(got.map(|(data, count)| {
                    (*this).last.set(count);
                    if count >= NOTABLE
                        && let Some(core) = event_loop::any_native((*this).loop_)
                    {
                        core.engine().has_read(count);
                    }
                    data
                }));
            }
            let buffer = Ref::borrow((*this).buffer);
            recv_into(fd, buffer.ptr())
        })();
        match outcome {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => {
                drop(take_slot(&raw mut (*this).waiter));
                drop(take_slot(&raw mut (*this).buffer));
                futures::set_result_unless_cancelled(waiter.ptr(), answer.ptr())
            }
            Err(raised) => {
                let exception = take_raised(raised);
                drop(take_slot(&raw mut (*this).waiter));
                futures::set_exception(waiter.ptr(), exception.ptr())
            }
        }
    }
}

/// It has fired for nobody.
unsafe fn stop(this: *mut SocketWatch) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        let Some(core) = event_loop::any_native((*this).loop_) else {
            return Ok(());
        };
        let fd = (*this).fd;
        let ours = core
            .engine()
            .with_reader(fd, |job| ptr::eq(job.data().cast(), this));
        if ours == Some(true) {
            drop(core.engine().remove_reader(fd));
        }
        Ok(())
    }
}

/// Whether the job is a watch that has stayed although nobody waits.
pub(crate) fn is_idle_watch(job: &Job) -> bool {
    // SAFETY: the job keeps its watch alive.
    jobs::is_socket_watch(job) && unsafe { (*job.data().cast::<SocketWatch>()).waiter.is_null() }
}

impl SocketWatch {
    unsafe fn slots(this: *mut SocketWatch) -> [*mut *mut PyObject; 4] {
        // SAFETY: addresses of fields of a live object.
        unsafe {
            [
                &raw mut (*this).socket,
                &raw mut (*this).waiter,
                &raw mut (*this).buffer,
                &raw mut (*this).loop_,
            ]
        }
    }
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        for slot in SocketWatch::slots(slf.cast()) {
            visit_opt!(*slot, visit, arg);
        }
    }
    0
}

unsafe extern "C" fn clear(slf: *mut PyObject) -> c_int {
    boundary::quiet(|| {
        // SAFETY: called by the collector on a live instance, or by dealloc. The weak reference
        // stays: the job looks at it.
        unsafe {
            for slot in SocketWatch::slots(slf.cast()).into_iter().skip(1) {
                set_slot(slot, ptr::null_mut());
            }
        }
    });
    0
}

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its fields go.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        clear(slf);
        set_slot(
            &raw mut (*slf.cast::<SocketWatch>()).socket,
            ptr::null_mut(),
        );
        free_instance(slf);
    }
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<SocketWatch>(c"rasyncio.SocketWatch")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void);
    // SAFETY: called once, before any reader, says the caller.
    unsafe { CLASS.set(builder.build(module, ptr::null_mut())?) };
    Ok(())
}
