//! Waiting for room.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::store::Order;
use super::{BaseQueue, PutError, state};
use crate::locks::line::Ticket;

/// What [`BaseQueue::put`] answers.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Queue, timeout};
///
/// rasyncio::run(async {
///     let queue = Queue::new(1);
///     queue.put(1).await?;
///     assert!(timeout(Duration::from_millis(1), queue.put(2)).await.is_err());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Put<'a, O: Order> {
    queue: &'a BaseQueue<O>,
    /// There until the await resolves.
    item: Option<O::Item>,
    ticket: Option<Ticket>,
}

/// The item is only moved.
impl<O: Order> Unpin for Put<'_, O> {}

impl<'a, O: Order> Put<'a, O> {
    pub(super) fn new(queue: &'a BaseQueue<O>, item: O::Item) -> Put<'a, O> {
        Put {
            queue,
            item: Some(item),
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
        let woken = state.putters().is_woken(ticket);
        let Ok(()) = state.putter_gave_up(ticket, woken);
    }
}

impl<O: Order> Future for Put<'_, O> {
    type Output = Result<(), PutError<O::Item>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let state = &this.queue.state;
        let cancelled = match this.ticket {
            Some(ticket) => ready!(state.putters().poll_woken(ticket, cx)).err(),
            None => None,
        };
        let Some(item) = this.item.take() else {
            panic!("Queue::put was polled after it had ended");
        };
        if let Some(cancelled) = cancelled {
            this.give_up();
            return Poll::Ready(Err(PutError::Cancelled(cancelled, item)));
        }
        // Who was woken has left the line.
        this.ticket = None;
        match state.put(item) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(state::PutError::ShutDown(item)) => Poll::Ready(Err(PutError::QueueShutDown(item))),
            Err(state::PutError::Full(item)) => {
                this.item = Some(item);
                this.ticket = Some(state.putters().suspend(cx));
                Poll::Pending
            }
        }
    }
}

impl<O: Order> Drop for Put<'_, O> {
    #[inline]
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<O: Order> fmt::Debug for Put<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put")
            .field("waiting", &self.ticket.is_some())
            .finish_non_exhaustive()
    }
}
