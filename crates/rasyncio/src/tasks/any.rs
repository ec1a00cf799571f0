//! A task of whatever output.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::cell::Raw;
use super::state::{AGAIN, CANCELLED, DONE, PANICKED, RUNNING};
use super::waker;
use crate::contextvars::Context;
use crate::exceptions::Cancelled;
use crate::scope::Requested;

/// A task of whatever output: to look at and to cancel it. Clones are the same task.
///
/// ```
/// use rasyncio::{AnyTask, create_task};
///
/// rasyncio::run(async {
///     let one = create_task(async { 1 });
///     let any: AnyTask = (*one).clone();
///     assert_eq!(any, *one);
///     assert_eq!(one.await.unwrap(), 1);
///     assert!(any.done());
/// });
/// ```
pub struct AnyTask {
    pub(super) raw: Raw,
}

impl AnyTask {
    /// Asks the task to end (asyncio's `Task.cancel`). False if it has ended already.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{create_task, current_task, sleep, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let stubborn = create_task(async {
    ///         if sleep(Duration::from_secs(60)).await.is_err() {
    ///             current_task().unwrap().uncancel();
    ///         }
    ///         "as you see, I live"
    ///     });
    ///     yield_now().await.unwrap();
    ///     assert!(stubborn.cancel());
    ///     assert_eq!(stubborn.await.unwrap(), "as you see, I live");
    /// });
    /// ```
    pub fn cancel(&self) -> bool {
        self.request(Cancelled::new())
    }

    /// Asks the task to end, and says why (asyncio's `Task.cancel(msg)`).
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{create_task, sleep, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(sleep(Duration::from_secs(3600)));
    ///     yield_now().await?;
    ///     task.cancel_with("no longer needed");
    ///     let error = task.await.unwrap_err();
    ///     assert_eq!(error.to_string(), "cancelled: no longer needed");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn cancel_with(&self, message: impl Into<Arc<str>>) -> bool {
        self.request(Cancelled::with_message(message))
    }

    /// Without recursion from task to task, for chains of them may be longer than the stack is deep.
    pub(crate) fn request(&self, cancelled: Cancelled) -> bool {
        let mut above = Vec::new();
        let mut task = self.clone();
        let mut taken = loop {
            let header = task.header();
            if header.state.has(DONE) || !header.scope.is_open() {
                break false;
            }
            match header.scope.begin_forwarding() {
                Some(next) => above.push(std::mem::replace(&mut task, next)),
                None => {
                    let requested = header.scope.request(cancelled.clone());
                    task.was_requested(requested);
                    break true;
                }
            }
        };
        while let Some(task) = above.pop() {
            let requested = task.header().scope.end_forwarding(taken, &cancelled);
            task.was_requested(requested);
            taken = true;
        }
        taken
    }

    fn was_requested(&self, requested: Requested) {
        let header = self.header();
        match requested {
            Requested::Forwarded => {}
            Requested::Waiting if header.state.has(RUNNING) => header.state.insert(AGAIN),
            Requested::Waiting => waker::wake_ref(self.raw, header),
        }
    }

    /// Whether the task has ended, in whatever way (asyncio's `Task.done`).
    ///
    /// ```
    /// use rasyncio::{create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(async {});
    ///     assert!(!task.done());
    ///     yield_now().await?;
    ///     assert!(task.done());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn done(&self) -> bool {
        self.header().state.has(DONE)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.header().state.has(CANCELLED | PANICKED)
    }

    /// Whether the task has ended as cancelled (asyncio's `Task.cancelled`).
    ///
    /// ```
    /// use rasyncio::{create_task, wait, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(yield_now());
    ///     task.cancel();
    ///     wait([&task]).await?;
    ///     assert!(task.cancelled());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn cancelled(&self) -> bool {
        self.header().state.has(CANCELLED)
    }

    /// How many times the task was asked to end, less the times that this was taken back
    /// (asyncio's `Task.cancelling`).
    ///
    /// ```
    /// use rasyncio::{create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(yield_now());
    ///     task.cancel();
    ///     assert_eq!(task.cancelling(), 1);
    /// });
    /// ```
    pub fn cancelling(&self) -> u32 {
        self.header().scope.cancelling()
    }

    /// Takes one request to end back, and answers how many are left (asyncio's
    /// `Task.uncancel`). Those left decide that the task, when it ends, ends as cancelled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{create_task, current_task, sleep, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(async {
    ///         let asked = sleep(Duration::from_secs(3600)).await.is_err();
    ///         (asked, current_task().unwrap().uncancel())
    ///     });
    ///     yield_now().await?;
    ///     task.cancel();
    ///     assert_eq!(task.await?, (true, 0));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn uncancel(&self) -> u32 {
        self.header().scope.uncancel()
    }

    /// What the task is called (asyncio's `Task.get_name`).
    ///
    /// ```
    /// use rasyncio::current_task;
    ///
    /// rasyncio::run(async {
    ///     assert_eq!(current_task().unwrap().name(), "Task-1");
    /// });
    /// ```
    pub fn name(&self) -> String {
        self.header().name()
    }

    /// Names the task (asyncio's `Task.set_name`).
    ///
    /// ```
    /// use rasyncio::create_task;
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(async {});
    ///     task.set_name("accountant");
    ///     assert_eq!(task.name(), "accountant");
    /// });
    /// ```
    pub fn set_name(&self, name: impl Into<Box<str>>) {
        let name = name.into();
        let scope = &self.header().scope;
        drop(scope.change(|side| side.name.replace(name)));
    }

    /// The task's context (asyncio's `Task.get_context`); empty once it has ended.
    ///
    /// ```
    /// use rasyncio::{ContextVar, create_task};
    ///
    /// rasyncio::run(async {
    ///     static LEVEL: ContextVar<u32> = ContextVar::new("level");
    ///     let task = create_task(async { LEVEL.get() });
    ///     task.context().run(|| drop(LEVEL.set(7)));
    ///     assert_eq!(task.await?, Some(7));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn context(&self) -> Context {
        let scope = &self.header().scope;
        let context = scope.look(|side| side?.context.clone());
        context.unwrap_or_else(|| {
            let context = Context::new();
            if !self.done() {
                scope.change(|side| side.context = Some(context.clone()));
            }
            context
        })
    }

    /// Where in the program the task was created.
    ///
    /// ```
    /// use rasyncio::create_task;
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(async {});
    ///     assert!(task.created_at().line() > 0);
    /// });
    /// ```
    pub fn created_at(&self) -> &'static Location<'static> {
        self.header().created()
    }

    /// Tells tasks apart as long as there are handles of them.
    pub(crate) fn address(&self) -> *const () {
        self.raw.as_ptr()
    }
}

impl AsRef<AnyTask> for AnyTask {
    fn as_ref(&self) -> &AnyTask {
        self
    }
}

impl PartialEq for AnyTask {
    fn eq(&self, other: &AnyTask) -> bool {
        self.raw == other.raw
    }
}

impl Eq for AnyTask {}

impl fmt::Debug for AnyTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match () {
            () if self.cancelled() => "cancelled",
            () if self.done() => "finished",
            () if self.cancelling() > 0 => "cancelling",
            () => "pending",
        };
        write!(f, "<Task {state} name={:?}>", self.name())
    }
}
