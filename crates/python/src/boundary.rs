//! The border between the interpreter and Rust: no panic crosses it.
//!
//! Each `extern "C"` function of the crate runs its body through one of these. A panic is
//! a bug of ours; it becomes a `RuntimeError` that says so, and the program goes on.
//! The cost is half a nanosecond a call.

use core::any::Any;
use core::ffi::c_int;
use core::panic::AssertUnwindSafe;
use core::ptr;
use std::panic::catch_unwind;

use pyo3::ffi::PyObject;

use crate::object::{Raised, Res, runtime_error, to_c, to_status};

/// For functions that answer an object or NULL.
#[inline]
pub(crate) fn object(body: impl FnOnce() -> Res) -> *mut PyObject {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => to_c(result),
        Err(panic) => {
            panicked(&*panic).leave_set();
            ptr::null_mut()
        }
    }
}

/// For functions that answer 0 or -1.
#[inline]
pub(crate) fn status(body: impl FnOnce() -> Res<()>) -> c_int {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => to_status(result),
        Err(panic) => to_status(Err(panicked(&*panic))),
    }
}

/// For bodies whose error is dealt with in Rust.
#[inline]
pub(crate) fn result<T>(body: impl FnOnce() -> Res<T>) -> Res<T> {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(panic) => Err(panicked(&*panic)),
    }
}

/// For slots that can report nothing (`tp_dealloc`, `tp_finalize`): a panic is printed by
/// the panic hook and ends there.
#[inline]
pub(crate) fn quiet(body: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(body));
}

/// The panic as the pending Python exception.
#[cold]
pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Raised {
    let text = payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is no text");
    runtime_error(&format!("rasyncio: panic in native code: {text}"))
}

/// Adds nothing to a release build.
#[cfg(not(debug_assertions))]
pub(crate) unsafe fn init(_module: *mut PyObject) -> Res<()> {
    Ok(())
}

#[cfg(debug_assertions)]
pub(crate) use for_tests::init;

/// Panics to order, for the tests, in debug builds.
#[cfg(debug_assertions)]
mod for_tests {
    use super::*;
    use crate::coroutine::{CoroutineDef, Slots, coroutine};
    use crate::event_loop;
    use crate::object::Ref;
    use crate::types::{add_functions, fastcall_def};

    static DEF: CoroutineDef = CoroutineDef::new(c"<rasyncio.boundary>", c"_panic_in_a_coroutine");
    static NOTHING: crate::args::Signature = crate::args::Signature::required("_panic", &[]);

    unsafe fn panics(_: *mut PyObject) -> Res<()> {
        panic!("asked to panic in a callback")
    }

    vectorcall!(function, |_module, NOTHING []| panic!("asked to panic in a function"));

    vectorcall!(callback, |_module, NOTHING []| {
        let running = crate::events::running_loop()?;
        if let Some(core) = event_loop::native(running.ptr()) {
            core.call_native_at(core.time(), panics, running.clone())?;
        }
        Ok(Ref::none())
    });

    vectorcall!(in_coroutine, |_module, NOTHING []| {
        coroutine(&DEF, [], |_: Slots<0>| async { panic!("asked to panic in a coroutine") })
    });

    pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
        let functions = vec![
            fastcall_def(c"_panic_in_a_function", function),
            fastcall_def(c"_panic_in_a_callback", callback),
            fastcall_def(c"_panic_in_a_coroutine", in_coroutine),
        ];
        // SAFETY: `module` is being initialised, says the caller.
        unsafe { add_functions(module, functions) }
    }
}
