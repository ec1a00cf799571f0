//! What the tasks of a group have in common.
//!
//! As with asyncio's task groups, an end is taken note of one turn later, and who waits for the
//! group runs one turn after that.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::errors::Failure;
use crate::events::{self, ExceptionContext};
use crate::exceptions::{Cancelled, Panic};
use crate::scope::{self, Inner, Nested};
use crate::tasks::{self, AnyTask, OnDone, Told, Waiter};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Created,
    /// The body is there.
    Body,
    /// The body has ended, and the tasks are waited for.
    Exiting,
    Finished,
}

pub(super) struct State<E> {
    stage: Cell<Stage>,
    /// All were asked to end, and whoever comes is.
    aborting: Cell<bool>,
    cancel_on_enter: Cell<bool>,
    /// The scope of the body.
    nested: Nested,
    tasks: RefCell<Tasks>,
    /// What those that have not ended tell. Weak, for it holds this.
    listener: RefCell<Weak<Told>>,
    failures: RefCell<Vec<Failure<E>>>,
    /// Whether an error is a cancellation on its way up.
    is_cancellation: fn(&E) -> bool,
    /// An end will be taken note of.
    noting: Cell<bool>,
    /// Who waits for the tasks.
    waker: Cell<Option<Waker>>,
}

/// The tasks that have not ended, in the order in which they came, and some that have.
#[derive(Default)]
struct Tasks {
    all: Vec<AnyTask>,
    unfinished: usize,
}

/// Below this many, those that have ended may stay in the list.
const FEW: usize = 16;

impl<E: 'static> State<E> {
    pub(super) fn new(is_cancellation: fn(&E) -> bool) -> State<E> {
        State {
            stage: Cell::new(Stage::Created),
            aborting: Cell::new(false),
            cancel_on_enter: Cell::new(false),
            nested: Nested::default(),
            tasks: RefCell::default(),
            listener: RefCell::default(),
            failures: RefCell::default(),
            is_cancellation,
            noting: Cell::new(false),
            waker: Cell::new(None),
        }
    }

    #[track_caller]
    pub(super) fn assert_running(&self) {
        match self.stage.get() {
            Stage::Created => panic!("TaskGroup has not been entered"),
            Stage::Finished => panic!("TaskGroup is finished"),
            Stage::Body | Stage::Exiting => {}
        }
    }

    /// The body is about to be polled for the first time.
    pub(super) fn enter(self: &Rc<Self>) -> scope::Visit<State<E>> {
        assert!(
            self.stage.get() == Stage::Created,
            "TaskGroup has already been entered"
        );
        self.stage.set(Stage::Body);
        let visit = scope::Visit::enter(self.clone());
        if self.cancel_on_enter.get() {
            self.cancel();
        }
        visit
    }

    /// The body has ended.
    pub(super) fn exit(&self) {
        self.stage.set(Stage::Exiting);
    }

    /// Nobody waits for the tasks any more: all have ended, or the group was dropped.
    pub(super) fn finish(&self) -> Vec<Failure<E>> {
        self.stage.set(Stage::Finished);
        drop(self.waker.take());
        self.failures.take()
    }

    pub(super) fn add(self: &Rc<Self>, task: &AnyTask) {
        let listener = self.listener.borrow().upgrade();
        let listener = listener.unwrap_or_else(|| {
            let new = Told::new(self.clone());
            self.listener.replace(Rc::downgrade(&new));
            new
        });
        self.tasks.borrow_mut().add(task.clone());
        task.add_waiter(Waiter::Callback(listener));
        if self.aborting.get() {
            task.cancel();
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.borrow().unfinished == 0
    }

    pub(super) fn is_aborting(&self) -> bool {
        self.aborting.get()
    }

    /// Waits for the tasks, or for what they have to say.
    pub(super) fn set_waker(&self, cx: &mut Context<'_>) {
        drop(self.waker.replace(Some(cx.waker().clone())));
    }

    /// Asks all tasks to end.
    pub(super) fn abort(&self) {
        self.aborting.set(true);
        let tasks = self.tasks.borrow().all.clone();
        for task in tasks {
            task.cancel();
        }
    }

    pub(super) fn cancel(&self) {
        match self.stage.get() {
            Stage::Created => self.cancel_on_enter.set(true),
            Stage::Body | Stage::Exiting if !self.aborting.get() => self.end(),
            _ => {}
        }
    }

    /// Asks the tasks and the body to end.
    fn end(&self) {
        self.abort();
        if self.stage.get() == Stage::Body {
            self.nested.request(Cancelled::new());
        }
    }

    /// Somebody has failed. What that brings comes when it has ended.
    pub(super) fn fail(&self, failure: Failure<E>) {
        if self.stage.get() == Stage::Finished {
            return unseen(failure);
        }
        self.failures.borrow_mut().push(failure);
    }

    /// Whether an error says no more than that its code was asked to end.
    pub(super) fn is_cancellation(&self, error: &E) -> bool {
        (self.is_cancellation)(error)
    }

    fn note(&self) {
        self.noting.set(false);
        if !self.failures.borrow().is_empty()
            && !self.aborting.get()
            && self.stage.get() != Stage::Finished
        {
            self.end();
        }
        if self.is_empty()
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

/// Reports a failure that nobody will ever see, if it is a panic.
pub(super) fn unseen<E>(failure: Failure<E>) {
    if let Failure::Panicked(panic) = &failure {
        events::report(&ExceptionContext {
            message: "Task panic was never retrieved",
            task: None,
            panic,
        });
    }
    events::quietly("a task's error could not be dropped", || drop(failure));
}

impl<E: 'static> OnDone for State<E> {
    fn on_done(self: Rc<Self>, _task: &AnyTask) {
        let swept = self.tasks.borrow_mut().one_has_ended();
        drop(swept);
        if !self.noting.replace(true) {
            events::note_next_turn(move || self.note());
        }
    }

    fn awaiter(&self) -> Option<AnyTask> {
        self.nested.task().or_else(|| tasks::waiting(&self.waker))
    }
}

impl<E: 'static> Inner for State<E> {
    fn nested(&self) -> &Nested {
        &self.nested
    }
}

impl Tasks {
    fn add(&mut self, task: AnyTask) {
        self.all.push(task);
        self.unfinished += 1;
    }

    /// Answers what is to be dropped.
    fn one_has_ended(&mut self) -> Vec<AnyTask> {
        self.unfinished -= 1;
        if self.unfinished == 0 {
            return std::mem::take(&mut self.all);
        }
        if self.all.len() < 2 * self.unfinished + FEW {
            return Vec::new();
        }
        self.all.extract_if(.., |task| task.done()).collect()
    }
}

impl<E> fmt::Debug for State<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = self.tasks.borrow();
        let mut group = f.debug_struct("TaskGroup");
        group.field("stage", &self.stage.get());
        group.field("tasks", &tasks.unfinished);
        group.field("errors", &self.failures.borrow().len());
        group.field("cancelling", &self.aborting.get()).finish()
    }
}

pin_project! {
    /// The future of a task of a group: it tells the group of its failure, and resolves to nothing
    /// then.
    pub(super) struct Member<F, E> {
        #[pin]
        future: Option<F>,
        group: Rc<State<E>>,
    }
}

impl<F, E> Member<F, E> {
    pub(super) fn new(future: F, group: Rc<State<E>>) -> Member<F, E> {
        Member {
            future: Some(future),
            group,
        }
    }
}

impl<F, T, E> Future for Member<F, E>
where
    F: Future<Output = Result<T, E>>,
    E: 'static,
{
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        let failure = match poll_once(this.future, cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(Ok(output))) => return Poll::Ready(Some(output)),
            Poll::Ready(Ok(Err(error))) => Failure::Error(error),
            Poll::Ready(Err(panic)) => Failure::Panicked(panic),
        };
        match failure {
            // It was asked to end, and counts as cancelled.
            Failure::Error(error)
                if scope::ending().is_some() && this.group.is_cancellation(&error) =>
            {
                drop(error);
            }
            failure => this.group.fail(failure),
        }
        Poll::Ready(None)
    }
}

/// Polls a future, and drops it when it has ended. A panic in either is answered.
pub(super) fn poll_once<F: Future>(
    mut future: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Result<F::Output, Panic>> {
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let Some(inner) = future.as_mut().as_pin_mut() else {
            panic!("a future was polled after it had ended");
        };
        let polled = inner.poll(cx);
        if polled.is_ready() {
            future.set(None);
        }
        polled
    }));
    match polled {
        Ok(polled) => polled.map(Ok),
        Err(payload) => {
            events::quietly("a future could not be dropped", || future.set(None));
            Poll::Ready(Err(Panic::new(payload)))
        }
    }
}
