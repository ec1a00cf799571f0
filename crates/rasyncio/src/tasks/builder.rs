//! Making tasks.

use std::panic::Location;

use super::Task;
use super::spawn::{self, Origin};
use super::stage::{Kind, Plain};
use crate::contextvars::{self, Context};
use crate::events;

/// Runs `future` as a task of the running loop, from the next turn on (asyncio's
/// `create_task`).
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::create_task;
///
/// rasyncio::run(async {
///     let answer = create_task(async { 6 * 7 });
///     assert_eq!(answer.await.unwrap(), 42);
/// });
/// ```
#[track_caller]
pub fn create_task<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    Builder::new().create_task(future)
}

/// How to make a task: `create_task` with more to say.
///
/// ```
/// use rasyncio::tasks::Builder;
///
/// rasyncio::run(async {
///     let task = Builder::new().name("accountant").create_task(async {});
///     assert_eq!(task.name(), "accountant");
///     task.await
/// })
/// .unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Box<str>>,
    context: Option<Context>,
}

impl Builder {
    /// As `create_task` would do it.
    ///
    /// ```
    /// use rasyncio::tasks::Builder;
    ///
    /// rasyncio::run(async { Builder::new().create_task(async {}).await }).unwrap();
    /// ```
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the task (the `name` of asyncio's `create_task`). Without, it is `Task-1`,
    /// `Task-2` and so on, counted for each loop.
    ///
    /// ```
    /// use rasyncio::tasks::Builder;
    ///
    /// rasyncio::run(async {
    ///     let task = Builder::new().name("accountant").create_task(async {});
    ///     assert_eq!(task.name(), "accountant");
    /// });
    /// ```
    pub fn name(mut self, name: impl Into<Box<str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Gives the task a context (the `context` of asyncio's `create_task`), in place of a copy of the
    /// current one. Tasks may share one.
    ///
    /// ```
    /// use rasyncio::tasks::Builder;
    /// use rasyncio::{ContextVar, contextvars::Context};
    ///
    /// static COUNT: ContextVar<u32> = ContextVar::new("count");
    ///
    /// rasyncio::run(async {
    ///     let context = Context::new();
    ///     let task = Builder::new().context(&context).create_task(async { drop(COUNT.set(1)) });
    ///     task.await.unwrap();
    ///     assert_eq!(context.run(|| COUNT.get()), Some(1));
    ///     assert_eq!(COUNT.get(), None);
    /// });
    /// ```
    pub fn context(mut self, context: &Context) -> Builder {
        self.context = Some(context.clone());
        self
    }

    /// Makes the task, as [`create_task`] does.
    ///
    /// # Panics
    ///
    /// If no loop is running.
    ///
    /// ```
    /// use rasyncio::tasks::Builder;
    ///
    /// rasyncio::run(async {
    ///     let task = Builder::new().name("answer").create_task(async { 42 });
    ///     assert_eq!(task.await?, 42);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn create_task<F>(self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
    {
        self.spawn::<F, Plain>(future)
    }

    #[track_caller]
    pub(super) fn spawn<F, K>(self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        K: Kind<F::Output>,
    {
        let created = Location::caller();
        events::with_running(|owner, _| {
            let context = self.context.or_else(contextvars::inherit);
            let origin = Origin::new(owner, self.name, context, created);
            spawn::spawn::<F, K>(owner, future, origin)
        })
    }
}
