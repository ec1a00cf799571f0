//! `asyncio.Condition`.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::locks::line::Line;
use rasyncio::locks::states::ConditionState;

use super::bound::{self, Fields, Object, describe, fields, is_plain, new_waiter, or_none};
use super::first_attempt;
use super::lock::{self, enter_by_name, exit_by_name, lock_type, with_waiters};
use super::view;
use super::waiter::{Answer, InLine, PyWaiter};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, await_future, await_object, coroutine, coroutine_at_once,
    coroutine_without_await, finally, raised_during,
};
use crate::docs;
use crate::global::Global;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, call_method, raise_instance, raised_matches, runtime_error, set_slot,
    take_raised,
};
use crate::stdlib::cancelled_error;

struct Waiting {
    state: ConditionState<PyWaiter>,
    /// Any object with the methods of a lock. NULL before `__init__`.
    lock: *mut PyObject,
    /// The lock's methods, taken from it once, as asyncio does. NULL where the lock is exactly
    /// ours: then they are called directly.
    locked: *mut PyObject,
    acquire: *mut PyObject,
    release: *mut PyObject,
}

impl Fields for Waiting {
    const COPIED: &'static [&'static str] = &["_waiters", "_lock"];

    fn new() -> Waiting {
        Waiting {
            state: ConditionState::new(),
            lock: ptr::null_mut(),
            locked: ptr::null_mut(),
            acquire: ptr::null_mut(),
            release: ptr::null_mut(),
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        for held in [self.lock, self.locked, self.acquire, self.release] {
            visit(held);
        }
        self.state.line().visit(&mut |waiter| visit(waiter.ptr()));
    }

    fn clear(&mut self) {
        // SAFETY: the fields own what they hold. The lock goes last: without the methods it
        // would be taken for one of ours, so there is none from here on.
        unsafe {
            let lock = core::mem::replace(&mut self.lock, ptr::null_mut());
            set_slot(&raw mut self.locked, ptr::null_mut());
            set_slot(&raw mut self.acquire, ptr::null_mut());
            set_slot(&raw mut self.release, ptr::null_mut());
            drop(Ref::own_opt(lock));
        }
        self.state.line().take().for_each(drop);
    }
}

/// The fields as a pointer, for those that are assigned to.
unsafe fn waiting(condition: *mut PyObject) -> *mut Waiting {
    // SAFETY: a condition, alive, says the caller.
    unsafe { &raw mut (*condition.cast::<Object<Waiting>>()).fields }
}

#[inline]
unsafe fn state<'a>(condition: *mut PyObject) -> &'a ConditionState<PyWaiter> {
    // SAFETY: a condition, alive for as long as the state is used, says the caller.
    unsafe { &fields::<Waiting>(condition).state }
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// The lock if it is exactly ours, and the method in `slot` was not replaced.
#[inline]
unsafe fn own_lock(
    condition: *mut PyObject,
    slot: impl FnOnce(*mut Waiting) -> *mut PyObject,
) -> Res<Result<*mut PyObject, Ref>> {
    // SAFETY: a condition, alive, says the caller.
    unsafe {
        let waiting = waiting(condition);
        match Ref::borrow_opt(slot(waiting)) {
            Some(method) => Ok(Err(method)),
            None if (*waiting).lock.is_null() => {
                Err(runtime_error("Condition object is not initialized"))
            }
            None => Ok(Ok((*waiting).lock)),
        }
    }
}

/// `self.locked()`
#[inline]
unsafe fn locked(condition: *mut PyObject) -> Res<bool> {
    // SAFETY: a condition, alive, says the caller.
    unsafe {
        match own_lock(condition, |waiting| (*waiting).locked)? {
            Ok(lock) => Ok(lock::is_locked(lock)),
            Err(method) => method.call0()?.truth(),
        }
    }
}

/// `self.release()`
#[inline]
unsafe fn release(condition: *mut PyObject) -> Res<()> {
    // SAFETY: a condition, alive, says the caller.
    unsafe {
        match own_lock(condition, |waiting| (*waiting).release)? {
            Ok(lock) => lock::release(lock),
            Err(method) => method.call0().map(drop),
        }
    }
}

const CONDITION: usize = 0;
const WAITER: usize = 1;
/// The lock that is waited for: the condition may be given another one meanwhile.
const LOCK: usize = 2;
/// What ended the wait for a notification, if it was an error.
const ERROR: usize = 3;
/// The last cancellation while acquiring the lock again.
const CANCELLATION: usize = 4;
const PREDICATE: usize = 5;

/// `await self.acquire()`
#[inline]
async fn acquire<const N: usize>(slots: Slots<N>) -> Res<()> {
    // SAFETY: the slot keeps the condition alive, and that its lock.
    match unsafe { own_lock(slots.get(CONDITION), |waiting| (*waiting).acquire)? } {
        Ok(lock) => {
            // SAFETY: the condition's lock, alive.
            let lock = slots.set(LOCK, unsafe { Ref::borrow(lock) });
            lock::take(lock, slots, WAITER).await
        }
        Err(method) => {
            let acquiring = method.call0()?;
            drop(method);
            await_object(slots.set(WAITER, acquiring)).await.map(drop)
        }
    }
}

const FILE: &CStr = c"<rasyncio.locks>";
static WAIT: CoroutineDef = CoroutineDef::method(FILE, c"wait", c"Condition.wait");
static WAIT_FOR: CoroutineDef = CoroutineDef::method(FILE, c"wait_for", c"Condition.wait_for");
static AENTER: CoroutineDef = CoroutineDef::method(FILE, c"__aenter__", c"Condition.__aenter__");
static AEXIT: CoroutineDef = CoroutineDef::method(FILE, c"__aexit__", c"Condition.__aexit__");

static WAIT_METHOD: FunctionDef = FunctionDef {
    name: c"wait",
    module: c"rasyncio.locks",
    doc: c"Release the lock, wait until notified, acquire the lock again, and return True.\n\n\
           It may return without a reason, so look again at what was waited for.\n\
           RuntimeError if the lock is not held.",
    signature: "(self)",
    call: wait,
};
static WAIT_FOR_METHOD: FunctionDef = FunctionDef {
    name: c"wait_for",
    module: c"rasyncio.locks",
    doc: c"Wait until predicate() is true, and return what it returned.\n\n\
           It is called with the lock held, at first and after each notification.",
    signature: "(self, predicate)",
    call: wait_for,
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

static WAIT_PARAMETERS: Signature = Signature::required("Condition.wait", &[]);
static WAIT_FOR_PARAMETERS: Signature = Signature::required("Condition.wait_for", &["predicate"]);
static AENTER_PARAMETERS: Signature = Signature::required("Condition.__aenter__", &[]);
static AEXIT_PARAMETERS: Signature =
    Signature::required("Condition.__aexit__", &["exc_type", "exc", "tb"]);

vectorcall!(wait, |this, WAIT_PARAMETERS []| {
    coroutine(&WAIT, [Some(Ref::borrow(this)), None, None, None, None], |slots: Slots<5>| async move {
        wait_once(slots).await?;
        Ok(Ref::bool(true))
    })
});

vectorcall!(wait_for, |this, WAIT_FOR_PARAMETERS [predicate]| {
    let held = [Some(Ref::borrow(this)), None, None, None, None, Some(Ref::borrow(predicate))];
    if is_plain(this, *TYPE.get()) {
        coroutine(&WAIT_FOR, held, wait_until)
    } else {
        coroutine(&WAIT_FOR, held, wait_until_by_name)
    }
});

vectorcall!(aenter, |this, AENTER_PARAMETERS []| {
    if !is_plain(this, *TYPE.get()) {
        return coroutine(&AENTER, [Some(Ref::borrow(this)), None], enter_by_name);
    }
    let held = [Some(Ref::borrow(this)), None, None];
    coroutine_at_once(&AENTER, held, acquire_at_once, |slots: Slots<3>| async move {
        acquire(slots).await?;
        Ok(Ref::none())
    })
});

fn acquire_at_once(slots: Slots<3>) -> Option<Res> {
    // SAFETY: the slot keeps the condition alive, and that its lock.
    match unsafe { own_lock(slots.get(CONDITION), |waiting| (*waiting).acquire) } {
        // SAFETY: as above.
        Ok(Ok(lock)) => first_attempt(unsafe { lock::try_acquire(lock) }, Ref::none),
        Ok(Err(_method)) => None,
        Err(raised) => Some(Err(raised)),
    }
}

vectorcall!(aexit, |this, AEXIT_PARAMETERS [_exc_type, _exc, _tb]| {
    let held = [Some(Ref::borrow(this))];
    if is_plain(this, *TYPE.get()) {
        coroutine_without_await(&AEXIT, held, exit)
    } else {
        coroutine_without_await(&AEXIT, held, exit_by_name)
    }
});

fn exit(slots: Slots<1>) -> Res {
    // SAFETY: the slot keeps the condition alive.
    unsafe { release(slots.get(CONDITION))? };
    Ok(Ref::none())
}

async fn wait_until(slots: Slots<6>) -> Res {
    // SAFETY: the slot keeps the predicate alive.
    let predicate = || unsafe { Ref::checked(ffi::PyObject_CallNoArgs(slots.get(PREDICATE))) };
    loop {
        let result = predicate()?;
        if result.truth()? {
            return Ok(result);
        }
        drop(result);
        slots.inside(Some(&WAIT));
        wait_once(slots).await?;
        slots.inside(None);
    }
}

/// A subclass may have its own `wait()`.
async fn wait_until_by_name(slots: Slots<6>) -> Res {
    // SAFETY: the slots keep predicate and condition alive.
    let predicate = || unsafe { Ref::checked(ffi::PyObject_CallNoArgs(slots.get(PREDICATE))) };
    loop {
        let result = predicate()?;
        if result.truth()? {
            return Ok(result);
        }
        drop(result);
        // SAFETY: as above.
        let waiting = unsafe { call_method(slots.get(CONDITION), names().wait, &[])? };
        await_object(slots.set(WAITER, waiting)).await?;
    }
}

/// `wait()`
#[inline]
async fn wait_once<const N: usize>(slots: Slots<N>) -> Res<()> {
    let condition = slots.get(CONDITION);
    // SAFETY: the slot keeps the condition alive, as long as the body.
    let state = unsafe {
        if !locked(condition)? {
            return Err(runtime_error("cannot wait on un-acquired lock"));
        }
        let future = new_waiter(condition)?;
        release(condition)?;
        slots.set(WAITER, future);
        state(condition)
    };
    let future = slots.get(WAITER);
    // SAFETY: the slot keeps the future alive.
    let ticket = state.join(PyWaiter::new(unsafe { Ref::borrow(future) }, Answer::False));
    let place = InLine::new(state.line(), ticket);
    match await_future(future).await {
        Ok(_) => drop(place),
        Err(raised) => {
            slots.set(ERROR, take_raised(raised));
            drop(place);
        }
    }
    let outcome = acquire_again(slots).await;
    match outcome {
        Ok(()) => Ok(()),
        // It may have been notified: another one is, instead.
        Err(raised) => finally(Err(raised), || state.notify(1)),
    }
}

/// Acquires the lock, even if cancelled meanwhile. The last error is raised.
#[inline]
async fn acquire_again<const N: usize>(slots: Slots<N>) -> Res<()> {
    loop {
        match acquire(slots).await {
            Ok(()) => break,
            Err(raised) if raised_matches(&raised, cancelled_error()) => {
                let cancellation = take_raised(after(slots, raised));
                slots.set(CANCELLATION, cancellation);
            }
            Err(raised) => return Err(after(slots, raised)),
        }
    }
    let error = slots.take(ERROR);
    match slots.take(CANCELLATION).or(error) {
        Some(error) => Err(raise_instance(error)),
        None => Ok(()),
    }
}

/// The pending exception, with what ended the wait as its context.
#[cold]
fn after<const N: usize>(slots: Slots<N>, raised: Raised) -> Raised {
    // SAFETY: alive through the slot, or NULL.
    match unsafe { Ref::borrow_opt(slots.get(ERROR)) } {
        Some(before) => raised_during(raised, before),
        None => raised,
    }
}

/// How many `n` means in `notify(n)`. What is no number is an error only when it is compared.
unsafe fn count_of(n: *mut PyObject, line: &Line<PyWaiter>) -> Res<usize> {
    // SAFETY: NULL or alive, says the caller.
    unsafe {
        if n.is_null() {
            return Ok(1);
        }
        if ffi::PyLong_Check(n) != 0 {
            let mut overflow = 0;
            let count = ffi::PyLong_AsLongLongAndOverflow(n, &mut overflow);
            return Ok(match overflow {
                0 => usize::try_from(count).unwrap_or(0),
                1 => usize::MAX,
                _ => 0,
            });
        }
        if ffi::PyFloat_Check(n) != 0 {
            let count = ffi::PyFloat_AS_DOUBLE(n).ceil();
            return Ok(if count.is_nan() {
                usize::MAX
            } else {
                count as usize
            });
        }
        let mut count = 0;
        while count < line.len() {
            let reached = Ref::checked(ffi::PyObject_RichCompare(
                Ref::int(count as i64)?.ptr(),
                n,
                ffi::Py_GE,
            ))?;
            if reached.truth()? {
                break;
            }
            count += 1;
        }
        Ok(count)
    }
}

static NOTIFY: Signature = Signature::required("Condition.notify", &[]).optional(&["n"]);

unsafe fn must_be_locked(condition: *mut PyObject) -> Res<()> {
    // SAFETY: a condition, alive, says the caller.
    if unsafe { locked(condition)? } {
        return Ok(());
    }
    Err(runtime_error("cannot notify on un-acquired lock"))
}

vectorcall!(notify, |this, NOTIFY [n]| {
    must_be_locked(this)?;
    let state = state(this);
    state.notify(count_of(n, state.line())?)?;
    Ok(Ref::none())
});

vectorcall!(notify_unchecked, |this, NOTIFY [n]| {
    let state = state(this);
    state.notify(count_of(n, state.line())?)?;
    Ok(Ref::none())
});

noargs!(notify_all, |this: PyObject| {
    if is_plain(this, *TYPE.get()) {
        must_be_locked(this)?;
        state(this).notify(usize::MAX)?;
    } else {
        let count = Ref::int(state(this).line().len() as i64)?;
        call_method(this, names().notify, &[count.ptr()])?;
    }
    Ok(Ref::none())
});

/// The getter and setter of one of the lock's methods.
macro_rules! lock_method {
    ($get:ident, $set:ident, $name:ident) => {
        getter!(
            $get,
            |this: PyObject| match own_lock(this, |waiting| (*waiting).$name)? {
                Ok(lock) => Ref::borrow(lock).attr(names().$name),
                Err(method) => Ok(method),
            }
        );

        setter!($set, |this: PyObject, value| {
            let value = Ref::borrow_opt(value).map_or(ptr::null_mut(), Ref::into_ptr);
            set_slot(&raw mut (*waiting(this)).$name, value);
            Ok(())
        });
    };
}

lock_method!(get_locked, set_locked, locked);
lock_method!(get_acquire, set_acquire, acquire);
lock_method!(get_release, set_release, release);

getter!(get_lock, |this: PyObject| Ok(or_none(
    (*waiting(this)).lock
)));

setter!(assign_lock, |this: PyObject, value| set_lock(this, value));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe {
        let locked = if locked(this)? { "locked" } else { "unlocked" };
        describe(this, &with_waiters(locked, state(this).line()))
    })
}

unsafe fn find_line(this: *mut PyObject) -> *const Line<PyWaiter> {
    // SAFETY: a condition, alive, says the caller.
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

static INIT: Signature = Signature::required("Condition.__init__", &[]).optional(&["lock"]);

unsafe extern "C" fn tp_init(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        let [lock] = INIT.parse_tuple::<1>(args, kwargs)?;
        set_lock(this, lock)?;
        view::assign(state(this).line(), ptr::null_mut(), Answer::False)
    })
}

unsafe fn set_lock(this: *mut PyObject, lock: *mut PyObject) -> Res<()> {
    // SAFETY: a condition, alive, and an object or NULL, says the caller.
    unsafe {
        let lock = if lock.is_null() || lock == ffi::Py_None() {
            Ref::checked(ffi::PyObject_CallNoArgs(lock_type().cast()))?
        } else {
            Ref::borrow(lock)
        };
        let mut methods = [ptr::null_mut(); 3];
        if !is_plain(lock.ptr(), lock_type()) {
            let locked = lock.attr(names().locked)?;
            let acquire = lock.attr(names().acquire)?;
            let release = lock.attr(names().release)?;
            methods = [locked.into_ptr(), acquire.into_ptr(), release.into_ptr()];
        }
        let [locked, acquire, release] = methods;
        let waiting = waiting(this);
        set_slot(&raw mut (*waiting).lock, lock.into_ptr());
        set_slot(&raw mut (*waiting).locked, locked);
        set_slot(&raw mut (*waiting).acquire, acquire);
        set_slot(&raw mut (*waiting).release, release);
        Ok(())
    }
}

/// Adds the class; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = bound::class::<Waiting>(
        c"rasyncio.locks.Condition",
        c"Condition(lock=None)\n--\n\nLets tasks wait until another one notifies them.\n\n\
          Both hold the lock for that, one of the condition's own if none is given. acquire(),\n\
          release() and locked() are the lock's.",
    )
    .slot(ffi::Py_tp_init, tp_init as *mut c_void)
    .slot(ffi::Py_tp_repr, repr as *mut c_void)
    .fastcall(c"notify", notify)
    .fastcall(c"_notify", notify_unchecked)
    .noargs(c"notify_all", notify_all)
    .docs(docs::CONDITION)
    .property(c"locked", get_locked, Some(set_locked))
    .property(c"acquire", get_acquire, Some(set_acquire))
    .property(c"release", get_release, Some(set_release))
    .property(c"_lock", get_lock, Some(assign_lock))
    .property(c"_waiters", waiters, Some(set_waiters));
    let methods = [
        &WAIT_METHOD,
        &WAIT_FOR_METHOD,
        &AENTER_METHOD,
        &AEXIT_METHOD,
    ];
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        TYPE.set(bound::add_class(
            module,
            c"Condition",
            builder,
            ptr::null_mut(),
            &methods,
        )?);
    }
    Ok(())
}
