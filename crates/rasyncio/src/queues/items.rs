//! The items of a queue, one after the other.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::store::Order;
use super::{BaseQueue, Get, GetError};
use crate::exceptions::Cancelled;

/// What [`BaseQueue::items`] answers. Dropping it loses no item.
///
/// ```
/// use futures_util::StreamExt;
/// use rasyncio::Queue;
///
/// rasyncio::run(async {
///     let queue = Queue::new(0);
///     queue.put("a").await?;
///     let mut items = queue.items();
///     assert_eq!(items.next().await, Some(Ok("a")));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[must_use = "streams do nothing unless polled"]
pub struct Items<'a, O: Order> {
    queue: &'a BaseQueue<O>,
    get: Option<Get<'a, O>>,
}

impl<'a, O: Order> Items<'a, O> {
    pub(super) fn new(queue: &'a BaseQueue<O>) -> Items<'a, O> {
        Items { queue, get: None }
    }
}

// Nothing is pinned through it.
impl<O: Order> Unpin for Items<'_, O> {}

impl<O: Order> Stream for Items<'_, O> {
    type Item = Result<O::Item, Cancelled>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let get = this.get.get_or_insert_with(|| this.queue.get());
        let got = ready!(Pin::new(get).poll(cx));
        this.get = None;
        Poll::Ready(match got {
            Ok(item) => Some(Ok(item)),
            Err(GetError::Cancelled(cancelled)) => Some(Err(cancelled)),
            Err(GetError::QueueShutDown) => None,
        })
    }
}

impl<O: Order> fmt::Debug for Items<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items")
            .field("get", &self.get)
            .finish_non_exhaustive()
    }
}
