//! A job: what it holds, its start and its end.

use core::{mem, ptr};

use pyo3::ffi::{self, PyObject, PyTypeObject};
use rasyncio::locks::states::EventState;
use rasyncio::scheduler::state::{Member, Seat};

use super::{job_methods, or_none, report, scheduler, watching};
use crate::contexts::RunContext;
use crate::coroutine::finally;
use crate::event_loop;
use crate::events;
use crate::futures;
use crate::global::Global;
use crate::locks::bound::{Fields, Object, fields};
use crate::locks::waiter::PyWaiter;
use crate::names::names;
use crate::object::{
    Raised, Ref, Res, check, import, raise_instance, raised_matches, runtime_error, set_slot,
    take_raised,
};
use crate::stdlib::cancelled_error;

/// What a job holds. Pointers are owned and nullable.
pub(super) struct JobFields {
    pub(super) seat: Seat,
    pub(super) coro: *mut PyObject,
    /// Until the job has ended.
    pub(super) scheduler: *mut PyObject,
    pub(super) name: *mut PyObject,
    /// Once it was started.
    pub(super) task: *mut PyObject,
    /// The context in which it was started, for what its end brings about.
    context: RunContext,
    /// Where it was spawned, in debug mode.
    pub(super) source_traceback: *mut PyObject,
    /// It was started.
    pub(super) started: EventState<PyWaiter>,
    pub(super) started_loop: *mut PyObject,
    /// It has ended, or is being closed.
    pub(super) closed: bool,
    /// Somebody waits for it or closes it, and will hear how it has ended.
    pub(super) explicit: bool,
}

impl Fields for JobFields {
    fn new() -> JobFields {
        JobFields {
            seat: Seat::new(),
            coro: ptr::null_mut(),
            scheduler: ptr::null_mut(),
            name: ptr::null_mut(),
            task: ptr::null_mut(),
            context: RunContext::EMPTY,
            source_traceback: ptr::null_mut(),
            started: EventState::new(false),
            started_loop: ptr::null_mut(),
            closed: false,
            explicit: false,
        }
    }

    fn visit(&self, visit: &mut dyn FnMut(*mut PyObject)) {
        for held in [
            self.coro,
            self.scheduler,
            self.name,
            self.task,
            self.context.ptr(),
            self.source_traceback,
            self.started_loop,
        ] {
            visit(held);
        }
        self.started.line().visit(&mut |waiter| visit(waiter.ptr()));
    }

    fn clear(&mut self) {
        for held in [
            &raw mut self.coro,
            &raw mut self.scheduler,
            &raw mut self.name,
            &raw mut self.task,
            &raw mut self.source_traceback,
            &raw mut self.started_loop,
        ] {
            // SAFETY: the field owns what it holds.
            unsafe { set_slot(held, ptr::null_mut()) };
        }
        // SAFETY: part of a live object.
        drop(unsafe { RunContext::take(&raw mut self.context) });
        self.started.line().take().for_each(drop);
    }
}

pub(super) type JobObject = Object<JobFields>;

static TYPE: Global<*mut PyTypeObject> = Global::new();

/// The fields of a job that the caller keeps alive for as long as they are used.
#[inline]
pub(super) unsafe fn job<'a>(this: *mut PyObject) -> &'a JobFields {
    // SAFETY: a job, says the caller.
    unsafe { fields::<JobFields>(this) }
}

/// The same, to be changed. Nothing may refer to what is changed.
#[inline]
pub(super) unsafe fn fields_mut(this: *mut PyObject) -> *mut JobFields {
    // SAFETY: a job, says the caller.
    unsafe { &raw mut (*this.cast::<JobObject>()).fields }
}

/// Whether an object is a job.
pub(super) fn is_job(object: *mut PyObject) -> bool {
    // SAFETY: any live object may be asked for its type.
    unsafe { ffi::PyObject_TypeCheck(object, *TYPE.get()) != 0 }
}

/// A job in a scheduler.
#[derive(Clone)]
pub(super) struct JobRef(Ref);

impl JobRef {
    /// The job, which is alive.
    pub(super) unsafe fn borrow(job: *mut PyObject) -> JobRef {
        // SAFETY: alive, says the caller.
        JobRef(unsafe { Ref::borrow(job) })
    }

    #[inline]
    pub(super) fn ptr(&self) -> *mut PyObject {
        self.0.ptr()
    }

    pub(super) fn into_ref(self) -> Ref {
        self.0
    }
}

impl Member for JobRef {
    #[inline]
    fn seat(&self) -> &Seat {
        // SAFETY: a job, which the reference keeps alive.
        unsafe { &job(self.ptr()).seat }
    }
}

/// A job that is in no scheduler yet.
pub(super) unsafe fn new(coro: *mut PyObject, scheduler: *mut PyObject, name: Ref) -> Res {
    // SAFETY: our class, whose `tp_new` needs no arguments; all alive, says the caller.
    unsafe {
        let class = *TYPE.get();
        let object = match (*class).tp_new {
            Some(new) => Ref::checked(new(class, ptr::null_mut(), ptr::null_mut()))?,
            None => Ref::none(),
        };
        set_up(object.ptr(), coro, scheduler, name)?;
        Ok(object)
    }
}

/// What `Job.__init__` does.
pub(super) unsafe fn set_up(
    this: *mut PyObject,
    coro: *mut PyObject,
    scheduler: *mut PyObject,
    name: Ref,
) -> Res<()> {
    let running = events::running_loop()?;
    // SAFETY: all alive, says the caller.
    unsafe {
        let fields = fields_mut(this);
        set_slot(&raw mut (*fields).coro, Ref::borrow(coro).into_ptr());
        set_slot(
            &raw mut (*fields).scheduler,
            Ref::borrow(scheduler).into_ptr(),
        );
        set_slot(&raw mut (*fields).name, name.into_ptr());
        let debug = match event_loop::native(running.ptr()) {
            Some(core) => core.debug(),
            None => running.call_method(names().get_debug, &[])?.truth()?,
        };
        if debug {
            let extract = import(c"traceback")?.attr(Ref::str("extract_stack")?.ptr())?;
            let stack = extract.call0()?;
            set_slot(&raw mut (*fields).source_traceback, stack.into_ptr());
        }
    }
    Ok(())
}

/// Makes the task that the job is from now on.
pub(super) unsafe fn start(this: *mut PyObject) -> Res<()> {
    // SAFETY: a job, alive, says the caller.
    unsafe {
        let context = RunContext::current()?;
        let running = events::running_loop()?;
        let Some(coro) = Ref::borrow_opt(job(this).coro) else {
            return Err(runtime_error("Job object is not initialized."));
        };
        let name = or_none(job(this).name);
        let absent = ptr::null_mut();
        let task = events::create_task(running.ptr(), coro.ptr(), name.ptr(), absent, absent)?;
        let fields = fields_mut(this);
        drop(mem::replace(&mut (*fields).context, context));
        set_slot(&raw mut (*fields).task, task.clone().into_ptr());
        futures::on_done(task.ptr(), done, this)?;
        job(this).started.set()
    }
}

/// The task's done callback.
pub(crate) unsafe fn done(task: *mut PyObject, this: *mut PyObject) -> Res<()> {
    // SAFETY: registered with a job, which the callback keeps alive.
    unsafe {
        let Some(owner) = Ref::borrow_opt(job(this).scheduler) else {
            return Ok(());
        };
        let outcome = ended(task, this, owner.ptr());
        let fields = fields_mut(this);
        (*fields).closed = true;
        // Destructors may run, without a pending exception.
        finally(outcome, || {
            set_slot(&raw mut (*fields).scheduler, ptr::null_mut());
            drop(RunContext::take(&raw mut (*fields).context));
            Ok(())
        })
    }
}

unsafe fn ended(task: *mut PyObject, this: *mut PyObject, owner: *mut PyObject) -> Res<()> {
    // SAFETY: all alive, says the caller.
    unsafe {
        let state = &scheduler(owner).state;
        state.remove(&JobRef::borrow(this));
        let exception = match futures::exception(task) {
            // Asking takes the cancellation's own exception, as in the package: who waits for
            // the task later gets another one.
            Err(raised) if raised_matches(&raised, cancelled_error()) => {
                drop(take_raised(raised));
                Ref::none()
            }
            exception => exception?,
        };
        let failed = !exception.is_none() && !job(this).explicit;
        if state.pending_count() == 0 && !failed {
            return Ok(());
        }
        in_context(this, || {
            let started = start_pending(owner);
            if !failed {
                return started;
            }
            finally(started, || {
                report_failure(this, owner, "Job processing failed", exception.ptr())?;
                watching::wake(owner)
            })
        })
    }
}

/// Starts the pending jobs that can start now. One that cannot be started ends here.
unsafe fn start_pending(owner: *mut PyObject) -> Res<()> {
    // SAFETY: a scheduler, alive, says the caller.
    unsafe {
        let state = &scheduler(owner).state;
        let mut failed: Option<Ref> = None;
        while let Some(next) = state.next_to_start()? {
            if let Err(raised) = start(next.ptr()) {
                failed.get_or_insert(take_raised(raised));
                state.remove(&next);
                (*fields_mut(next.ptr())).closed = true;
            }
        }
        failed.map_or(Ok(()), |failed| Err(raise_instance(failed)))
    }
}

/// Calls `body` in the context in which the job was started, as its task's callbacks are.
unsafe fn in_context(this: *mut PyObject, body: impl FnOnce() -> Res<()>) -> Res<()> {
    // SAFETY: a job, alive, says the caller; the context is held meanwhile.
    unsafe {
        let context = RunContext::show(&raw mut (*fields_mut(this)).context)?;
        if context.is_none() {
            return body();
        }
        check(ffi::PyContext_Enter(context.ptr()))?;
        let outcome = body();
        finally(outcome, || check(ffi::PyContext_Exit(context.ptr())))
    }
}

/// Tells the scheduler's exception handler.
#[cold]
pub(super) unsafe fn report_failure(
    this: *mut PyObject,
    owner: *mut PyObject,
    message: &str,
    exception: *mut PyObject,
) -> Res<()> {
    let context = Ref::dict()?;
    let n = names();
    let message = Ref::str(message)?;
    let job_key = Ref::str("job")?;
    // SAFETY: all alive, says the caller.
    unsafe {
        let source = job(this).source_traceback;
        for (key, value) in [
            (n.message, message.ptr()),
            (job_key.ptr(), this),
            (n.exception, exception),
            (n.source_traceback, source),
        ] {
            if !value.is_null() {
                check(ffi::PyDict_SetItem(context.ptr(), key, value))?;
            }
        }
        report(owner, &context)
    }
}

/// Whether an exception is one that a program is to handle (an `Exception`).
pub(super) fn is_exception(raised: &Raised) -> bool {
    // SAFETY: a static exception class.
    raised_matches(raised, unsafe { ffi::PyExc_Exception })
}

/// Adds the class.
pub(super) unsafe fn init(module: *mut PyObject) -> Res<()> {
    // SAFETY: called once, before any reader.
    unsafe {
        TYPE.set(job_methods::add_class(module)?);
        Ok(())
    }
}
