//! `asyncio.wait`.

use core::cell::Cell;
use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};

use crate::args::Signature;
use crate::awaited_by;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, add_function, await_future, coroutine, finally,
};
use crate::events;
use crate::futures;
use crate::global::Global;
use crate::object::{Ref, Res, check, items, set_slot, str_of, type_error, type_name, value_error};
use crate::stdlib::stdlib;
use crate::timer;
use crate::types::{TypeBuilder, free_instance};

static WAIT: CoroutineDef = CoroutineDef::new(c"<rasyncio.tasks>", c"wait");
static INNER_WAIT: CoroutineDef = CoroutineDef::new(c"<rasyncio.tasks>", c"_wait");

static FUNCTION: FunctionDef = FunctionDef {
    name: c"wait",
    module: c"rasyncio.tasks",
    doc: c"Wait for the Futures or Tasks given by fs to complete.\n\n\
           The fs iterable must not be empty.\n\n\
           Returns two sets of Future: (done, pending).\n\n\
           This does not raise TimeoutError! Futures that aren't done when the timeout\n\
           occurs are returned in the second set.",
    signature: "(fs, *, timeout=None, return_when='ALL_COMPLETED')",
    call: wait,
};

static PARAMETERS: Signature =
    Signature::required("wait", &["fs"]).keywords(&["timeout", "return_when"]);

/// When a wait ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReturnWhen {
    FirstCompleted,
    FirstException,
    AllCompleted,
}

const FS: usize = 0;
const TIMEOUT: usize = 1;
const RETURN_WHEN: usize = 2;
const WAITER: usize = 3;
const COUNTDOWN: usize = 4;
const HANDLE: usize = 5;
const TASK: usize = 6;

vectorcall!(wait, |_this, PARAMETERS [fs, timeout, return_when]| {
    let [fs, timeout, return_when] =
        [fs, timeout, return_when].map(|argument| Ref::borrow_opt(argument));
    coroutine(&WAIT, [fs, timeout, return_when, None, None, None, None], body)
});

async fn body(slots: Slots<7>) -> Res {
    let when = check_arguments(slots)?;
    let futures = members(slots.get(FS))?;
    let running = events::running_loop()?;
    let waiter = slots.set(WAITER, futures::new_future(running.ptr())?);
    let timeout = slots.get(TIMEOUT);
    let mut timer = None;
    // SAFETY: None lives for ever; the slot keeps the waiter alive.
    unsafe {
        if !timeout.is_null() && timeout != ffi::Py_None() {
            let data = Ref::borrow(waiter);
            timer = Some(timer::call_later(
                running.ptr(),
                timeout,
                release,
                data,
                |handle| {
                    slots.set(HANDLE, handle);
                },
            )?);
        }
    }
    let task = slots.set(TASK, events::current_task(running.ptr())?);
    let countdown = slots.set(COUNTDOWN, countdown(waiter, task, futures.len(), when)?);
    drop(running);
    for &future in &futures {
        futures::on_done(future, completed, countdown)?;
        awaited_by::add(future, task)?;
    }
    slots.inside(Some(&INNER_WAIT));
    let waited = await_future(waiter).await;
    slots.inside(None);
    finally(waited, || {
        if let Some(timer) = timer {
            timer.cancel(futures::get_loop(waiter)?.ptr(), slots.get(HANDLE))?;
        }
        for &future in &futures {
            awaited_by::discard(future, task)?;
            futures::off_done(future, completed, countdown)?;
        }
        Ok(())
    })?;
    split(&futures)
}

/// Replaces the iterable by a set of futures.
fn check_arguments(slots: Slots<7>) -> Res<ReturnWhen> {
    let fs = slots.get(FS);
    // SAFETY: the slot keeps it alive.
    unsafe {
        if futures::is_future(fs)? || is_coroutine(fs)? {
            let name = type_name(fs);
            return Err(type_error(&format!("expect a list of futures, not {name}")));
        }
        if !Ref::borrow(fs).truth()? {
            return Err(value_error("Set of Tasks/Futures is empty."));
        }
        let when = return_when(slots.get(RETURN_WHEN))?;
        let set = Ref::checked(ffi::PySet_New(fs))?;
        for member in items(slots.set(FS, set))? {
            if is_coroutine(member.ptr())? {
                return Err(type_error(
                    "Passing coroutines is forbidden, use tasks explicitly.",
                ));
            }
        }
        Ok(when)
    }
}

fn is_coroutine(object: *mut PyObject) -> Res<bool> {
    if futures::as_exact(object).is_some() {
        return Ok(false);
    }
    stdlib().is_coroutine.call1(object)?.truth()
}

fn return_when(given: *mut PyObject) -> Res<ReturnWhen> {
    const KNOWN: [(&CStr, ReturnWhen); 3] = [
        (c"ALL_COMPLETED", ReturnWhen::AllCompleted),
        (c"FIRST_COMPLETED", ReturnWhen::FirstCompleted),
        (c"FIRST_EXCEPTION", ReturnWhen::FirstException),
    ];
    if given.is_null() {
        return Ok(ReturnWhen::AllCompleted);
    }
    // SAFETY: alive; compared as text only if it is a str.
    let known = KNOWN.into_iter().find(|(name, _)| unsafe {
        ffi::PyUnicode_Check(given) != 0
            && ffi::PyUnicode_CompareWithASCIIString(given, name.as_ptr()) == 0
    });
    match known {
        Some((_, when)) => Ok(when),
        None => Err(value_error(&format!(
            "Invalid return_when value: {}",
            str_of(given)?
        ))),
    }
}

/// The members of a set of ours that does not change, borrowed from it: references of our own
/// would be hidden from the collector while the coroutine waits.
fn members(set: *mut PyObject) -> Res<Vec<*mut PyObject>> {
    Ok(items(set)?.iter().map(Ref::ptr).collect())
}

fn split(futures: &[*mut PyObject]) -> Res {
    // SAFETY: fresh sets, live members.
    unsafe {
        let done = Ref::checked(ffi::PySet_New(ptr::null_mut()))?;
        let pending = Ref::checked(ffi::PySet_New(ptr::null_mut()))?;
        for &future in futures {
            let set = if futures::is_done(future)? {
                &done
            } else {
                &pending
            };
            check(ffi::PySet_Add(set.ptr(), future))?;
        }
        Ref::tuple(&[done.ptr(), pending.ptr()])
    }
}

/// The timer's function.
unsafe fn release(waiter: *mut PyObject) -> Res<()> {
    // SAFETY: None lives for ever.
    futures::set_result_unless_cancelled(waiter, unsafe { ffi::Py_None() })
}

/// The task that waits, borrowed; NULL or None if none does.
pub(crate) unsafe fn task_of(countdown: *mut PyObject) -> *mut PyObject {
    // SAFETY: a countdown, alive, says the caller.
    unsafe { (*countdown.cast::<Countdown>()).task }
}

/// The futures' done callback.
pub(crate) unsafe fn completed(future: *mut PyObject, countdown: *mut PyObject) -> Res<()> {
    // SAFETY: registered with a countdown.
    let countdown = unsafe { &*countdown.cast::<Countdown>() };
    let left = countdown.left.get().saturating_sub(1);
    countdown.left.set(left);
    let enough = match countdown.when {
        _ if left == 0 => true,
        ReturnWhen::AllCompleted => false,
        ReturnWhen::FirstCompleted => true,
        ReturnWhen::FirstException => {
            !futures::is_cancelled(future)? && !futures::exception(future)?.is_none()
        }
    };
    if enough {
        // SAFETY: set until the collector clears it, and then nobody waits.
        if let Some(waiter) = unsafe { Ref::borrow_opt(countdown.waiter) } {
            // SAFETY: as above.
            unsafe { release(waiter.ptr())? };
        }
    }
    Ok(())
}

/// What the futures of one wait share.
#[repr(C)]
struct Countdown {
    head: PyObject,
    waiter: *mut PyObject,
    /// The task that waits, or None.
    task: *mut PyObject,
    left: Cell<usize>,
    when: ReturnWhen,
}

static COUNTDOWN_TYPE: Global<*mut PyTypeObject> = Global::new();

fn countdown(waiter: *mut PyObject, task: *mut PyObject, left: usize, when: ReturnWhen) -> Res {
    // SAFETY: the object is tracked when whole; `waiter` and `task` are alive.
    unsafe {
        let countdown: *mut Countdown = ffi::PyObject_GC_New(*COUNTDOWN_TYPE.get());
        let owned = Ref::checked(countdown.cast())?;
        (&raw mut (*countdown).waiter).write(Ref::borrow(waiter).into_ptr());
        (&raw mut (*countdown).task).write(Ref::borrow(task).into_ptr());
        (&raw mut (*countdown).left).write(Cell::new(left));
        (&raw mut (*countdown).when).write(when);
        ffi::PyObject_GC_Track(countdown.cast());
        Ok(owned)
    }
}

unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        visit_opt!(ffi::Py_TYPE(object).cast(), visit, arg);
        visit_opt!((*object.cast::<Countdown>()).waiter, visit, arg);
        visit_opt!((*object.cast::<Countdown>()).task, visit, arg);
    }
    0
}

unsafe extern "C" fn clear(object: *mut PyObject) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        set_slot(
            &raw mut (*object.cast::<Countdown>()).waiter,
            ptr::null_mut(),
        );
        set_slot(&raw mut (*object.cast::<Countdown>()).task, ptr::null_mut());
    }
    0
}

unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: the last reference is gone.
    unsafe {
        ffi::PyObject_GC_UnTrack(object.cast());
        clear(object);
        free_instance(object);
    }
}

/// Adds the function; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let builder = TypeBuilder::new::<Countdown>(c"rasyncio.wait_countdown")
        .doc(c"What the futures of one wait() share.")
        .flags(flags)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_clear, clear as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void);
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        COUNTDOWN_TYPE.set(builder.build(module, ptr::null_mut())?);
        add_function(module, &FUNCTION)
    }
}
