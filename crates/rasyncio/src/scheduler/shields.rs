//! Tasks that are shielded, and awaited in closing.

use std::cell::Cell;
use std::rc::Rc;

use super::{Scheduler, Shared};
use crate::locks::line::Ticket;
use crate::tasks::{AnyTask, IntoTask, OnDone, Shield, Task, Waiter, shield};

impl Scheduler {
    /// Waits for a task, and keeps a cancellation of whoever waits from it, as
    /// [`shield`] does; and the scheduler, before it closes, waits for it as it
    /// does for its jobs (aiojobs' `Scheduler.shield`).
    ///
    /// # Panics
    ///
    /// If no loop is running and there is a task to be made.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    /// use std::time::Duration;
    /// use rasyncio::{create_task, scheduler::Scheduler, sleep, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let stored = Rc::new(Cell::new(false));
    ///     let store = {
    ///         let stored = stored.clone();
    ///         async move {
    ///             sleep(Duration::from_millis(1)).await.unwrap();
    ///             stored.set(true);
    ///         }
    ///     };
    ///     let request = create_task(scheduler.shield(store));
    ///     yield_now().await.unwrap();
    ///     request.cancel();
    ///     assert!(request.await.is_err() && !stored.get());
    ///     scheduler.wait_and_close(None).await.unwrap();
    ///     assert!(stored.get());
    /// });
    /// ```
    #[track_caller]
    pub fn shield<F: IntoTask>(&self, future: F) -> Shield<Task<F::Output>, F::Output> {
        let task = future.into_task();
        if !task.done() {
            let ticket = self.shared.shields.join((*task).clone());
            let entry = Rc::new(Shielded {
                shared: Cell::new(Some(self.shared.clone())),
                ticket,
            });
            task.add_waiter(Waiter::callback(entry));
        }
        shield(task)
    }
}

struct Shielded {
    shared: Cell<Option<Rc<Shared>>>,
    ticket: Ticket,
}

impl OnDone for Shielded {
    fn on_done(self: Rc<Self>, _task: &AnyTask) {
        if let Some(shared) = self.shared.take() {
            drop(shared.shields.leave(self.ticket));
            shared.wake_if_idle();
        }
    }
}
