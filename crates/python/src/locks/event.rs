//! `asyncio.Event`.

use core::ffi::{CStr, c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::locks::line::Line;
use rasyncio::locks::states::EventState;

use super::bound::{self, Fields, Object, describe, fields, waiter_bound_to};
use super::lock::with_waiters;
use super::view;
use super::waiter::{Answer, InLine, PyWaiter};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, await_future, coroutine_at_once, finally,
};
use crate::docs;
use crate::global::Global;
use crate::object::{Ref, Res};

type State = EventState<PyWaiter>;

impl Fields for State {
    const COPIED: &'static [&'static str] = &["_waiters", "_value"];

    fn new() -> State {
        State::new(false)
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        self.line().visit(&mut |waiter| visit(waiter.ptr()));
    }

    fn clear(&mut self) {
        self.line().take().for_each(drop);
    }
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

const FILE: &CStr = c"<rasyncio.locks>";
static WAIT: CoroutineDef = CoroutineDef::method(FILE, c"wait", c"Event.wait");

static WAIT_METHOD: FunctionDef = FunctionDef {
    name: c"wait",
    module: c"rasyncio.locks",
    doc: c"Wait until the event is set, and return True. At once, if it is set already.",
    signature: "(self)",
    call: wait,
};

const EVENT: usize = 0;
const WAITER: usize = 1;

static WAIT_PARAMETERS: Signature = Signature::required("Event.wait", &[]);

vectorcall!(wait, |this, WAIT_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None];
    coroutine_at_once(&WAIT, held, wait_at_once, wait_body)
});

fn wait_at_once(slots: Slots<2>) -> Option<Res> {
    // SAFETY: the slot keeps the event alive.
    let set = unsafe { fields::<State>(slots.get(EVENT)) }.is_set();
    set.then(|| Ok(Ref::bool(true)))
}

async fn wait_body(slots: Slots<2>) -> Res {
    let event = slots.get(EVENT);
    // SAFETY: the slot keeps the event alive, as long as the body.
    let (state, bound_to) = unsafe {
        let object = event.cast::<Object<State>>();
        (fields::<State>(event), &raw mut (*object).bound.loop_)
    };
    wait_for_event(state, event, bound_to, slots, WAITER).await?;
    Ok(Ref::bool(true))
}

/// Waits for an event, whose owner some slot keeps alive. `bound_to` is the owner's pointer to
/// the loop; the future waited for goes into the slot `waiter`.
#[inline]
pub(crate) async fn wait_for_event<const N: usize>(
    state: &State,
    owner: *mut PyObject,
    bound_to: *mut *mut PyObject,
    slots: Slots<N>,
    waiter: usize,
) -> Res<()> {
    if state.is_set() {
        return Ok(());
    }
    // SAFETY: the owner is alive as long as the body.
    let future = slots.set(waiter, unsafe { waiter_bound_to(owner, bound_to)? });
    // SAFETY: the slot keeps the future alive.
    let ticket = state.join(PyWaiter::new(unsafe { Ref::borrow(future) }, Answer::True));
    let place = InLine::new(state.line(), ticket);
    match await_future(future).await {
        Ok(_) => {
            state.left(place.ticket());
            Ok(())
        }
        Err(raised) => finally(Err(raised), || {
            state.left(place.ticket());
            Ok(())
        }),
    }
}

noargs!(is_set, |event: PyObject| Ok(Ref::bool(
    fields::<State>(event).is_set()
)));
noargs!(set, |event: PyObject| fields::<State>(event)
    .set()
    .map(|()| Ref::none()));
noargs!(clear, |event: PyObject| {
    fields::<State>(event).clear();
    Ok(Ref::none())
});

unsafe extern "C" fn repr(event: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe { describe(event, &describe_state(fields(event))) })
}

/// What a repr says of an event.
pub(crate) fn describe_state(state: &State) -> String {
    let set = if state.is_set() { "set" } else { "unset" };
    with_waiters(set, state.line())
}

unsafe fn find_line(event: *mut PyObject) -> *const Line<PyWaiter> {
    // SAFETY: an event, alive, says the caller.
    unsafe { fields::<State>(event) }.line()
}

getter!(waiters, |event: PyObject| view::new(
    event,
    find_line,
    Answer::True
));

setter!(set_waiters, |event: PyObject, value| view::assign(
    fields::<State>(event).line(),
    value,
    Answer::True
));

getter!(value, |event: PyObject| Ok(Ref::bool(
    fields::<State>(event).is_set()
)));

setter!(set_value, |event: PyObject, value| {
    fields::<State>(event).assign(super::truth(value)?);
    Ok(())
});

static INIT: Signature = Signature::required("Event.__init__", &[]);

unsafe extern "C" fn tp_init(
    event: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        INIT.parse_tuple::<0>(args, kwargs)?;
        let state: &State = fields(event);
        state.clear();
        view::assign(state.line(), ptr::null_mut(), Answer::True)
    })
}

/// Adds the class; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let builder = bound::class::<State>(
        c"rasyncio.locks.Event",
        c"Event()\n--\n\nA flag that tasks can wait for; threading.Event for tasks.\n\n\
          It is unset at first.",
    )
    .slot(ffi::Py_tp_init, tp_init as *mut c_void)
    .slot(ffi::Py_tp_repr, repr as *mut c_void)
    .noargs(c"is_set", is_set)
    .noargs(c"set", set)
    .noargs(c"clear", clear)
    .docs(docs::EVENT)
    .property(c"_waiters", waiters, Some(set_waiters))
    .property(c"_value", value, Some(set_value));
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        let methods = &[&WAIT_METHOD];
        TYPE.set(bound::add_class(
            module,
            c"Event",
            builder,
            ptr::null_mut(),
            methods,
        )?);
    }
    Ok(())
}
