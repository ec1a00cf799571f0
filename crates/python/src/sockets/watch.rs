//! Who waits for a socket to be readable, or to be connected.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio_engine::{Job, fetch};

use super::{LOOP, SOCKET, SockSlots, WAITER, WATCH};
use crate::boundary;
use crate::coroutine::{await_future, finally};
use crate::event_loop::{self, LoopCore};
use crate::futures;
use crate::global::Global;
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, counts, referent, runtime_error, set_slot, take_slot};
use crate::transports::{Fd, LastReads, plain_descriptor};
use crate::types::{TypeBuilder, free_instance};

/// Who waits for a socket to be ready.
#[repr(C)]
pub(crate) struct SocketWatch {
    ob_base: PyObject,
    /// A weak reference.
    socket: *mut PyObject,
    /// The future that a coroutine awaits; NULL when nobody waits.
    waiter: *mut PyObject,
    loop_: *mut PyObject,
    fd: c_int,
    /// What the last `recv` have brought.
    pub(super) last: LastReads,
    /// It was there already, and nobody had to wait.
    pub(super) at_once: bool,
    /// Where the coroutine was that waits, to fetch it ahead.
    sleeper: *const (),
}

static CLASS: Global<*mut PyTypeObject> = Global::new();

/// Waits until there is something to read, and answers the watch, which a slot keeps.
pub(super) async unsafe fn wait(
    slots: SockSlots,
    core: &'static LoopCore,
    fd: Fd,
) -> Res<*mut SocketWatch> {
    // SAFETY: alive, says the caller; the slots keep the watch and the waiter alive.
    unsafe {
        let watch = slots.set(WATCH, watched(core, fd, slots.get(SOCKET))?);
        let watch = watch.cast::<SocketWatch>();
        let waiter = slots.set(WAITER, futures::new_future(slots.get(LOOP))?);
        set_slot(&raw mut (*watch).waiter, counts::new_ref(waiter));
        (*watch).sleeper = slots.address();
        let woken = await_future(waiter).await;
        finally(woken, || {
            // Somebody else may have begun to wait in our place.
            if ptr::eq((*watch).waiter, waiter) {
                set_slot(&raw mut (*watch).waiter, ptr::null_mut());
            }
            Ok(())
        })?;
        Ok(watch)
    }
}

/// Tries whenever there is something to read, until that has an answer.
pub(super) async unsafe fn until_read(
    slots: SockSlots,
    core: &'static LoopCore,
    fd: Fd,
    mut attempt: impl FnMut(Fd) -> Res<Option<Ref>>,
) -> Res {
    loop {
        // SAFETY: as said there.
        let now = unsafe {
            wait(slots, core, fd).await?;
            descriptor(slots)?
        };
        if let Some(answer) = attempt(now)? {
            return Ok(answer);
        }
    }
}

/// The descriptor as it is after a wait.
pub(super) unsafe fn descriptor(slots: SockSlots) -> Res<Fd> {
    // SAFETY: the slot keeps the socket alive, which is a plain one.
    unsafe { plain_descriptor(slots.get(SOCKET)) }
        .ok_or_else(|| runtime_error("the socket has no descriptor"))
}

/// The watch of a socket: the one that has stayed, or a new one.
unsafe fn watched(core: &LoopCore, fd: Fd, sock: *mut PyObject) -> Res {
    core.check_closed()?;
    // SAFETY: all alive, says the caller.
    unsafe {
        let stayed = with_watch(core, fd, |watch| Ref::borrow(ptr::from_mut(watch).cast()));
        if let Some(stayed) = stayed {
            let reference = Ref::borrow((*stayed.ptr().cast::<SocketWatch>()).socket);
            if referent(reference.ptr())?.is(sock) {
                return Ok(stayed);
            }
        }
        let owner = Ref::borrow(core.owner());
        let number = Ref::int(i64::from(fd.0))?;
        owner.call_method(names()._ensure_fd_no_transport, &[number.ptr()])?;
        let made = new(owner, fd, sock)?;
        let replaced = core
            .engine()
            .set_reader(fd.0, jobs::socket_readable(made.clone()));
        event_loop::forget_watcher(replaced.map_err(|error| event_loop::os_error(&error))?)?;
        Ok(made)
    }
}

/// What came last from a socket with that number, which may be another by now, if it came at once.
/// Else the next attempt will find nothing either, and need not prepare for anything.
pub(super) fn last_at_once(core: &LoopCore, fd: Fd) -> LastReads {
    let last = with_watch(core, fd, |watch| watch.at_once.then_some(watch.last));
    last.flatten().unwrap_or_default().of_anything()
}

/// `count` bytes were there already.
pub(super) fn came_at_once(core: &LoopCore, fd: Fd, count: usize, data: &Ref) {
    with_watch(core, fd, |watch| {
        watch.last = watch.last.and(count, data);
        watch.at_once = true;
    });
}

/// The watch of a number, whose socket may be gone.
fn with_watch<R>(core: &LoopCore, fd: Fd, look: impl FnOnce(&mut SocketWatch) -> R) -> Option<R> {
    let found = core.engine().with_reader(fd.0, |job| {
        jobs::is_socket_watch(job).then(|| {
            // SAFETY: the job keeps its watch alive, and nobody else looks at it meanwhile.
            look(unsafe { &mut *job.data().cast::<SocketWatch>() })
        })
    });
    found.flatten()
}

/// A watch that nobody waits for yet.
unsafe fn new(loop_: Ref, fd: Fd, sock: *mut PyObject) -> Res {
    // SAFETY: all alive, says the caller; zeroed memory of the class's size.
    unsafe {
        let made = Ref::checked(ffi::PyType_GenericAlloc(*CLASS.get(), 0))?;
        let this = made.ptr().cast::<SocketWatch>();
        (*this).socket = Ref::checked(ffi::PyWeakref_NewRef(sock, ptr::null_mut()))?.into_ptr();
        (*this).loop_ = loop_.into_ptr();
        (*this).fd = fd.0;
        (*this).last = LastReads::of_socket(fd.kind());
        Ok(made)
    }
}

/// Waits until the socket is writable. Unlike a reader's, the watch ends with the wait, for connecting
/// is done once.
pub(super) async unsafe fn wait_to_write(
    slots: SockSlots,
    core: &'static LoopCore,
    fd: Fd,
) -> Res<()> {
    // SAFETY: alive, says the caller; the slots keep the watch and the waiter alive.
    unsafe {
        core.check_closed()?;
        let owner = Ref::borrow(core.owner());
        let number = Ref::int(i64::from(fd.0))?;
        owner.call_method(names()._ensure_fd_no_transport, &[number.ptr()])?;
        let watch = new(owner, fd, slots.get(SOCKET))?;
        let waiter = slots.set(WAITER, futures::new_future(slots.get(LOOP))?);
        let job = jobs::socket_writable(watch.clone());
        let watch = slots.set(WATCH, watch).cast::<SocketWatch>();
        set_slot(&raw mut (*watch).waiter, counts::new_ref(waiter));
        let replaced = core.engine().set_writer(fd.0, job);
        event_loop::forget_watcher(replaced.map_err(|error| event_loop::os_error(&error))?)?;
        let woken = await_future(waiter).await;
        finally(woken, || {
            if take_slot(&raw mut (*watch).waiter).is_some() {
                stop_writing(watch)?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

/// The job of such a watch: wakes who waits.
pub(crate) unsafe fn writable(this: *mut SocketWatch) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        let Some(waiter) = take_slot(&raw mut (*this).waiter) else {
            return Ok(());
        };
        stop_writing(this)?;
        futures::set_result_unless_cancelled(waiter.ptr(), ffi::Py_None())
    }
}

/// Ends the watch, unless the number is somebody else's by now.
unsafe fn stop_writing(this: *mut SocketWatch) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        let Some(core) = event_loop::any_native((*this).loop_) else {
            return Ok(());
        };
        let Some(job) = core.engine().remove_writer((*this).fd) else {
            return Ok(());
        };
        if !ptr::eq(job.data().cast(), this) {
            drop(core.engine().set_writer((*this).fd, job));
        }
        Ok(())
    }
}

/// The job of a watch: wakes who waits.
pub(crate) unsafe fn readable(this: *mut SocketWatch) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        match take_slot(&raw mut (*this).waiter) {
            Some(waiter) if !futures::is_done(waiter.ptr())? => {
                if let Some(core) = event_loop::any_native((*this).loop_) {
                    core.engine().has_left_unread();
                }
                fetch::<4>((*this).sleeper);
                futures::set_result(waiter.ptr(), ffi::Py_None())
            }
            _ => stop(this),
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
    unsafe fn slots(this: *mut SocketWatch) -> [*mut *mut PyObject; 3] {
        // SAFETY: addresses of fields of a live object.
        unsafe {
            [
                &raw mut (*this).socket,
                &raw mut (*this).waiter,
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
