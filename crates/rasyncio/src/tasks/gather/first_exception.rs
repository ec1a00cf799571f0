//! Gatherings whose children resolve to a `Result`, and that an `Err` ends.

#![allow(unsafe_code)]

use std::array;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::super::fallible::output;
use super::{AnyTask, Gathered, Gathering, State, Task, result, value};
use crate::exceptions::TaskError;
use crate::scope;

/// Tasks that resolve to `Result`s with the same type of error: what
/// [`Gathering::first_exception`] is for. A tuple, an array or a `Vec` of them.
///
/// ```
/// use rasyncio::gather;
/// use rasyncio::tasks::{FallibleGroup, Gathering};
///
/// rasyncio::run(async {
///     async fn is_well<G: FallibleGroup>(group: Gathering<G>) -> bool {
///         matches!(group.first_exception().await, Ok(Ok(_)))
///     }
///     assert!(is_well(gather([async { Ok::<_, String>(1) }])).await);
///     assert!(!is_well(gather([async { Err::<(), _>("oops") }])).await);
/// });
/// ```
pub trait FallibleGroup: Gathered + sealed::FallibleGroup {}

impl<G: Gathered + sealed::FallibleGroup> FallibleGroup for G {}

/// Whether a task that has ended has resolved to an `Err`. Each is for one type of task.
pub(super) type HasErr = unsafe fn(&AnyTask) -> bool;

mod sealed {
    use super::{HasErr, TaskError};

    pub trait FallibleGroup {
        type Oks;
        type Error;

        /// One for all tasks, or one for each in the order of `Gathered::visit`.
        const HAS_ERR: &'static [HasErr];

        /// The error of a task that has failed.
        fn failure(&self, which: usize) -> Result<Self::Error, TaskError>;
        /// The values, if all have ended well.
        fn oks(&self) -> Result<Self::Oks, Self::Error>;
    }
}

/// # Safety
///
/// The task is one that resolves to a `Result<T, E>`.
unsafe fn has_err<T, E>(task: &AnyTask) -> bool {
    // SAFETY: as the caller says.
    unsafe { output::<T, E>(task) }.is_some_and(Result::is_err)
}

/// The error of a task that has failed in one way or the other.
fn failure<T, E>(task: &Task<Result<T, E>>) -> Result<E, TaskError> {
    match result(task)? {
        Err(error) => Ok(error),
        Ok(_) => unreachable!("a task that ended well does not end the gathering"),
    }
}

impl<T, E> sealed::FallibleGroup for Vec<Task<Result<T, E>>> {
    type Oks = Vec<T>;
    type Error = E;

    const HAS_ERR: &'static [HasErr] = &[has_err::<T, E>];

    fn failure(&self, which: usize) -> Result<E, TaskError> {
        failure(&self[which])
    }

    fn oks(&self) -> Result<Vec<T>, E> {
        self.iter().map(value).collect()
    }
}

impl<T, E, const N: usize> sealed::FallibleGroup for [Task<Result<T, E>>; N] {
    type Oks = [T; N];
    type Error = E;

    const HAS_ERR: &'static [HasErr] = &[has_err::<T, E>];

    fn failure(&self, which: usize) -> Result<E, TaskError> {
        failure(&self[which])
    }

    fn oks(&self) -> Result<[T; N], E> {
        Ok(array::from_fn(|which| ok(&self[which])))
    }
}

/// The value of a task that has ended well.
fn ok<T, E>(task: &Task<Result<T, E>>) -> T {
    match value(task) {
        Ok(value) => value,
        Err(_) => unreachable!("an error decides the gathering"),
    }
}

macro_rules! fallible_tuples {
    ($($value:ident $which:tt),+) => {
        impl<$($value,)+ Error> sealed::FallibleGroup for ($(Task<Result<$value, Error>>,)+) {
            type Oks = ($($value,)+);
            type Error = Error;

            const HAS_ERR: &'static [HasErr] = &[$(has_err::<$value, Error>),+];

            fn failure(&self, which: usize) -> Result<Error, TaskError> {
                match which {
                    $($which => failure(&self.$which),)+
                    _ => unreachable!("there are no more"),
                }
            }

            fn oks(&self) -> Result<Self::Oks, Error> {
                Ok(($(value(&self.$which)?,)+))
            }
        }
    };
}

fallible_tuples!(A 0);
fallible_tuples!(A 0, B 1);
fallible_tuples!(A 0, B 1, C 2);
fallible_tuples!(A 0, B 1, C 2, D 3);
fallible_tuples!(A 0, B 1, C 2, D 3, E 4);
fallible_tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
fallible_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
fallible_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
fallible_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
fallible_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
fallible_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
fallible_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

impl State {
    /// Whether a task of the gathering, which has ended, has resolved to an `Err` that counts.
    pub(super) fn has_err(&self, task: &AnyTask) -> bool {
        let has_err = match self.has_err.get() {
            [] => return false,
            [all] => all,
            each => match self.tasks.iter().position(|it| it == task) {
                Some(which) => &each[which],
                None => return false,
            },
        };
        // SAFETY: `first_exception` has set what belongs to the types of these tasks.
        unsafe { has_err(task) }
    }
}

/// What [`Gathering::first_exception`] answers.
///
/// ```
/// use rasyncio::gather;
///
/// rasyncio::run(async {
///     let sum = gather((async { "1".parse::<i32>() }, async { "x".parse::<i32>() }));
///     let error = sum.first_exception().await?.unwrap_err();
///     assert_eq!(error.to_string(), "invalid digit found in string");
///     Ok::<_, rasyncio::TaskError>(())
/// })
/// .unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct GatherFirst<G>(Gathering<G>);

impl<G: FallibleGroup> Gathering<G> {
    /// Answers the values of all, or the first `Err` as soon as a future resolves to one, as
    /// asyncio's `gather` does with an exception. The other tasks run on, and what becomes of them
    /// is not awaited any more. All errors must be of one type.
    ///
    /// The outer error, as without, is that a task has panicked or was cancelled, or the gathering
    /// itself.
    ///
    /// An `Err` that comes later is dropped, unless its task was made by
    /// [`create_task!`](macro@crate::create_task) or its like, which tells the exception handler
    /// of every error that nobody gets to see (asyncio is silent of both).
    ///
    /// ```
    /// use std::{io, time::Duration};
    /// use rasyncio::{gather, gather_iter, sleep};
    ///
    /// async fn fetch(page: u64) -> io::Result<u64> {
    ///     sleep(Duration::from_millis(page)).await?;
    ///     if page == 4 { Err(io::ErrorKind::NotFound.into()) } else { Ok(page * 10) }
    /// }
    ///
    /// rasyncio::run(async {
    ///     let (one, two) = gather((fetch(1), fetch(2))).first_exception().await??;
    ///     assert_eq!((one, two), (10, 20));
    ///
    ///     let error = gather_iter((3..6).map(fetch)).first_exception().await?.unwrap_err();
    ///     assert_eq!(error.kind(), io::ErrorKind::NotFound);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn first_exception(self) -> GatherFirst<G> {
        let state = &self.state;
        state.has_err.set(G::HAS_ERR);
        let failed = |task: &AnyTask| task.done() && state.fails_by(task);
        state.failed.set(state.tasks.iter().position(failed));
        state.over.set(state.is_decided());
        GatherFirst(self)
    }
}

impl<G: FallibleGroup> Future for GatherFirst<G> {
    type Output = Result<Result<G::Oks, G::Error>, TaskError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gathering = &mut self.get_mut().0;
        gathering.poll_over(cx).map(|over| {
            over?;
            let Some(which) = gathering.state.error() else {
                return Ok(gathering.tasks.oks());
            };
            let failure = gathering.tasks.failure(which);
            if let Err(TaskError::Cancelled(cancelled)) = &failure {
                scope::delivered(cancelled);
            }
            failure.map(Err)
        })
    }
}

impl<G> fmt::Debug for GatherFirst<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
