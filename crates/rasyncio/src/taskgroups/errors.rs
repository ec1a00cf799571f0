//! What can go wrong in a task group.

use std::error::Error;
use std::fmt;

use crate::exceptions::{Cancelled, Panic};

/// Why a group has no output.
///
/// ```
/// use rasyncio::TaskGroup;
/// use rasyncio::taskgroups::TaskGroupError;
///
/// rasyncio::run(async {
///     let group = TaskGroup::new();
///     match group.run(async { Err::<(), _>("oops") }).await {
///         Err(TaskGroupError::Failed(failures)) => assert_eq!(failures[0].error(), Some(&"oops")),
///         other => unreachable!("{other:?}"),
///     }
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub enum TaskGroupError<E> {
    /// Whoever runs the group was cancelled, and so were its tasks; or the group itself was
    /// ([`cancel`](super::TaskGroup::cancel)), and the body gave in.
    Cancelled(Cancelled),
    /// Some have failed, at least one (asyncio's `ExceptionGroup`). In the order of the failures,
    /// the body's included. Should whoever runs the group have been cancelled besides, its next
    /// await is.
    Failed(Vec<Failure<E>>),
}

/// How one of a group has failed.
///
/// ```
/// use rasyncio::taskgroups::Failure;
///
/// assert_eq!(Failure::Error("oops").error(), Some(&"oops"));
/// ```
#[derive(Debug)]
pub enum Failure<E> {
    /// It has resolved to this error.
    Error(E),
    /// Its code panicked.
    Panicked(Panic),
}

impl<E> TaskGroupError<E> {
    /// The cancellation, if this is one.
    ///
    /// ```
    /// use rasyncio::Cancelled;
    /// use rasyncio::taskgroups::TaskGroupError;
    ///
    /// assert!(TaskGroupError::<()>::Cancelled(Cancelled::new()).cancelled().is_some());
    /// ```
    pub fn cancelled(&self) -> Option<&Cancelled> {
        match self {
            TaskGroupError::Cancelled(cancelled) => Some(cancelled),
            TaskGroupError::Failed(_) => None,
        }
    }

    /// The failures; none if this is a cancellation.
    ///
    /// ```
    /// use rasyncio::taskgroups::{Failure, TaskGroupError};
    ///
    /// let error = TaskGroupError::Failed(vec![Failure::Error("oops")]);
    /// assert_eq!(error.failures().len(), 1);
    /// ```
    pub fn failures(&self) -> &[Failure<E>] {
        match self {
            TaskGroupError::Cancelled(_) => &[],
            TaskGroupError::Failed(failures) => failures,
        }
    }

    /// The failures, owned; none if this is a cancellation.
    ///
    /// ```
    /// use rasyncio::taskgroups::{Failure, TaskGroupError};
    ///
    /// let error = TaskGroupError::Failed(vec![Failure::Error("oops")]);
    /// assert!(matches!(error.into_failures()[..], [Failure::Error("oops")]));
    /// ```
    pub fn into_failures(self) -> Vec<Failure<E>> {
        match self {
            TaskGroupError::Cancelled(_) => Vec::new(),
            TaskGroupError::Failed(failures) => failures,
        }
    }
}

impl<E> Failure<E> {
    /// The error, if this is one.
    ///
    /// ```
    /// use rasyncio::taskgroups::Failure;
    ///
    /// assert_eq!(Failure::Error("oops").error(), Some(&"oops"));
    /// ```
    pub fn error(&self) -> Option<&E> {
        match self {
            Failure::Error(error) => Some(error),
            Failure::Panicked(_) => None,
        }
    }

    /// The panic, if this is one.
    ///
    /// ```
    /// use rasyncio::{Cancelled, TaskGroup};
    ///
    /// rasyncio::run(async {
    ///     let group = TaskGroup::<Cancelled>::new();
    ///     let body = async {
    ///         group.create_task(async { if true { panic!("oops") } Ok(()) });
    ///         Ok(())
    ///     };
    ///     let failures = group.run(body).await.unwrap_err().into_failures();
    ///     assert_eq!(failures[0].panicked().unwrap().message(), "oops");
    /// });
    /// ```
    pub fn panicked(&self) -> Option<&Panic> {
        match self {
            Failure::Error(_) => None,
            Failure::Panicked(panic) => Some(panic),
        }
    }
}

impl<E: fmt::Display> fmt::Display for TaskGroupError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskGroupError::Cancelled(cancelled) => cancelled.fmt(f),
            TaskGroupError::Failed(failures) => {
                f.write_str("unhandled errors in a TaskGroup")?;
                for (index, failure) in failures.iter().enumerate() {
                    write!(f, "{}{failure}", if index == 0 { ": " } else { "; " })?;
                }
                Ok(())
            }
        }
    }
}

impl<E: fmt::Display> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Error(error) => error.fmt(f),
            Failure::Panicked(panic) => panic.fmt(f),
        }
    }
}

impl<E: Error> Error for TaskGroupError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cancelled().map(|cancelled| cancelled as _)
    }
}

impl<E: Error> Error for Failure<E> {}
