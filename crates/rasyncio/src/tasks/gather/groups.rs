//! What can be gathered: futures and tasks in a `Vec`, an array or a tuple.

use std::array;

use super::super::{AnyTask, Task, create_task};
use crate::exceptions::TaskError;

/// A future that can become a task, or a task already (asyncio's `ensure_future`).
///
/// ```
/// use rasyncio::create_task;
/// use rasyncio::tasks::IntoTask;
///
/// rasyncio::run(async {
///     async fn answer(what: impl IntoTask<Output = i32>) -> i32 {
///         what.into_task().await.unwrap()
///     }
///     assert_eq!(answer(async { 42 }).await, 42);
///     assert_eq!(answer(create_task(async { 42 })).await, 42);
/// });
/// ```
pub trait IntoTask {
    /// What the future resolves to.
    type Output;

    /// The task.
    ///
    /// # Panics
    ///
    /// If no loop is running and there is a task to be made.
    fn into_task(self) -> Task<Self::Output>;
}

impl<F: Future + 'static> IntoTask for F {
    type Output = F::Output;

    #[track_caller]
    fn into_task(self) -> Task<F::Output> {
        create_task(self)
    }
}

impl<T> IntoTask for Task<T> {
    type Output = T;

    fn into_task(self) -> Task<T> {
        self
    }
}

/// What [`gather`](super::gather) takes.
pub trait Gatherable {
    /// The same, of tasks.
    type Tasks: Gathered;

    /// Makes tasks of all that are not.
    fn into_tasks(self) -> Self::Tasks;
}

/// The tasks of a gathering.
pub trait Gathered: Unpin {
    /// Their outputs.
    type Values;
    /// Their results.
    type Results;

    #[doc(hidden)]
    fn count(&self) -> usize;
    #[doc(hidden)]
    fn visit(&self, visit: &mut dyn FnMut(&AnyTask));
    #[doc(hidden)]
    fn error(&self, which: usize) -> Option<TaskError>;
    #[doc(hidden)]
    fn values(&self) -> Self::Values;
    #[doc(hidden)]
    fn results(&self) -> Self::Results;
}

impl<F: IntoTask> Gatherable for Vec<F> {
    type Tasks = Vec<Task<F::Output>>;

    #[track_caller]
    fn into_tasks(self) -> Self::Tasks {
        self.into_iter().map(F::into_task).collect()
    }
}

impl<T> Gathered for Vec<Task<T>> {
    type Values = Vec<T>;
    type Results = Vec<Result<T, TaskError>>;

    fn count(&self) -> usize {
        Vec::len(self)
    }

    fn visit(&self, visit: &mut dyn FnMut(&AnyTask)) {
        self.iter().for_each(|task| visit(task));
    }

    fn error(&self, which: usize) -> Option<TaskError> {
        result(&self[which]).err()
    }

    fn values(&self) -> Vec<T> {
        self.iter().map(value).collect()
    }

    fn results(&self) -> Self::Results {
        self.iter().map(result).collect()
    }
}

impl<F: IntoTask, const N: usize> Gatherable for [F; N] {
    type Tasks = [Task<F::Output>; N];

    #[track_caller]
    fn into_tasks(self) -> Self::Tasks {
        self.map(F::into_task)
    }
}

impl<T, const N: usize> Gathered for [Task<T>; N] {
    type Values = [T; N];
    type Results = [Result<T, TaskError>; N];

    fn count(&self) -> usize {
        N
    }

    fn visit(&self, visit: &mut dyn FnMut(&AnyTask)) {
        self.iter().for_each(|task| visit(task));
    }

    fn error(&self, which: usize) -> Option<TaskError> {
        result(&self[which]).err()
    }

    fn values(&self) -> [T; N] {
        array::from_fn(|which| value(&self[which]))
    }

    fn results(&self) -> Self::Results {
        array::from_fn(|which| result(&self[which]))
    }
}

macro_rules! gather_tuples {
    ($($future:ident $which:tt),+) => {
        impl<$($future: IntoTask),+> Gatherable for ($($future,)+) {
            type Tasks = ($(Task<$future::Output>,)+);

            #[track_caller]
            fn into_tasks(self) -> Self::Tasks {
                ($(self.$which.into_task(),)+)
            }
        }

        impl<$($future),+> Gathered for ($(Task<$future>,)+) {
            type Values = ($($future,)+);
            type Results = ($(Result<$future, TaskError>,)+);

            fn count(&self) -> usize {
                [$($which),+].len()
            }

            fn visit(&self, visit: &mut dyn FnMut(&AnyTask)) {
                $(visit(&self.$which);)+
            }

            fn error(&self, which: usize) -> Option<TaskError> {
                match which {
                    $($which => result(&self.$which).err(),)+
                    _ => None,
                }
            }

            fn values(&self) -> Self::Values {
                ($(value(&self.$which),)+)
            }

            fn results(&self) -> Self::Results {
                ($(result(&self.$which),)+)
            }
        }
    };
}

gather_tuples!(A 0);
gather_tuples!(A 0, B 1);
gather_tuples!(A 0, B 1, C 2);
gather_tuples!(A 0, B 1, C 2, D 3);
gather_tuples!(A 0, B 1, C 2, D 3, E 4);
gather_tuples!(A 0, B 1, C 2, D 3, E 4, F 5);
gather_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
gather_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
gather_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
gather_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
gather_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
gather_tuples!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);

/// The result of a task that has ended.
pub(super) fn result<T>(task: &Task<T>) -> Result<T, TaskError> {
    task.take()
        .expect("a gathering was awaited again after it had given its outputs")
}

/// The output of a task that has ended well.
pub(super) fn value<T>(task: &Task<T>) -> T {
    match result(task) {
        Ok(value) => value,
        Err(error) => unreachable!("a failed task decides the gathering, yet: {error}"),
    }
}
