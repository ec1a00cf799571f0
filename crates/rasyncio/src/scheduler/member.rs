//! A job from within: its future until it starts, its task while it is active, then its outcome.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::state::Seat;
use super::{AnyJob, Scheduler, Shared};
use crate::events;
use crate::exceptions::{Cancelled, Panic, TaskError};
use crate::locks::line::Line;
use crate::locks::sleeper::Sleeper;
use crate::tasks::{AnyTask, Builder, OnDone, Task, Waiter};

/// Makes the task of a pending job.
pub(super) type Starter<T> = Box<dyn FnOnce(Builder) -> Task<T>>;

/// What does not depend on the type of the output.
pub(super) struct Core {
    pub(super) scheduler: Weak<Shared>,
    /// While the job is active it keeps its scheduler, for the sake of the pending ones.
    kept: Cell<Option<Rc<Shared>>>,
    pub(super) seat: Seat,
    /// It has ended, or is being closed.
    pub(super) closed: Cell<bool>,
    /// The outcome is there, and those who wait were woken.
    pub(super) over: Cell<bool>,
    /// Somebody waits for it or closes it, and will hear how it has ended.
    pub(super) explicit: Cell<bool>,
    pub(super) name: RefCell<Option<Box<str>>>,
    pub(super) task: RefCell<Option<AnyTask>>,
    pub(super) waiters: Line<Sleeper>,
}

impl Core {
    fn end(&self) {
        self.closed.set(true);
        self.over.set(true);
        drop(self.kept.take());
        let Ok(_) = self.waiters.wake(usize::MAX);
    }
}

/// A job whose output is a `T`.
pub(super) struct Typed<T> {
    pub(super) core: Core,
    /// Of a pending job.
    starter: Cell<Option<Starter<T>>>,
    /// Of an active job.
    task: Cell<Option<Task<T>>>,
    /// Of a job that is over, until somebody has taken it.
    pub(super) outcome: Cell<Option<Result<T, TaskError>>>,
}

/// What a job of whatever output can do.
pub(super) trait Member {
    fn core(&self) -> &Core;
    /// Starts a pending job.
    fn start(self: Rc<Self>);
    /// Ends a job that will never start.
    fn abandon(&self);
    /// What the job panicked with, if it did and nobody has taken that yet.
    fn take_panic(&self) -> Option<Panic>;
}

impl<T: 'static> Typed<T> {
    pub(super) fn new(scheduler: &Rc<Shared>, name: Option<Box<str>>) -> Rc<Typed<T>> {
        Rc::new(Typed {
            core: Core {
                scheduler: Rc::downgrade(scheduler),
                kept: Cell::new(None),
                seat: Seat::new(),
                closed: Cell::new(false),
                over: Cell::new(false),
                explicit: Cell::new(false),
                name: RefCell::new(name),
                task: RefCell::new(None),
                waiters: Line::new(),
            },
            starter: Cell::new(None),
            task: Cell::new(None),
            outcome: Cell::new(None),
        })
    }

    pub(super) fn set_starter(&self, starter: Starter<T>) {
        self.starter.set(Some(starter));
    }

    /// Makes the task that the job is from now on.
    pub(super) fn start_with(self: &Rc<Self>, make: impl FnOnce(Builder) -> Task<T>) {
        let name = self.core.name.borrow().clone();
        let task = make(match name {
            Some(name) => Builder::new().name(name),
            None => Builder::new(),
        });
        self.core.kept.set(self.core.scheduler.upgrade());
        self.core.task.replace(Some((*task).clone()));
        if task.done() {
            // The loop is closed.
            self.task.set(Some(task));
            self.clone().done();
        } else {
            task.add_waiter(Waiter::callback(self.clone()));
            self.task.set(Some(task));
        }
    }

    /// The task has ended.
    fn done(self: Rc<Self>) {
        let Some(task) = self.task.take() else {
            return;
        };
        let outcome = task
            .take()
            .unwrap_or_else(|| Err(TaskError::Cancelled(Cancelled::new())));
        if let Some(shared) = self.core.scheduler.upgrade() {
            let scheduler = Scheduler { shared };
            let job = AnyJob::from(self.clone() as Rc<dyn Member>);
            scheduler.ended(&job);
            if let Err(TaskError::Panicked(panic)) = &outcome
                && !self.core.explicit.get()
            {
                scheduler.report("Job processing failed", &job, Some(panic));
            }
        }
        self.outcome.set(Some(outcome));
        self.core.end();
    }
}

impl<T: 'static> Member for Typed<T> {
    fn core(&self) -> &Core {
        &self.core
    }

    fn start(self: Rc<Self>) {
        if let Some(starter) = self.starter.take() {
            self.start_with(starter);
        }
    }

    fn abandon(&self) {
        if let Some(starter) = self.starter.take() {
            let error = TaskError::Cancelled(Cancelled::new());
            self.outcome.set(Some(Err(error)));
            self.core.end();
            events::quietly("a job's future could not be dropped", || drop(starter));
        }
    }

    fn take_panic(&self) -> Option<Panic> {
        match self.outcome.take() {
            Some(Err(TaskError::Panicked(panic))) => {
                let error = TaskError::Cancelled(Cancelled::new());
                self.outcome.set(Some(Err(error)));
                Some(panic)
            }
            outcome => {
                self.outcome.set(outcome);
                None
            }
        }
    }
}

/// As with aiojobs' callback, the end is taken note of one turn later.
impl<T: 'static> OnDone for Typed<T> {
    fn on_done(self: Rc<Self>, _task: &AnyTask) {
        let note = Note(Some(self));
        events::try_with_running(|_, engine| {
            engine.schedule(events::callback_job(move || drop(note)));
        });
    }
}

/// Takes note of a job's end when it is dropped: by the loop when it runs this or, if the loop
/// is going, at once.
struct Note<T: 'static>(Option<Rc<Typed<T>>>);

impl<T: 'static> Drop for Note<T> {
    fn drop(&mut self) {
        if let Some(job) = self.0.take() {
            events::quietly("a job's end could not be noted", || job.done());
        }
    }
}
