//! The queue, without awaiting: a state machine that is generic over who waits and over where
//! the items are. What a face does with it is what [`locks::states`](crate::locks::states) says.

use std::cell::Cell;

use super::store::Store;
use crate::locks::line::{Line, Ticket, Waiter};
use crate::locks::states::EventState;

/// A queue's state (asyncio's `Queue`).
///
/// Who is woken leaves its line at once and then tries again, and so has to wait anew (behind
/// all others) if somebody was faster. Should it give up instead, although there is something to
/// be had, the next is woken.
///
/// To get: [`get`](Self::get); if that says [`Empty`](GetError::Empty) wait in
/// [`getters`](Self::getters), and begin again; one who gives up calls
/// [`getter_gave_up`](Self::getter_gave_up). To put is the same with
/// [`Full`](PutError::Full), [`putters`](Self::putters) and
/// [`putter_gave_up`](Self::putter_gave_up). To join is to wait for
/// [`finished`](Self::finished).
#[derive(Debug)]
pub struct QueueState<S, W> {
    store: S,
    getters: Line<W>,
    putters: Line<W>,
    /// Items put for which `task_done` was not called.
    unfinished: Cell<usize>,
    /// Set when there are none of those.
    finished: EventState<W>,
    shutdown: Cell<bool>,
}

/// Why an item was not put.
#[derive(Debug)]
pub enum PutError<T, E> {
    /// There is no room.
    Full(T),
    /// The queue was shut down.
    ShutDown(T),
    /// The store has failed, or the item was put and a waiter has failed.
    Failed(E),
}

/// Why no item was got.
#[derive(Debug)]
pub enum GetError<E> {
    /// There is none.
    Empty,
    /// There is none, and the queue was shut down.
    ShutDown,
    /// The store or a waiter has failed.
    Failed(E),
}

/// Why `task_done` has failed.
#[derive(Debug)]
pub enum TaskDoneError<E> {
    /// There was no unfinished task.
    TooOften,
    /// A waiter has failed.
    Failed(E),
}

impl<S, W> QueueState<S, W> {
    /// A queue over an empty store.
    pub const fn new(store: S) -> QueueState<S, W> {
        QueueState {
            store,
            getters: Line::new(),
            putters: Line::new(),
            unfinished: Cell::new(0),
            finished: EventState::new(true),
            shutdown: Cell::new(false),
        }
    }

    /// The items.
    #[inline]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Those who wait for an item.
    #[inline]
    pub fn getters(&self) -> &Line<W> {
        &self.getters
    }

    /// Those who wait for room.
    #[inline]
    pub fn putters(&self) -> &Line<W> {
        &self.putters
    }

    /// Set while there are no unfinished tasks.
    #[inline]
    pub fn finished(&self) -> &EventState<W> {
        &self.finished
    }

    /// How many tasks are unfinished: items put for which `task_done` was not called.
    #[inline]
    pub fn unfinished(&self) -> usize {
        self.unfinished.get()
    }

    /// Sets how many tasks are unfinished, and wakes nobody; for who knows better.
    pub fn set_unfinished(&self, unfinished: usize) {
        self.unfinished.set(unfinished);
    }

    /// Whether the queue was shut down.
    #[inline]
    pub fn is_shutdown(&self) -> bool {
        self.shutdown.get()
    }

    /// Sets whether the queue was shut down, and wakes nobody; for who knows better.
    pub fn set_shutdown(&self, shutdown: bool) {
        self.shutdown.set(shutdown);
    }
}

impl<S: Store, W: Waiter<Error = S::Error>> QueueState<S, W> {
    /// Puts an item, if there is room, and wakes a getter (asyncio's `put_nowait`).
    ///
    /// # Errors
    ///
    /// See [`PutError`].
    #[inline]
    pub fn put(&self, item: S::Item) -> Result<(), PutError<S::Item, S::Error>> {
        if self.is_shutdown() {
            return Err(PutError::ShutDown(item));
        }
        if self.store.is_full().map_err(PutError::Failed)? {
            return Err(PutError::Full(item));
        }
        self.store.put(item).map_err(PutError::Failed)?;
        self.unfinished.set(self.unfinished() + 1);
        self.finished.clear();
        self.getters.pop_and_wake().map_err(PutError::Failed)?;
        Ok(())
    }

    /// Gets an item, if there is one, and wakes a putter (asyncio's `get_nowait`).
    ///
    /// # Errors
    ///
    /// See [`GetError`]. If a putter fails the item is lost, as in asyncio.
    #[inline]
    pub fn get(&self) -> Result<S::Item, GetError<S::Error>> {
        let Some(item) = self.store.get().map_err(GetError::Failed)? else {
            return Err(if self.is_shutdown() {
                GetError::ShutDown
            } else {
                GetError::Empty
            });
        };
        self.putters.pop_and_wake().map_err(GetError::Failed)?;
        Ok(item)
    }

    /// A getter gives up, `woken` or not. If it was, and there is an item, another one is woken.
    ///
    /// # Errors
    ///
    /// The store's, and that of the one to be woken.
    pub fn getter_gave_up(&self, ticket: Ticket, woken: bool) -> Result<(), S::Error> {
        drop(self.getters.leave(ticket));
        if woken && !self.store.is_empty()? {
            self.getters.pop_and_wake()?;
        }
        Ok(())
    }

    /// A putter gives up, `woken` or not. If it was, and there is room, another one is woken.
    ///
    /// # Errors
    ///
    /// The store's, and that of the one to be woken.
    pub fn putter_gave_up(&self, ticket: Ticket, woken: bool) -> Result<(), S::Error> {
        drop(self.putters.leave(ticket));
        if woken && !self.store.is_full()? {
            self.putters.pop_and_wake()?;
        }
        Ok(())
    }

    /// One task less is unfinished (asyncio's `task_done`). With the last, those who join are
    /// woken.
    ///
    /// # Errors
    ///
    /// See [`TaskDoneError`].
    #[inline]
    pub fn task_done(&self) -> Result<(), TaskDoneError<S::Error>> {
        let left = self.unfinished().checked_sub(1);
        let left = left.ok_or(TaskDoneError::TooOften)?;
        self.unfinished.set(left);
        if left == 0 {
            self.finished.set().map_err(TaskDoneError::Failed)?;
        }
        Ok(())
    }

    /// Takes no more items, and wakes all who wait to get or put (asyncio's `shutdown`). If that
    /// is to be `immediate`, the items are dropped, each as if its task were done.
    ///
    /// # Errors
    ///
    /// The store's and the waiters'. What was to follow is not done then.
    pub fn shutdown(&self, immediate: bool) -> Result<(), S::Error> {
        self.shutdown.set(true);
        if immediate {
            while let Some(item) = self.store.get()? {
                self.unfinished.set(self.unfinished().saturating_sub(1));
                drop(item);
            }
            if self.unfinished() == 0 {
                self.finished.set()?;
            }
        }
        while self.getters.pop_and_wake()? {}
        while self.putters.pop_and_wake()? {}
        Ok(())
    }
}
