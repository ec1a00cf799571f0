//! `put()`, `get()` and `join()`.

use core::ffi::CStr;

use pyo3::ffi::PyObject;
use rasyncio::locks::line::Line;
use rasyncio::queues::Store;
use rasyncio::queues::state::{GetError, PutError};

use super::{State, finished_loop, get_failed, is_plain, put_failed, shut_down, state};
use crate::args::Signature;
use crate::coroutine::{
    CoroutineDef, FunctionDef, Slots, await_future, coroutine, coroutine_at_once, finally,
};
use crate::futures;
use crate::locks::bound::new_waiter;
use crate::locks::event::wait_for_event;
use crate::locks::waiter::{Answer, InLine, PyWaiter};
use crate::names::names;
use crate::object::{Ref, Res, call_method};

const FILE: &CStr = c"<rasyncio.queues>";
static PUT: CoroutineDef = CoroutineDef::method(FILE, c"put", c"Queue.put");
static GET: CoroutineDef = CoroutineDef::method(FILE, c"get", c"Queue.get");
static JOIN: CoroutineDef = CoroutineDef::method(FILE, c"join", c"Queue.join");

pub(super) static PUT_METHOD: FunctionDef = FunctionDef {
    name: c"put",
    module: c"rasyncio.queues",
    doc: c"Put an item into the queue, waiting until there is room.\n\n\
           QueueShutDown if the queue is or was shut down meanwhile.",
    signature: "(self, item)",
    call: put,
};
pub(super) static GET_METHOD: FunctionDef = FunctionDef {
    name: c"get",
    module: c"rasyncio.queues",
    doc: c"Take an item out of the queue and return it, waiting until there is one.\n\n\
           QueueShutDown if there is none and the queue is or was shut down meanwhile.",
    signature: "(self)",
    call: get,
};
pub(super) static JOIN_METHOD: FunctionDef = FunctionDef {
    name: c"join",
    module: c"rasyncio.queues",
    doc: c"Wait until task_done() was called for each item that was put.",
    signature: "(self)",
    call: join,
};

static PUT_PARAMETERS: Signature = Signature::required("Queue.put", &["item"]);
static GET_PARAMETERS: Signature = Signature::required("Queue.get", &[]);
static JOIN_PARAMETERS: Signature = Signature::required("Queue.join", &[]);

const QUEUE: usize = 0;
const WAITER: usize = 1;
const ITEM: usize = 2;

vectorcall!(put, |this, PUT_PARAMETERS [item]| {
    let held = [Some(Ref::borrow(this)), None, Some(Ref::borrow(item))];
    if is_plain(this) {
        coroutine_at_once(&PUT, held, put_at_once, put_body)
    } else {
        coroutine(&PUT, held, put_by_name)
    }
});

vectorcall!(get, |this, GET_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None];
    if is_plain(this) {
        coroutine_at_once(&GET, held, get_at_once, get_body)
    } else {
        coroutine(&GET, held, get_by_name)
    }
});

vectorcall!(join, |this, JOIN_PARAMETERS []| {
    let held = [Some(Ref::borrow(this)), None];
    coroutine_at_once(&JOIN, held, join_at_once, join_body)
});

#[inline]
fn put_at_once(slots: Slots<3>) -> Option<Res> {
    // SAFETY: the slot keeps the queue alive.
    let state = unsafe { state(slots.get(QUEUE)) };
    let item = slots.take(ITEM).unwrap_or_else(Ref::none);
    match state.put(item) {
        Ok(()) => Some(Ok(Ref::none())),
        Err(PutError::Full(item)) => {
            slots.set(ITEM, item);
            None
        }
        Err(error) => Some(Err(put_failed(error))),
    }
}

async fn put_body(slots: Slots<3>) -> Res {
    // SAFETY: the slot keeps the queue alive, as long as the body.
    let state = unsafe { state(slots.get(QUEUE)) };
    loop {
        wait(slots, state, state.putters(), State::putter_gave_up).await?;
        if let Some(outcome) = put_at_once(slots) {
            return outcome;
        }
    }
}

#[inline]
fn get_at_once(slots: Slots<2>) -> Option<Res> {
    // SAFETY: the slot keeps the queue alive.
    match unsafe { state(slots.get(QUEUE)) }.get() {
        Ok(item) => Some(Ok(item)),
        Err(GetError::Empty) => None,
        Err(error) => Some(Err(get_failed(error))),
    }
}

async fn get_body(slots: Slots<2>) -> Res {
    // SAFETY: the slot keeps the queue alive, as long as the body.
    let state = unsafe { state(slots.get(QUEUE)) };
    loop {
        wait(slots, state, state.getters(), State::getter_gave_up).await?;
        if let Some(outcome) = get_at_once(slots) {
            return outcome;
        }
    }
}

/// A subclass may have its own `full()` and `put_nowait()`.
async fn put_by_name(slots: Slots<3>) -> Res {
    // SAFETY: the slot keeps the queue alive, as long as the body.
    let state = unsafe { state(slots.get(QUEUE)) };
    while state.store().is_full()? {
        if state.is_shutdown() {
            return Err(shut_down());
        }
        wait(slots, state, state.putters(), State::putter_gave_up).await?;
    }
    // SAFETY: the slots keep queue and item alive.
    unsafe { call_method(slots.get(QUEUE), names().put_nowait, &[slots.get(ITEM)]) }
}

/// A subclass may have its own `empty()` and `get_nowait()`.
async fn get_by_name(slots: Slots<2>) -> Res {
    // SAFETY: the slot keeps the queue alive, as long as the body.
    let state = unsafe { state(slots.get(QUEUE)) };
    while state.store().is_empty()? {
        if state.is_shutdown() && state.store().is_empty()? {
            return Err(shut_down());
        }
        wait(slots, state, state.getters(), State::getter_gave_up).await?;
    }
    // SAFETY: the slot keeps the queue alive.
    unsafe { call_method(slots.get(QUEUE), names().get_nowait, &[]) }
}

type GaveUp = fn(&State, rasyncio::locks::line::Ticket, bool) -> Res<()>;

/// Waits in one of the queue's lines.
#[inline]
async fn wait<const N: usize>(
    slots: Slots<N>,
    state: &'static State,
    line: &'static Line<PyWaiter>,
    gave_up: GaveUp,
) -> Res<()> {
    // SAFETY: the slot keeps the queue alive.
    let future = slots.set(WAITER, unsafe { new_waiter(slots.get(QUEUE))? });
    // SAFETY: the slot keeps the future alive.
    let ticket = line.join(PyWaiter::new(unsafe { Ref::borrow(future) }, Answer::None));
    let place = InLine::new(line, ticket);
    match await_future(future).await {
        Ok(_) => {
            // Who is woken is in the line no more, as a rule.
            place.ticket();
            Ok(())
        }
        Err(raised) => finally(Err(raised), || {
            let woken = futures::is_done(future)? && !futures::is_cancelled(future)?;
            // In case that it is still pending, and somebody else has it.
            futures::cancel(future, core::ptr::null_mut())?;
            gave_up(state, place.ticket(), woken)
        }),
    }
}

fn join_at_once(slots: Slots<2>) -> Option<Res> {
    // SAFETY: the slot keeps the queue alive.
    let unfinished = unsafe { state(slots.get(QUEUE)) }.unfinished();
    (unfinished == 0).then(|| Ok(Ref::none()))
}

async fn join_body(slots: Slots<2>) -> Res {
    let queue = slots.get(QUEUE);
    // SAFETY: the slot keeps the queue alive, as long as the body.
    let (finished, bound_to) = unsafe { (state(queue).finished(), finished_loop(queue)) };
    wait_for_event(finished, queue, bound_to, slots, WAITER).await?;
    Ok(Ref::none())
}

/// `put_nowait(item)`
#[inline]
pub(super) unsafe fn put_nowait(queue: *mut PyObject, item: *mut PyObject) -> Res<()> {
    // SAFETY: a queue and an object, alive, say the callers.
    unsafe { state(queue).put(Ref::borrow(item)).map_err(put_failed) }
}

/// `get_nowait()`
#[inline]
pub(super) unsafe fn get_nowait(queue: *mut PyObject) -> Res {
    // SAFETY: a queue, alive, says the caller.
    unsafe { state(queue).get().map_err(get_failed) }
}
