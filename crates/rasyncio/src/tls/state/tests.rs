//! Two connections talk to each other through a pipe that loses nothing and cuts as it likes.
//!
//! The TLS is a toy: records of a kind, a length and a content in clear. What is tested is the
//! order of things.

mod chaos;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::tls::{Delivery, Session};

const HELLO: u8 = 1;
const DATA: u8 = 2;
const GOODBYE: u8 = 3;
/// How much one record carries.
const RECORD: usize = 50;
/// When the pipe tells who writes to pause.
const PIPE: usize = 300;

#[derive(Debug, PartialEq)]
enum Error {
    Reset,
    Late,
    Rubbish,
    /// Data that came after we had closed.
    Unread,
}

/// One end: session, application and the pipe's end.
#[derive(Default)]
struct End {
    state: TlsState<VecDeque<u8>>,
    incoming: RefCell<VecDeque<u8>>,
    outgoing: RefCell<VecDeque<u8>>,
    said_hello: Cell<bool>,
    heard_hello: Cell<bool>,
    said_goodbye: Cell<bool>,
    heard_goodbye: Cell<bool>,
    /// What the link has taken and not carried over.
    sent: RefCell<VecDeque<u8>>,
    link_paused: Cell<bool>,
    link_closed: Cell<bool>,
    link_aborted: Cell<bool>,
    told: RefCell<Vec<&'static str>>,
    received: RefCell<Vec<u8>>,
    writing_paused: Cell<bool>,
    failed: RefCell<Option<Error>>,
    timers: [Cell<bool>; 2],
    /// The most that ever waited in the session.
    most: Cell<usize>,
}

impl End {
    fn record(&self, kind: u8, content: &[u8]) {
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.extend([kind, content.len() as u8]);
        outgoing.extend(content);
    }

    /// The next whole record of those that came.
    fn next(&self) -> Option<(u8, Vec<u8>)> {
        let mut incoming = self.incoming.borrow_mut();
        let len = usize::from(*incoming.get(1)?);
        if incoming.len() < 2 + len {
            return None;
        }
        let kind = incoming.pop_front()?;
        incoming.pop_front();
        Some((kind, incoming.drain(..len).collect()))
    }

    fn tell(&self, what: &'static str) {
        self.told.borrow_mut().push(what);
    }

    /// The link ends.
    fn lose(&self) {
        let (tell, backlog) = self.state.connection_lost();
        drop(backlog);
        if tell {
            self.tell("lost");
        }
        self.timers.iter().for_each(|timer| timer.set(false));
    }
}

impl Session<VecDeque<u8>> for End {
    type Error = Error;

    fn handshake(&self) -> Result<Answer, Error> {
        if !self.said_hello.replace(true) {
            self.record(HELLO, b"hello");
        }
        match self.next() {
            None => Ok(Answer::Again),
            Some((HELLO, _)) => {
                self.heard_hello.set(true);
                Ok(Answer::Done)
            }
            Some(_) => Err(Error::Rubbish),
        }
    }

    fn encrypt(&self, data: &mut VecDeque<u8>) -> Result<(usize, Answer), Error> {
        let count = data.len();
        while !data.is_empty() {
            let piece: Vec<u8> = data.drain(..data.len().min(RECORD)).collect();
            self.record(DATA, &piece);
        }
        Ok((count, Answer::Done))
    }

    fn deliver(&self) -> Result<Delivery, Error> {
        loop {
            match self.next() {
                None => return Ok(Delivery::Drained),
                Some((DATA, content)) => self.received.borrow_mut().extend(content),
                Some((GOODBYE, _)) => {
                    self.heard_goodbye.set(true);
                    return Ok(Delivery::Closed);
                }
                Some(_) => return Err(Error::Rubbish),
            }
        }
    }

    fn unwrap(&self) -> Result<Answer, Error> {
        if !self.said_goodbye.replace(true) {
            self.record(GOODBYE, b"");
        }
        if self.heard_goodbye.get() {
            return Ok(Answer::Done);
        }
        match self.next() {
            None => Ok(Answer::Again),
            Some((GOODBYE, _)) => Ok(Answer::Done),
            Some(_) => Err(Error::Unread),
        }
    }

    fn incoming(&self) -> Result<usize, Error> {
        Ok(self.incoming.borrow().len())
    }

    fn outgoing(&self) -> Result<usize, Error> {
        let len = self.outgoing.borrow().len();
        self.most.set(self.most.get().max(len));
        Ok(len)
    }
}

impl Host<VecDeque<u8>> for End {
    fn send(&self) -> Result<(), Error> {
        let data = self.outgoing.take();
        if !self.link_aborted.get() && !self.link_closed.get() {
            self.sent.borrow_mut().extend(data);
        }
        if self.sent.borrow().len() > PIPE {
            self.state.link_full();
        }
        Ok(())
    }

    fn pause_link(&self) -> Result<(), Error> {
        assert!(!self.link_paused.replace(true));
        Ok(())
    }

    fn resume_link(&self) -> Result<(), Error> {
        assert!(self.link_paused.replace(false));
        Ok(())
    }

    fn close_link(&self) -> Result<(), Error> {
        self.link_closed.set(true);
        Ok(())
    }

    fn abort_link(&self, error: Option<Error>) -> Result<(), Error> {
        self.link_aborted.set(true);
        self.failed.replace(error);
        Ok(())
    }

    fn established(&self) -> Result<(), Error> {
        assert!(self.heard_hello.get());
        Ok(())
    }

    fn connection_made(&self) -> Result<(), Error> {
        self.tell("made");
        Ok(())
    }

    fn connected(&self) -> Result<(), Error> {
        Ok(())
    }

    fn eof_received(&self) -> Result<(), Error> {
        self.tell("eof");
        Ok(())
    }

    fn pause_writing(&self) -> Result<(), Error> {
        assert!(!self.writing_paused.replace(true));
        Ok(())
    }

    fn resume_writing(&self) -> Result<(), Error> {
        assert!(self.writing_paused.replace(false));
        Ok(())
    }

    fn closing(&self) {}

    fn start_timer(&self, deadline: Deadline) -> Result<(), Error> {
        assert!(!self.timers[deadline as usize].replace(true));
        Ok(())
    }

    fn cancel_timer(&self, deadline: Deadline) -> Result<(), Error> {
        self.timers[deadline as usize].set(false);
        Ok(())
    }

    fn has_timer(&self, deadline: Deadline) -> bool {
        self.timers[deadline as usize].get()
    }

    fn fatal(&self, error: Error, _: During) -> Result<(), Error> {
        self.abort_link(Some(error))
    }

    fn refused(&self, error: Error) -> Result<(), Error> {
        self.abort_link(Some(error))
    }

    fn reset(&self) -> Error {
        Error::Reset
    }

    fn timed_out(&self, _: Deadline) -> Error {
        Error::Late
    }
}

fn ends() -> [End; 2] {
    let ends = [End::default(), End::default()];
    for end in &ends {
        end.state.connection_made(end).unwrap();
    }
    ends
}

/// Carries at most `most` bytes from one end to the other, and tells whether there were any.
fn carry(from: &End, to: &End, most: usize) -> bool {
    if to.link_paused.get() || to.link_aborted.get() {
        return false;
    }
    let count = from.sent.borrow().len().min(most);
    if count == 0 {
        return false;
    }
    let data: Vec<u8> = from.sent.borrow_mut().drain(..count).collect();
    to.incoming.borrow_mut().extend(data);
    to.state.received(to).unwrap();
    if from.sent.borrow().is_empty() && from.state.link_full.get() {
        from.state.link_free(from).unwrap();
    }
    true
}

/// Carries all that there is, both ways.
fn settle(ends: &[End; 2]) {
    while carry(&ends[0], &ends[1], 100) | carry(&ends[1], &ends[0], 100) {}
}

fn write(end: &End, data: &[u8]) -> Written {
    let data: VecDeque<u8> = data.iter().copied().collect();
    let len = data.len();
    end.state.write(end, data, len).unwrap()
}

#[test]
fn what_is_written_in_the_handshake_goes_out_after_it() {
    let ends = ends();
    assert_eq!(write(&ends[0], b"early"), Written::Taken);
    settle(&ends);
    assert_eq!(*ends[1].received.borrow(), b"early");
    assert_eq!(*ends[0].told.borrow(), ["made"]);
    assert!(!ends[0].timers[Deadline::Handshake as usize].get());
}

#[test]
fn closing_says_goodbye_and_waits_for_the_peers() {
    let ends = ends();
    settle(&ends);
    write(&ends[0], b"last words");
    ends[0].state.close(&ends[0]).unwrap();
    assert!(!ends[0].link_closed.get(), "the peer has not answered");
    assert!(ends[0].timers[Deadline::Shutdown as usize].get());
    settle(&ends);
    assert_eq!(*ends[1].received.borrow(), b"last words");
    for end in &ends {
        assert!(end.link_closed.get());
        assert!(end.said_goodbye.get());
        end.lose();
        assert_eq!(*end.told.borrow(), ["made", "eof", "lost"]);
    }
    assert_eq!(write(&ends[0], b"x"), Written::Lost { warn: false });
}

#[test]
fn a_silent_peer_is_not_waited_for_for_ever() {
    let [end, _] = ends();
    end.state.deadline(&end, Deadline::Handshake).unwrap();
    assert_eq!(*end.failed.borrow(), Some(Error::Late));
    end.lose();
    assert!(end.told.borrow().is_empty(), "it was never made");

    let ends = ends_connected();
    ends[0].state.close(&ends[0]).unwrap();
    ends[0]
        .state
        .deadline(&ends[0], Deadline::Shutdown)
        .unwrap();
    assert_eq!(*ends[0].failed.borrow(), Some(Error::Late));
    ends[0].lose();
    assert_eq!(*ends[0].told.borrow(), ["made", "lost"]);
}

fn ends_connected() -> [End; 2] {
    let ends = ends();
    settle(&ends);
    ends
}

#[test]
fn the_end_of_the_link_is_the_end_of_data() {
    let [end, _] = ends();
    assert!(!end.state.eof_received(&end).unwrap());
    assert_eq!(*end.failed.borrow(), Some(Error::Reset));

    let ends = ends_connected();
    write(&ends[1], b"cut");
    settle(&ends);
    assert!(!ends[0].state.eof_received(&ends[0]).unwrap());
    assert!(ends[0].link_closed.get());
    assert_eq!(*ends[0].told.borrow(), ["made", "eof"]);
    assert_eq!(*ends[0].received.borrow(), b"cut");
}

#[test]
fn a_paused_application_gets_all_before_the_end() {
    let ends = ends_connected();
    ends[0].state.pause_reading();
    write(&ends[1], b"waits");
    settle(&ends);
    assert!(ends[0].state.eof_received(&ends[0]).unwrap(), "kept open");
    assert!(ends[0].received.borrow().is_empty());
    assert!(ends[0].state.resume_reading());
    ends[0].state.resumed(&ends[0]).unwrap();
    assert_eq!(*ends[0].received.borrow(), b"waits");
    assert_eq!(*ends[0].told.borrow(), ["made", "eof"]);
}

#[test]
fn an_aborted_connection_does_nothing_more() {
    let ends = ends_connected();
    ends[0].state.abort(&ends[0], None).unwrap();
    ends[0].state.close(&ends[0]).unwrap();
    ends[0].state.received(&ends[0]).unwrap();
    ends[0].lose();
    assert_eq!(*ends[0].told.borrow(), ["made", "lost"]);
    assert!(!ends[0].said_goodbye.get());
}

#[test]
fn many_writes_to_what_is_closed_are_said() {
    let ends = ends_connected();
    ends[0].state.abort(&ends[0], None).unwrap();
    for _ in 0..5 {
        assert_eq!(write(&ends[0], b"x"), Written::Lost { warn: false });
    }
    assert_eq!(write(&ends[0], b"x"), Written::Lost { warn: true });
}

#[test]
fn marks_pause_the_application_and_the_link() {
    let ends = ends_connected();
    ends[0].state.set_write_limits(Some(1000), None).unwrap();
    ends[1].state.set_read_limits(Some(500), Some(100)).unwrap();
    ends[1].state.pause_reading();
    while !ends[0].writing_paused.get() {
        write(&ends[0], &[7; 100]);
        carry(&ends[0], &ends[1], 200);
    }
    assert!(ends[1].link_paused.get());
    assert!(ends[1].incoming().unwrap() < 1000);
    assert!(ends[1].state.resume_reading());
    ends[1].state.resumed(&ends[1]).unwrap();
    settle(&ends);
    assert!(!ends[1].link_paused.get() && !ends[0].writing_paused.get());
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Vec<u8>),
    Carry(usize, usize),
    Pause(usize),
    Resume(usize),
    Close(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let end = 0..2usize;
    prop_oneof![
        4 => (end.clone(), prop::collection::vec(any::<u8>(), 1..200))
            .prop_map(|(end, data)| Step::Write(end, data)),
        6 => (end.clone(), 1..150usize).prop_map(|(end, most)| Step::Carry(end, most)),
        1 => end.clone().prop_map(Step::Pause),
        1 => end.clone().prop_map(Step::Resume),
        1 => end.prop_map(Step::Close),
    ]
}

proptest! {
    #[test]
    fn what_goes_in_comes_out_and_ends_once(
        steps in prop::collection::vec(step(), 0..120),
        closes in any::<bool>(),
    ) {
        let ends = ends();
        let mut written = [Vec::new(), Vec::new()];
        let mut closed = false;
        for step in steps {
            match step {
                Step::Write(end, data) => {
                    if write(&ends[end], &data) == Written::Taken {
                        written[end].extend(data);
                    }
                }
                Step::Carry(end, most) => {
                    carry(&ends[end], &ends[1 - end], most);
                }
                // A paused application that closes refuses what is still to come; that is not
                // what is tested here.
                Step::Pause(end) if !closed && !closes => ends[end].state.pause_reading(),
                Step::Pause(_) => {}
                Step::Resume(end) => {
                    if ends[end].state.resume_reading() {
                        ends[end].state.resumed(&ends[end]).unwrap();
                    }
                }
                // In the handshake it would be an abort.
                Step::Close(end) if closes && *ends[end].told.borrow() == ["made"] => {
                    closed = true;
                    ends[end].state.close(&ends[end]).unwrap();
                }
                Step::Close(_) => {}
            }
        }
        for end in &ends {
            if end.state.resume_reading() {
                end.state.resumed(end).unwrap();
            }
        }
        settle(&ends);
        if !closed {
            for end in 0..2 {
                prop_assert_eq!(&*ends[end].told.borrow(), &["made"]);
                prop_assert_eq!(&*ends[1 - end].received.borrow(), &written[end]);
            }
            return Ok(());
        }
        // Whoever closes reads no more, so the other's data may be lost; never reordered, never
        // doubled.
        for end in 0..2 {
            let received = ends[1 - end].received.borrow();
            prop_assert!(written[end].starts_with(&received));
        }
        for (this, end) in ends.iter().enumerate() {
            if !end.link_closed.get() && !end.link_aborted.get() {
                // The other one was sent data after it had closed, and is gone.
                prop_assert!(ends[1 - this].link_aborted.get());
                end.state.eof_received(end).unwrap();
            }
            prop_assert!(end.link_closed.get() || end.link_aborted.get());
        }
        for end in &ends {
            end.lose();
            let told = end.told.borrow();
            prop_assert_eq!(told.iter().filter(|what| **what == "lost").count(), 1);
            prop_assert_eq!(told.first(), Some(&"made"));
            prop_assert!(told.iter().filter(|what| **what == "eof").count() <= 1);
            prop_assert!(end.timers.iter().all(|timer| !timer.get()));
        }
    }
}
