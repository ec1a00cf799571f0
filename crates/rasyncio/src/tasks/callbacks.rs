//! Callbacks for the end of a task.

use std::fmt;
use std::rc::Rc;

use super::AnyTask;
use super::waiters::{OnDone, Waiter};
use crate::events::Handle;

impl AnyTask {
    /// Calls `callback` in the turn after the task's end, or in the next one if it has ended (asyncio's
    /// `Task.add_done_callback`): in the order in which they were added, and among those who await the
    /// task. It runs in the context in which it was added. A panic in it goes to the exception handler.
    ///
    /// # Panics
    ///
    /// If the task has ended and no loop is running.
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use rasyncio::{create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let ended = Rc::new(Cell::new(false));
    ///     let task = create_task(yield_now());
    ///     task.add_done_callback({
    ///         let ended = ended.clone();
    ///         move |task| ended.set(task.done())
    ///     });
    ///     task.await.unwrap().unwrap();
    ///     assert!(ended.get());
    /// });
    /// ```
    #[track_caller]
    pub fn add_done_callback(&self, callback: impl FnOnce(&AnyTask) + 'static) -> DoneCallback {
        let handle = Handle::new({
            let task = self.clone();
            move || callback(&task)
        });
        if self.done() {
            handle.schedule();
            return DoneCallback::called();
        }
        let key = self.add_waiter(Waiter::callback(Rc::new(Callback(handle))));
        let task = self.clone();
        DoneCallback::new(move || !task.done() && task.remove_waiter(key))
    }
}

struct Callback(Handle);

impl OnDone for Callback {
    fn on_done(self: Rc<Self>, _task: &AnyTask) {
        self.0.schedule_or_call();
    }
}

/// The right to take a callback for the end of a task or a future back. Dropping it leaves the callback
/// where it is.
///
/// ```
/// use rasyncio::create_task;
///
/// rasyncio::run(async {
///     let task = create_task(async {});
///     let callback = task.add_done_callback(|_| unreachable!("it is taken back"));
///     assert!(callback.remove());
///     task.await.unwrap();
/// });
/// ```
pub struct DoneCallback(Box<dyn FnOnce() -> bool>);

impl DoneCallback {
    pub(crate) fn new(remove: impl FnOnce() -> bool + 'static) -> DoneCallback {
        DoneCallback(Box::new(remove))
    }

    /// Of a callback that nobody can take back any more.
    pub(crate) fn called() -> DoneCallback {
        DoneCallback::new(|| false)
    }

    /// Takes the callback back, and drops it (asyncio's `remove_done_callback`). False if it is too late
    /// for that: what it was to be told of has ended.
    ///
    /// ```
    /// use rasyncio::{create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(async {});
    ///     let callback = task.add_done_callback(|_| {});
    ///     yield_now().await.unwrap();
    ///     assert!(!callback.remove());
    /// });
    /// ```
    pub fn remove(self) -> bool {
        (self.0)()
    }
}

impl fmt::Debug for DoneCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoneCallback").finish_non_exhaustive()
    }
}
