//! `asyncio.to_thread`.

use pyo3::ffi::{self, Py_ssize_t, PyObject};

use crate::boundary;
use crate::coroutine::{CoroutineDef, FunctionDef, Slots, add_function, await_object, coroutine};
use crate::events;
use crate::names::names;
use crate::object::{Ref, Res, type_error};
use crate::stdlib::stdlib;

static TO_THREAD: CoroutineDef = CoroutineDef::new(c"<rasyncio.threads>", c"to_thread");

static FUNCTION: FunctionDef = FunctionDef {
    name: c"to_thread",
    module: c"rasyncio.threads",
    doc: c"Asynchronously run function *func* in a separate thread.\n\n\
           Any *args and **kwargs supplied for this function are directly passed to *func*.\n\
           Also, the current contextvars.Context is propagated, allowing context variables\n\
           from the main thread to be accessed in the separate thread.",
    signature: "(func, /, *args, **kwargs)",
    call: to_thread,
};

const ARGS: usize = 0;
const KWARGS: usize = 1;
const FUTURE: usize = 2;

unsafe extern "C" fn to_thread(
    _: *mut PyObject,
    args: *const *mut PyObject,
    nargs: Py_ssize_t,
    kwnames: *mut PyObject,
) -> *mut PyObject {
    boundary::object(|| {
        if nargs == 0 {
            return Err(type_error(
                "to_thread() missing 1 required positional argument: 'func'",
            ));
        }
        // SAFETY: vectorcall's contract: `nargs` values, then one for each keyword name.
        let held = unsafe {
            let given = core::slice::from_raw_parts(args, nargs as usize);
            let kwargs = if kwnames.is_null() {
                None
            } else {
                let kwargs = Ref::dict()?;
                for i in 0..ffi::PyTuple_GET_SIZE(kwnames) {
                    let name = ffi::PyTuple_GET_ITEM(kwnames, i);
                    let value = *args.add((nargs + i) as usize);
                    crate::object::check(ffi::PyDict_SetItem(kwargs.ptr(), name, value))?;
                }
                Some(kwargs)
            };
            [Some(Ref::tuple(given)?), kwargs, None]
        };
        coroutine(&TO_THREAD, held, body)
    })
}

async fn body(slots: Slots<3>) -> Res {
    let running = events::running_loop()?;
    let call = call_in_context(slots.get(ARGS), slots.get(KWARGS))?;
    let future = running.call_method(names().run_in_executor, &[Ref::none().ptr(), call.ptr()])?;
    drop((running, call));
    await_object(slots.set(FUTURE, future)).await
}

/// `functools.partial(contextvars.copy_context().run, *args, **kwargs)`
fn call_in_context(args: *mut PyObject, kwargs: *mut PyObject) -> Res {
    // SAFETY: a tuple, and a dict or NULL, both alive.
    unsafe {
        let context = Ref::checked(ffi::PyContext_CopyCurrent())?;
        let run = Ref::tuple(&[context.attr(names().run)?.ptr()])?;
        let all = Ref::checked(ffi::PySequence_Concat(run.ptr(), args))?;
        let partial = stdlib().partial.ptr();
        Ref::checked(ffi::PyObject_Call(partial, all.ptr(), kwargs))
    }
}

/// Adds the function; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: `module` is being initialised, says the caller.
    unsafe { add_function(module, &FUNCTION) }
}
