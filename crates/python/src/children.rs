//! The end of a child process: `loop._watch_child(pid, callback)`.
//!
//! The engine's [`Child`] is watched like any descriptor, without an object of the standard library's
//! for each process and without a thread. What follows from the end is said in Python
//! (`rasyncio.base_subprocess`).

use core::ffi::{c_int, c_void};
use core::ptr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio_engine::Child;

use crate::args::Signature;
use crate::boundary;
use crate::event_loop::{self, LoopCore};
use crate::global::Global;
use crate::jobs;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, counts, import, raised_matches, runtime_error, set_slot, take_raised,
};
use crate::types::{TypeBuilder, free_instance};

/// What the watch holds. Both pointers are owned.
#[repr(C)]
pub(crate) struct ChildWatch {
    ob_base: PyObject,
    callback: *mut PyObject,
    context: *mut PyObject,
    pid: u32,
    /// Until it has ended.
    child: Option<Child>,
}

static CLASS: Global<*mut PyTypeObject> = Global::new();

/// The module `os`, and its `waitpid`. Where a program has put another function in its place, that one
/// is asked.
static OS: Global<Ref> = Global::new();
static WAITPID: Global<Ref> = Global::new();

static WATCH: Signature = Signature::required("_watch_child", &["pid", "callback"]);

// `loop._watch_child(pid, callback)`: has the callback called once the child process has ended, with
// its return code, or with None if somebody else has reaped it. OSError if it cannot be watched.
vectorcall!(watch, |slf, WATCH [pid, callback]| {
    let Some(core) = event_loop::any_native(slf) else {
        return Err(runtime_error("the event loop is not initialized"));
    };
    core.check_closed()?;
    let number = ffi::PyLong_AsLong(pid);
    if number == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised::set());
    }
    // What is no process's number is none of a child.
    let pid = u32::try_from(number).unwrap_or(0);
    let child = Child::open(pid).map_err(|error| event_loop::os_error(&error))?;
    let made = Ref::checked(ffi::PyType_GenericAlloc(*CLASS.get(), 0))?;
    let this = made.ptr().cast::<ChildWatch>();
    ptr::addr_of_mut!((*this).child).write(Some(child));
    (*this).pid = pid;
    (*this).callback = counts::new_ref(callback);
    (*this).context = Ref::checked(ffi::PyContext_CopyCurrent())?.into_ptr();
    begin(core, made)?;
    Ok(Ref::none())
});

unsafe fn begin(core: &LoopCore, watch: Ref) -> Res<()> {
    // SAFETY: an object of ours.
    let Some(fd) = (unsafe { fd(watch.ptr().cast()) }) else {
        return Ok(());
    };
    let replaced = core.engine().set_reader_once(fd, jobs::child_ended(watch));
    event_loop::forget_watcher(replaced.map_err(|error| event_loop::os_error(&error))?)
}

unsafe fn fd(this: *mut ChildWatch) -> Option<c_int> {
    // SAFETY: alive, says the caller; no Python code runs.
    unsafe { (*this).child.as_ref() }.map(|child| child.as_fd().as_raw_fd())
}

/// The job of a child that has ended.
pub(crate) unsafe fn ended(this: *mut ChildWatch) -> Res<()> {
    // SAFETY: the job keeps `this` alive.
    unsafe {
        let core = event_loop::running_core()?;
        let os = OS.get();
        let waitpid = os.attr(names().waitpid)?;
        let is_replaced = !waitpid.is(WAITPID.get().ptr());
        let outcome = match (*this).child.as_ref() {
            None => return Ok(()),
            Some(_) if is_replaced => Ok(Ref::none()),
            Some(child) => match child.try_wait() {
                Ok(None) => return begin(core, Ref::borrow(this.cast())),
                Ok(Some(status)) => {
                    let signal = status.signal().map(|signal| -signal);
                    Ref::int(i64::from(status.code().or(signal).unwrap_or_default()))
                }
                Err(_) => Ok(Ref::none()),
            },
        };
        // Its descriptor is free before any Python code runs.
        drop((*this).child.take());
        let (callback, context) = (Ref::borrow((*this).callback), Ref::borrow((*this).context));
        core.leave_stale_task()?;
        check(ffi::PyContext_Enter(context.ptr()))?;
        let outcome = boundary::result(|| {
            let code = match is_replaced {
                true => ask(os, &waitpid, (*this).pid)?,
                false => outcome?,
            };
            callback.call1(code.ptr()).map(drop)
        });
        if ffi::PyContext_Exit(context.ptr()) < 0 {
            return Err(Raised::set());
        }
        event_loop::report_callback_error(outcome, callback.ptr())
    }
}

/// The return code by the program's own `waitpid`; None if somebody else has reaped the process.
#[cold]
fn ask(os: &Ref, waitpid: &Ref, pid: u32) -> Res {
    let (pid, no_options) = (Ref::int(i64::from(pid))?, Ref::int(0)?);
    let answer = match waitpid.call(&[pid.ptr(), no_options.ptr()]) {
        Ok(answer) => answer,
        // SAFETY: a static exception class.
        Err(raised) if raised_matches(&raised, unsafe { ffi::PyExc_ChildProcessError }) => {
            drop(take_raised(raised));
            return Ok(Ref::none());
        }
        Err(raised) => return Err(raised),
    };
    // SAFETY: alive; the last of two.
    let status = unsafe { Ref::checked(ffi::PySequence_GetItem(answer.ptr(), 1))? };
    os.call_method(names().waitstatus_to_exitcode, &[status.ptr()])
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    let this = slf.cast::<ChildWatch>();
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*this).callback, visit, arg);
        visit_opt!((*this).context, visit, arg);
    }
    0
}

// No `tp_clear`: the job of the watch may run as long as it is alive, and needs what it holds. A
// cycle through it is one through the loop, which lets go of its watches.
unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    boundary::quiet(|| {
        let this = slf.cast::<ChildWatch>();
        // SAFETY: the object is dead; untracked before its fields go.
        unsafe {
            ffi::PyObject_GC_UnTrack(slf.cast());
            drop((*this).child.take());
            set_slot(&raw mut (*this).callback, ptr::null_mut());
            set_slot(&raw mut (*this).context, ptr::null_mut());
            free_instance(slf);
        }
    });
}

/// Makes the type; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<ChildWatch>(c"rasyncio.ChildWatch")
        .flags(ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void);
    // SAFETY: called once, before any reader, says the caller.
    unsafe {
        CLASS.set(builder.build(module, ptr::null_mut())?);
        let os = import(c"os")?;
        WAITPID.set(os.attr(names().waitpid)?);
        OS.set(os);
    }
    Ok(())
}
