//! Where a queue keeps its items, and in which order it gives them away.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::convert::Infallible;
use std::fmt;

/// Where the items of a [`QueueState`](super::state::QueueState) are, and how many there may
/// be.
///
/// Any of these may run foreign code, which may come back to the queue.
pub trait Store {
    /// What is kept.
    type Item;
    /// What can go wrong: [`Infallible`] in Rust; in Python an exception, for the methods may be
    /// overridden, and items have to be compared.
    type Error;

    /// Whether there are no items (asyncio's `Queue.empty`).
    ///
    /// # Errors
    ///
    /// Its own.
    fn is_empty(&self) -> Result<bool, Self::Error>;

    /// Whether there are as many items as there may be (asyncio's `Queue.full`).
    ///
    /// # Errors
    ///
    /// Its own.
    fn is_full(&self) -> Result<bool, Self::Error>;

    /// Takes an item in, full or not (asyncio's `Queue._put`).
    ///
    /// # Errors
    ///
    /// Its own.
    fn put(&self, item: Self::Item) -> Result<(), Self::Error>;

    /// Gives an item away, if there is one (asyncio's `Queue._get`, after `empty`).
    ///
    /// # Errors
    ///
    /// Its own.
    fn get(&self) -> Result<Option<Self::Item>, Self::Error>;
}

/// The order in which a [`BaseQueue`](super::BaseQueue) gives its items away (what asyncio's
/// `Queue._init`, `_put` and `_get` decide).
///
/// ```
/// use rasyncio::queues::{BaseQueue, Order};
///
/// /// Two stacks, filled in turns, emptied one after the other.
/// #[derive(Default)]
/// struct Halves(Vec<i32>, Vec<i32>);
///
/// impl Order for Halves {
///     type Item = i32;
///     fn len(&self) -> usize {
///         self.0.len() + self.1.len()
///     }
///     fn push(&mut self, item: i32) {
///         let to = if self.len() % 2 == 0 { &mut self.0 } else { &mut self.1 };
///         to.push(item);
///     }
///     fn pop(&mut self) -> Option<i32> {
///         self.0.pop().or_else(|| self.1.pop())
///     }
/// }
///
/// let queue = BaseQueue::<Halves>::new(0);
/// for item in 1..=4 {
///     queue.put_nowait(item).unwrap();
/// }
/// let items = [(); 4].map(|()| queue.get_nowait().unwrap());
/// assert_eq!(items, [3, 1, 4, 2]);
/// ```
pub trait Order: Default {
    /// What is kept.
    type Item;

    /// How many items there are.
    fn len(&self) -> usize;

    /// Whether there are no items.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes an item in.
    fn push(&mut self, item: Self::Item);

    /// Gives an item away, if there is one.
    fn pop(&mut self) -> Option<Self::Item>;
}

/// First in, first out.
///
/// ```
/// use rasyncio::queues::{BaseQueue, Fifo};
///
/// let queue: BaseQueue<Fifo<u8>> = BaseQueue::new(0);
/// assert!(queue.empty());
/// ```
pub struct Fifo<T>(VecDeque<T>);

/// Last in, first out.
///
/// ```
/// use rasyncio::queues::{BaseQueue, Lifo};
///
/// let queue: BaseQueue<Lifo<u8>> = BaseQueue::new(0);
/// assert!(queue.empty());
/// ```
pub struct Lifo<T>(Vec<T>);

/// The smallest first, as `heapq` does it. Which one of equals comes first is not said.
///
/// ```
/// use rasyncio::queues::{BaseQueue, Smallest};
///
/// let queue: BaseQueue<Smallest<u8>> = BaseQueue::new(0);
/// assert!(queue.empty());
/// ```
pub struct Smallest<T>(BinaryHeap<Reverse<T>>);

impl<T> Order for Fifo<T> {
    type Item = T;

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn push(&mut self, item: T) {
        self.0.push_back(item);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.0.pop_front()
    }
}

impl<T> Order for Lifo<T> {
    type Item = T;

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn push(&mut self, item: T) {
        self.0.push(item);
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.0.pop()
    }
}

impl<T: Ord> Order for Smallest<T> {
    type Item = T;

    #[inline]
    fn len(&self) -> usize {
        self.0.len()
    }

    #[inline]
    fn push(&mut self, item: T) {
        self.0.push(Reverse(item));
    }

    #[inline]
    fn pop(&mut self) -> Option<T> {
        self.0.pop().map(|Reverse(item)| item)
    }
}

impl<T> Default for Fifo<T> {
    fn default() -> Fifo<T> {
        Fifo(VecDeque::new())
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Lifo<T> {
        Lifo(Vec::new())
    }
}

impl<T: Ord> Default for Smallest<T> {
    fn default() -> Smallest<T> {
        Smallest(BinaryHeap::new())
    }
}

impl<T: fmt::Debug> fmt::Debug for Fifo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Lifo<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Debug> fmt::Debug for Smallest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = self.0.iter().map(|Reverse(item)| item);
        f.debug_list().entries(items).finish()
    }
}

/// A store of Rust values.
pub(crate) struct Bounded<O> {
    /// Zero is no bound.
    pub(super) maxsize: usize,
    pub(super) items: RefCell<O>,
}

impl<O: Order> Bounded<O> {
    pub(super) fn new(maxsize: usize) -> Bounded<O> {
        Bounded {
            maxsize,
            items: RefCell::default(),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.items.borrow().len()
    }
}

impl<O: Order> Store for Bounded<O> {
    type Item = O::Item;
    type Error = Infallible;

    #[inline]
    fn is_empty(&self) -> Result<bool, Infallible> {
        Ok(self.items.borrow().is_empty())
    }

    #[inline]
    fn is_full(&self) -> Result<bool, Infallible> {
        Ok(self.maxsize > 0 && self.len() >= self.maxsize)
    }

    #[inline]
    fn put(&self, item: O::Item) -> Result<(), Infallible> {
        self.items.borrow_mut().push(item);
        Ok(())
    }

    #[inline]
    fn get(&self) -> Result<Option<O::Item>, Infallible> {
        Ok(self.items.borrow_mut().pop())
    }
}
