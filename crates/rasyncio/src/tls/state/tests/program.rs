//! What may happen to two connections and the links between them, and what holds whatever happens.
//!
//! The fuzz targets use this file, too.

use std::mem;

use super::ends::{Action, End, Engine, carry, settle, text};
use super::tls::{Deadline, Session};

/// Something that happens at one end.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The application does this.
    Do(Action),
    /// The application does this when it is called next.
    Next(Action),
    Lines(Vec<usize>),
    /// At most so many bytes come to the other end.
    Carry(usize),
    /// The loop turns.
    Turn,
    /// The byte at that place of what is under way becomes another one.
    Alter(usize, u8),
    Lose(usize),
    /// Somebody else's bytes come first.
    Insert(Vec<u8>),
    LinkFull,
    LinkFree,
    WriteLimits(Option<i64>, Option<i64>),
    ReadLimits(Option<i64>, Option<i64>),
    Eof,
    Deadline(Deadline),
    Lost,
}

/// What the link of one end has done beside carrying.
#[derive(Default)]
struct Link {
    ended: bool,
    lost: bool,
}

/// Two ends, and what has happened to them.
pub(crate) struct Pair<E: Engine> {
    ends: [End<E>; 2],
    links: [Link; 2],
    /// What comes is not what was sent.
    tampered: bool,
    /// A link has ended, or a time was over.
    broken: bool,
}

impl<E: Engine> Pair<E> {
    pub(crate) fn new(ends: [End<E>; 2]) -> Pair<E> {
        Pair {
            ends,
            links: Default::default(),
            tampered: false,
            broken: false,
        }
    }

    /// Whether a transport would still tell an end of what comes.
    fn brings(&self, this: usize) -> bool {
        let link = &self.links[this];
        !link.ended && !link.lost && !self.ends[this].link_aborted.get()
    }

    /// Nothing fails by what a peer or a link does: that is told to the host.
    pub(crate) fn happen(&mut self, this: usize, event: Event) {
        let (end, peer) = (&self.ends[this], &self.ends[1 - this]);
        match event {
            // Also to a connection that has ended.
            Event::Do(Action::Write(count)) => drop(end.write(count)),
            Event::Do(Action::Pause) => end.state.pause_reading(),
            Event::Do(Action::Resume) => end.resume_reading(),
            Event::Do(Action::Close) => end.close(),
            Event::Do(Action::Abort) => end.abort(),
            Event::Next(action) => end.actions.borrow_mut().push_back(action),
            Event::Lines(counts) => drop(end.writelines(&counts)),
            Event::Carry(most) if self.brings(1 - this) => drop(carry(end, peer, most)),
            Event::Turn => drop(end.turn()),
            Event::Alter(place, bits) => {
                if let Some(byte) = end.sent.borrow_mut().get_mut(place) {
                    *byte ^= bits;
                    self.tampered |= bits > 0;
                }
            }
            Event::Lose(place) => {
                self.tampered |= end.sent.borrow_mut().remove(place).is_some();
            }
            Event::Insert(bytes) => {
                let mut sent = end.sent.borrow_mut();
                bytes.iter().rev().for_each(|byte| sent.push_front(*byte));
                self.tampered |= !bytes.is_empty();
            }
            Event::LinkFull => end.state.link_full(),
            Event::LinkFree if !self.links[this].lost && !end.link_aborted.get() => {
                end.state.link_free(end).unwrap()
            }
            Event::WriteLimits(high, low) => {
                let _ = end.state.set_write_limits(high, low);
                end.state.control_writing(end).unwrap();
            }
            Event::ReadLimits(high, low) => {
                let _ = end.state.set_read_limits(high, low);
                end.state.control_reading(end).unwrap();
            }
            Event::Eof if self.brings(this) => {
                self.broken = true;
                self.links[this].ended = true;
                end.state.eof_received(end).unwrap();
            }
            Event::Deadline(deadline) if end.timers[deadline as usize].replace(false) => {
                self.broken = true;
                end.state.deadline(end, deadline).unwrap();
            }
            Event::Lost if !self.links[this].lost => {
                self.broken = true;
                self.links[this].lost = true;
                end.lose();
            }
            _ => {}
        }
        self.check_marks(this);
    }

    /// While a connection stands, nobody fills a buffer above its mark without being told.
    fn check_marks(&self, this: usize) {
        let end = &self.ends[this];
        if *end.told.borrow() != ["made"] || end.closing.get() || !self.brings(this) {
            return;
        }
        // Marks of zero pause and resume at each look, as asyncio's do.
        let must = |size: usize, (low, high): (usize, usize)| match () {
            () if size >= high && size > low => Some(true),
            () if size <= low && size < high => Some(false),
            () => None,
        };
        let paused = end.writing_paused.get();
        assert_eq!(paused, end.state.is_writing_paused());
        let size = end.state.write_size(end).unwrap();
        if let Some(must) = must(size, end.state.write_limits()) {
            assert_eq!(paused, must, "{size} bytes wait to be sent");
        }
        let size = end.incoming().unwrap();
        // rustls looks at what has come when it encrypts, too. Who has paused reading goes on with the
        // link when it goes on with reading.
        if let Some(must) = must(size, end.state.read_limits())
            && (must || end.state.is_reading())
        {
            assert_eq!(end.link_paused.get(), must, "{size} bytes wait to be read");
        }
    }

    /// The program is over: what has to have come of it has.
    pub(crate) fn finish(mut self) {
        let aborted = self.ends.iter().any(|end| end.has_aborted.get());
        if !self.tampered && !self.broken && !aborted {
            self.finish_in_peace();
        }
        for this in 0..2 {
            let end = &self.ends[this];
            if !mem::replace(&mut self.links[this].lost, true) {
                end.lose();
            }
            // Life goes on above, for a while.
            end.write(8);
            end.state.pause_reading();
            end.resume_reading();
            end.turn();
            end.close();
            end.state.received(end).unwrap();
            assert!(end.timers.iter().all(|timer| !timer.get()));
            let told = end.told.borrow();
            let in_order = matches!(told[..], [] | ["made", "lost"] | ["made", "eof", "lost"]);
            assert!(in_order, "{told:?}");
            // Never reordered, never doubled.
            if !self.tampered || end.engine.is_sealed() {
                let received = end.received.borrow();
                assert!(received.len() <= self.ends[1 - this].written.get());
                let as_written = |(place, byte): (usize, &u8)| *byte == text(place);
                assert!(received.iter().enumerate().all(as_written));
            }
        }
    }

    /// Nobody has harmed anybody. When all that waits may go on, nothing is lost.
    fn finish_in_peace(&self) {
        for end in &self.ends {
            end.actions.take();
            // With a record that is not whole above the low mark, a paused link waits for ever.
            if end.state.read_limits().0 < E::LONGEST {
                end.state.set_read_limits(None, None).unwrap();
                end.state.control_reading(end).unwrap();
            }
            end.resume_reading();
        }
        settle(&self.ends);
        let [one, two] = &self.ends;
        for (end, peer) in [(one, two), (two, one)] {
            // Whoever closes reads no more; what was written before arrives.
            if !peer.has_closed.get() {
                assert_eq!(peer.received.borrow().len(), end.written.get());
                assert_eq!(end.state.backlog(), 0);
            }
            if end.has_closed.get() || peer.has_closed.get() {
                // In time, too: a link that has ended ends the other one.
                let ended = |end: &End<E>| end.link_closed.get() || end.link_aborted.get();
                if !ended(end) && ended(peer) {
                    end.state.eof_received(end).unwrap();
                }
                assert!(ended(end));
            } else {
                assert_eq!(*end.told.borrow(), ["made"]);
                assert_eq!(*end.failed.borrow(), None);
                assert!(!end.link_paused.get());
                assert!(!end.writing_paused.get() || end.state.write_limits().1 == 0);
            }
        }
    }
}
