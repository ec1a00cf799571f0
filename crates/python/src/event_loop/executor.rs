//! `run_in_executor`: a concurrent future, seen through one of the loop's.
//!
//! The two are chained natively: the pool's thread puts one job into the loop's inbox, and
//! the job copies the outcome. Nothing is called through the public methods on the way.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use super::any_native;
use super::core::LoopCore;
use super::methods::core_of;
use crate::args::Signature;
use crate::boundary;
use crate::futures::{self, FutureObject};
use crate::global::Global;
use crate::handles;
use crate::jobs;
use crate::names::names;
use crate::object::{Ref, Res, call_method, counts, import, runtime_error, set_slot, type_error};
use crate::types::{TypeBuilder, free_instance};

static RUN_IN_EXECUTOR: Signature =
    Signature::required("run_in_executor", &["executor", "func"]).varargs();

vectorcall!(run_in_executor, |slf, RUN_IN_EXECUTOR [executor, function], rest| {
    let core = core_of(slf)?;
    core.check_closed()?;
    if core.debug() {
        let method = Ref::str("run_in_executor")?;
        call_method(slf, names()._check_callback, &[function, method.ptr()])?;
    }
    let executor = if ptr::eq(executor, ffi::Py_None()) {
        default_executor(core)?
    } else {
        Ref::borrow(executor)
    };
    let mut call = vec![function];
    call.extend_from_slice(rest);
    let source = executor.attr(names().submit)?.call(&call)?;
    if futures::is_future(source.ptr())? {
        // An executor may answer a future of the loop itself.
        return Ok(source);
    }
    let destination = futures::new_native(core)?;
    chain(&source, &destination)?;
    Ok(destination)
});

/// The default executor, made when it is first needed.
fn default_executor(core: &LoopCore) -> Res {
    // SAFETY: the owner is alive while one of its methods runs.
    let owner = unsafe { Ref::borrow(core.owner()) };
    if owner.attr(names()._executor_shutdown_called)?.truth()? {
        return Err(runtime_error("Executor shutdown has been called"));
    }
    if core.default_executor.ptr().is_null() {
        let class = import(c"concurrent.futures")?.attr(names().ThreadPoolExecutor)?;
        let prefix = Ref::str("asyncio")?;
        let kwnames = Ref::tuple(&[names().thread_name_prefix])?;
        core.default_executor
            .set(Some(class.call_kw(&[prefix.ptr()], kwnames.ptr())?));
    }
    Ok(core.default_executor.get())
}

/// Carries the outcome of a concurrent future over to one of ours, and a cancellation of
/// ours back.
fn chain(source: &Ref, destination: &Ref) -> Res<()> {
    futures::on_done(destination.ptr(), cancel_source, source.ptr())?;
    // SAFETY: alive.
    let arrival = unsafe { new_arrival(destination.ptr())? };
    source
        .call_method(names().add_done_callback, &[arrival.ptr()])
        .map(drop)
}

/// Ours is done: if it was cancelled, so is the work, unless it has begun.
pub(crate) unsafe fn cancel_source(destination: *mut PyObject, source: *mut PyObject) -> Res<()> {
    if futures::is_cancelled(destination)? {
        // SAFETY: alive.
        unsafe { call_method(source, names().cancel, &[])? };
    }
    Ok(())
}

/// In the loop's thread: copies the outcome.
unsafe fn copy_outcome(destination: *mut PyObject, source: *mut PyObject) -> Res<()> {
    // SAFETY: the native call keeps both alive; the destination is ours.
    unsafe {
        let fut = destination.cast::<FutureObject>();
        if FutureObject::is_done(fut) {
            return Ok(());
        }
        let exception = match outcome(&Ref::borrow(source))? {
            Outcome::Returned(result) => return futures::state::set_result(fut, result),
            Outcome::Cancelled => {
                return futures::cancel(destination, ptr::null_mut()).map(drop);
            }
            Outcome::Raised(exception) => exception,
        };
        let converted = import(c"asyncio.futures")?.attr(names()._convert_future_exc)?;
        futures::set_exception(destination, converted.call1(exception.ptr())?.ptr())
    }
}

enum Outcome {
    Returned(Ref),
    Raised(Ref),
    Cancelled,
}

/// How a concurrent future ended.
fn outcome(source: &Ref) -> Res<Outcome> {
    let names = names();
    let returned = if source.type_ptr().cast() == CONCURRENT_FUTURE.get().ptr()
        && source.attr(names._state)?.is(names.FINISHED)
    {
        // Its methods would say the same, each in Python and under the future's lock.
        let exception = source.attr(names._exception)?;
        if !exception.is_none() {
            return Ok(Outcome::Raised(exception));
        }
        source.attr(names._result)?
    } else {
        if source.call_method(names.cancelled, &[])?.truth()? {
            return Ok(Outcome::Cancelled);
        }
        let exception = source.call_method(names.exception, &[])?;
        if !exception.is_none() {
            return Ok(Outcome::Raised(exception));
        }
        source.call_method(names.result, &[])?
    };
    Ok(Outcome::Returned(returned))
}

/// The callable that the concurrent future calls, in whatever thread, when it is done.
#[repr(C)]
struct Arrival {
    ob_base: PyObject,
    destination: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// `concurrent.futures.Future`
static CONCURRENT_FUTURE: Global<Ref> = Global::new();

unsafe fn new_arrival(destination: *mut PyObject) -> Res {
    // SAFETY: tracked only when whole; `destination` is alive, says the caller.
    unsafe {
        let made: *mut Arrival = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(made.cast())?;
        (*made).destination = counts::new_ref(destination);
        ffi::PyObject_GC_Track(made.cast());
        Ok(owned)
    }
}

unsafe extern "C" fn call(
    slf: *mut PyObject,
    args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        // SAFETY: an instance and a tuple, by the slot's contract.
        unsafe {
            if ffi::PyTuple_GET_SIZE(args) != 1 {
                return Err(type_error("a done callback takes exactly one argument"));
            }
            let source = Ref::borrow(ffi::PyTuple_GET_ITEM(args, 0));
            let destination = Ref::borrow((*slf.cast::<Arrival>()).destination);
            let fut = destination.ptr().cast::<FutureObject>();
            let Some(core) = any_native((*fut).loop_) else {
                return Ok(Ref::none());
            };
            if core.engine().is_closed() {
                // Too late: nobody can be told any more.
                return Ok(Ref::none());
            }
            let call = handles::native_call2(copy_outcome, destination, source)?;
            core.schedule_from_any_thread(jobs::native_call(call));
            Ok(Ref::none())
        }
    })
}

unsafe extern "C" fn traverse(
    slf: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: called by the collector on a live instance.
    unsafe {
        visit_opt!(ffi::Py_TYPE(slf).cast(), visit, arg);
        visit_opt!((*slf.cast::<Arrival>()).destination, visit, arg);
    }
    0
}

// No tp_clear: a cycle through here runs through the future, which can be cleared.

unsafe extern "C" fn dealloc(slf: *mut PyObject) {
    // SAFETY: the object is dead; untracked before its field goes.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        set_slot(
            &raw mut (*slf.cast::<Arrival>()).destination,
            ptr::null_mut(),
        );
        free_instance(slf);
    }
}

/// Makes the class of the callable, and finds that of the futures it is for.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = TypeBuilder::new::<Arrival>(c"rasyncio.ExecutorCallback")
        .flags(
            ffi::Py_TPFLAGS_HAVE_GC
                | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION
                | ffi::Py_TPFLAGS_IMMUTABLETYPE,
        )
        .slot(ffi::Py_tp_call, call as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void);
    // SAFETY: called once, from the module's initialisation.
    unsafe {
        TYPE.set(builder.build(module, ptr::null_mut())?);
        let future = Ref::str("Future")?;
        CONCURRENT_FUTURE.set(import(c"concurrent.futures")?.attr(future.ptr())?);
    }
    Ok(())
}
