//! Readers and writers: which job to schedule when a descriptor is ready.
//!
//! The table is indexed by the descriptor's number (descriptors are small and dense), and
//! costs 40 bytes for each up to the highest ever watched. Each entry is one registration
//! with the poller, for reading, writing or both.
//!
//! Files can be closed and their numbers reused behind the loop's back. A registration
//! therefore carries a generation, and the poller's events bring it along. An event of a
//! generation that is not the entry's own comes from a file that lives on through a
//! duplicate while its number is gone; the kernel cannot be told to forget it by number,
//! so the poller is made anew ([`Watchers::dispatch`]).

use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;

use crate::job::Job;
use crate::poller::{Events, Interest, Poller};

pub(crate) struct Watchers {
    /// Borrowed only while jobs are moved or cloned, never while they run or are dropped.
    table: RefCell<Table>,
}

struct Table {
    watches: Vec<Watch>,
    /// How many readers and writers there are.
    count: usize,
    generation: u32,
}

#[derive(Default)]
struct Watch {
    reader: Option<Job>,
    writer: Option<Job>,
    generation: u32,
}

/// The half of a watch that a call is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

impl Watch {
    fn interest(&self) -> Interest {
        Interest {
            read: self.reader.is_some(),
            write: self.writer.is_some(),
        }
    }

    fn side(&mut self, side: Side) -> &mut Option<Job> {
        match side {
            Side::Read => &mut self.reader,
            Side::Write => &mut self.writer,
        }
    }
}

impl Interest {
    fn with(mut self, side: Side, on: bool) -> Interest {
        match side {
            Side::Read => self.read = on,
            Side::Write => self.write = on,
        }
        self
    }
}

impl Watchers {
    pub(crate) fn new() -> Watchers {
        Watchers {
            table: RefCell::new(Table {
                watches: Vec::new(),
                count: 0,
                generation: 0,
            }),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.table.borrow().count == 0
    }

    /// Sets one side of a watch and answers the job that it replaces. An error leaves
    /// everything as it was, but for the job.
    pub(crate) fn set(
        &self,
        poller: &Poller,
        fd: RawFd,
        side: Side,
        job: Job,
    ) -> io::Result<Option<Job>> {
        let table = &mut *self.table.borrow_mut();
        let index = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        let (old, mut generation) = match table.watches.get(index) {
            Some(watch) => (watch.interest(), watch.generation),
            None => (Interest::NONE, 0),
        };
        if old.is_none() {
            table.generation = table.generation.wrapping_add(1);
            generation = table.generation;
        }
        // Even where the interest stays the same: the number may be another file's by now.
        poller.update(fd, generation, old, old.with(side, true))?;
        if index >= table.watches.len() {
            table.watches.resize_with(index + 1, Watch::default);
        }
        let watch = &mut table.watches[index];
        watch.generation = generation;
        let replaced = watch.side(side).replace(job);
        if replaced.is_none() {
            table.count += 1;
        }
        Ok(replaced)
    }

    /// Takes one side of a watch away.
    pub(crate) fn remove(&self, poller: &Poller, fd: RawFd, side: Side) -> Option<Job> {
        let table = &mut *self.table.borrow_mut();
        let watch = table.watches.get_mut(usize::try_from(fd).ok()?)?;
        let old = watch.interest();
        let job = watch.side(side).take()?;
        table.count -= 1;
        // This fails only where the file is closed, and then there is nothing to take back; or
        // it lives on through a duplicate, and `dispatch` gets rid of it when it shows.
        let _ = poller.update(fd, watch.generation, old, watch.interest());
        Some(job)
    }

    /// Takes any reader or writer away.
    pub(crate) fn remove_any(&self, poller: &Poller) -> Option<Job> {
        let fd = {
            let table = self.table.borrow();
            if table.count == 0 {
                return None;
            }
            table
                .watches
                .iter()
                .position(|watch| !watch.interest().is_none())? as RawFd
        };
        self.remove(poller, fd, Side::Read)
            .or_else(|| self.remove(poller, fd, Side::Write))
    }

    /// Hands a clone of the job of each ready side to `schedule`, which must not call back.
    pub(crate) fn dispatch(
        &self,
        poller: &Poller,
        events: &Events,
        mut schedule: impl FnMut(Job),
    ) -> io::Result<()> {
        let mut stale = false;
        let table = self.table.borrow();
        for event in events.iter() {
            let watch = table.watches.get(event.fd as usize);
            let Some(watch) = watch.filter(|watch| {
                !watch.interest().is_none() && watch.generation == event.generation
            }) else {
                stale = true;
                continue;
            };
            if event.readable
                && let Some(job) = &watch.reader
            {
                schedule(job.clone());
            }
            if event.writable
                && let Some(job) = &watch.writer
            {
                schedule(job.clone());
            }
        }
        if stale {
            table.register_anew(poller)
        } else {
            Ok(())
        }
    }

    pub(crate) fn for_each(&self, f: &mut dyn FnMut(&Job)) {
        for watch in &self.table.borrow().watches {
            watch.reader.iter().chain(&watch.writer).for_each(&mut *f);
        }
    }
}

impl Table {
    /// Costs a system call for each descriptor, and is for the one case that the kernel leaves
    /// no other way out of.
    fn register_anew(&self, poller: &Poller) -> io::Result<()> {
        poller.reset()?;
        for (fd, watch) in self.watches.iter().enumerate() {
            let interest = watch.interest();
            if interest.is_none() {
                continue;
            }
            match poller.update(fd as RawFd, watch.generation, Interest::NONE, interest) {
                // Closed without being removed: it cannot be ready any more.
                Err(error) if is_gone(&error) => {}
                result => result?,
            }
        }
        Ok(())
    }
}

/// Whether a number has no file, or one that cannot be polled.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBADF | libc::EPERM))
}
