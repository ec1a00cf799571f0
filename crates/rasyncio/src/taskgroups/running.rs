//! The body of a group, and the way out of it.

use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::errors::{Failure, TaskGroupError};
use super::state::{State, poll_once, unseen};
use crate::exceptions::Cancelled;
use crate::scope;

pin_project! {
    /// What [`TaskGroup::run`](super::TaskGroup::run) answers.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Running<F, T, E: 'static> {
        state: Rc<State<E>>,
        // While the body is there, from the first poll on. Dropped before it, for it undoes what
        // concerns others.
        visit: Option<scope::Visit<State<E>>>,
        #[pin]
        body: Option<F>,
        exit: Option<Exit<T>>,
        over: bool,
    }

    impl<F, T, E> PinnedDrop for Running<F, T, E> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if !*this.over && (this.visit.is_some() || this.exit.is_some()) {
                // Before the body goes, so that what its drop wakes finds the group ending.
                this.state.abort();
                this.state.finish().into_iter().for_each(unseen);
            }
        }
    }
}

/// What is known when the body has ended.
struct Exit<T> {
    output: Option<T>,
    /// A cancellation of whoever runs the group.
    cancelled: Option<Cancelled>,
    suspended: bool,
}

impl<F, T, E> Running<F, T, E> {
    pub(super) fn new(state: Rc<State<E>>, body: F) -> Running<F, T, E> {
        Running {
            state,
            visit: None,
            body: Some(body),
            exit: None,
            over: false,
        }
    }
}

impl<F, T, E> Future for Running<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, TaskGroupError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        assert!(!*this.over, "a task group was polled after it had ended");
        let state = this.state;
        let exit = match this.exit {
            Some(exit) => exit,
            None => {
                let visit = this.visit.get_or_insert_with(|| state.enter());
                let ended = match visit.poll(cx, |cx| poll_once(this.body.as_mut(), cx)) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(ended) => ended,
                };
                let from_inside = visit.was_ended_from_inside();
                *this.visit = None;
                this.exit.insert(leave_body(state, ended, from_inside))
            }
        };
        if exit.suspended
            && let Some(cancelled) = scope::take_cancellation()
        {
            exit.cancelled = Some(cancelled);
            if !state.is_aborting() {
                state.abort();
            }
        }
        if !state.is_empty() {
            exit.suspended = true;
            state.set_waker(cx);
            scope::suspend(cx);
            return Poll::Pending;
        }
        *this.over = true;
        let (output, cancelled) = (exit.output.take(), exit.cancelled.take());
        let failures = state.finish();
        Poll::Ready(match (output, cancelled) {
            (_, cancelled) if !failures.is_empty() => {
                if let Some(cancelled) = cancelled {
                    // The failures are told now, so it waits for the next await.
                    scope::give_back(cancelled);
                }
                Err(TaskGroupError::Failed(failures))
            }
            (_, Some(cancelled)) => Err(TaskGroupError::Cancelled(cancelled)),
            (Some(output), None) => Ok(output),
            (None, None) => {
                let cancelled = Cancelled::with_message("the task group was cancelled");
                Err(TaskGroupError::Cancelled(cancelled))
            }
        })
    }
}

/// Looks how the body has ended, and asks the tasks to end if it has failed or was cancelled.
fn leave_body<T, E: 'static>(
    state: &State<E>,
    ended: Result<Result<T, E>, crate::exceptions::Panic>,
    from_inside: bool,
) -> Exit<T> {
    state.exit();
    let mut exit = Exit {
        output: None,
        cancelled: None,
        suspended: false,
    };
    match ended {
        Ok(Ok(output)) => {
            exit.output = Some(output);
            return exit;
        }
        Ok(Err(error)) => {
            exit.cancelled = scope::ending();
            // Somebody has ended it, perhaps the group itself; and it has no more to say than that.
            let ended = exit.cancelled.is_some() || from_inside && state.is_aborting();
            if ended && state.is_cancellation(&error) {
                drop(error);
            } else {
                state.fail(Failure::Error(error));
            }
        }
        Err(panic) => state.fail(Failure::Panicked(panic)),
    }
    if !state.is_aborting() {
        state.abort();
    }
    exit
}

impl<F, T, E> fmt::Debug for Running<F, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&self.state).finish()
    }
}
