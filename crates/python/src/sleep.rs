//! `asyncio.sleep`.

use pyo3::ffi::{self, PyObject};

use crate::args::Signature;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, add_function, await_future, coroutine, finally, yield_none,
};
use crate::events;
use crate::futures;
use crate::object::{Ref, Res, value_error};
use crate::timer;

static SLEEP: CoroutineDef = CoroutineDef::new(c"<rasyncio.tasks>", c"sleep");

static FUNCTION: FunctionDef = FunctionDef {
    name: c"sleep",
    module: c"rasyncio.tasks",
    doc: c"Coroutine that completes after a given time (in seconds).",
    signature: "(delay, result=None)",
    call: sleep,
};

static PARAMETERS: Signature = Signature::required("sleep", &["delay"]).optional(&["result"]);

const DELAY: usize = 0;
const RESULT: usize = 1;
const FUTURE: usize = 2;
const HANDLE: usize = 3;

vectorcall!(sleep, |_this, PARAMETERS [delay, result]| {
    let held = [Some(Ref::borrow(delay)), Ref::borrow_opt(result), None, None];
    coroutine(&SLEEP, held, body)
});

async fn body(slots: Slots<4>) -> Res {
    let delay = slots.get(DELAY);
    if timer::is_not_positive(delay)? {
        yield_none().await?;
    } else {
        if timer::as_f64(delay)?.is_nan() {
            return Err(value_error("Invalid delay: NaN (not a number)"));
        }
        let running = events::running_loop()?;
        let future = slots.set(FUTURE, futures::new_future(running.ptr())?);
        // SAFETY: the slot keeps the future alive.
        let data = unsafe { Ref::borrow(future) };
        let timer = timer::call_later(running.ptr(), delay, wake, data, |handle| {
            slots.set(HANDLE, handle);
        })?;
        // The future holds the loop; no need to hold it across the await.
        drop(running);
        let slept = await_future(future).await;
        finally(slept, || {
            timer.cancel(futures::get_loop(future)?.ptr(), slots.get(HANDLE))
        })?;
    }
    Ok(slots.take(RESULT).unwrap_or_else(Ref::none))
}

/// The timer's function.
unsafe fn wake(future: *mut PyObject) -> Res<()> {
    // SAFETY: None lives for ever.
    futures::set_result_unless_cancelled(future, unsafe { ffi::Py_None() })
}

/// Adds the function; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: `module` is being initialised, says the caller.
    unsafe { add_function(module, &FUNCTION) }
}
