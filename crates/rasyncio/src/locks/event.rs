//! The event.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::waiters::{Ticket, Waiters};
use crate::exceptions::Cancelled;
use crate::scope;

/// A flag that tasks can wait for (asyncio's `Event`).
///
/// ```
/// use std::rc::Rc;
/// use rasyncio::{Event, create_task};
///
/// rasyncio::run(async {
///     let ready = Rc::new(Event::new());
///     let waiter = create_task({
///         let ready = ready.clone();
///         async move { ready.wait().await }
///     });
///     ready.set();
///     waiter.await??;
///     Ok::<_, rasyncio::TaskError>(())
/// })
/// .unwrap();
/// ```
#[derive(Default)]
pub struct Event {
    is_set: Cell<bool>,
    waiters: Waiters,
}

impl Event {
    /// An event that is not set.
    pub const fn new() -> Event {
        Event {
            is_set: Cell::new(false),
            waiters: Waiters::new(),
        }
    }

    /// Whether the event is set (asyncio's `is_set`).
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Sets the event and wakes all who wait, in the order in which they came (asyncio's `set`).
    pub fn set(&self) {
        if !self.is_set.replace(true) {
            self.waiters.wake_all();
        }
    }

    /// Unsets the event (asyncio's `clear`). Who was woken before does not mind.
    pub fn clear(&self) {
        self.is_set.set(false);
    }

    /// Waits until the event is set (asyncio's `wait`). Does not suspend if it is.
    ///
    /// ```
    /// let event = rasyncio::Event::new();
    /// event.set();
    /// rasyncio::run(event.wait()).unwrap();
    /// ```
    pub fn wait(&self) -> Wait<'_> {
        Wait {
            event: self,
            ticket: None,
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .field("waiters", &self.waiters.len())
            .finish()
    }
}

/// What [`Event::wait`] answers.
#[must_use = "futures do nothing unless awaited"]
pub struct Wait<'a> {
    event: &'a Event,
    ticket: Option<Ticket>,
}

impl Wait<'_> {
    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.event.waiters.leave(ticket);
        }
    }
}

impl Future for Wait<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waiters = &self.event.waiters;
        match self.ticket {
            None if self.event.is_set() => return Poll::Ready(Ok(())),
            None => self.ticket = Some(waiters.join(cx.waker())),
            Some(ticket) => {
                if let Some(cancelled) = scope::take_cancellation() {
                    self.leave();
                    return Poll::Ready(Err(cancelled));
                }
                if !waiters.stay(ticket, cx.waker()) {
                    self.ticket = None;
                    return Poll::Ready(Ok(()));
                }
            }
        }
        scope::suspend(cx);
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("event", self.event)
            .finish_non_exhaustive()
    }
}
