//! A Rust future as a Python coroutine.
//!
//! asyncio's coroutine functions (`sleep`, `wait_for`, `TaskGroup.__aexit__`...) are Rust
//! `async` blocks here, and read like the documentation. [`coroutine`] wraps one in an object
//! with all that Python code may ask of a coroutine: `send`, `throw`, `close`, `cr_await`,
//! a frame, a place in tracebacks, the warning when it was never awaited.
//!
//! ```text
//! object.rs     the object: layout, states, resuming, garbage collection
//! methods.rs    what Python code sees of it
//! awaiting.rs   `await` inside a body: futures, coroutines, any awaitable
//! memory.rs     dead coroutines' memory, used again
//! frame.rs      frames and traceback entries
//! function.rs   the function that makes coroutines, and is known as such
//! bound.rs      such a method bound to its instance, for `async with`
//! rust.rs       `await` of a plain Rust future
//! waker.rs      how such a future wakes the coroutine, from any thread
//! wrapper.rs    what `coroutine.__await__()` answers
//! ```
//!
//! **References.** What a body needs is in its [`Slots`]: the object owns them and shows them
//! to the collector. A `Ref` in a local variable across an `await` would be hidden from it,
//! and a cycle through it would never be freed.
//!
//! **Errors.** `Err(Raised)` means that the error indicator is set, so a body that does more
//! than hand it on takes the exception first (`take_raised`, [`finally`]).

mod awaiting;
mod body;
mod bound;
mod frame;
mod function;
mod memory;
mod methods;
mod object;
mod rust;
mod slots;
mod waker;
mod wrapper;

use core::cell::Cell;
use core::ffi::CStr;
use core::ptr;

use pyo3::ffi::{self, PyObject};

use crate::object::{Raised, Ref, Res, raise_instance, take_raised};

pub(crate) use awaiting::{await_future, await_object, yield_none};
pub(crate) use function::{FunctionDef, add_function, add_methods};
pub(crate) use object::{coroutine, coroutine_at_once, coroutine_without_await, is_native};
pub(crate) use slots::Slots;

/// What all coroutines of one function share: their name, and what a traceback calls their
/// file. That is in angle brackets: there are no lines to be looked up and shown.
pub(crate) struct CoroutineDef {
    file: &'static CStr,
    name: &'static CStr,
    qualname: &'static CStr,
    /// Made when first asked for; kept for ever.
    code: Cell<*mut PyObject>,
}

// SAFETY: the cell is read and written only by threads attached to the interpreter, one at
// a time.
unsafe impl Sync for CoroutineDef {}

impl CoroutineDef {
    /// A coroutine function of a module.
    pub(crate) const fn new(file: &'static CStr, name: &'static CStr) -> CoroutineDef {
        CoroutineDef::method(file, name, name)
    }

    /// A coroutine method, whose `qualname` is dotted.
    pub(crate) const fn method(
        file: &'static CStr,
        name: &'static CStr,
        qualname: &'static CStr,
    ) -> CoroutineDef {
        CoroutineDef {
            file,
            name,
            qualname,
            code: Cell::new(ptr::null_mut()),
        }
    }

    /// The code object that stands for the coroutine's Rust code, borrowed.
    fn code(&self) -> Res<*mut PyObject> {
        if self.code.get().is_null() {
            // SAFETY: C strings; attached.
            let code = unsafe {
                ffi::PyCode_NewEmpty(self.file.as_ptr(), self.name.as_ptr(), 1).cast::<PyObject>()
            };
            if code.is_null() {
                return Err(Raised::set());
            }
            self.code.set(code);
        }
        Ok(self.code.get())
    }
}

/// Python's `finally`: runs `cleanup` without a pending exception, then goes on with
/// `outcome`. An exception of the clean-up wins, with the other one as its `__context__`.
pub(crate) fn finally<T>(outcome: Res<T>, cleanup: impl FnOnce() -> Res<()>) -> Res<T> {
    match outcome {
        Ok(value) => cleanup().map(|()| value),
        Err(raised) => {
            let exception = take_raised(raised);
            match cleanup() {
                Ok(()) => Err(raise_instance(exception)),
                Err(newer) => Err(raised_during(newer, exception)),
            }
        }
    }
}

/// Gives the pending exception the `__context__` that it has when raised in an `except`
/// block for `handled`.
pub(crate) fn raised_during(raised: Raised, handled: Ref) -> Raised {
    let exception = take_raised(raised);
    if !exception.is(handled.ptr()) {
        // SAFETY: both are exception instances; GetContext answers a new reference, and
        // SetContext steals one.
        unsafe {
            let context = Ref::own_opt(ffi::PyException_GetContext(exception.ptr()));
            let outer = Ref::own_opt(ffi::PyException_GetContext(handled.ptr()));
            // What was handled around both is the context of the one that came first.
            if context.is_none_or(|context| outer.is_some_and(|outer| context.is(outer.ptr()))) {
                ffi::PyException_SetContext(exception.ptr(), handled.into_ptr());
            }
        }
    }
    raise_instance(exception)
}

/// `raise exc_type from cause`, inside the `except` block for `cause`.
pub(crate) fn raise_from(exc_type: *mut PyObject, cause: Ref) -> Raised {
    // SAFETY: an exception class; the setters steal a reference each.
    unsafe {
        let exception = match Ref::checked(ffi::PyObject_CallNoArgs(exc_type)) {
            Ok(exception) => exception,
            Err(raised) => return raised,
        };
        ffi::PyException_SetCause(exception.ptr(), cause.clone().into_ptr());
        ffi::PyException_SetContext(exception.ptr(), cause.into_ptr());
        raise_instance(exception)
    }
}

/// Makes the types; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: `module` is the module being initialised, says the caller.
    unsafe {
        object::init(module)?;
        frame::init(module)?;
        wrapper::init(module)?;
        function::init(module)?;
        bound::init(module)?;
        rust::init(module)
    }
}
