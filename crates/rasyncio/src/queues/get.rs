//! Waiting for an item.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::store::Order;
use super::{BaseQueue, GetError, state};
use crate::locks::line::Ticket;

/// What [`BaseQueue::get`] answers.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Queue, timeout};
///
/// rasyncio::run(async {
///     let queue = Queue::<u8>::new(0);
///     assert!(timeout(Duration::from_millis(1), queue.get()).await.is_err());
/// });
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Get<'a, O: Order> {
    queue: &'a BaseQueue<O>,
    ticket: Option<Ticket>,
}

impl<'a, O: Order> Get<'a, O> {
    pub(super) fn new(queue: &'a BaseQueue<O>) -> Get<'a, O> {
        Get {
            queue,
            ticket: None,
        }
    }

    #[inline]
    fn give_up(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.leave(ticket);
        }
    }

    #[cold]
    fn leave(&self, ticket: Ticket) {
        let state = &self.queue.state;
        let woken = state.getters().is_woken(ticket);
        let Ok(()) = state.getter_gave_up(ticket, woken);
    }
}

impl<O: Order> Future for Get<'_, O> {
    type Output = Result<O::Item, GetError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = &self.queue.state;
        if let Some(ticket) = self.ticket {
            if let Err(cancelled) = ready!(state.getters().poll_woken(ticket, cx)) {
                self.give_up();
                return Poll::Ready(Err(GetError::Cancelled(cancelled)));
            }
            // Who was woken has left the line.
            self.ticket = None;
        }
        match state.get() {
            Ok(item) => Poll::Ready(Ok(item)),
            Err(state::GetError::ShutDown) => Poll::Ready(Err(GetError::QueueShutDown)),
            Err(state::GetError::Empty) => {
                self.ticket = Some(state.getters().suspend(cx));
                Poll::Pending
            }
        }
    }
}

impl<O: Order> Drop for Get<'_, O> {
    #[inline]
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<O: Order> fmt::Debug for Get<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Get")
            .field("waiting", &self.ticket.is_some())
            .finish_non_exhaustive()
    }
}
