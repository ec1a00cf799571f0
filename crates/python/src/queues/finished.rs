//! `Queue._finished`: the event that is set while no task is unfinished, for those who look at
//! it or wait for it themselves.

use core::ffi::{c_int, c_void};
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::locks::line::Line;
use rasyncio::locks::states::EventState;

use super::{finished_loop, state};
use crate::args::Signature;
use crate::boundary;
use crate::coroutine::{CoroutineDef, FunctionDef, Slots, add_methods, coroutine};
use crate::global::Global;
use crate::locks::bound::describe;
use crate::locks::event::{self, wait_for_event};
use crate::locks::view;
use crate::locks::waiter::{Answer, PyWaiter};
use crate::object::{Ref, Res, set_slot};
use crate::types::{TypeBuilder, free_instance};

#[repr(C)]
struct FinishedObject {
    head: PyObject,
    queue: *mut PyObject,
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

static WAIT: CoroutineDef = CoroutineDef::method(c"<rasyncio.locks>", c"wait", c"Event.wait");
static WAIT_METHOD: FunctionDef = FunctionDef {
    name: c"wait",
    module: c"rasyncio.queues",
    doc: c"Wait until no task is unfinished, and return True.",
    signature: "(self)",
    call: wait,
};

/// The event of a queue.
pub(super) unsafe fn new(queue: *mut PyObject) -> Res {
    // SAFETY: a queue, alive, says the caller; the object is tracked when whole.
    unsafe {
        let finished: *mut FinishedObject = ffi::PyObject_GC_New(*TYPE.get());
        let owned = Ref::checked(finished.cast())?;
        (&raw mut (*finished).queue).write(Ref::borrow(queue).into_ptr());
        ffi::PyObject_GC_Track(finished.cast());
        Ok(owned)
    }
}

unsafe fn queue_of(finished: *mut PyObject) -> *mut PyObject {
    // SAFETY: an instance of our type, alive, says the caller.
    unsafe { (*finished.cast::<FinishedObject>()).queue }
}

unsafe fn event<'a>(finished: *mut PyObject) -> &'a EventState<PyWaiter> {
    // SAFETY: an instance of our type, which holds its queue, says the caller.
    unsafe { state(queue_of(finished)) }.finished()
}

const FINISHED: usize = 0;
const WAITER: usize = 1;

static WAIT_PARAMETERS: Signature = Signature::required("Event.wait", &[]);

vectorcall!(wait, |this, WAIT_PARAMETERS []| {
    coroutine(&WAIT, [Some(Ref::borrow(this)), None], wait_body)
});

async fn wait_body(slots: Slots<2>) -> Res {
    let finished = slots.get(FINISHED);
    // SAFETY: the slot keeps it alive, as long as the body.
    let (event, bound_to) = unsafe { (event(finished), finished_loop(queue_of(finished))) };
    wait_for_event(event, finished, bound_to, slots, WAITER).await?;
    Ok(Ref::bool(true))
}

noargs!(is_set, |this: PyObject| Ok(Ref::bool(event(this).is_set())));
noargs!(set, |this: PyObject| event(this)
    .set()
    .map(|()| Ref::none()));
noargs!(clear, |this: PyObject| {
    event(this).clear();
    Ok(Ref::none())
});

unsafe fn find_line(this: *mut PyObject) -> *const Line<PyWaiter> {
    // SAFETY: an instance of our type, alive, says the caller.
    unsafe { event(this) }.line()
}

getter!(waiters, |this: PyObject| view::new(
    this,
    find_line,
    Answer::True
));
getter!(value, |this: PyObject| Ok(Ref::bool(event(this).is_set())));

unsafe extern "C" fn repr(this: *mut PyObject) -> *mut PyObject {
    // SAFETY: the interpreter passes a live instance.
    boundary::object(|| unsafe { describe(this, &event::describe_state(event(this))) })
}

unsafe extern "C" fn traverse(
    this: *mut PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector passes an instance of our type.
    unsafe {
        visit_opt!(ffi::Py_TYPE(this).cast(), visit, arg);
        visit_opt!(queue_of(this), visit, arg);
    }
    0
}

unsafe extern "C" fn dealloc(this: *mut PyObject) {
    // SAFETY: the last reference is gone. There is no tp_clear: the queue breaks circles.
    unsafe {
        ffi::PyObject_GC_UnTrack(this.cast());
        let queue = &raw mut (*this.cast::<FinishedObject>()).queue;
        set_slot(queue, ptr::null_mut());
        free_instance(this);
    }
}

/// Makes the type; called once by the module's initialisation.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    let flags = ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let builder = TypeBuilder::new::<FinishedObject>(c"rasyncio.locks.Event")
        .doc(c"Set while no task of a queue is unfinished.")
        .flags(flags)
        .slot(ffi::Py_tp_repr, repr as *mut c_void)
        .slot(ffi::Py_tp_traverse, traverse as *mut c_void)
        .slot(ffi::Py_tp_dealloc, dealloc as *mut c_void)
        .noargs(c"is_set", is_set)
        .noargs(c"set", set)
        .noargs(c"clear", clear)
        .get(c"_waiters", waiters)
        .get(c"_value", value);
    // SAFETY: the slots fit the layout; called once, before any reader.
    unsafe {
        let class = builder.build(module, ptr::null_mut())?;
        add_methods(class, &[&WAIT_METHOD])?;
        TYPE.set(class);
    }
    Ok(())
}
