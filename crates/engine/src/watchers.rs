//! Readers and writers: which job to schedule when a descriptor is ready.
//!
//! The table is indexed by the descriptor's number (descriptors are small and dense), and
//! costs 48 bytes for each up to the highest ever watched. Each entry is one registration
//! with the poller: for a reader, a writer or both, or for a source.
//!
//! Files can be closed and their numbers reused behind the loop's back. A registration
//! therefore carries a generation, and the poller's events bring it along. An event of a
//! generation that is not the entry's own comes from a file that lives on through a
//! duplicate while its number is gone; the kernel cannot be told to forget it by number,
//! so the poller is made anew ([`Watchers::dispatch`]).

use std::cell::RefCell;
use std::io;
use std::os::fd::RawFd;
use std::rc::Rc;

use crate::ahead;
use crate::job::Job;
use crate::poller::{Events, Interest, Poller, Registration};
use crate::sources::{Direction, Source, WaitKey};

/// From so many events on it is worth a look at all of them before their jobs are touched.
const MANY: usize = 8;

pub(crate) struct Watchers {
    /// Borrowed only while jobs are moved or cloned, never while they run or are dropped.
    table: RefCell<Table>,
}

struct Table {
    watches: Vec<Watch>,
    /// How many readers, writers and sources there are.
    count: usize,
    generation: u32,
}

#[derive(Default)]
struct Watch {
    reader: Option<Job>,
    writer: Option<Job>,
    /// Never along with a reader or a writer.
    source: Option<Rc<Source>>,
    /// The reader goes when it fires.
    once: bool,
    generation: u32,
}

/// How often a watch schedules its job.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Firing {
    /// At every poll, a clone.
    Always,
    /// Once, itself. For readers only.
    Once,
}

/// The half of a watch that a call is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
}

impl Watch {
    fn interest(&self) -> Interest {
        match &self.source {
            Some(source) => source.interest.get(),
            None => Interest {
                read: self.reader.is_some(),
                write: self.writer.is_some(),
            },
        }
    }

    fn registration(&self, fd: RawFd) -> Registration {
        Registration {
            fd,
            generation: self.generation,
            interest: self.interest(),
            edge: self.source.is_some(),
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

    /// What a descriptor is watched for.
    pub(crate) fn interest(&self, fd: RawFd) -> Interest {
        let index = usize::try_from(fd).unwrap_or(usize::MAX);
        let table = self.table.borrow();
        table
            .watches
            .get(index)
            .map_or(Interest::NONE, Watch::interest)
    }

    /// Calls `look` with the reader of a descriptor. It must not call back.
    pub(crate) fn with_reader<R>(&self, fd: RawFd, look: impl FnOnce(&Job) -> R) -> Option<R> {
        let table = self.table.borrow();
        let watch = table.watches.get(usize::try_from(fd).ok()?)?;
        watch.reader.as_ref().map(look)
    }

    /// Sets one side of a watch and answers the job that it replaces. An error leaves
    /// everything as it was, but for the job.
    pub(crate) fn set(
        &self,
        poller: &Poller,
        fd: RawFd,
        side: Side,
        firing: Firing,
        job: Job,
    ) -> io::Result<Option<Job>> {
        self.drop_stale_source(fd);
        let table = &mut *self.table.borrow_mut();
        let index = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        let watch = table.watches.get(index);
        if watch.is_some_and(|watch| watch.source.is_some()) {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let old = watch.map_or(Interest::NONE, Watch::interest);
        // Always told, and always as something new: the number may be another file's by now.
        table.generation = table.generation.wrapping_add(1);
        let registration = Registration {
            fd,
            generation: table.generation,
            interest: old.with(side, true),
            edge: false,
        };
        poller.update(registration, old)?;
        if index >= table.watches.len() {
            table.watches.resize_with(index + 1, Watch::default);
        }
        let watch = &mut table.watches[index];
        watch.generation = table.generation;
        watch.once = match side {
            Side::Read => firing == Firing::Once,
            Side::Write => watch.once,
        };
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
        let _ = poller.update(watch.registration(fd), old);
        Some(job)
    }

    /// Has `job` wait for a source.
    pub(crate) fn wait(
        &self,
        poller: &Poller,
        source: &Rc<Source>,
        direction: Direction,
        job: Job,
    ) -> io::Result<WaitKey> {
        self.ask(poller, source, direction)?;
        Ok(source.join(direction, job))
    }

    /// Has `job` watch a source, and answers the job that it replaces.
    pub(crate) fn watch(
        &self,
        poller: &Poller,
        source: &Rc<Source>,
        direction: Direction,
        job: Job,
    ) -> io::Result<Option<Job>> {
        self.ask(poller, source, direction)?;
        Ok(source.watch(direction, job))
    }

    /// Tells the poller about one direction of a source, if it has not been told before.
    fn ask(&self, poller: &Poller, source: &Rc<Source>, direction: Direction) -> io::Result<()> {
        let side = match direction {
            Direction::Read => Side::Read,
            Direction::Write => Side::Write,
        };
        let old = source.interest.get();
        let interest = old.with(side, true);
        if interest == old {
            return Ok(());
        }
        self.drop_stale_source(source.fd());
        self.table.borrow_mut().register(poller, source, interest)
    }

    /// Takes a source away. Its jobs go to `job`, to be dropped where nothing is borrowed.
    pub(crate) fn forget(
        &self,
        poller: &Poller,
        source: &Source,
        closing: bool,
        job: impl FnMut(Job),
    ) {
        let table = &mut *self.table.borrow_mut();
        let watch = usize::try_from(source.fd())
            .ok()
            .and_then(|index| table.watches.get_mut(index))
            .filter(|watch| {
                watch
                    .source
                    .as_deref()
                    .is_some_and(|it| std::ptr::eq(it, source))
            });
        if let Some(watch) = watch {
            let registration = watch.registration(source.fd());
            watch.source = None;
            table.count -= 1;
            if closing {
                poller.closing(registration);
            } else {
                // Fails only as in `remove`.
                let _ = poller.update(watch.registration(source.fd()), registration.interest);
            }
        }
        source.reset(job);
    }

    /// A source that nobody but the table holds has lost its descriptor: its owner went where
    /// this loop could not be told.
    fn drop_stale_source(&self, fd: RawFd) {
        let take = || {
            let table = &mut *self.table.borrow_mut();
            let source = &mut table.watches.get_mut(usize::try_from(fd).ok()?)?.source;
            let stale = source.take_if(|it| Rc::strong_count(it) == 1)?;
            table.count -= 1;
            Some(stale)
        };
        // Where nothing is borrowed: it may hold jobs.
        drop(take());
    }

    /// The source for a descriptor, if there is one.
    pub(crate) fn source(&self, fd: RawFd) -> Option<Rc<Source>> {
        let table = self.table.borrow();
        table.watches.get(usize::try_from(fd).ok()?)?.source.clone()
    }

    /// Every descriptor with a reader, a writer or a source is below this.
    pub(crate) fn end(&self) -> RawFd {
        self.table.borrow().watches.len() as RawFd
    }

    /// Hands the job of each ready side, or a clone of it, to `schedule`, which must not call
    /// back.
    pub(crate) fn dispatch(&self, poller: &Poller, events: &Events, mut schedule: impl FnMut(Job)) {
        let mut stale = false;
        let table = &mut *self.table.borrow_mut();
        table.fetch(events);
        for event in events.iter() {
            let watch = table.watches.get_mut(event.fd as usize);
            let Some(watch) = watch.filter(|watch| {
                !watch.interest().is_none() && watch.generation == event.generation
            }) else {
                stale = true;
                continue;
            };
            if let Some(source) = &watch.source {
                source.notice(&event, &mut schedule);
                continue;
            }
            if event.readable && watch.once {
                let old = watch.interest();
                watch.once = false;
                if let Some(job) = watch.reader.take() {
                    table.count -= 1;
                    schedule(job);
                }
                // Fails only as in `remove`.
                let _ = poller.update(watch.registration(event.fd), old);
            } else if event.readable
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
            // A failure (no descriptor left, no memory) leaves the poller as it was. The stale
            // event comes again with the next poll, and with it the next attempt.
            let _ = poller.renew(table.registrations());
        }
    }

    pub(crate) fn for_each(&self, f: &mut dyn FnMut(&Job)) {
        for watch in &self.table.borrow().watches {
            watch.reader.iter().chain(&watch.writer).for_each(&mut *f);
            if let Some(source) = &watch.source {
                source.for_each(f);
            }
        }
    }
}

impl Table {
    /// Fetches ahead what the events will need.
    fn fetch(&self, events: &Events) {
        if events.len() < MANY {
            return;
        }
        for event in events.iter() {
            let Some(watch) = self.watches.get(event.fd as usize) else {
                continue;
            };
            if let Some(source) = &watch.source {
                ahead::fetch::<2>(Rc::as_ptr(source).cast());
            } else if let Some(job) = &watch.reader
                && event.readable
            {
                ahead::fetch::<6>(job.data());
            }
        }
    }

    /// Registers a source for an interest that includes the one that it has.
    fn register(
        &mut self,
        poller: &Poller,
        source: &Rc<Source>,
        interest: Interest,
    ) -> io::Result<()> {
        let fd = source.fd();
        let index = usize::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
        let watch = self.watches.get(index);
        let same = watch
            .and_then(|watch| watch.source.as_ref())
            .map(|it| Rc::ptr_eq(it, source));
        let taken = same == Some(false)
            || watch.is_some_and(|watch| watch.reader.is_some() || watch.writer.is_some());
        if taken {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let known = same == Some(true);
        if !known {
            self.generation = self.generation.wrapping_add(1);
        }
        let registration = Registration {
            fd,
            generation: match watch {
                Some(watch) if known => watch.generation,
                _ => self.generation,
            },
            interest,
            edge: true,
        };
        let old = if known {
            source.interest.get()
        } else {
            Interest::NONE
        };
        poller.update(registration, old)?;
        source.interest.set(interest);
        if !known {
            if index >= self.watches.len() {
                self.watches.resize_with(index + 1, Watch::default);
            }
            let watch = &mut self.watches[index];
            watch.generation = registration.generation;
            watch.source = Some(Rc::clone(source));
            self.count += 1;
        }
        Ok(())
    }

    fn registrations(&self) -> impl Iterator<Item = Registration> + '_ {
        self.watches
            .iter()
            .enumerate()
            .map(|(fd, watch)| watch.registration(fd as RawFd))
    }
}
