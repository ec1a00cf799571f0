//! The unfinished tasks of a loop: a list that runs through the tasks themselves.
//!
//! It owns its tasks (see `DONE`), which is why asyncio's advice to keep a reference to
//! every task does not apply here. Adding and removing costs a few stores.

#![allow(unsafe_code)]

use std::cell::Cell;

use super::cell::Raw;
use super::state::STRANDED;
use super::{AnyTask, waker};
use crate::exceptions::Cancelled;

/// A task's place in the list.
#[derive(Default)]
pub(super) struct Links {
    previous: Cell<Option<Raw>>,
    next: Cell<Option<Raw>>,
}

/// All unfinished tasks, oldest first.
#[derive(Default)]
pub(crate) struct TaskList {
    first: Cell<Option<Raw>>,
    last: Cell<Option<Raw>>,
}

impl TaskList {
    /// # Safety
    ///
    /// The task is alive, in no list, and stays alive until it is removed.
    pub(super) unsafe fn push(&self, task: Raw) {
        let last = self.last.replace(Some(task));
        // SAFETY: alive says the caller.
        unsafe { task.header() }.links.previous.set(last);
        match last {
            // SAFETY: it is in the list.
            Some(last) => unsafe { last.header() }.links.next.set(Some(task)),
            None => self.first.set(Some(task)),
        }
    }

    /// # Safety
    ///
    /// The task is in this list.
    pub(super) unsafe fn remove(&self, task: Raw) {
        // SAFETY: what is in the list is alive, the neighbours included.
        unsafe {
            let links = &task.header().links;
            let (previous, next) = (links.previous.take(), links.next.take());
            match previous {
                Some(previous) => previous.header().links.next.set(next),
                None => self.first.set(next),
            }
            match next {
                Some(next) => next.header().links.previous.set(previous),
                None => self.last.set(previous),
            }
        }
    }

    pub(super) fn handles(&self) -> Vec<AnyTask> {
        let mut handles = Vec::new();
        // SAFETY: what is in the list is unfinished.
        self.for_each(|task| handles.push(unsafe { task.handle() }));
        handles
    }

    /// Schedules the tasks that could not run because nobody had entered the loop, which now
    /// somebody has.
    pub(crate) fn schedule_stranded(&self) {
        self.for_each(|task| {
            // SAFETY: what is in the list is alive.
            let header = unsafe { task.header() };
            if header.state.remove(STRANDED) {
                waker::wake_local(task, header);
            }
        });
    }

    /// Ends all tasks as cancelled, those that this brings into being included. None of them
    /// may be running.
    pub(crate) fn abandon_all(&self) {
        while let Some(task) = self.first.get() {
            // SAFETY: what is in the list is not done.
            unsafe { task.abandon(Cancelled::with_message("the event loop was closed")) };
        }
    }

    /// Calls `f`, which must not change the list, with every task.
    fn for_each(&self, mut f: impl FnMut(Raw)) {
        let mut next = self.first.get();
        while let Some(task) = next {
            f(task);
            // SAFETY: it is in the list.
            next = unsafe { task.header() }.links.next.get();
        }
    }
}
