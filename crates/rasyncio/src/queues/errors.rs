//! What can go wrong with a queue. An item that was not put comes back with the error.

use std::error::Error;
use std::fmt;

use crate::exceptions::Cancelled;

/// Why [`get`](super::BaseQueue::get) gave no item.
///
/// ```
/// use rasyncio::Queue;
/// use rasyncio::queues::GetError;
///
/// rasyncio::run(async {
///     let queue = Queue::<u8>::new(0);
///     queue.shutdown(false);
///     assert_eq!(queue.get().await, Err(GetError::QueueShutDown));
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GetError {
    /// The task was cancelled while it waited.
    Cancelled(Cancelled),
    /// The queue was shut down, and there are no items (asyncio's `QueueShutDown`).
    QueueShutDown,
}

/// Why [`put`](super::BaseQueue::put) did not put the item.
///
/// ```
/// use rasyncio::Queue;
/// use rasyncio::queues::PutError;
///
/// rasyncio::run(async {
///     let queue = Queue::new(0);
///     queue.shutdown(false);
///     assert_eq!(queue.put("a").await, Err(PutError::QueueShutDown("a")));
/// });
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum PutError<T> {
    /// The task was cancelled while it waited.
    Cancelled(Cancelled, T),
    /// The queue was shut down (asyncio's `QueueShutDown`).
    QueueShutDown(T),
}

/// Why [`get_nowait`](super::BaseQueue::get_nowait) gave no item.
///
/// ```
/// use rasyncio::Queue;
/// use rasyncio::queues::GetNowaitError;
///
/// let queue = Queue::<u8>::new(0);
/// assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueEmpty));
/// queue.shutdown(false);
/// assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueShutDown));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GetNowaitError {
    /// There is none (asyncio's `QueueEmpty`).
    QueueEmpty,
    /// There is none, and the queue was shut down (asyncio's `QueueShutDown`).
    QueueShutDown,
}

/// Why [`put_nowait`](super::BaseQueue::put_nowait) did not put the item.
///
/// ```
/// use rasyncio::Queue;
/// use rasyncio::queues::PutNowaitError;
///
/// let queue = Queue::new(1);
/// queue.put_nowait(1).unwrap();
/// assert!(matches!(queue.put_nowait(2), Err(PutNowaitError::QueueFull(2))));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PutNowaitError<T> {
    /// There is no room (asyncio's `QueueFull`).
    QueueFull(T),
    /// The queue was shut down (asyncio's `QueueShutDown`).
    QueueShutDown(T),
}

/// [`task_done`](super::BaseQueue::task_done) was called more often than items were put.
///
/// ```
/// let queue = rasyncio::Queue::<u8>::new(0);
/// assert_eq!(queue.task_done().unwrap_err().to_string(), "task_done() called too many times");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskDoneTooOften;

impl GetError {
    /// The cancellation, if this is one.
    ///
    /// ```
    /// use rasyncio::Cancelled;
    /// use rasyncio::queues::GetError;
    ///
    /// assert!(GetError::Cancelled(Cancelled::new()).cancelled().is_some());
    /// assert!(GetError::QueueShutDown.cancelled().is_none());
    /// ```
    pub fn cancelled(&self) -> Option<&Cancelled> {
        match self {
            GetError::Cancelled(cancelled) => Some(cancelled),
            GetError::QueueShutDown => None,
        }
    }
}

impl<T> PutError<T> {
    /// The cancellation, if this is one.
    ///
    /// ```
    /// use rasyncio::Cancelled;
    /// use rasyncio::queues::PutError;
    ///
    /// assert!(PutError::Cancelled(Cancelled::new(), "item").cancelled().is_some());
    /// ```
    pub fn cancelled(&self) -> Option<&Cancelled> {
        match self {
            PutError::Cancelled(cancelled, _) => Some(cancelled),
            PutError::QueueShutDown(_) => None,
        }
    }

    /// The item.
    ///
    /// ```
    /// use rasyncio::queues::PutError;
    ///
    /// assert_eq!(PutError::QueueShutDown("item").into_item(), "item");
    /// ```
    pub fn into_item(self) -> T {
        match self {
            PutError::Cancelled(_, item) | PutError::QueueShutDown(item) => item,
        }
    }
}

impl<T> PutNowaitError<T> {
    /// The item.
    ///
    /// ```
    /// use rasyncio::queues::PutNowaitError;
    ///
    /// assert_eq!(PutNowaitError::QueueFull("item").into_item(), "item");
    /// ```
    pub fn into_item(self) -> T {
        match self {
            PutNowaitError::QueueFull(item) | PutNowaitError::QueueShutDown(item) => item,
        }
    }
}

const SHUT_DOWN: &str = "the queue was shut down";

impl fmt::Display for GetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GetError::Cancelled(cancelled) => cancelled.fmt(f),
            GetError::QueueShutDown => f.write_str(SHUT_DOWN),
        }
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Cancelled(cancelled, _) => cancelled.fmt(f),
            PutError::QueueShutDown(_) => f.write_str(SHUT_DOWN),
        }
    }
}

impl fmt::Display for GetNowaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            GetNowaitError::QueueEmpty => "the queue is empty",
            GetNowaitError::QueueShutDown => SHUT_DOWN,
        })
    }
}

impl<T> fmt::Display for PutNowaitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutNowaitError::QueueFull(_) => "the queue is full",
            PutNowaitError::QueueShutDown(_) => SHUT_DOWN,
        })
    }
}

impl fmt::Display for TaskDoneTooOften {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("task_done() called too many times")
    }
}

// Items need not be `Debug`.

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PutError::Cancelled(cancelled, _) => {
                f.debug_tuple("Cancelled").field(cancelled).finish()
            }
            PutError::QueueShutDown(_) => f.write_str("QueueShutDown"),
        }
    }
}

impl<T> fmt::Debug for PutNowaitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutNowaitError::QueueFull(_) => "QueueFull",
            PutNowaitError::QueueShutDown(_) => "QueueShutDown",
        })
    }
}

impl Error for GetError {}
impl<T> Error for PutError<T> {}
impl Error for GetNowaitError {}
impl<T> Error for PutNowaitError<T> {}
impl Error for TaskDoneTooOften {}
