//! Tasks that end together (asyncio's `taskgroups`).

mod child;
mod errors;
mod running;
mod state;

use std::fmt;
use std::rc::Rc;

pub use child::{Child, JoinChild};
pub use errors::{Failure, TaskGroupError};
pub use running::Running;

use crate::exceptions::Cancelled;
use crate::tasks::{Builder, known_as_cancellation};
use state::{Member, State};

/// A group of tasks that is left when all have ended (asyncio's `TaskGroup`). Clones are the same
/// group.
///
/// [`run`](TaskGroup::run) runs the body, what stands inside of asyncio's `async with`, and then
/// waits for the tasks that were created in the group. Tasks and body resolve to a `Result`, and
/// what has failed, by an `Err` or a panic, ends the group: all others are cancelled and awaited,
/// and the errors come together in a [`TaskGroupError`].
///
/// As everywhere, a task that was asked to end, and did not take that back, counts as cancelled
/// whatever it resolves to. That is no failure. What goes wrong while it cleans up is one, as in
/// asyncio:
///
/// - a panic, always;
/// - an error of which it is known that it is no cancellation on its way up: an
///   [`io::Error`](std::io::Error), a [`TaskError`](crate::TaskError), a boxed error and the like, without
///   one [among its sources](Cancelled::source_of); or text;
/// - an error of another type if [`with_cancellation`](TaskGroup::with_cancellation) has said how to know.
///   Otherwise such an error counts as the cancellation, for most have a place for one.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Cancelled, TaskGroup, sleep};
///
/// async fn fetch(page: u64) -> Result<u64, Cancelled> {
///     sleep(Duration::from_millis(page)).await?;
///     Ok(page * 10)
/// }
///
/// rasyncio::run(async {
///     let group = TaskGroup::new();
///     let sum = group
///         .run(async {
///             let (one, two) = (group.create_task(fetch(1)), group.create_task(fetch(2)));
///             Ok(one.await? + two.await?)
///         })
///         .await;
///     assert_eq!(sum.unwrap(), 30);
/// });
/// ```
///
/// A failure ends it all:
///
/// ```
/// use std::io;
/// use std::time::Duration;
/// use rasyncio::{TaskGroup, sleep};
///
/// rasyncio::run(async {
///     let group = TaskGroup::new();
///     let result = group
///         .run(async {
///             group.create_task(async { Err::<(), _>(io::Error::other("no disk")) });
///             sleep(Duration::from_secs(3600)).await?;
///             Ok(())
///         })
///         .await;
///     let failures = result.unwrap_err().into_failures();
///     assert_eq!(failures[0].to_string(), "no disk");
/// });
/// ```
pub struct TaskGroup<E: 'static = Cancelled> {
    state: Rc<State<E>>,
}

impl<E> TaskGroup<E> {
    /// A group without tasks.
    ///
    /// ```
    /// use rasyncio::{Cancelled, TaskGroup};
    ///
    /// rasyncio::run(async {
    ///     let group = TaskGroup::<Cancelled>::new();
    ///     group.run(async { Ok(()) }).await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn new() -> TaskGroup<E> {
        TaskGroup::with_cancellation(|error| known_as_cancellation(error).unwrap_or(true))
    }

    /// A group without tasks, for errors of a type of your own: `is_cancellation` tells whether one says no
    /// more than that its code was asked to end. Who was asked to and ends with any other has failed.
    ///
    /// For a type that names its sources, that is
    /// `|error| Cancelled::source_of(error).is_some()`; see [`Cancelled::source_of`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{Cancelled, TaskGroup, sleep};
    ///
    /// enum Error {
    ///     Ended(Cancelled),
    ///     NoDisk,
    /// }
    ///
    /// impl From<Cancelled> for Error {
    ///     fn from(cancelled: Cancelled) -> Error {
    ///         Error::Ended(cancelled)
    ///     }
    /// }
    ///
    /// rasyncio::run(async {
    ///     let group = TaskGroup::with_cancellation(|error| matches!(error, Error::Ended(_)));
    ///     let body = async {
    ///         group.create_task(async { Err::<(), _>(Error::NoDisk) });
    ///         sleep(Duration::from_secs(3600)).await?;
    ///         Ok(())
    ///     };
    ///     let failures = group.run(body).await.unwrap_err().into_failures();
    ///     assert_eq!(failures.len(), 1);
    ///     assert!(matches!(failures[0].error(), Some(Error::NoDisk)));
    /// });
    /// ```
    pub fn with_cancellation(is_cancellation: fn(&E) -> bool) -> TaskGroup<E> {
        TaskGroup {
            state: Rc::new(State::new(is_cancellation)),
        }
    }

    /// Runs `body` in the group, and waits for the group's tasks.
    ///
    /// Dropping the answer before it has ended cancels the tasks, and waits for none.
    ///
    /// # Errors
    ///
    /// See [`TaskGroupError`].
    ///
    /// # Panics
    ///
    /// When the answer is awaited, if the group has been run before.
    ///
    /// ```
    /// use rasyncio::{Cancelled, TaskGroup};
    ///
    /// rasyncio::run(async {
    ///     let group = TaskGroup::<Cancelled>::new();
    ///     let task = group.run(async { Ok(group.create_task(async { Ok(42) })) }).await?;
    ///     assert_eq!(task.await?, 42);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn run<B, T>(&self, body: B) -> Running<B::IntoFuture, T, E>
    where
        B: IntoFuture<Output = Result<T, E>>,
    {
        Running::new(self.state.clone(), body.into_future())
    }

    /// Creates a task in the group (asyncio's `TaskGroup.create_task`). Once the group ends because
    /// of a failure or of [`cancel`](TaskGroup::cancel), such a task is cancelled before it starts.
    ///
    /// # Panics
    ///
    /// If the group is not running, or no loop is.
    ///
    /// ```
    /// use rasyncio::{Cancelled, TaskGroup};
    ///
    /// rasyncio::run(async {
    ///     let group = TaskGroup::<Cancelled>::new();
    ///     let body = async {
    ///         let (one, two) = (group.create_task(async { Ok(1) }), group.create_task(async { Ok(2) }));
    ///         Ok((one.await, two.await))
    ///     };
    ///     let (one, two) = group.run(body).await?;
    ///     assert_eq!((one?, two?), (1, 2));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    #[track_caller]
    pub fn create_task<F, T>(&self, future: F) -> Child<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        self.create_task_with(Builder::new(), future)
    }

    /// [`create_task`](TaskGroup::create_task) with a name and whatever else a [`Builder`] says.
    ///
    /// # Panics
    ///
    /// If the group is not running, or no loop is.
    ///
    /// ```
    /// use rasyncio::{Cancelled, TaskGroup, tasks::Builder};
    ///
    /// rasyncio::run(async {
    ///     let group = TaskGroup::new();
    ///     let body = async {
    ///         let builder = Builder::new().name("accountant");
    ///         let task = group.create_task_with(builder, async { Ok(()) });
    ///         assert_eq!(task.name(), "accountant");
    ///         Ok::<_, Cancelled>(())
    ///     };
    ///     group.run(body).await.unwrap();
    /// });
    /// ```
    #[track_caller]
    pub fn create_task_with<F, T>(&self, builder: Builder, future: F) -> Child<T>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        self.state.assert_running();
        let task = builder.create_task(Member::new(future, self.state.clone()));
        self.state.add(&task);
        Child::new(task)
    }

    /// Cancels the tasks and the body, if that has not ended (asyncio's `TaskGroup.cancel`). That is
    /// no failure. Before the group runs, it is the body's first suspension that is cancelled.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::{Cancelled, TaskGroup, sleep};
    ///
    /// rasyncio::run(async {
    ///     let group = TaskGroup::new();
    ///     let body = async {
    ///         let stopper = group.clone();
    ///         group.create_task(sleep(Duration::from_secs(3600)));
    ///         group.create_task(async move {
    ///             stopper.cancel();
    ///             Ok(())
    ///         });
    ///         Ok::<_, Cancelled>("found it")
    ///     };
    ///     assert_eq!(group.run(body).await.unwrap(), "found it");
    /// });
    /// ```
    pub fn cancel(&self) {
        self.state.cancel();
    }
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> TaskGroup<E> {
        TaskGroup {
            state: self.state.clone(),
        }
    }
}

impl<E> Default for TaskGroup<E> {
    fn default() -> TaskGroup<E> {
        TaskGroup::new()
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}
