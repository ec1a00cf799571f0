//! `asyncio.Semaphore` and `BoundedSemaphore`.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::locks::line::Line;
use rasyncio::locks::states::SemaphoreState;

use super::bound::{self, Bound, Fields, describe, fields, is_plain, new_waiter, or_none};
use super::first_attempt;
use super::lock::{enter_by_name, exit_by_name, with_waiters};
use super::view;
use super::waiter::{Answer, InLine, PyWaiter};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, await_future, coroutine, coroutine_at_once,
    coroutine_without_await, finally,
};
use crate::docs;
use crate::futures;
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, call_method, raised_matches, set_slot, str_of, type_error, value_error,
};
use crate::stdlib::cancelled_error;

/// Permits are counted by the state. A value that is no small `int` (infinity, say) is what
/// `base` makes of that count.
struct Permits {
    state: SemaphoreState<PyWaiter>,
    /// NULL, or the object which `_value` would be if the state's were `zero`.
    base: *mut PyObject,
    zero: i64,
    /// `_bound_value`, or NULL.
    most: *mut PyObject,
    /// The same as a number, where it is one.
    limit: Option<i64>,
}

/// As many permits as nobody takes: the state's value where `_value` cannot reach zero.
const PLENTY: i64 = 1 << 62;

impl Fields for Permits {
    const COPIED: &'static [&'static str] = &["_waiters", "_value", "_bound_value"];

    fn new() -> Permits {
        Permits {
            state: SemaphoreState::new(1),
            base: ptr::null_mut(),
            zero: 0,
            most: ptr::null_mut(),
            limit: None,
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        visit(self.base);
        visit(self.most);
        self.state.line().visit(&mut |waiter| visit(waiter.ptr()));
    }

    fn clear(&mut self) {
        // SAFETY: the fields own what they hold.
        unsafe {
            set_slot(&raw mut self.base, ptr::null_mut());
            set_slot(&raw mut self.most, ptr::null_mut());
        }
        self.state.line().take().for_each(drop);
    }
}

/// The fields as a pointer, for the few that are assigned to.
unsafe fn permits(semaphore: *mut PyObject) -> *mut Permits {
    // SAFETY: a semaphore, alive, says the caller.
    unsafe { &raw mut (*semaphore.cast::<bound::Object<Permits>>()).fields }
}

/// `_value`
unsafe fn value_of(semaphore: *mut PyObject) -> Res {
    // SAFETY: a semaphore, alive, says the caller.
    unsafe {
        let permits = permits(semaphore);
        let value = (*permits).state.value();
        if (*permits).base.is_null() {
            return Ref::int(value);
        }
        let base = Ref::borrow((*permits).base);
        let count = Ref::int(value - (*permits).zero)?;
        Ref::checked(ffi::PyNumber_Add(base.ptr(), count.ptr()))
    }
}

/// A number as an `i64`, if it is an integral one of that size.
unsafe fn whole(value: *mut PyObject) -> Option<i64> {
    // SAFETY: alive, says the caller.
    unsafe {
        if ffi::PyFloat_Check(value) != 0 {
            let float = ffi::PyFloat_AS_DOUBLE(value);
            let fits = float.fract() == 0.0 && float.abs() < 9e15;
            return fits.then_some(float as i64);
        }
        if ffi::PyLong_Check(value) == 0 {
            return None;
        }
        let mut overflow = 0;
        let number = ffi::PyLong_AsLongLongAndOverflow(value, &mut overflow);
        (overflow == 0 && number.abs() < PLENTY).then_some(number)
    }
}

/// `_value = value`
unsafe fn set_value(semaphore: *mut PyObject, value: *mut PyObject) -> Res<()> {
    // SAFETY: a semaphore and an object, alive, say the callers.
    unsafe {
        let (count, zero, base) = match whole(value) {
            Some(count) if ffi::PyLong_CheckExact(value) != 0 => (count, 0, None),
            Some(count) => {
                let count_object = Ref::int(count)?;
                let base = Ref::checked(ffi::PyNumber_Subtract(value, count_object.ptr()))?;
                (count, 0, Some(base))
            }
            None => (PLENTY, PLENTY, Some(Ref::borrow(value))),
        };
        let permits = permits(semaphore);
        (*permits).state.set_value(count);
        (*permits).zero = zero;
        set_slot(
            &raw mut (*permits).base,
            base.map_or(ptr::null_mut(), Ref::into_ptr),
        );
        Ok(())
    }
}

static SEMAPHORE: Global<*mut PyTypeObject> = Global::new();
static BOUNDED: Global<*mut PyTypeObject> = Global::new();

/// Whether nothing can be overridden.
#[inline]
unsafe fn is_known(semaphore: *mut PyObject) -> bool {
    // SAFETY: a semaphore, alive, says the caller.
    unsafe { is_plain(semaphore, *SEMAPHORE.get()) || is_plain(semaphore, *BOUNDED.get()) }
}

const FILE: &CStr = c"<rasyncio.locks>";
static ACQUIRE: CoroutineDef = CoroutineDef::method(FILE, c"acquire", c"Semaphore.acquire");
static AENTER: CoroutineDef = CoroutineDef::method(FILE, c"__aenter__", c"Semaphore.__aenter__");
static AEXIT: CoroutineDef = CoroutineDef::method(FILE, c"__aexit__", c"Semaphore.__aexit__");

static ACQUIRE_METHOD: FunctionDef = FunctionDef {
    name: c"acquire",
    module: c"rasyncio.locks",
    doc: c"Take a permit, waiting until there is one, and return True.",
    signature: "(self)",
    call: acquire,
};
static AENTER_METHOD: FunctionDef = FunctionDef {
    name: c"__aenter__",
    module: c"rasyncio.locks",
    doc: c"Take a permit.",
    signature: "(self)",
    call: aenter,
};
static AEXIT_METHOD: FunctionDef = FunctionDef {
    name: c"__aexit__",
    module: c"rasyncio.locks",
    doc: c"Give the permit back.",
    signature: "(self, exc_type, exc, tb)",
    call: aexit,
};

const SEMAPHORE_SLOT: usize = 0;
const WAITER: usize = 1;

static ACQUIRE_PARAMETERS: Signature = Signature::required("Semaphore.acquire", &[]);
static AENTER_PARAMETERS: Signature = Signature::required("Semaphore.__aenter__", &[]);
static AEXIT_PARAMETERS: Signature =
    Signature::required("Semaphore.__aexit__", &["exc_type", "exc", "tb"]);

vectorcall!(acquire, |this, ACQUIRE_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None];
    coroutine_at_once(
        &ACQUIRE,
        held,
        |slots: Slots<2>| first_attempt(try_take(slots), || Ref::bool(true)),
        |slots: Slots<2>| async move {
            take(slots).await?;
            Ok(Ref::bool(true))
        },
    )
});

vectorcall!(aenter, |this, AENTER_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None];
    if !is_known(this) {
        return coroutine(&AENTER, held, enter_by_name);
    }
    coroutine_at_once(
        &AENTER,
        held,
        |slots: Slots<2>| first_attempt(try_take(slots), Ref::none),
        |slots: Slots<2>| async move {
            take(slots).await?;
            Ok(Ref::none())
        },
    )
});

vectorcall!(aexit, |this, AEXIT_PARAMETERS [_exc_type, _exc, _tb]| {
    let held = [Some(Ref::borrow(this))];
    if is_known(this) {
        coroutine_without_await(&AEXIT, held, exit)
    } else {
        coroutine_without_await(&AEXIT, held, exit_by_name)
    }
});

fn exit(slots: Slots<1>) -> Res {
    let semaphore = slots.get(SEMAPHORE_SLOT);
    // SAFETY: the slot keeps the semaphore alive.
    unsafe {
        if ffi::Py_TYPE(semaphore) == *BOUNDED.get() {
            release_bounded(semaphore)?;
        } else {
            release(semaphore)?;
        }
    }
    Ok(Ref::none())
}

/// Waits for a permit, after the first attempt.
#[inline]
async fn take(slots: Slots<2>) -> Res<()> {
    let semaphore = slots.get(SEMAPHORE_SLOT);
    // SAFETY: a semaphore, alive as long as the body.
    let state = unsafe { &fields::<Permits>(semaphore).state };
    // SAFETY: as above.
    let future = slots.set(WAITER, unsafe { new_waiter(semaphore)? });
    // SAFETY: the slot keeps the future alive.
    let ticket = state.join(PyWaiter::new(unsafe { Ref::borrow(future) }, Answer::True));
    let place = InLine::new(state.line(), ticket);
    match await_future(future).await {
        Ok(_) => state.resumed(place.ticket()),
        Err(raised) => {
            let cancelled = raised_matches(&raised, cancelled_error());
            finally(Err(raised), || {
                let woken =
                    cancelled && futures::is_done(future)? && !futures::is_cancelled(future)?;
                state.gave_up(place.ticket(), woken)
            })
        }
    }
}

fn try_take(slots: Slots<2>) -> Res<bool> {
    let semaphore = slots.get(SEMAPHORE_SLOT);
    // SAFETY: the slot keeps the semaphore alive.
    unsafe {
        let state = &fields::<Permits>(semaphore).state;
        if is_known(semaphore) {
            return state.try_acquire();
        }
        // A subclass may have its own idea of when it is locked.
        let free = !call_method(semaphore, names().locked, &[])?.truth()?;
        if free {
            state.set_value(state.value() - 1);
        }
        Ok(free)
    }
}

#[inline]
unsafe fn release(semaphore: *mut PyObject) -> Res<()> {
    // SAFETY: a semaphore, alive, says the caller.
    unsafe { fields::<Permits>(semaphore) }.state.release()
}

unsafe fn release_bounded(semaphore: *mut PyObject) -> Res<()> {
    // SAFETY: a semaphore, alive, says the caller.
    unsafe {
        let permits = permits(semaphore);
        let too_many = match (*permits).limit {
            Some(limit) if (*permits).base.is_null() => (*permits).state.value() >= limit,
            _ => {
                let value = value_of(semaphore)?;
                let most = or_none((*permits).most);
                compare(value.ptr(), most.ptr(), ffi::Py_GE)?
            }
        };
        if too_many {
            return Err(value_error("BoundedSemaphore released too many times"));
        }
        release(semaphore)
    }
}

unsafe fn compare(left: *mut PyObject, right: *mut PyObject, how: c_int) -> Res<bool> {
    // SAFETY: alive, says the caller.
    match unsafe { ffi::PyObject_RichCompareBool(left, right, how) } {
        -1 => Err(Raised::set()),
        answer => Ok(answer != 0),
    }
}

noargs!(py_release, |this: PyObject| release(this)
    .map(|()| Ref::none()));
noargs!(py_release_bounded, |this: PyObject| release_bounded(this)
    .map(|()| Ref::none()));
noargs!(locked, |this: PyObject| Ok(Ref::bool(
    fields::<Permits>(this).state.is_locked()?
)));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe {
        let locked = call_method(this, names().locked, &[])?.truth()?;
        let state = if locked {
            "locked".to_owned()
        } else {
            format!("unlocked, value:{}", str_of(value_of(this)?.ptr())?)
        };
        let line = fields::<Permits>(this).state.line();
        describe(this, &with_waiters(&state, line))
    })
}

unsafe fn find_line(this: *mut PyObject) -> *const Line<PyWaiter> {
    // SAFETY: a semaphore, alive, says the caller.
    unsafe { fields::<Permits>(this) }.state.line()
}

// None until somebody has waited, as in asyncio.
getter!(
    waiters,
    |this: PyObject| if (*this.cast::<Bound>()).waited {
        view::new(this, find_line, Answer::True)
    } else {
        Ok(Ref::none())
    }
);

setter!(set_waiters, |this: PyObject, value| {
    (*this.cast::<Bound>()).waited = !value.is_null() && value != ffi::Py_None();
    view::assign(fields::<Permits>(this).state.line(), value, Answer::True)
});

getter!(get_value, |this: PyObject| value_of(this));

setter!(assign_value, |this: PyObject, value| {
    if value.is_null() {
        return Err(type_error("_value cannot be deleted"));
    }
    set_value(this, value)
});

getter!(bound_value, |this: PyObject| Ok(or_none(
    (*permits(this)).most
)));

setter!(set_bound_value, |this: PyObject, value| {
    if value.is_null() {
        return Err(type_error("_bound_value cannot be deleted"));
    }
    set_bound(this, value);
    Ok(())
});

unsafe fn set_bound(this: *mut PyObject, value: *mut PyObject) {
    // SAFETY: a semaphore and an object, alive, say the callers.
    unsafe {
        let permits = permits(this);
        (*permits).limit = whole(value);
        set_slot(&raw mut (*permits).most, Ref::borrow(value).into_ptr());
    }
}

static INIT: Signature = Signature::required("Semaphore.__init__", &[]).optional(&["value"]);

static INIT_BOUNDED: Signature =
    Signature::required("BoundedSemaphore.__init__", &[]).optional(&["value"]);

unsafe fn initialise(this: *mut PyObject, value: *mut PyObject) -> Res<()> {
    // SAFETY: a semaphore, alive, and an object, say the callers.
    unsafe {
        let zero = Ref::int(0)?;
        let below = Ref::checked(ffi::PyObject_RichCompare(value, zero.ptr(), ffi::Py_LT))?;
        if below.truth()? {
            return Err(value_error("Semaphore initial value must be >= 0"));
        }
        set_value(this, value)?;
        view::assign(
            fields::<Permits>(this).state.line(),
            ptr::null_mut(),
            Answer::True,
        )
    }
}

unsafe fn initial_value(given: *mut PyObject) -> Res {
    // SAFETY: alive or NULL, says the caller.
    match unsafe { Ref::borrow_opt(given) } {
        Some(value) => Ok(value),
        None => Ref::int(1),
    }
}

unsafe extern "C" fn tp_init(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        let [value] = INIT.parse_tuple::<1>(args, kwargs)?;
        initialise(this, initial_value(value)?.ptr())
    })
}

unsafe extern "C" fn tp_init_bounded(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        let [value] = INIT_BOUNDED.parse_tuple::<1>(args, kwargs)?;
        let value = initial_value(value)?;
        set_bound(this, value.ptr());
        initialise(this, value.ptr())
    })
}

/// Adds the classes; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = bound::class::<Permits>(
        c"rasyncio.locks.Semaphore",
        c"Semaphore(value=1)\n--\n\nA number of permits, of which a task takes one.\n\n\
          acquire() waits until there is a permit, in the order in which tasks came; release()\n\
          gives one back. To be used in an `async with` block.",
    )
    .slot(ffi::Py_tp_init, tp_init as *mut c_void)
    .slot(ffi::Py_tp_repr, repr as *mut c_void)
    .noargs(c"locked", locked)
    .noargs(c"release", py_release)
    .docs(docs::SEMAPHORE)
    .property(c"_waiters", waiters, Some(set_waiters))
    .property(c"_value", get_value, Some(assign_value));
    let bounded = bound::class::<Permits>(
        c"rasyncio.locks.BoundedSemaphore",
        c"BoundedSemaphore(value=1)\n--\n\nA semaphore that refuses more permits than it began with.",
    )
    .slot(ffi::Py_tp_init, tp_init_bounded as *mut c_void)
    .noargs(c"release", py_release_bounded)
    .docs(docs::BOUNDED_SEMAPHORE)
    .property(c"_bound_value", bound_value, Some(set_bound_value));
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        let methods = [&ACQUIRE_METHOD, &AENTER_METHOD, &AEXIT_METHOD];
        let class = bound::add_class(module, c"Semaphore", builder, ptr::null_mut(), &methods)?;
        SEMAPHORE.set(class);
        let name = c"BoundedSemaphore";
        BOUNDED.set(bound::add_class(module, name, bounded, class, &[])?);
    }
    Ok(())
}
