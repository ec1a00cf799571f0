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
            let _raised = panicked(&*panic);
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
