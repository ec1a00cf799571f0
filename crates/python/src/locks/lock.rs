//! `asyncio.Lock`.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::locks::line::Line;
use rasyncio::locks::states::{LockState, ReleaseError};

use super::bound::{self, Fields, describe, fields, is_plain, new_waiter};
use super::first_attempt;
use super::view;
use super::waiter::{Answer, InLine, PyWaiter};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, await_future, await_object, coroutine, coroutine_at_once,
    coroutine_without_await, finally,
};
use crate::docs;
use crate::global::Global;
use crate::names::names;
use crate::object::{Ref, Res, call_method, raised_matches, runtime_error};
use crate::stdlib::cancelled_error;

type State = LockState<PyWaiter>;

impl Fields for State {
    const COPIED: &'static [&'static str] = &["_waiters", "_locked"];

    fn new() -> State {
        State::new()
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        self.line().visit(&mut |waiter| visit(waiter.ptr()));
    }

    fn clear(&mut self) {
        self.line().take().for_each(drop);
    }
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// The class `Lock`.
#[inline]
pub(super) fn lock_type() -> *mut PyTypeObject {
    *TYPE.get()
}

const FILE: &CStr = c"<rasyncio.locks>";
static ACQUIRE: CoroutineDef = CoroutineDef::method(FILE, c"acquire", c"Lock.acquire");
static AENTER: CoroutineDef = CoroutineDef::method(FILE, c"__aenter__", c"Lock.__aenter__");
static AEXIT: CoroutineDef = CoroutineDef::method(FILE, c"__aexit__", c"Lock.__aexit__");

static ACQUIRE_METHOD: FunctionDef = FunctionDef {
    name: c"acquire",
    module: c"rasyncio.locks",
    doc: c"Acquire the lock: wait until it is free, lock it, and return True.",
    signature: "(self)",
    call: acquire,
};
static AENTER_METHOD: FunctionDef = FunctionDef {
    name: c"__aenter__",
    module: c"rasyncio.locks",
    doc: c"Acquire the lock.",
    signature: "(self)",
    call: aenter,
};
static AEXIT_METHOD: FunctionDef = FunctionDef {
    name: c"__aexit__",
    module: c"rasyncio.locks",
    doc: c"Release the lock.",
    signature: "(self, exc_type, exc, tb)",
    call: aexit,
};

const LOCK: usize = 0;
const WAITER: usize = 1;

static ACQUIRE_PARAMETERS: Signature = Signature::required("Lock.acquire", &[]);
static AENTER_PARAMETERS: Signature = Signature::required("Lock.__aenter__", &[]);
static AEXIT_PARAMETERS: Signature =
    Signature::required("Lock.__aexit__", &["exc_type", "exc", "tb"]);

vectorcall!(acquire, |this, ACQUIRE_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None];
    coroutine_at_once(
        &ACQUIRE,
        held,
        |slots: Slots<2>| first_attempt(try_take(slots), || Ref::bool(true)),
        |slots: Slots<2>| async move {
            take(slots.get(LOCK), slots, WAITER).await?;
            Ok(Ref::bool(true))
        },
    )
});

vectorcall!(aenter, |this, AENTER_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None];
    if !is_plain(this, lock_type()) {
        return coroutine(&AENTER, held, enter_by_name);
    }
    coroutine_at_once(
        &AENTER,
        held,
        |slots: Slots<2>| first_attempt(try_take(slots), Ref::none),
        |slots: Slots<2>| async move {
            take(slots.get(LOCK), slots, WAITER).await?;
            Ok(Ref::none())
        },
    )
});

vectorcall!(aexit, |this, AEXIT_PARAMETERS [_exc_type, _exc, _tb]| {
    let held = [Some(Ref::borrow(this))];
    if is_plain(this, lock_type()) {
        coroutine_without_await(&AEXIT, held, exit)
    } else {
        coroutine_without_await(&AEXIT, held, exit_by_name)
    }
});

fn try_take(slots: Slots<2>) -> Res<bool> {
    // SAFETY: the slot keeps the lock alive.
    unsafe { try_acquire(slots.get(LOCK)) }
}

/// Takes the lock, if it can be had at once.
#[inline]
pub(super) unsafe fn try_acquire(lock: *mut PyObject) -> Res<bool> {
    // SAFETY: a lock, alive, says the caller.
    unsafe { fields::<State>(lock) }.try_acquire()
}

fn exit(slots: Slots<1>) -> Res {
    // SAFETY: the slot keeps the lock alive.
    unsafe { release(slots.get(LOCK))? };
    Ok(Ref::none())
}

/// `async with` of a subclass, which may have its own `acquire()` and `release()`.
pub(super) async fn enter_by_name(slots: Slots<2>) -> Res {
    // SAFETY: the slot keeps the lock alive.
    let acquiring = unsafe { call_method(slots.get(LOCK), names().acquire, &[])? };
    await_object(slots.set(WAITER, acquiring)).await?;
    Ok(Ref::none())
}

pub(super) fn exit_by_name(slots: Slots<1>) -> Res {
    // SAFETY: the slot keeps the lock alive.
    unsafe { call_method(slots.get(LOCK), names().release, &[])? };
    Ok(Ref::none())
}

/// Acquires a lock that a slot keeps alive. The future waited for goes into the slot `waiter`.
#[inline]
pub(super) async fn take<const N: usize>(
    lock: *mut PyObject,
    slots: Slots<N>,
    waiter: usize,
) -> Res<()> {
    // SAFETY: a lock, alive as long as the body.
    let state: &State = unsafe { fields(lock) };
    if state.try_acquire()? {
        return Ok(());
    }
    // SAFETY: as above.
    let future = slots.set(waiter, unsafe { new_waiter(lock)? });
    // SAFETY: the slot keeps the future alive.
    let ticket = state.join(PyWaiter::new(unsafe { Ref::borrow(future) }, Answer::True));
    let place = InLine::new(state.line(), ticket);
    match await_future(future).await {
        Ok(_) => {
            state.resumed(place.ticket());
            Ok(())
        }
        // Anything but a cancellation (GeneratorExit, say) only leaves the line, as in asyncio.
        Err(raised) if raised_matches(&raised, cancelled_error()) => {
            finally(Err(raised), || state.gave_up(place.ticket()))
        }
        Err(raised) => finally(Err(raised), || {
            drop(place);
            Ok(())
        }),
    }
}

/// `lock.release()`
#[inline]
pub(super) unsafe fn release(lock: *mut PyObject) -> Res<()> {
    // SAFETY: a lock, alive, says the caller.
    let state: &State = unsafe { fields(lock) };
    state.release().map_err(|error| match error {
        ReleaseError::NotAcquired => runtime_error("Lock is not acquired."),
        ReleaseError::Waiter(raised) => raised,
    })
}

/// `lock.locked()`
#[inline]
pub(super) unsafe fn is_locked(lock: *mut PyObject) -> bool {
    // SAFETY: a lock, alive, says the caller.
    unsafe { fields::<State>(lock) }.is_locked()
}

noargs!(py_release, |lock: PyObject| release(lock)
    .map(|()| Ref::none()));
noargs!(py_locked, |lock: PyObject| Ok(Ref::bool(is_locked(lock))));

noargs!(wake_up_first, |lock: PyObject| {
    fields::<State>(lock).line().wake_first()?;
    Ok(Ref::none())
});

unsafe extern "C" fn repr(lock: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe {
        let state: &State = fields(lock);
        let locked = if state.is_locked() {
            "locked"
        } else {
            "unlocked"
        };
        describe(lock, &with_waiters(locked, state.line()))
    })
}

/// A state for a repr, with the number of those who wait.
pub(super) fn with_waiters(state: &str, line: &Line<PyWaiter>) -> String {
    match line.len() {
        0 => state.to_owned(),
        waiters => format!("{state}, waiters:{waiters}"),
    }
}

unsafe fn find_line(lock: *mut PyObject) -> *const Line<PyWaiter> {
    // SAFETY: a lock, alive, says the caller.
    unsafe { fields::<State>(lock) }.line()
}

// None until somebody has waited, as in asyncio.
getter!(
    waiters,
    |lock: PyObject| if (*lock.cast::<bound::Bound>()).waited {
        view::new(lock, find_line, Answer::True)
    } else {
        Ok(Ref::none())
    }
);

setter!(set_waiters, |lock: PyObject, value| {
    (*lock.cast::<bound::Bound>()).waited = !value.is_null() && value != ffi::Py_None();
    view::assign(fields::<State>(lock).line(), value, Answer::True)
});

getter!(get_locked, |lock: PyObject| Ok(Ref::bool(is_locked(lock))));

setter!(set_locked, |lock: PyObject, value| {
    fields::<State>(lock).set_locked(super::truth(value)?);
    Ok(())
});

static INIT: Signature = Signature::required("Lock.__init__", &[]);

unsafe extern "C" fn tp_init(
    lock: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        INIT.parse_tuple::<0>(args, kwargs)?;
        let state: &State = fields(lock);
        state.set_locked(false);
        view::assign(state.line(), ptr::null_mut(), Answer::True)
    })
}

/// Adds the class; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = bound::class::<State>(
        c"rasyncio.locks.Lock",
        c"Lock()\n--\n\nA mutual exclusion lock for tasks; not for threads.\n\n\
          Tasks that wait for it get it in the order in which they came. To be used in an\n\
          `async with` block:\n\n    async with lock:\n        ...",
    )
    .slot(ffi::Py_tp_init, tp_init as *mut c_void)
    .slot(ffi::Py_tp_repr, repr as *mut c_void)
    .noargs(c"locked", py_locked)
    .noargs(c"release", py_release)
    .noargs(c"_wake_up_first", wake_up_first)
    .docs(docs::LOCK)
    .property(c"_waiters", waiters, Some(set_waiters))
    .property(c"_locked", get_locked, Some(set_locked));
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        let methods = &[&ACQUIRE_METHOD, &AENTER_METHOD, &AEXIT_METHOD];
        TYPE.set(bound::add_class(
            module,
            c"Lock",
            builder,
            ptr::null_mut(),
            methods,
        )?);
    }
    Ok(())
}
