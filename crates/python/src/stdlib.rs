//! What this crate takes from the standard library: exceptions (so that `except` works
//! across both), reprs and stack printing (cold, and different in every version), and the
//! C accelerator's running-loop and current-task registry, which other people read.

use core::ffi::CStr;

use pyo3::ffi::{self, PyObject};

use crate::global::Global;
use crate::names::names;
use crate::object::{Raised, Ref, Res, import};

/// Objects imported once. All are kept for the life of the process.
pub(crate) struct Stdlib {
    pub(crate) cancelled_error: Ref,
    pub(crate) invalid_state_error: Ref,
    pub(crate) broken_barrier_error: Ref,
    pub(crate) future_repr: Ref,
    pub(crate) task_repr: Ref,
    pub(crate) task_get_stack: Ref,
    pub(crate) task_print_stack: Ref,
    pub(crate) extract_stack: Ref,
    pub(crate) format_callback_source: Ref,
    /// `_format_callback_source` takes `debug`, and shows arguments only with it.
    pub(crate) formats_for_debug: bool,
    pub(crate) is_coroutine: Ref,
    pub(crate) get_running_loop: Ref,
    pub(crate) get_running_loop_or_none: Ref,
    pub(crate) set_running_loop: Ref,
    pub(crate) get_event_loop: Ref,
    pub(crate) enter_task: Ref,
    pub(crate) leave_task: Ref,
    #[cfg(Py_3_12)]
    pub(crate) swap_current_task: Ref,
    #[cfg(Py_3_12)]
    pub(crate) current_task: Ref,
    pub(crate) logger: Ref,
    pub(crate) warn_unawaited_coroutine: Ref,
    pub(crate) partial: Ref,
    #[cfg(Py_3_14)]
    pub(crate) future_add_to_awaited_by: Ref,
    #[cfg(Py_3_14)]
    pub(crate) future_discard_from_awaited_by: Ref,
    /// `Future.set_exception(StopIteration)` becomes a RuntimeError.
    pub(crate) wraps_stop_iteration: bool,
    /// The last `uncancel` takes back a request that was not delivered.
    pub(crate) uncancel_takes_back: bool,
    /// `TaskGroup.create_task` closes a coroutine that it refuses.
    pub(crate) closes_refused_coroutine: bool,
}

static STDLIB: Global<Stdlib> = Global::new();

/// The imported objects.
#[inline]
pub(crate) fn stdlib() -> &'static Stdlib {
    STDLIB.get()
}

fn from(module: &CStr, name: &str) -> Res {
    let name = Ref::str(name)?;
    import(module)?.attr(name.ptr())
}

fn takes_debug(function: Ref) -> Res<bool> {
    let code = function.attr(Ref::str("__code__")?.ptr())?;
    contains(&code.attr(Ref::str("co_varnames")?.ptr())?, "debug")
}

/// `text in names`
fn contains(names: &Ref, text: &str) -> Res<bool> {
    // SAFETY: a tuple of `str`, and a `str`.
    match unsafe { ffi::PySequence_Contains(names.ptr(), Ref::str(text)?.ptr()) } {
        -1 => Err(Raised::set()),
        found => Ok(found != 0),
    }
}

/// Whether a method of the standard library's Python version of a class uses a name:
/// tells bug-fix releases of one Python version apart, by what they do.
fn method_uses(class: Ref, method: &str, name: &str) -> Res<bool> {
    let code = class
        .attr(Ref::str(method)?.ptr())?
        .attr(Ref::str("__code__")?.ptr())?;
    contains(&code.attr(Ref::str("co_names")?.ptr())?, name)
}

/// Imports what is needed; called once by the module's initialisation.
///
/// `asyncio` comes before `_asyncio`: the other way round leaves `asyncio.tasks` on its
/// Python fallbacks.
pub(crate) unsafe fn init() -> Res<()> {
    import(c"asyncio")?;
    let _ = names();
    let stdlib = Stdlib {
        cancelled_error: from(c"asyncio.exceptions", "CancelledError")?,
        invalid_state_error: from(c"asyncio.exceptions", "InvalidStateError")?,
        broken_barrier_error: from(c"asyncio.exceptions", "BrokenBarrierError")?,
        future_repr: from(c"asyncio.base_futures", "_future_repr")?,
        task_repr: from(c"asyncio.base_tasks", "_task_repr")?,
        task_get_stack: from(c"asyncio.base_tasks", "_task_get_stack")?,
        task_print_stack: from(c"asyncio.base_tasks", "_task_print_stack")?,
        extract_stack: from(c"asyncio.format_helpers", "extract_stack")?,
        format_callback_source: from(c"asyncio.format_helpers", "_format_callback_source")?,
        formats_for_debug: takes_debug(from(
            c"asyncio.format_helpers",
            "_format_callback_source",
        )?)?,
        is_coroutine: from(c"asyncio.coroutines", "iscoroutine")?,
        get_running_loop: from(c"_asyncio", "get_running_loop")?,
        get_running_loop_or_none: from(c"_asyncio", "_get_running_loop")?,
        set_running_loop: from(c"_asyncio", "_set_running_loop")?,
        get_event_loop: from(c"_asyncio", "get_event_loop")?,
        enter_task: from(c"_asyncio", "_enter_task")?,
        leave_task: from(c"_asyncio", "_leave_task")?,
        #[cfg(Py_3_12)]
        swap_current_task: from(c"_asyncio", "_swap_current_task")?,
        #[cfg(Py_3_12)]
        current_task: from(c"_asyncio", "current_task")?,
        logger: from(c"asyncio.log", "logger")?,
        wraps_stop_iteration: method_uses(
            from(c"asyncio.futures", "_PyFuture")?,
            "set_exception",
            "RuntimeError",
        )?,
        closes_refused_coroutine: method_uses(
            from(c"asyncio.taskgroups", "TaskGroup")?,
            "create_task",
            "close",
        )?,
        uncancel_takes_back: method_uses(
            from(c"asyncio.tasks", "_PyTask")?,
            "uncancel",
            "_must_cancel",
        )?,
        partial: from(c"functools", "partial")?,
        #[cfg(Py_3_14)]
        future_add_to_awaited_by: from(c"asyncio", "future_add_to_awaited_by")?,
        #[cfg(Py_3_14)]
        future_discard_from_awaited_by: from(c"asyncio", "future_discard_from_awaited_by")?,
        warn_unawaited_coroutine: from(c"warnings", "_warn_unawaited_coroutine")?,
    };
    // SAFETY: called once, before any reader, says the caller.
    unsafe { STDLIB.set(stdlib) };
    Ok(())
}

/// `CancelledError`, borrowed.
#[inline]
pub(crate) fn cancelled_error() -> *mut PyObject {
    stdlib().cancelled_error.ptr()
}
