//! The ready queue: a ring of jobs, and the one place of the loop that is not checked.
//!
//! `push` and `pop` are the hottest code of the crate: a compare, a masked store, an
//! add. Positions count up for ever (wrapping) and are masked on access, so that a turn
//! can say "everything before this position" and stay right while jobs push, grow the
//! ring, clear it, or turn the loop again from inside.
//!
//! Invariants:
//! - `capacity` is zero or a power of two, and `buffer` is an allocation of that many jobs;
//! - the slots of the positions `head..tail` hold jobs, all others hold nothing;
//! - `tail - head <= capacity`;
//! - no method runs foreign code between reading the fields and writing them back: jobs
//!   are only moved here, never run, cloned or dropped.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::{self, NonNull};

use crate::job::Job;

const FIRST_CAPACITY: usize = 64;
/// A ring that a burst has left bigger than this (128 KiB) is given back once it is empty.
const KEPT_CAPACITY: usize = 8192;

pub(crate) struct ReadyQueue {
    buffer: Cell<NonNull<Job>>,
    capacity: Cell<usize>,
    head: Cell<usize>,
    tail: Cell<usize>,
    closed: Cell<bool>,
}

impl ReadyQueue {
    pub(crate) fn new() -> ReadyQueue {
        ReadyQueue {
            buffer: Cell::new(NonNull::dangling()),
            capacity: Cell::new(0),
            head: Cell::new(0),
            tail: Cell::new(0),
            closed: Cell::new(false),
        }
    }

    /// Appends a job, or hands it back when the queue is closed.
    #[inline]
    pub(crate) fn push(&self, job: Job) -> Result<(), Job> {
        if self.len() == self.capacity.get() && !self.grow() {
            return Err(job);
        }
        let tail = self.tail.get();
        // SAFETY: there is room, so `tail` is a free slot of the buffer.
        unsafe { self.slot(tail).write(job) };
        self.tail.set(tail.wrapping_add(1));
        Ok(())
    }

    /// Takes the oldest job, unless it stands at or behind the position `end`.
    #[inline]
    pub(crate) fn pop_before(&self, end: usize) -> Option<Job> {
        let head = self.head.get();
        // Signed: whoever cleared the queue, or turned the loop from inside, may have moved
        // `head` past `end`.
        if (end.wrapping_sub(head) as isize) <= 0 {
            return None;
        }
        debug_assert!(head != self.tail.get());
        // SAFETY: `head < end <= tail`, so the slot holds a job; moving `head` gives it up.
        let job = unsafe { self.slot(head).read() };
        self.head.set(head.wrapping_add(1));
        Some(job)
    }

    /// The position behind the last job.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.tail.get()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.tail.get().wrapping_sub(self.head.get())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Shows every job, oldest first.
    pub(crate) fn for_each(&self, f: &mut dyn FnMut(&Job)) {
        let mut position = self.head.get();
        // Looks at the fields again each time, should `f` push or pop after all.
        while (self.tail.get().wrapping_sub(position) as isize) > 0 {
            // SAFETY: `head <= position < tail`, so the slot holds a job. It is shown through
            // a copy that is never dropped, for the ring may move.
            let copy = std::mem::ManuallyDrop::new(unsafe { self.slot(position).read() });
            f(&copy);
            let next = position.wrapping_add(1);
            let head = self.head.get();
            position = if (head.wrapping_sub(next) as isize) > 0 {
                head
            } else {
                next
            };
        }
    }

    /// Takes all jobs out, for the caller to drop where nothing is in the midst of anything.
    pub(crate) fn take(&self) -> ReadyQueue {
        let taken = ReadyQueue::new();
        taken.buffer.swap(&self.buffer);
        taken.capacity.swap(&self.capacity);
        taken.head.set(self.head.replace(self.tail.get()));
        taken.tail.set(self.tail.get());
        taken
    }

    /// Refuses further jobs and takes out those inside.
    pub(crate) fn close(&self) -> ReadyQueue {
        self.closed.set(true);
        self.take()
    }

    /// Gives the memory of a long gone burst back.
    #[inline]
    pub(crate) fn shrink(&self) {
        if self.capacity.get() > KEPT_CAPACITY && self.is_empty() {
            self.resize(FIRST_CAPACITY);
        }
    }

    #[inline]
    fn slot(&self, position: usize) -> *mut Job {
        let index = position & self.capacity.get().wrapping_sub(1);
        // SAFETY: called only when there is a buffer; the mask keeps the index inside.
        unsafe { self.buffer.get().as_ptr().add(index) }
    }

    /// Being closed is looked at here only, so that an open queue never pays for it:
    /// a closed one has no buffer, and so never any room.
    #[cold]
    #[inline(never)]
    fn grow(&self) -> bool {
        if self.closed.get() {
            return false;
        }
        self.resize((self.capacity.get() * 2).max(FIRST_CAPACITY));
        true
    }

    /// Moves the jobs to a buffer of `capacity`, which must hold them all.
    fn resize(&self, capacity: usize) {
        debug_assert!(capacity >= self.len());
        let old_buffer = self.buffer.get();
        let old_capacity = self.capacity.get();
        let buffer = allocate(capacity);
        let mut position = self.head.get();
        while position != self.tail.get() {
            let index = position & (capacity - 1);
            // SAFETY: `position` holds a job in the old buffer and nothing in the new one,
            // which has room; the old buffer is given up without dropping its contents.
            unsafe { ptr::copy_nonoverlapping(self.slot(position), buffer.as_ptr().add(index), 1) };
            position = position.wrapping_add(1);
        }
        self.buffer.set(buffer);
        self.capacity.set(capacity);
        release(old_buffer, old_capacity);
    }
}

impl Drop for ReadyQueue {
    fn drop(&mut self) {
        while let Some(job) = self.pop_before(self.end()) {
            drop(job);
        }
        release(self.buffer.get(), self.capacity.get());
    }
}

fn layout(capacity: usize) -> Layout {
    Layout::array::<Job>(capacity).expect("a ready queue bigger than the address space")
}

fn allocate(capacity: usize) -> NonNull<Job> {
    if capacity == 0 {
        return NonNull::dangling();
    }
    let layout = layout(capacity);
    // SAFETY: the layout is not empty.
    let memory = unsafe { alloc(layout) };
    NonNull::new(memory.cast()).unwrap_or_else(|| handle_alloc_error(layout))
}

fn release(buffer: NonNull<Job>, capacity: usize) {
    if capacity != 0 {
        // SAFETY: `allocate` made the buffer with this very layout.
        unsafe { dealloc(buffer.as_ptr().cast(), layout(capacity)) };
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    /// A queue whose positions are about to wrap around.
    fn near_the_end() -> ReadyQueue {
        let queue = ReadyQueue::new();
        queue.head.set(usize::MAX - 30);
        queue.tail.set(usize::MAX - 30);
        queue
    }

    /// Jobs that can be told apart by the number of owners of their token.
    fn tokens(count: usize) -> Vec<Rc<()>> {
        (0..count).map(|_| Rc::new(())).collect()
    }

    fn job(token: &Rc<()>) -> Job {
        let token = Rc::clone(token);
        Job::from_fn(move || drop(token))
    }

    fn push(queue: &ReadyQueue, token: &Rc<()>) {
        assert!(queue.push(job(token)).is_ok());
    }

    #[test]
    fn order_survives_growth_and_the_end_of_the_numbers() {
        let queue = near_the_end();
        let tokens = tokens(200);
        for token in &tokens {
            push(&queue, token);
        }
        assert_eq!(queue.len(), 200);
        let end = queue.end();
        for token in &tokens {
            assert_eq!(Rc::strong_count(token), 2);
            drop(queue.pop_before(end).unwrap());
            assert_eq!(Rc::strong_count(token), 1);
        }
        assert!(queue.pop_before(end).is_none());
    }

    #[test]
    fn every_job_is_shown_in_order() {
        let queue = near_the_end();
        let mut data = Vec::new();
        for token in &tokens(100) {
            let job = job(token);
            data.push(job.data());
            assert!(queue.push(job).is_ok());
        }
        let mut shown = Vec::new();
        queue.for_each(&mut |job| shown.push(job.data()));
        assert_eq!(shown, data);
    }

    #[test]
    fn a_position_holds_across_a_take() {
        let queue = near_the_end();
        let tokens = tokens(3);
        push(&queue, &tokens[0]);
        push(&queue, &tokens[1]);
        let end = queue.end();
        let taken = queue.take();
        assert_eq!((taken.len(), queue.len()), (2, 0));
        push(&queue, &tokens[2]);
        // What came after the position stays behind it.
        assert!(queue.pop_before(end).is_none());
        drop(taken);
        assert_eq!(
            tokens.iter().map(Rc::strong_count).collect::<Vec<_>>(),
            [1, 1, 2]
        );
    }

    #[test]
    fn a_closed_queue_gives_jobs_back() {
        let queue = ReadyQueue::new();
        let tokens = tokens(2);
        push(&queue, &tokens[0]);
        drop(queue.close());
        assert!(queue.push(job(&tokens[1])).is_err());
        assert!(queue.is_empty());
        assert_eq!(
            tokens.iter().map(Rc::strong_count).collect::<Vec<_>>(),
            [1, 1]
        );
    }

    #[test]
    fn the_memory_of_a_burst_is_given_back_once_it_is_over() {
        let queue = near_the_end();
        let token = Rc::new(());
        for _ in 0..KEPT_CAPACITY + 1 {
            push(&queue, &token);
        }
        queue.shrink();
        assert!(queue.capacity.get() > KEPT_CAPACITY);
        while queue.pop_before(queue.end()).is_some() {}
        queue.shrink();
        assert_eq!(queue.capacity.get(), FIRST_CAPACITY);
        push(&queue, &token);
        assert_eq!(queue.len(), 1);
    }
}
