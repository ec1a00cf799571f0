//! `Scheduler` and `Job` of the package aiojobs.
//!
//! The algorithm is `rasyncio::scheduler::state`, with futures for those who wait. What is here
//! is Python's: classes, awaiting, tasks with contexts, what is told of errors, reprs.
//!
//! ```text
//! job.rs        what a job holds, its start and its end
//! waiting.rs    `Job.wait()` and `Job.close()`
//! spawn.rs      `Scheduler.spawn()`
//! closing.rs    `Scheduler.close()` and `wait_and_close()`
//! watching.rs   the task that binds a scheduler to its loop
//! methods.rs    what Python code sees of a scheduler otherwise
//! job_methods.rs  and of a job
//! ```
//!
//! Everything that takes a turn of the loop takes as many as in the package, and tasks are made
//! where it makes them, so that programs run in the same order.

mod closing;
mod job;
mod job_methods;
mod methods;
mod spawn;
mod waiting;
mod watching;

use core::ffi::CStr;
use core::ptr;

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::scheduler::state::SchedulerState;

use crate::events;
use crate::futures;
use crate::global::Global;
use crate::locks::bound::{Fields, Object, fields, is_plain};
use crate::locks::waiter::PyWaiter;
use crate::names::names;
use crate::object::{Ref, Res, call_method, items, set_slot};
use job::JobRef;
pub(crate) use methods::DONE_NAMES;

/// The file that tracebacks name.
const FILE: &CStr = c"<rasyncio.scheduler>";

type State = SchedulerState<JobRef, PyWaiter>;

/// What a scheduler holds. Pointers are owned and nullable.
struct SchedulerFields {
    state: State,
    /// A dict whose keys are the shielded futures; see `shields`.
    shields: *mut PyObject,
    /// As they were given.
    limit: *mut PyObject,
    pending_limit: *mut PyObject,
    close_timeout: *mut PyObject,
    wait_timeout: *mut PyObject,
    /// NULL for the loop's.
    exception_handler: *mut PyObject,
    /// See `watching.rs`.
    watcher: *mut PyObject,
    watched: *mut PyObject,
    /// The watcher may end.
    over: bool,
}

impl SchedulerFields {
    /// The slots, in the order of their declaration.
    fn held(&mut self) -> [*mut *mut PyObject; 8] {
        [
            &raw mut self.shields,
            &raw mut self.limit,
            &raw mut self.pending_limit,
            &raw mut self.close_timeout,
            &raw mut self.wait_timeout,
            &raw mut self.exception_handler,
            &raw mut self.watcher,
            &raw mut self.watched,
        ]
    }
}

impl Fields for SchedulerFields {
    fn new() -> SchedulerFields {
        SchedulerFields {
            state: State::new(Some(100), 10_000),
            shields: ptr::null_mut(),
            limit: ptr::null_mut(),
            pending_limit: ptr::null_mut(),
            close_timeout: ptr::null_mut(),
            wait_timeout: ptr::null_mut(),
            exception_handler: ptr::null_mut(),
            watcher: ptr::null_mut(),
            watched: ptr::null_mut(),
            over: false,
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        for held in [
            self.shields,
            self.limit,
            self.pending_limit,
            self.close_timeout,
            self.wait_timeout,
            self.exception_handler,
            self.watcher,
            self.watched,
        ] {
            visit(held);
        }
        self.state.visit(&mut |job| visit(job.ptr()));
        self.state
            .spawners()
            .visit(&mut |waiter| visit(waiter.ptr()));
    }

    fn clear(&mut self) {
        self.state.take().for_each(drop);
        self.state.spawners().take().for_each(drop);
        for held in self.held() {
            // SAFETY: the field owns what it holds.
            unsafe { set_slot(held, ptr::null_mut()) };
        }
    }
}

static TYPE: Global<*mut PyTypeObject> = Global::new();

type SchedulerObject = Object<SchedulerFields>;

/// The fields of a scheduler that the caller keeps alive for as long as they are used.
#[inline]
unsafe fn scheduler<'a>(this: *mut PyObject) -> &'a SchedulerFields {
    // SAFETY: a scheduler, says the caller.
    unsafe { fields::<SchedulerFields>(this) }
}

/// The same, to be changed. Nothing may refer to what is changed.
#[inline]
unsafe fn fields_mut(this: *mut PyObject) -> *mut SchedulerFields {
    // SAFETY: a scheduler, says the caller.
    unsafe { &raw mut (*this.cast::<SchedulerObject>()).fields }
}

/// Whether neither a subclass nor an attribute of the instance overrides anything.
#[inline]
unsafe fn is_exact(this: *mut PyObject) -> bool {
    // SAFETY: a scheduler, says the caller.
    unsafe { is_plain(this, *TYPE.get()) }
}

/// Whether an object is a scheduler.
fn is_scheduler(object: *mut PyObject) -> bool {
    // SAFETY: any live object may be asked for its type.
    unsafe { ffi::PyObject_TypeCheck(object, *TYPE.get()) != 0 }
}

/// What a nullable slot holds, or None.
unsafe fn or_none(slot: *mut PyObject) -> Ref {
    // SAFETY: alive or NULL, says the caller.
    unsafe { Ref::borrow_opt(slot) }.unwrap_or_else(Ref::none)
}

/// The shielded futures that are not done. Others may be in the dict, for their callbacks run in
/// the next turn, and waiting for those would be no waiting.
unsafe fn shields(this: *mut PyObject) -> Res<Vec<Ref>> {
    // SAFETY: a scheduler, alive, says the caller.
    let shields = unsafe { scheduler(this).shields };
    let mut pending = Vec::new();
    if !shields.is_null() {
        for shielded in items(shields)? {
            if !futures::is_done(shielded.ptr())? {
                pending.push(shielded);
            }
        }
    }
    Ok(pending)
}

/// `scheduler.call_exception_handler(context)`, which a subclass may override.
#[cold]
unsafe fn report(this: *mut PyObject, context: &Ref) -> Res<()> {
    // SAFETY: a scheduler, alive, says the caller.
    unsafe {
        if is_exact(this) {
            return call_exception_handler(this, context.ptr());
        }
        call_method(this, names().call_exception_handler, &[context.ptr()]).map(drop)
    }
}

/// Tells the scheduler's handler or, without one, the running loop's.
unsafe fn call_exception_handler(this: *mut PyObject, context: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        match Ref::borrow_opt(scheduler(this).exception_handler) {
            Some(handler) => handler.call(&[this, context])?,
            None => {
                events::running_loop()?.call_method(names().call_exception_handler, &[context])?
            }
        };
    }
    Ok(())
}

/// Adds the classes; called once by the module's initialisation.
pub(crate) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, before any reader.
    unsafe {
        TYPE.set(methods::add_class(module)?);
        job::init(module)
    }
}
