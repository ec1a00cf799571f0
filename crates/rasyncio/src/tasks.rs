//! Tasks (asyncio's `tasks`).
//!
//! [`create_task`] gives a future to the loop, which runs it beside all others, in the same
//! thread. The [`Task`] that it answers is awaited for the output. Dropping it detaches the
//! task, which runs on, for the loop owns it: unlike in asyncio there is no need to keep a
//! reference. A task is ended early by [`cancel`](AnyTask::cancel) only.
//!
//! # Cancellation
//!
//! `cancel` is a request, delivered at the await where the task is suspended, which then
//! resolves to [`Cancelled`]. The task may await its clean-up, and may refuse:
//!
//! - A task that was asked to end, and has ended without taking that back, counts as
//!   cancelled whatever its future resolved to: its output is dropped, and who awaits it gets
//!   [`TaskError::Cancelled`].
//! - To go on instead, or to end with an output nevertheless, take the request back with
//!   [`uncancel`](AnyTask::uncancel).
//!
//! asyncio tells the two apart by the exception that leaves the coroutine, but a future may
//! resolve to anything, so here the count decides that asyncio keeps as well
//! ([`cancelling`](AnyTask::cancelling)). Everything else is as there: a task that has not
//! started never does, cancelling a task that awaits another cancels that one, and the
//! awaiting one only if the other gives in.

mod as_completed;
mod callbacks;
mod cell;
mod deaf;
mod ended;
mod fallible;
mod gather;
mod join;
mod list;
mod refs;
mod reported;
mod results;
mod sent;
mod shield;
mod sleep;
mod spare;
mod spawn;
mod stage;
mod state;
mod step;
mod wait;
mod waiters;
mod waker;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

pub use as_completed::{AsCompleted, AsCompletedError, Next, as_completed};
pub use callbacks::DoneCallback;
pub(crate) use ended::{Ended, came_back};
pub use fallible::Fallible;
#[doc(hidden)]
pub use fallible::kinds;
pub(crate) use fallible::{cancellation_in, known_as_cancellation};
pub use gather::{
    FallibleGroup, GatherFirst, GatherResults, Gatherable, Gathered, Gathering, IntoTask, gather,
    gather_iter,
};
pub use join::{Join, JoinMut};
pub(crate) use list::TaskList;
pub use shield::{Shield, Shieldable, shield};
pub use sleep::{Sleep, YieldNow, sleep, sleep_until, yield_now};
pub(crate) use spare::Spare;
pub use wait::{ReturnWhen, Wait, wait};

use crate::contextvars::{self, Context};
use crate::events;
use crate::exceptions::Cancelled;
#[cfg(doc)]
use crate::exceptions::TaskError;
use crate::scope::Requested;
use cell::Raw;
pub(crate) use spawn::Origin;
pub(crate) use spawn::run_main;
use stage::{Kind, Plain};
use state::{AGAIN, CANCELLED, DONE, PANICKED, RUNNING, SCHEDULED, STARTED};
pub(crate) use step::{current_address, current_context, set_current_context};
pub(crate) use waiters::{OnDone, Told, Waiter};
pub(crate) use waker::{into_job, waiting};

/// A task, and the right to its output (asyncio's `Task`).
///
/// Awaiting it gives the output of its future, or a [`TaskError`]; awaiting `&mut task` does
/// too, and leaves the task in your hands if you stop awaiting. Dropping it detaches the task;
/// should that panic, the panic goes to the
/// [exception handler](events::set_exception_handler).
///
/// What can be done without knowing the type of the output is [`AnyTask`]'s.
///
/// ```
/// use rasyncio::{Task, create_task};
///
/// rasyncio::run(async {
///     let mut task: Task<i32> = create_task(async { 42 });
///     assert_eq!((&mut task).await?, 42);
///     assert!(task.done());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct Task<T> {
    any: AnyTask,
    output: PhantomData<fn() -> T>,
}

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
    raw: Raw,
}

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
    fn spawn<F, K>(self, future: F) -> Task<F::Output>
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

/// The task that is running (asyncio's `current_task`); `None` outside of tasks.
///
/// ```
/// assert!(rasyncio::current_task().is_none());
/// rasyncio::run(async { assert_eq!(rasyncio::current_task().unwrap().name(), "Task-1") });
/// ```
pub fn current_task() -> Option<AnyTask> {
    step::current()
}

/// The running loop's unfinished tasks, oldest first (asyncio's `all_tasks`).
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::{all_tasks, create_task};
///
/// rasyncio::run(async {
///     let task = create_task(async {});
///     assert_eq!(all_tasks().len(), 2);
///     task.await.unwrap();
///     assert_eq!(all_tasks().len(), 1);
/// });
/// ```
#[track_caller]
pub fn all_tasks() -> Vec<AnyTask> {
    events::with_running(|owner, _| owner.tasks.handles())
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

    fn has_failed(&self) -> bool {
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
}

/// For people who look what goes on.
impl AnyTask {
    /// The tasks that wait for this one, in the order in which they came (asyncio's
    /// `future_add_to_awaited_by`, asked). Tasks only: what else waits is not named.
    ///
    /// ```
    /// use rasyncio::{create_task, yield_now};
    ///
    /// rasyncio::run(async {
    ///     let inner = create_task(async { yield_now().await?; yield_now().await });
    ///     let watched = (*inner).clone();
    ///     let outer = create_task(inner.into_future());
    ///     yield_now().await?;
    ///     assert_eq!(watched.awaited_by(), [(*outer).clone()]);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn awaited_by(&self) -> Vec<AnyTask> {
        let mut tasks = Vec::new();
        self.header().waiters.for_each(|waiter| {
            let task = match waiter {
                Waiter::Waker(waker) => waker::task_of(waker),
                Waiter::Callback(listener) => listener.awaiter(),
            };
            tasks.extend(task.filter(|task| !tasks.contains(task)));
        });
        tasks
    }

    /// Tells tasks apart as long as there are handles of them.
    pub(crate) fn address(&self) -> *const () {
        self.raw.as_ptr()
    }

    /// What the task is at.
    ///
    /// ```
    /// use rasyncio::create_task;
    /// use rasyncio::tasks::Activity;
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(async {});
    ///     assert_eq!(task.activity(), Activity::NotStarted);
    /// });
    /// ```
    pub fn activity(&self) -> Activity {
        let header = self.header();
        match () {
            () if header.state.has(DONE) => Activity::Ended,
            () if header.state.has(RUNNING) => Activity::Running,
            () if !header.state.has(STARTED) => Activity::NotStarted,
            () if header.state.has(SCHEDULED) => Activity::Ready,
            () => Activity::Waiting(header.scope.leaf()),
        }
    }
}

/// What a task is at.
///
/// ```
/// use rasyncio::tasks::Activity;
/// use rasyncio::{Event, create_task, yield_now};
///
/// rasyncio::run(async {
///     let task = create_task(async { Event::new().wait().await });
///     yield_now().await?;
///     match task.activity() {
///         Activity::Waiting(Some(place)) => assert!(place.file().ends_with(".rs")),
///         other => unreachable!("{other:?}"),
///     }
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It has its first turn before it.
    NotStarted,
    /// It is being polled just now.
    Running,
    /// It was woken, and has its next turn before it.
    Ready,
    /// It waits. Where the awaited future of this crate (or of another one that calls
    /// [`suspend`](crate::scope::suspend)) is in the source; `None` for a future that knows nothing of
    /// this crate.
    Waiting(Option<&'static Location<'static>>),
    /// It has ended.
    Ended,
}

impl AsRef<AnyTask> for AnyTask {
    fn as_ref(&self) -> &AnyTask {
        self
    }
}

impl<T> AsRef<AnyTask> for Task<T> {
    fn as_ref(&self) -> &AnyTask {
        &self.any
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

impl<T> Task<T> {
    fn set_owner(&self, waiter: Waiter) {
        self.any.set_owner(waiter);
    }
}

impl<T> Deref for Task<T> {
    type Target = AnyTask;

    fn deref(&self) -> &AnyTask {
        &self.any
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.any.detach();
    }
}

/// Whether they are the same task.
impl<T> PartialEq for Task<T> {
    fn eq(&self, other: &Task<T>) -> bool {
        self.any == other.any
    }
}

impl<T> Eq for Task<T> {}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.any.fmt(f)
    }
}
