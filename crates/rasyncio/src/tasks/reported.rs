//! Errors of tasks that nobody awaits.

use std::cell::Cell;
use std::fmt::Display;
use std::rc::Rc;

use super::waiters::{OnDone, Waiter};
use super::{AnyTask, Task};
use crate::events::{self, ExceptionContext};
use crate::exceptions::{Panic, TaskError};

impl<T: 'static, E: Display + 'static> Task<Result<T, E>> {
    /// Detaches the task, and has an error that it resolves to told to the [exception
    /// handler](crate::events::set_exception_handler), as a panic is (asyncio's "Task exception was
    /// never retrieved"). A task that is merely dropped keeps
    /// its error to itself, unless it was made by [`create_task!`](macro@crate::create_task) or its like.
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use rasyncio::{create_task, events, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let told = Rc::new(RefCell::new(String::new()));
    ///     events::set_exception_handler({
    ///         let told = told.clone();
    ///         move |context| *told.borrow_mut() = context.panic.message().to_owned()
    ///     });
    ///     create_task(async { Err::<(), _>("no disk") }).report_error();
    ///     yield_now().await.unwrap();
    ///     assert_eq!(*told.borrow(), "no disk");
    /// });
    /// ```
    pub fn report_error(self) {
        if self.done() {
            return report(&self);
        }
        let any = (*self).clone();
        let reporter = Reporter(Cell::new(Some(self)));
        any.add_waiter(Waiter::callback(Rc::new(reporter)));
    }
}

struct Reporter<T, E>(Cell<Option<Task<Result<T, E>>>>);

impl<T, E: Display> OnDone for Reporter<T, E> {
    fn on_done(self: Rc<Self>, _task: &AnyTask) {
        if let Some(task) = self.0.take() {
            report(&task);
        }
    }
}

fn report<T, E: Display>(task: &Task<Result<T, E>>) {
    let (message, panic) = match task.take() {
        Some(Ok(Err(error))) => (events::UNRETRIEVED, Panic::of_error(error.to_string())),
        Some(Err(TaskError::Panicked(panic))) => ("Task panic was never retrieved", panic),
        Some(Ok(Ok(_)) | Err(TaskError::Cancelled(_))) | None => return,
    };
    events::report(&ExceptionContext {
        message,
        task: Some(task),
        panic: &panic,
    });
}
