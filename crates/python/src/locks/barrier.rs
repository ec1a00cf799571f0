//! `asyncio.Barrier`.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::locks::line::Line;
use rasyncio::locks::states::{BarrierPhase, BarrierState};

use super::bound::{self, Fields, Object, describe, fields, is_plain, new_waiter, or_none};
use super::view;
use super::waiter::{Answer, InLine, PyWaiter};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, await_future, await_object, coroutine,
    coroutine_without_await, finally,
};
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, call_method, import, raise, set_slot, str_of, to_string, type_error,
    value_error,
};
use crate::stdlib::stdlib;

struct Meeting {
    state: BarrierState<PyWaiter>,
    /// `parties`, as it was given.
    parties: *mut PyObject,
}

impl Fields for Meeting {
    const COPIED: &'static [&'static str] = &["_waiters", "_parties", "_count", "_state"];

    fn new() -> Meeting {
        Meeting {
            state: BarrierState::new(1),
            parties: ptr::null_mut(),
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        visit(self.parties);
        self.state.line().visit(&mut |waiter| visit(waiter.ptr()));
    }

    fn clear(&mut self) {
        // SAFETY: the field owns what it holds.
        unsafe { set_slot(&raw mut self.parties, ptr::null_mut()) };
        self.state.line().take().for_each(drop);
    }
}

#[inline]
unsafe fn state<'a>(barrier: *mut PyObject) -> &'a BarrierState<PyWaiter> {
    // SAFETY: a barrier, alive for as long as the state is used, says the caller.
    unsafe { &fields::<Meeting>(barrier).state }
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

const FILE: &CStr = c"<rasyncio.locks>";
static WAIT: CoroutineDef = CoroutineDef::method(FILE, c"wait", c"Barrier.wait");
static RESET: CoroutineDef = CoroutineDef::method(FILE, c"reset", c"Barrier.reset");
static ABORT: CoroutineDef = CoroutineDef::method(FILE, c"abort", c"Barrier.abort");
static AENTER: CoroutineDef = CoroutineDef::method(FILE, c"__aenter__", c"Barrier.__aenter__");
static AEXIT: CoroutineDef = CoroutineDef::method(FILE, c"__aexit__", c"Barrier.__aexit__");

static WAIT_METHOD: FunctionDef = FunctionDef {
    name: c"wait",
    module: c"rasyncio.locks",
    doc: c"Wait until all parties wait, and return a number from 0 to parties - 1, each time \
           another.\n\nBrokenBarrierError if the barrier is broken, or reset meanwhile.",
    signature: "(self)",
    call: wait,
};
static RESET_METHOD: FunctionDef = FunctionDef {
    name: c"reset",
    module: c"rasyncio.locks",
    doc: c"Empty the barrier: who waits gets a BrokenBarrierError.",
    signature: "(self)",
    call: reset,
};
static ABORT_METHOD: FunctionDef = FunctionDef {
    name: c"abort",
    module: c"rasyncio.locks",
    doc: c"Break the barrier: who waits, and who comes, gets a BrokenBarrierError.",
    signature: "(self)",
    call: abort,
};
static AENTER_METHOD: FunctionDef = FunctionDef {
    name: c"__aenter__",
    module: c"rasyncio.locks",
    doc: c"Wait for the barrier, and return wait()'s number.",
    signature: "(self)",
    call: aenter,
};
static AEXIT_METHOD: FunctionDef = FunctionDef {
    name: c"__aexit__",
    module: c"rasyncio.locks",
    doc: c"Do nothing.",
    signature: "(self, *args)",
    call: aexit,
};

static WAIT_PARAMETERS: Signature = Signature::required("Barrier.wait", &[]);
static RESET_PARAMETERS: Signature = Signature::required("Barrier.reset", &[]);
static ABORT_PARAMETERS: Signature = Signature::required("Barrier.abort", &[]);
static AENTER_PARAMETERS: Signature = Signature::required("Barrier.__aenter__", &[]);
static AEXIT_PARAMETERS: Signature = Signature::required("Barrier.__aexit__", &[]).varargs();

const BARRIER: usize = 0;
const WAITER: usize = 1;

vectorcall!(wait, |this, WAIT_PARAMETERS []| {
    coroutine(&WAIT, [Some(Ref::borrow(this)), None], pass)
});

vectorcall!(aenter, |this, AENTER_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None];
    if is_plain(this, *TYPE.get()) {
        coroutine(&AENTER, held, pass)
    } else {
        coroutine(&AENTER, held, pass_by_name)
    }
});

vectorcall!(aexit, |_this, AEXIT_PARAMETERS []| {
    coroutine_without_await(&AEXIT, [], |_: Slots<0>| Ok(Ref::none()))
});

vectorcall!(reset, |this, RESET_PARAMETERS []| {
    coroutine_without_await(&RESET, [Some(Ref::borrow(this))], reset_now)
});

vectorcall!(abort, |this, ABORT_PARAMETERS []| {
    coroutine_without_await(&ABORT, [Some(Ref::borrow(this))], abort_now)
});

fn reset_now(slots: Slots<1>) -> Res {
    // SAFETY: the slot keeps the barrier alive.
    unsafe { state(slots.get(BARRIER)) }.reset()?;
    Ok(Ref::none())
}

fn abort_now(slots: Slots<1>) -> Res {
    // SAFETY: the slot keeps the barrier alive.
    unsafe { state(slots.get(BARRIER)) }.abort()?;
    Ok(Ref::none())
}

/// A subclass may have its own `wait()`.
async fn pass_by_name(slots: Slots<2>) -> Res {
    // SAFETY: the slot keeps the barrier alive.
    let waiting = unsafe { call_method(slots.get(BARRIER), names().wait, &[])? };
    await_object(slots.set(WAITER, waiting)).await
}

/// `wait()`
async fn pass(slots: Slots<2>) -> Res {
    // SAFETY: the slot keeps the barrier alive, as long as the body.
    let state = unsafe { state(slots.get(BARRIER)) };
    while state.is_blocked() {
        wait_once(slots).await?;
    }
    let before = state.count();
    let index = match state.enter() {
        Ok(Some(index)) => index,
        Ok(None) => return Err(broken("Barrier aborted")),
        Err(raised) => {
            debug_assert_eq!(state.count(), before + 1);
            return finally(Err(raised), || state.exit());
        }
    };
    let inside = Inside(state);
    let outcome = until_full(slots).await;
    core::mem::forget(inside);
    finally(outcome, || state.exit())?;
    Ref::int(index as i64)
}

#[inline]
async fn until_full(slots: Slots<2>) -> Res<()> {
    // SAFETY: the slot keeps the barrier alive, as long as the body.
    let state = unsafe { state(slots.get(BARRIER)) };
    while state.is_filling() {
        wait_once(slots).await?;
    }
    if state.is_failed() {
        return Err(broken("Abort or reset of barrier"));
    }
    Ok(())
}

/// One who has entered the barrier; when the body is dropped there, that one goes.
struct Inside<'a>(&'a BarrierState<PyWaiter>);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let count = self.0.count();
        self.0.set_count(count.saturating_sub(1));
    }
}

#[inline]
async fn wait_once(slots: Slots<2>) -> Res<()> {
    let barrier = slots.get(BARRIER);
    // SAFETY: the slot keeps the barrier alive, as long as the body.
    let (state, future) = unsafe { (state(barrier), slots.set(WAITER, new_waiter(barrier)?)) };
    // SAFETY: the slot keeps the future alive.
    let ticket = state.join(PyWaiter::new(unsafe { Ref::borrow(future) }, Answer::False));
    let place = InLine::new(state.line(), ticket);
    match await_future(future).await {
        Ok(_) => {
            state.left(place.ticket());
            Ok(())
        }
        Err(raised) => finally(Err(raised), || state.gave_up(place.ticket())),
    }
}

#[cold]
fn broken(message: &str) -> Raised {
    // SAFETY: an exception class.
    unsafe { raise(stdlib().broken_barrier_error.ptr(), message) }
}

getter!(parties, |this: PyObject| Ok(or_none(
    fields::<Meeting>(this).parties
)));
getter!(n_waiting, |this: PyObject| Ref::int(
    state(this).waiting() as i64
));
getter!(is_broken, |this: PyObject| Ok(Ref::bool(
    state(this).is_broken()
)));
getter!(count, |this: PyObject| Ref::int(state(this).count() as i64));

setter!(set_count, |this: PyObject, value| {
    state(this).set_count(number(value)?);
    Ok(())
});

setter!(set_parties, |this: PyObject, value| {
    if value.is_null() {
        return Err(type_error("_parties cannot be deleted"));
    }
    assign_parties(this, value);
    Ok(())
});

fn number(value: *mut PyObject) -> Res<usize> {
    if value.is_null() {
        return Err(type_error("_count cannot be deleted"));
    }
    // SAFETY: alive; -1 may be an error or a number.
    unsafe {
        let count = ffi::PyLong_AsSsize_t(value);
        if count == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised::set());
        }
        Ok(count.max(0) as usize)
    }
}

/// The members of asyncio's own enumeration, by their values.
const PHASES: [(BarrierPhase, &str); 4] = [
    (BarrierPhase::Filling, "filling"),
    (BarrierPhase::Draining, "draining"),
    (BarrierPhase::Resetting, "resetting"),
    (BarrierPhase::Broken, "broken"),
];

fn phase_name(state: &BarrierState<PyWaiter>) -> &'static str {
    let known = PHASES.iter().find(|(phase, _)| *phase == state.phase());
    known.map_or("", |(_, name)| name)
}

getter!(get_state, |this: PyObject| {
    let phases = import(c"asyncio.locks")?.attr(Ref::str("_BarrierState")?.ptr())?;
    phases.call1(Ref::str(phase_name(state(this)))?.ptr())
});

setter!(set_state, |this: PyObject, value| {
    if value.is_null() {
        return Err(type_error("_state cannot be deleted"));
    }
    let wanted = to_string(&Ref::borrow(value).attr(names().value)?)?;
    match PHASES.iter().find(|(_, name)| *name == wanted) {
        Some((phase, _)) => state(this).set_phase(*phase),
        None => return Err(value_error("no state of a barrier")),
    }
    Ok(())
});

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe {
        let state = state(this);
        let mut text = phase_name(state).to_owned();
        if !state.is_broken() {
            let parties = str_of(or_none(fields::<Meeting>(this).parties).ptr())?;
            text += &format!(", waiters:{}/{parties}", state.waiting());
        }
        describe(this, &text)
    })
}

unsafe fn find_line(this: *mut PyObject) -> *const Line<PyWaiter> {
    // SAFETY: a barrier, alive, says the caller.
    unsafe { state(this) }.line()
}

getter!(waiters, |this: PyObject| view::new(
    this,
    find_line,
    Answer::False
));

setter!(set_waiters, |this: PyObject, value| view::assign(
    state(this).line(),
    value,
    Answer::False
));

unsafe fn assign_parties(this: *mut PyObject, parties: *mut PyObject) {
    // SAFETY: a barrier and an object, alive, say the callers.
    unsafe {
        // What no count can reach is as good as the largest one.
        let count = if ffi::PyFloat_Check(parties) != 0 {
            let float = ffi::PyFloat_AS_DOUBLE(parties);
            if float.fract() == 0.0 {
                float as usize
            } else {
                usize::MAX
            }
        } else {
            let count = ffi::PyLong_AsSize_t(parties);
            ffi::PyErr_Clear();
            count
        };
        state(this).set_parties(count);
        let fields = &raw mut (*this.cast::<Object<Meeting>>()).fields;
        set_slot(&raw mut (*fields).parties, Ref::borrow(parties).into_ptr());
    }
}

static INIT: Signature = Signature::required("Barrier.__init__", &["parties"]);

unsafe extern "C" fn tp_init(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        let [parties] = INIT.parse_tuple::<1>(args, kwargs)?;
        let one = Ref::int(1)?;
        let below = Ref::checked(ffi::PyObject_RichCompare(parties, one.ptr(), ffi::Py_LT))?;
        if below.truth()? {
            return Err(value_error(if cfg!(Py_3_14) {
                "parties must be >= 1"
            } else {
                "parties must be > 0"
            }));
        }
        assign_parties(this, parties);
        state(this).set_count(0);
        state(this).set_phase(BarrierPhase::Filling);
        view::assign(state(this).line(), ptr::null_mut(), Answer::False)
    })
}

/// Adds the class; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = bound::class::<Meeting>(
        c"rasyncio.locks.Barrier",
        c"Barrier(parties)\n--\n\nLets a number of tasks wait for each other.\n\n\
          They block in wait() until all have called it, and go on together. `async with` a\n\
          barrier waits on the way in.",
    )
    .slot(ffi::Py_tp_init, tp_init as *mut c_void)
    .slot(ffi::Py_tp_repr, repr as *mut c_void)
    .get(c"parties", parties)
    .get(c"n_waiting", n_waiting)
    .get(c"broken", is_broken)
    .property(c"_parties", parties, Some(set_parties))
    .property(c"_count", count, Some(set_count))
    .property(c"_state", get_state, Some(set_state))
    .property(c"_waiters", waiters, Some(set_waiters));
    let methods = [
        &WAIT_METHOD,
        &RESET_METHOD,
        &ABORT_METHOD,
        &AENTER_METHOD,
        &AEXIT_METHOD,
    ];
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        TYPE.set(bound::add_class(
            module,
            c"Barrier",
            builder,
            ptr::null_mut(),
            &methods,
        )?);
    }
    Ok(())
}
