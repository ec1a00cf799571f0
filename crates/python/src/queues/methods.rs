//! The queue classes as Python sees them.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::locks::line::Line as Waiters;
use rasyncio::queues::state::TaskDoneError;

use super::awaiting::{self, GET_METHOD, JOIN_METHOD, PUT_METHOD};
use super::store::Kind;
use super::{Line, finished, is_plain, kind_of, state};
use crate::args::Signature;
use crate::boundary;
use crate::docs;
use crate::futures;
use crate::locks::bound::{self, or_none};
use crate::locks::truth;
use crate::locks::view;
use crate::locks::waiter::{Answer, PyWaiter};
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, call_method, repr, str_of, type_error, type_name, value_error,
};
use crate::recursion::Level;
use crate::types::TypeBuilder;

static PUT_NOWAIT: Signature = Signature::required("Queue.put_nowait", &["item"]);
static PUT: Signature = Signature::required("Queue._put", &["item"]);
static SHUTDOWN: Signature = Signature::required("Queue.shutdown", &[]).optional(&["immediate"]);
static START: Signature = Signature::required("Queue._init", &["maxsize"]);
static INIT: Signature = Signature::required("Queue.__init__", &[]).optional(&["maxsize"]);

vectorcall!(put_nowait, |this, PUT_NOWAIT [item]| {
    awaiting::put_nowait(this, item)?;
    Ok(Ref::none())
});

noargs!(get_nowait, |this: PyObject| awaiting::get_nowait(this));

noargs!(qsize, |this: PyObject| Ref::int(
    state(this).store().len()? as i64
));

noargs!(empty, |this: PyObject| Ok(Ref::bool(
    state(this).store().has_none()?
)));

noargs!(full, |this: PyObject| Ok(Ref::bool(
    state(this).store().has_all()?
)));

noargs!(task_done, |this: PyObject| match state(this).task_done() {
    Ok(()) => Ok(Ref::none()),
    Err(TaskDoneError::TooOften) => Err(value_error("task_done() called too many times")),
    Err(TaskDoneError::Failed(raised)) => Err(raised),
});

vectorcall!(shutdown, |this, SHUTDOWN [immediate]| {
    let immediate = match Ref::borrow_opt(immediate) {
        Some(immediate) => immediate.truth()?,
        None => false,
    };
    state(this).shutdown(immediate)?;
    Ok(Ref::none())
});

// What subclasses override, one of each for each class.
macro_rules! hooks {
    ($kind:expr, $start:ident, $put:ident, $get:ident) => {
        vectorcall!($start, |this, START [_maxsize]| {
            state(this).store().start($kind)?;
            Ok(Ref::none())
        });

        vectorcall!($put, |this, PUT [item]| {
            state(this).store().push($kind, Ref::borrow(item))?;
            Ok(Ref::none())
        });

        noargs!($get, |this: PyObject| state(this).store().pop($kind));
    };
}

hooks!(Kind::Fifo, fifo_init, fifo_put, fifo_get);
hooks!(Kind::Lifo, lifo_init, lifo_put, lifo_get);
hooks!(Kind::Priority, heap_init, heap_put, heap_get);

/// `_wakeup_next(waiters)`, with any deque of futures.
unsafe extern "C" fn wakeup_next(_: *mut PyObject, waiters: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes an object.
    boundary::object(|| unsafe {
        let waiters = Ref::borrow(waiters);
        while waiters.truth()? {
            let waiter = waiters.call_method(names().popleft, &[])?;
            if !futures::is_done(waiter.ptr())? {
                futures::set_result(waiter.ptr(), ffi::Py_None())?;
                break;
            }
        }
        Ok(Ref::none())
    })
}

/// `_format()`
unsafe fn format(this: *mut PyObject) -> Res<String> {
    // SAFETY: a queue, alive, says the caller.
    unsafe {
        // A queue may be in itself.
        let _level = Level::enter("getting the repr of an object")?;
        let state = state(this);
        let store = state.store();
        let mut text = format!("maxsize={}", repr(or_none(store.maxsize()).ptr())?);
        if !store.has_none()? {
            text += &format!(" _queue={}", repr(store.list()?.ptr())?);
        }
        if !state.getters().is_empty() {
            text += &format!(" _getters[{}]", state.getters().len());
        }
        if !state.putters().is_empty() {
            text += &format!(" _putters[{}]", state.putters().len());
        }
        if state.unfinished() > 0 {
            text += &format!(" tasks={}", state.unfinished());
        }
        if state.is_shutdown() {
            text += " shutdown";
        }
        Ok(text)
    }
}

/// `self._format()`
unsafe fn described(this: *mut PyObject) -> Res<String> {
    // SAFETY: a queue, alive, says the caller.
    unsafe {
        if is_plain(this) {
            format(this)
        } else {
            str_of(call_method(this, names()._format, &[])?.ptr())
        }
    }
}

noargs!(py_format, |this: PyObject| Ref::str(&format(this)?));

unsafe extern "C" fn py_repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe {
        let name = type_name(this);
        Ref::str(&format!("<{name} at {this:p} {}>", described(this)?))
    })
}

unsafe extern "C" fn py_str(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe {
        let name = type_name(this);
        Ref::str(&format!("<{name} {}>", described(this)?))
    })
}

getter!(maxsize, |this: PyObject| Ok(or_none(
    state(this).store().maxsize()
)));

setter!(set_maxsize, |this: PyObject, value| {
    state(this).store().set_maxsize(given(value)?);
    Ok(())
});

getter!(queue, |this: PyObject| state(this).store().shown());

setter!(set_queue, |this: PyObject, value| {
    state(this).store().show(Some(given(value)?));
    Ok(())
});

getter!(unfinished_tasks, |this: PyObject| Ref::int(
    state(this).unfinished() as i64
));

setter!(set_unfinished_tasks, |this: PyObject, value| {
    let count = ffi::PyLong_AsSsize_t(given(value)?.ptr());
    if count == -1 && !ffi::PyErr_Occurred().is_null() {
        return Err(Raised::set());
    }
    state(this).set_unfinished(count.max(0) as usize);
    Ok(())
});

getter!(is_shutdown, |this: PyObject| Ok(Ref::bool(
    state(this).is_shutdown()
)));

setter!(set_is_shutdown, |this: PyObject, value| {
    state(this).set_shutdown(truth(value)?);
    Ok(())
});

getter!(get_finished, |this: PyObject| finished::new(this));

unsafe fn find_getters(this: *mut PyObject) -> *const Waiters<PyWaiter> {
    // SAFETY: a queue, alive, says the caller.
    unsafe { state(this) }.getters()
}

unsafe fn find_putters(this: *mut PyObject) -> *const Waiters<PyWaiter> {
    // SAFETY: a queue, alive, says the caller.
    unsafe { state(this) }.putters()
}

getter!(getters, |this: PyObject| view::new(
    this,
    find_getters,
    Answer::None
));
getter!(putters, |this: PyObject| view::new(
    this,
    find_putters,
    Answer::None
));

setter!(set_getters, |this: PyObject, value| view::assign(
    state(this).getters(),
    value,
    Answer::None
));
setter!(set_putters, |this: PyObject, value| view::assign(
    state(this).putters(),
    value,
    Answer::None
));

/// What is assigned, unless it is a deletion.
unsafe fn given(value: *mut PyObject) -> Res {
    // SAFETY: alive or NULL, says the caller.
    match unsafe { Ref::borrow_opt(value) } {
        Some(value) => Ok(value),
        None => Err(type_error("this attribute cannot be deleted")),
    }
}

unsafe extern "C" fn tp_init(
    this: *mut PyObject,
    args: *mut PyObject,
    kwargs: *mut PyObject,
) -> c_int {
    // SAFETY: an instance, a tuple, a dict or NULL.
    boundary::status(|| unsafe {
        let [maxsize] = INIT.parse_tuple::<1>(args, kwargs)?;
        let maxsize = match Ref::borrow_opt(maxsize) {
            Some(maxsize) => maxsize,
            None => Ref::int(0)?,
        };
        let state = state(this);
        let store = state.store();
        store.set_maxsize(maxsize.clone());
        view::assign(state.getters(), ptr::null_mut(), Answer::None)?;
        view::assign(state.putters(), ptr::null_mut(), Answer::None)?;
        state.set_unfinished(0);
        state.finished().assign(true);
        state.set_shutdown(false);
        store.start(kind_of(ffi::Py_TYPE(this)))?;
        if !is_plain(this) {
            call_method(this, names()._init, &[maxsize.ptr()])?;
        }
        Ok(())
    })
}

fn base_class() -> TypeBuilder {
    bound::class::<Line>(
        c"rasyncio.queues.Queue",
        c"Queue(maxsize=0)\n--\n\nHands items from tasks to tasks, in the order in which they \
          came.\n\nWith a maxsize above zero, put() waits while there are so many items in it.",
    )
    .slot(ffi::Py_tp_init, tp_init as *mut c_void)
    .slot(ffi::Py_tp_repr, py_repr as *mut c_void)
    .slot(ffi::Py_tp_str, py_str as *mut c_void)
    .fastcall(c"put_nowait", put_nowait)
    .noargs(c"get_nowait", get_nowait)
    .noargs(c"qsize", qsize)
    .noargs(c"empty", empty)
    .noargs(c"full", full)
    .noargs(c"task_done", task_done)
    .fastcall(c"shutdown", shutdown)
    .fastcall(c"_init", fifo_init)
    .fastcall(c"_put", fifo_put)
    .noargs(c"_get", fifo_get)
    .onearg(c"_wakeup_next", wakeup_next)
    .noargs(c"_format", py_format)
    .docs(docs::QUEUE)
    .generic()
    .get(c"maxsize", maxsize)
    .property(c"_maxsize", maxsize, Some(set_maxsize))
    .property(c"_queue", queue, Some(set_queue))
    .property(
        c"_unfinished_tasks",
        unfinished_tasks,
        Some(set_unfinished_tasks),
    )
    .property(c"_is_shutdown", is_shutdown, Some(set_is_shutdown))
    .get(c"_finished", get_finished)
    .property(c"_getters", getters, Some(set_getters))
    .property(c"_putters", putters, Some(set_putters))
}

/// Adds the classes: `Queue`, `PriorityQueue`, `LifoQueue`.
pub(super) unsafe fn add_classes(module: *mut PyObject) -> Res<[*mut PyTypeObject; 3]> {
    let priority = bound::class::<Line>(
        c"rasyncio.queues.PriorityQueue",
        c"PriorityQueue(maxsize=0)\n--\n\nA queue that gives away its smallest item first.\n\n\
          Items are often tuples: (priority, data).",
    )
    .fastcall(c"_init", heap_init)
    .fastcall(c"_put", heap_put)
    .noargs(c"_get", heap_get);
    let lifo = bound::class::<Line>(
        c"rasyncio.queues.LifoQueue",
        c"LifoQueue(maxsize=0)\n--\n\nA queue that gives away its latest item first.",
    )
    .fastcall(c"_init", lifo_init)
    .fastcall(c"_put", lifo_put)
    .noargs(c"_get", lifo_get);
    let methods = [&PUT_METHOD, &GET_METHOD, &JOIN_METHOD];
    // SAFETY: the slots fit the layout, which is the same for all; `module` is being
    // initialised, says the caller.
    unsafe {
        let add = bound::add_class;
        let queue = add(module, c"Queue", base_class(), ptr::null_mut(), &methods)?;
        let priority = add(module, c"PriorityQueue", priority, queue, &[])?;
        let lifo = add(module, c"LifoQueue", lifo, queue, &[])?;
        Ok([queue, priority, lifo])
    }
}
