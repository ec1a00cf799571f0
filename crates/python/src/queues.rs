//! `asyncio.Queue`, `PriorityQueue` and `LifoQueue`.
//!
//! The algorithm is `rasyncio::queues::state`, with futures for waiters and Python's objects for
//! items. What is here is Python's: classes, awaiting, errors, reprs, and what subclasses may
//! override.
//!
//! ```text
//! store.rs      where the items are: `_queue`, `_init`, `_get`, `_put`
//! awaiting.rs   `put()`, `get()` and `join()`
//! methods.rs    what Python code sees otherwise
//! finished.rs   `_finished`
//! ```

mod awaiting;
mod finished;
mod methods;
mod store;

use core::ffi::CStr;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::queues::state::{GetError, PutError, QueueState};

use crate::global::Global;
use crate::locks::bound::{Fields, Object, fields};
use crate::locks::waiter::PyWaiter;
use crate::object::{Raised, Ref, Res, check, import, set_slot};
use store::{Kind, PyStore};

/// What a queue holds of its own.
pub(super) struct Line {
    state: QueueState<PyStore, PyWaiter>,
    /// The loop in which somebody has joined first: the queue's own may be another, as in
    /// asyncio.
    finished_loop: *mut PyObject,
}

impl Fields for Line {
    const COPIED: &'static [&'static str] = &[
        "_maxsize",
        "_getters",
        "_putters",
        "_queue",
        "_unfinished_tasks",
        "_is_shutdown",
    ];

    unsafe fn belong_to(&self, owner: *mut PyObject) {
        // SAFETY: a queue, says the caller.
        unsafe { self.state.store().belong_to(owner) };
    }

    fn new() -> Line {
        Line {
            state: QueueState::new(PyStore::new()),
            finished_loop: ptr::null_mut(),
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        visit(self.finished_loop);
        self.state.store().visit(visit);
        for line in [
            self.state.getters(),
            self.state.putters(),
            self.state.finished().line(),
        ] {
            line.visit(&mut |waiter| visit(waiter.ptr()));
        }
    }

    fn clear(&mut self) {
        // SAFETY: the field owns what it holds.
        unsafe { set_slot(&raw mut self.finished_loop, ptr::null_mut()) };
        self.state.store().clear();
        self.state.getters().take().for_each(drop);
        self.state.putters().take().for_each(drop);
        self.state.finished().line().take().for_each(drop);
    }
}

type State = QueueState<PyStore, PyWaiter>;

/// The state of a queue that the caller keeps alive for as long as it is used.
#[inline]
unsafe fn state<'a>(queue: *mut PyObject) -> &'a State {
    // SAFETY: a queue, says the caller.
    unsafe { &fields::<Line>(queue).state }
}

/// The queue's pointer to the loop of those who join.
unsafe fn finished_loop(queue: *mut PyObject) -> *mut *mut PyObject {
    // SAFETY: a queue, alive, says the caller.
    unsafe { &raw mut (*queue.cast::<Object<Line>>()).fields.finished_loop }
}

struct Types {
    queue: *mut PyTypeObject,
    priority: *mut PyTypeObject,
    lifo: *mut PyTypeObject,
    empty: Ref,
    full: Ref,
    shut_down: Ref,
}

static TYPES: Global<Types> = Global::new();

/// Whether nothing is overridden, see [`PyStore::is_plain`].
#[inline]
unsafe fn is_plain(queue: *mut PyObject) -> bool {
    // SAFETY: a queue, alive, says the caller.
    unsafe { state(queue) }.store().is_plain()
}

/// Whether a class is one of ours itself, no subclass.
fn is_ours(class: *mut PyTypeObject) -> bool {
    let types = TYPES.get();
    [types.queue, types.lifo, types.priority].contains(&class)
}

/// The order in which a class gives its items away.
fn kind_of(class: *mut PyTypeObject) -> Kind {
    // SAFETY: two live classes.
    let is = |base: *mut PyTypeObject| unsafe { ffi::PyType_IsSubtype(class, base) } != 0;
    if is(TYPES.get().priority) {
        Kind::Priority
    } else if is(TYPES.get().lifo) {
        Kind::Lifo
    } else {
        Kind::Fifo
    }
}

#[cold]
fn raise_class(class: &Ref) -> Raised {
    // SAFETY: an exception class, alive.
    unsafe { ffi::PyErr_SetNone(class.ptr()) };
    Raised::set()
}

#[cold]
fn shut_down() -> Raised {
    raise_class(&TYPES.get().shut_down)
}

/// The exception for an item that was not put.
#[cold]
fn put_failed(error: PutError<Ref, Raised>) -> Raised {
    match error {
        PutError::Full(_) => raise_class(&TYPES.get().full),
        PutError::ShutDown(_) => shut_down(),
        PutError::Failed(raised) => raised,
    }
}

/// The exception where there is no item.
#[cold]
fn get_failed(error: GetError<Raised>) -> Raised {
    match error {
        GetError::Empty => raise_class(&TYPES.get().empty),
        GetError::ShutDown => shut_down(),
        GetError::Failed(raised) => raised,
    }
}

/// The standard library's exceptions; `QueueShutDown` is made where it has none (before 3.13).
unsafe fn exceptions(module: *mut PyObject) -> Res<[Ref; 3]> {
    let stock = import(c"asyncio.queues")?;
    let of = |name: &str| stock.attr(Ref::str(name)?.ptr());
    let shut_down = match stock.attr_opt(Ref::str("QueueShutDown")?.ptr())? {
        Some(class) => class,
        // SAFETY: C strings; NULL for Exception and for no namespace.
        None => unsafe {
            Ref::checked(ffi::PyErr_NewExceptionWithDoc(
                c"rasyncio.queues.QueueShutDown".as_ptr(),
                c"Raised when putting on to or getting from a queue that was shut down.".as_ptr(),
                ptr::null_mut(),
                ptr::null_mut(),
            ))?
        },
    };
    let name: &CStr = c"QueueShutDown";
    // SAFETY: `module` is being initialised, says the caller.
    check(unsafe { ffi::PyModule_AddObjectRef(module, name.as_ptr(), shut_down.ptr()) })?;
    Ok([of("QueueEmpty")?, of("QueueFull")?, shut_down])
}

/// Adds the classes; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: once, before any reader, says the caller.
    unsafe {
        store::init()?;
        finished::init(module)?;
        let [empty, full, shut_down] = exceptions(module)?;
        let [queue, priority, lifo] = methods::add_classes(module)?;
        TYPES.set(Types {
            queue,
            priority,
            lifo,
            empty,
            full,
            shut_down,
        });
    }
    Ok(())
}
