//! The event.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::line::Ticket;
use super::sleeper::Sleeper;
use super::states::EventState;
use crate::exceptions::Cancelled;

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
    state: EventState<Sleeper>,
}

impl Event {
    /// An event that is not set.
    ///
    /// ```
    /// assert!(!rasyncio::Event::new().is_set());
    /// ```
    pub const fn new() -> Event {
        Event {
            state: EventState::new(false),
        }
    }

    /// Whether the event is set (asyncio's `is_set`).
    ///
    /// ```
    /// let event = rasyncio::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    pub fn is_set(&self) -> bool {
        self.state.is_set()
    }

    /// Sets the event and wakes all who wait, in the order in which they came (asyncio's `set`).
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Event, create_task};
    ///
    /// rasyncio::run(async {
    ///     let event = Rc::new(Event::new());
    ///     create_task({
    ///         let event = event.clone();
    ///         async move { event.set() }
    ///     });
    ///     event.wait().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn set(&self) {
        let Ok(()) = self.state.set();
    }

    /// Unsets the event (asyncio's `clear`). Who was woken before does not mind.
    ///
    /// ```
    /// let event = rasyncio::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    pub fn clear(&self) {
        self.state.clear();
    }

    /// Waits until the event is set (asyncio's `wait`). Does not suspend if it is.
    ///
    /// ```
    /// let event = rasyncio::Event::new();
    /// event.set();
    /// rasyncio::run(event.wait()).unwrap();
    /// ```
    pub fn wait(&self) -> Wait<'_> {
        Wait::new(&self.state)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.is_set())
            .field("waiters", &self.state.line().len())
            .finish()
    }
}

/// What [`Event::wait`] and [`BaseQueue::join`](crate::queues::BaseQueue::join) answer.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{Event, timeout};
///
/// rasyncio::run(async {
///     let event = Event::new();
///     assert!(timeout(Duration::from_millis(1), event.wait()).await.is_err());
/// });
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Wait<'a> {
    state: &'a EventState<Sleeper>,
    ticket: Option<Ticket>,
}

impl<'a> Wait<'a> {
    pub(crate) fn new(state: &'a EventState<Sleeper>) -> Wait<'a> {
        Wait {
            state,
            ticket: None,
        }
    }

    #[inline]
    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.state.left(ticket);
        }
    }
}

impl Future for Wait<'_> {
    type Output = Result<(), Cancelled>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let state = self.state;
        match self.ticket {
            None if state.is_set() => Poll::Ready(Ok(())),
            None => {
                self.ticket = Some(state.line().suspend(cx));
                Poll::Pending
            }
            Some(ticket) => {
                let result = ready!(state.line().poll_woken(ticket, cx));
                self.leave();
                Poll::Ready(result)
            }
        }
    }
}

impl Drop for Wait<'_> {
    #[inline]
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("waiting", &self.ticket.is_some())
            .finish_non_exhaustive()
    }
}
