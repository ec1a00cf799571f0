//! Queues between tasks (asyncio's `queues`).
//!
//! [`Queue`] gives its items away in the order in which they came, [`PriorityQueue`] the smallest
//! first, and [`LifoQueue`] the latest first. What they do otherwise is [`BaseQueue`]'s, which
//! may be given any other [`Order`].
//!
//! A queue owns its items, with nothing counted in it; sharing it is up to you: by reference or
//! in an `Rc`. It belongs to one thread. Every await may be cancelled or dropped at any time, and
//! no item is lost by that: a getter has its item when the await resolves, not before.
//!
//! The algorithm is in [`state`], without awaiting, for whoever gives it another face.

mod errors;
mod get;
mod items;
mod put;
pub mod state;
mod store;

use std::fmt;
use std::ops::Deref;

pub use errors::{GetError, GetNowaitError, PutError, PutNowaitError, TaskDoneTooOften};
pub use get::Get;
pub use items::Items;
pub use put::Put;
use state::QueueState;
use store::Bounded;
pub use store::{Fifo, Lifo, Order, Smallest, Store};

use crate::locks::Wait;
use crate::locks::sleeper::Sleeper;

/// A queue: what [`Queue`], [`PriorityQueue`] and [`LifoQueue`] have in common (asyncio's
/// `Queue`, as a base class).
///
/// ```
/// use rasyncio::queues::{BaseQueue, Order};
/// use rasyncio::{LifoQueue, Queue};
///
/// fn drain<O: Order>(queue: &BaseQueue<O>) -> Vec<O::Item> {
///     std::iter::from_fn(|| queue.get_nowait().ok()).collect()
/// }
///
/// let (queue, lifo) = (Queue::new(0), LifoQueue::new(0));
/// for item in 0..3 {
///     queue.put_nowait(item).unwrap();
///     lifo.put_nowait(item).unwrap();
/// }
/// assert_eq!((drain(&queue), drain(&lifo)), (vec![0, 1, 2], vec![2, 1, 0]));
/// ```
pub struct BaseQueue<O: Order> {
    state: QueueState<Bounded<O>, Sleeper>,
}

impl<O: Order> BaseQueue<O> {
    /// An empty queue for up to `maxsize` items; zero is any number.
    ///
    /// ```
    /// let queue = rasyncio::Queue::<String>::new(10);
    /// assert_eq!(queue.maxsize(), 10);
    /// ```
    pub fn new(maxsize: usize) -> BaseQueue<O> {
        BaseQueue {
            state: QueueState::new(Bounded::new(maxsize)),
        }
    }

    /// How many items there may be; zero is any number (asyncio's `maxsize`).
    ///
    /// ```
    /// assert_eq!(rasyncio::LifoQueue::<u8>::new(3).maxsize(), 3);
    /// ```
    pub fn maxsize(&self) -> usize {
        self.state.store().maxsize
    }

    /// How many items there are (asyncio's `qsize`).
    ///
    /// ```
    /// let queue = rasyncio::Queue::new(0);
    /// queue.put_nowait("a").unwrap();
    /// assert_eq!(queue.qsize(), 1);
    /// ```
    pub fn qsize(&self) -> usize {
        self.state.store().len()
    }

    /// Whether there are no items (asyncio's `empty`).
    ///
    /// ```
    /// assert!(rasyncio::Queue::<u8>::new(0).empty());
    /// ```
    pub fn empty(&self) -> bool {
        self.qsize() == 0
    }

    /// Whether there are as many items as there may be (asyncio's `full`).
    ///
    /// ```
    /// let queue = rasyncio::Queue::new(1);
    /// queue.put_nowait("a").unwrap();
    /// assert!(queue.full());
    /// ```
    pub fn full(&self) -> bool {
        let Ok(full) = self.state.store().is_full();
        full
    }

    /// How many items were put for which [`task_done`](Self::task_done) was not called.
    ///
    /// ```
    /// let queue = rasyncio::Queue::new(0);
    /// queue.put_nowait("a").unwrap();
    /// queue.get_nowait().unwrap();
    /// assert_eq!(queue.unfinished_tasks(), 1);
    /// queue.task_done().unwrap();
    /// assert_eq!(queue.unfinished_tasks(), 0);
    /// ```
    pub fn unfinished_tasks(&self) -> usize {
        self.state.unfinished()
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    ///
    /// ```
    /// let queue = rasyncio::Queue::<u8>::new(0);
    /// queue.shutdown(false);
    /// assert!(queue.is_shutdown());
    /// ```
    pub fn is_shutdown(&self) -> bool {
        self.state.is_shutdown()
    }

    /// Puts an item, and waits for room if there is none (asyncio's `put`). Does not suspend if
    /// there is room.
    ///
    /// If the await is dropped, so is the item.
    ///
    /// # Errors
    ///
    /// [`PutError`], which has the item: the task was cancelled while it waited, or the queue was
    /// shut down.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Queue, create_task};
    ///
    /// rasyncio::run(async {
    ///     let queue = Rc::new(Queue::new(1));
    ///     let producer = create_task({
    ///         let queue = queue.clone();
    ///         async move {
    ///             for item in 0..3 {
    ///                 queue.put(item).await.unwrap();
    ///             }
    ///         }
    ///     });
    ///     for item in 0..3 {
    ///         assert_eq!(queue.get().await.unwrap(), item);
    ///     }
    ///     producer.await.unwrap();
    /// });
    /// ```
    pub fn put(&self, item: O::Item) -> Put<'_, O> {
        Put::new(self, item)
    }

    /// Puts an item, if there is room (asyncio's `put_nowait`).
    ///
    /// # Errors
    ///
    /// [`PutNowaitError`], which has the item: the queue is full, or was shut down.
    ///
    /// ```
    /// use rasyncio::Queue;
    /// use rasyncio::queues::PutNowaitError;
    ///
    /// let queue = Queue::new(1);
    /// queue.put_nowait("a").unwrap();
    /// assert!(matches!(queue.put_nowait("b"), Err(PutNowaitError::QueueFull("b"))));
    /// ```
    pub fn put_nowait(&self, item: O::Item) -> Result<(), PutNowaitError<O::Item>> {
        self.state.put(item).map_err(|error| match error {
            state::PutError::Full(item) => PutNowaitError::QueueFull(item),
            state::PutError::ShutDown(item) => PutNowaitError::QueueShutDown(item),
        })
    }

    /// Gets an item, and waits for one if there is none (asyncio's `get`). Does not suspend if
    /// there is one.
    ///
    /// # Errors
    ///
    /// [`GetError`]: the task was cancelled while it waited, or the queue was shut down and there
    /// are no items.
    ///
    /// ```
    /// use rasyncio::Queue;
    ///
    /// rasyncio::run(async {
    ///     let queue = Queue::new(0);
    ///     queue.put("a").await?;
    ///     assert_eq!(queue.get().await?, "a");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn get(&self) -> Get<'_, O> {
        Get::new(self)
    }

    /// The items as they come, until the queue is shut down and empty: a `Stream` of the crate
    /// futures-core. A cancellation is given as an item.
    ///
    /// ```
    /// use futures_util::TryStreamExt;
    /// use rasyncio::PriorityQueue;
    ///
    /// rasyncio::run(async {
    ///     let queue = PriorityQueue::new(0);
    ///     for item in [2, 3, 1] {
    ///         queue.put_nowait(item).unwrap();
    ///     }
    ///     queue.shutdown(false);
    ///     let items: Vec<i32> = queue.items().try_collect().await?;
    ///     assert_eq!(items, [1, 2, 3]);
    ///     Ok::<_, rasyncio::Cancelled>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn items(&self) -> Items<'_, O> {
        Items::new(self)
    }

    /// Gets an item, if there is one (asyncio's `get_nowait`).
    ///
    /// # Errors
    ///
    /// [`GetNowaitError`]: there is none, and perhaps never will be, as the queue was shut down.
    ///
    /// ```
    /// use rasyncio::Queue;
    /// use rasyncio::queues::GetNowaitError;
    ///
    /// let queue = Queue::<u8>::new(0);
    /// assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueEmpty));
    /// ```
    pub fn get_nowait(&self) -> Result<O::Item, GetNowaitError> {
        self.state.get().map_err(|error| match error {
            state::GetError::Empty => GetNowaitError::QueueEmpty,
            state::GetError::ShutDown => GetNowaitError::QueueShutDown,
        })
    }

    /// Says that an item that was got has been worked off (asyncio's `task_done`).
    ///
    /// # Errors
    ///
    /// [`TaskDoneTooOften`], if it was said of every item before.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{Queue, create_task};
    ///
    /// rasyncio::run(async {
    ///     let queue = Rc::new(Queue::new(0));
    ///     for item in 0..3 {
    ///         queue.put_nowait(item).unwrap();
    ///     }
    ///     let worker = create_task({
    ///         let queue = queue.clone();
    ///         async move {
    ///             while let Ok(_item) = queue.get().await {
    ///                 queue.task_done().unwrap();
    ///             }
    ///         }
    ///     });
    ///     queue.join().await.unwrap();
    ///     assert!(queue.task_done().is_err());
    ///     queue.shutdown(false);
    ///     worker.await.unwrap();
    /// });
    /// ```
    pub fn task_done(&self) -> Result<(), TaskDoneTooOften> {
        self.state.task_done().map_err(|error| match error {
            state::TaskDoneError::TooOften => TaskDoneTooOften,
        })
    }

    /// Waits until [`task_done`](Self::task_done) was called for every item that was put
    /// (asyncio's `join`). Does not suspend if it was.
    ///
    /// # Errors
    ///
    /// [`Cancelled`](crate::Cancelled), if the task was while it waited.
    ///
    /// ```
    /// use rasyncio::Queue;
    ///
    /// rasyncio::run(async {
    ///     let queue = Queue::new(0);
    ///     queue.put("a").await?;
    ///     queue.get().await?;
    ///     queue.task_done()?;
    ///     queue.join().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn join(&self) -> Wait<'_> {
        Wait::new(self.state.finished())
    }

    /// Takes no more items from now on (asyncio's `shutdown`): who puts one gets it back, and who
    /// waits to put does, too. Getters get what there is, and then an error.
    ///
    /// If that is to be `immediate`, the items are dropped, each as if its task were done.
    ///
    /// ```
    /// use rasyncio::Queue;
    /// use rasyncio::queues::{GetError, PutError};
    ///
    /// rasyncio::run(async {
    ///     let queue = Queue::new(0);
    ///     queue.put(1).await.unwrap();
    ///     queue.shutdown(false);
    ///     assert!(matches!(queue.put(2).await, Err(PutError::QueueShutDown(2))));
    ///     assert_eq!(queue.get().await.unwrap(), 1);
    ///     assert!(matches!(queue.get().await, Err(GetError::QueueShutDown)));
    /// });
    /// ```
    pub fn shutdown(&self, immediate: bool) {
        let Ok(()) = self.state.shutdown(immediate);
    }
}

impl<O: Order + fmt::Debug> fmt::Debug for BaseQueue<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(self, "BaseQueue", f)
    }
}

fn debug<O: Order + fmt::Debug>(
    queue: &BaseQueue<O>,
    name: &str,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let state = &queue.state;
    f.debug_struct(name)
        .field("maxsize", &queue.maxsize())
        .field("items", &*state.store().items.borrow())
        .field("getters", &state.getters().len())
        .field("putters", &state.putters().len())
        .field("unfinished_tasks", &state.unfinished())
        .field("shutdown", &state.is_shutdown())
        .finish()
}

/// Defines a queue of one order.
macro_rules! queue {
    ($(#[$about:meta])* $name:ident, $order:ident, [$($bound:tt)*]) => {
        $(#[$about])*
        pub struct $name<T $($bound)*>(BaseQueue<$order<T>>);

        impl<T $($bound)*> $name<T> {
            /// An empty queue for up to `maxsize` items; zero is any number.
            ///
            /// ```
            #[doc = concat!("let queue = rasyncio::", stringify!($name), "::<String>::new(10);")]
            /// assert_eq!(queue.maxsize(), 10);
            /// ```
            pub fn new(maxsize: usize) -> $name<T> {
                $name(BaseQueue::new(maxsize))
            }
        }

        impl<T $($bound)*> Default for $name<T> {
            /// A queue for any number of items.
            fn default() -> $name<T> {
                $name::new(0)
            }
        }

        impl<T $($bound)*> Deref for $name<T> {
            type Target = BaseQueue<$order<T>>;

            #[inline]
            fn deref(&self) -> &BaseQueue<$order<T>> {
                &self.0
            }
        }

        queue!(@debug $name, [$($bound)*]);
    };
    (@debug $name:ident, []) => {
        impl<T: fmt::Debug> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                debug(self, stringify!($name), f)
            }
        }
    };
    (@debug $name:ident, [: $bound:ident]) => {
        impl<T: $bound + fmt::Debug> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                debug(self, stringify!($name), f)
            }
        }
    };
}

queue! {
    /// A queue that gives away first what came first (asyncio's `Queue`). What it can do is
    /// [`BaseQueue`]'s.
    ///
    /// ```
    /// use rasyncio::Queue;
    ///
    /// rasyncio::run(async {
    ///     let queue = Queue::new(10);
    ///     queue.put("first").await.unwrap();
    ///     queue.put("second").await.unwrap();
    ///     assert_eq!(queue.get().await.unwrap(), "first");
    ///     assert_eq!(queue.qsize(), 1);
    /// });
    /// ```
    Queue, Fifo, []
}

queue! {
    /// A queue that gives away the smallest first (asyncio's `PriorityQueue`). What it can do is
    /// [`BaseQueue`]'s.
    ///
    /// Comparing items must not touch the queue; that panics.
    ///
    /// ```
    /// use rasyncio::PriorityQueue;
    ///
    /// let queue = PriorityQueue::new(0);
    /// queue.put_nowait((2, "eat")).unwrap();
    /// queue.put_nowait((1, "cook")).unwrap();
    /// assert_eq!(queue.get_nowait().unwrap(), (1, "cook"));
    /// ```
    PriorityQueue, Smallest, [: Ord]
}

queue! {
    /// A queue that gives away first what came last (asyncio's `LifoQueue`). What it can do is
    /// [`BaseQueue`]'s.
    ///
    /// ```
    /// use rasyncio::LifoQueue;
    ///
    /// let queue = LifoQueue::new(0);
    /// queue.put_nowait("plate 1").unwrap();
    /// queue.put_nowait("plate 2").unwrap();
    /// assert_eq!(queue.get_nowait().unwrap(), "plate 2");
    /// ```
    LifoQueue, Lifo, []
}
