//! Results of tasks that are asked for without being taken.

#![allow(unsafe_code)]

use super::Task;
use super::state::{OUTPUT, SEEN};
use crate::exceptions::TaskError;

impl<T> Task<T> {
    /// What awaiting the task would give, as often as it is asked for (asyncio's `Task.result` and
    /// `Task.exception`). `None` if the task has not ended (asyncio's `InvalidStateError`), or its output
    /// was taken by awaiting `&mut task`.
    ///
    /// Whoever has looked has seen a panic or an error: it is not told to the exception handler when the
    /// task is dropped.
    ///
    /// ```
    /// use rasyncio::{create_task, wait};
    ///
    /// rasyncio::run(async {
    ///     let task = create_task(async { String::from("fine") });
    ///     assert!(task.result().is_none());
    ///     wait([&task]).await.unwrap();
    ///     assert_eq!(task.result().unwrap().unwrap(), "fine");
    ///     assert_eq!(task.await.unwrap(), "fine");
    /// });
    /// ```
    pub fn result(&self) -> Option<Result<&T, &TaskError>> {
        let header = self.any.header();
        if !header.state.has(OUTPUT) {
            return None;
        }
        header.state.insert(SEEN);
        // SAFETY: `OUTPUT` says that it is there, and `spawn_unchecked` pairs the type of the handle with that
        // of the future. The output is taken by whoever owns the task or has it by `&mut`, which nobody does
        // as long as the answer borrows it.
        let output = unsafe { &*self.any.output_place().cast::<Result<T, TaskError>>() };
        Some(output.as_ref())
    }
}
