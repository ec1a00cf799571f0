//! Timers: a queue of deadlines over a slab of jobs.
//!
//! The queue orders by (deadline, sequence number), so timers of one deadline fire in
//! the order in which they were made. Cancelling takes the job out of its slot and
//! leaves the entry in the queue: it is recognised by its generation when it surfaces,
//! and swept out with its like when the dead outnumber the living. So cancelling is O(1).

mod queue;

use crate::job::Job;
use queue::{Entry, Queue};

/// Below this many dead entries sweeping is not worth the while.
const SWEEP_AT_LEAST: usize = 64;
/// Slots that a burst of timers has left behind beyond this many are given back.
const KEPT_SLOTS: usize = 4096;

/// Names a timer, also after it has fired or was cancelled. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey(u64);

impl TimerKey {
    /// The key as a number, for the other side of a foreign interface.
    #[inline]
    pub const fn into_raw(self) -> u64 {
        self.0
    }

    /// The key that [`TimerKey::into_raw`] turned into a number. Any other number names no
    /// timer, or by chance some timer; cancelling with it is safe.
    #[inline]
    pub const fn from_raw(raw: u64) -> TimerKey {
        TimerKey(raw)
    }

    fn new(slot: u32, generation: u32) -> TimerKey {
        TimerKey(u64::from(generation) << 32 | u64::from(slot))
    }

    fn slot(self) -> usize {
        self.0 as u32 as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

pub(crate) struct Timers {
    queue: Queue,
    slots: Vec<Slot>,
    /// Head of the list of free slots.
    free: u32,
    live: usize,
    sequence: u64,
    /// Where the generations of new slots start: above those of all slots ever given back.
    first_generation: u32,
}

struct Slot {
    /// That of the timer inside, or of the next one. A slot that has used all its generations
    /// is never used again, so a key never names two timers.
    generation: u32,
    content: Content,
}

enum Content {
    Timer(Job),
    Free { next: u32 },
}

const NO_SLOT: u32 = u32::MAX;

impl Timers {
    pub(crate) fn new() -> Timers {
        Timers {
            queue: Queue::default(),
            slots: Vec::new(),
            free: NO_SLOT,
            live: 0,
            sequence: 0,
            first_generation: 1,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn insert(&mut self, when: u64, job: Job) -> TimerKey {
        let key = self.occupy(job);
        self.live += 1;
        self.sequence += 1;
        self.queue.push(Entry {
            when,
            sequence: self.sequence,
            key: key.0,
        });
        key
    }

    pub(crate) fn cancel(&mut self, key: TimerKey) -> Option<Job> {
        let job = self.vacate(key)?;
        self.queue.pop_last(key.0);
        let dead = self.queue.len() - self.live;
        if dead >= SWEEP_AT_LEAST && dead > self.live {
            self.sweep();
        }
        Some(job)
    }

    /// The earliest deadline.
    pub(crate) fn next(&mut self) -> Option<u64> {
        while let Some(entry) = self.queue.peek() {
            if self.is_live(TimerKey(entry.key)) {
                return Some(entry.when);
            }
            self.queue.pop();
        }
        self.give_back();
        None
    }

    /// Takes out the earliest timer, if it is due.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<Job> {
        while let Some(entry) = self.queue.peek() {
            // A deadline of `u64::MAX` is never.
            if entry.when > now || entry.when == u64::MAX {
                return None;
            }
            let key = TimerKey(entry.key);
            self.queue.pop();
            if let Some(job) = self.vacate(key) {
                return Some(job);
            }
        }
        None
    }

    /// Takes out any one timer.
    pub(crate) fn pop_any(&mut self) -> Option<Job> {
        while let Some(entry) = self.queue.pop() {
            if let Some(job) = self.vacate(TimerKey(entry.key)) {
                return Some(job);
            }
        }
        None
    }

    pub(crate) fn for_each(&self, f: &mut dyn FnMut(&Job)) {
        for slot in &self.slots {
            if let Content::Timer(job) = &slot.content {
                f(job);
            }
        }
    }

    fn is_live(&self, key: TimerKey) -> bool {
        self.slots.get(key.slot()).is_some_and(|slot| {
            slot.generation == key.generation() && matches!(slot.content, Content::Timer(_))
        })
    }

    fn occupy(&mut self, job: Job) -> TimerKey {
        if self.free == NO_SLOT {
            let index = u32::try_from(self.slots.len()).expect("four billion timers at once");
            let generation = self.first_generation;
            self.slots.push(Slot {
                generation,
                content: Content::Timer(job),
            });
            return TimerKey::new(index, generation);
        }
        let index = self.free;
        let slot = &mut self.slots[index as usize];
        if let Content::Free { next } = slot.content {
            self.free = next;
        }
        slot.content = Content::Timer(job);
        TimerKey::new(index, slot.generation)
    }

    fn vacate(&mut self, key: TimerKey) -> Option<Job> {
        if !self.is_live(key) {
            return None;
        }
        let slot = &mut self.slots[key.slot()];
        let exhausted = slot.generation == u32::MAX;
        let next = if exhausted { NO_SLOT } else { self.free };
        let content = std::mem::replace(&mut slot.content, Content::Free { next });
        if !exhausted {
            slot.generation += 1;
            self.free = key.slot() as u32;
        }
        self.live -= 1;
        match content {
            Content::Timer(job) => Some(job),
            Content::Free { .. } => None,
        }
    }

    fn sweep(&mut self) {
        let slots = &self.slots;
        self.queue.retain(|entry| {
            let key = TimerKey(entry.key);
            let slot = &slots[key.slot()];
            slot.generation == key.generation() && matches!(slot.content, Content::Timer(_))
        });
        if self.live == 0 {
            self.give_back();
        }
    }

    /// Gives the memory of a long gone burst back. No timer may be live.
    fn give_back(&mut self) {
        if self.slots.len() > KEPT_SLOTS && self.live == 0 {
            let highest = self
                .slots
                .iter()
                .map(|slot| slot.generation)
                .max()
                .unwrap_or(0);
            // At the very top, keep the slots rather than repeat a key.
            if let Some(first) = highest.checked_add(1) {
                self.first_generation = first;
                self.slots = Vec::new();
                self.free = NO_SLOT;
                self.queue = Queue::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Job {
        Job::from_fn(|| ())
    }

    #[test]
    fn a_slot_that_has_used_its_generations_up_is_retired() {
        let mut timers = Timers::new();
        timers.first_generation = u32::MAX;
        let last = timers.insert(1, nothing());
        assert_eq!(last.generation(), u32::MAX);
        assert!(timers.cancel(last).is_some());
        assert!(timers.cancel(last).is_none());
        let next = timers.insert(1, nothing());
        assert_ne!(next.slot(), last.slot());
        assert!(timers.cancel(last).is_none());
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn slots_that_were_given_back_do_not_bring_old_keys_back() {
        let mut timers = Timers::new();
        let keys: Vec<_> = (0..=KEPT_SLOTS)
            .map(|when| timers.insert(when as u64, nothing()))
            .collect();
        while timers.pop_due(u64::MAX - 1).is_some() {}
        assert_eq!(timers.next(), None);
        assert_eq!(timers.slots.capacity(), 0);
        let new: Vec<_> = (0..=KEPT_SLOTS)
            .map(|when| timers.insert(when as u64, nothing()))
            .collect();
        assert!(keys.iter().all(|&key| timers.cancel(key).is_none()));
        assert!(new.iter().all(|&key| timers.cancel(key).is_some()));
    }

    #[test]
    fn the_dead_never_outnumber_the_living_by_much() {
        let mut timers = Timers::new();
        timers.insert(5, nothing());
        for _ in 0..10_000 {
            let key = timers.insert(10, nothing());
            assert!(timers.cancel(key).is_some());
            assert!(timers.queue.len() <= 2 + SWEEP_AT_LEAST);
        }
        assert_eq!(timers.next(), Some(5));
    }
}
