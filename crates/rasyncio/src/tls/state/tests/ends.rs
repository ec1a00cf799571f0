//! Two connections that talk to each other over a link in memory, which cuts as it likes.
//!
//! The fuzz targets use this file, too: what is tested is what the module above calls `tls`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt::Debug;

use super::tls::state::{TlsState, Written};
use super::tls::{Answer, Deadline, Delivery, During, Host, Session};

/// When the link tells who writes to pause.
const PIPE: usize = 300;

/// TLS in memory, as the Rust face has it.
pub(crate) trait Engine {
    type Error: Debug + PartialEq;

    /// How long a record may be.
    const LONGEST: usize;

    /// Whether what comes is as it was sent, or refused.
    fn is_sealed(&self) -> bool;

    /// Has `work` look at what has come, with `bytes` behind it.
    fn with_input(&self, bytes: &[u8], work: impl FnOnce());
    fn handshake(&self) -> Result<Answer, Self::Error>;
    /// Encrypts the front of `data`, and answers how much of it. What comes out waits, or goes to `send`.
    fn encrypt(&self, data: &[u8], send: impl FnOnce(&[u8])) -> Result<usize, Self::Error>;
    /// Calls `give` with what is decrypted as long as that wants more. True: the peer sends no more.
    fn deliver(&self, give: impl FnMut(&[u8]) -> bool) -> Result<bool, Self::Error>;
    fn goodbye(&self) -> Result<Answer, Self::Error>;
    fn incoming(&self) -> usize;
    fn outgoing(&self) -> usize;
    fn take_output(&self) -> Vec<u8>;
}

#[derive(Debug, PartialEq)]
pub(crate) enum Error<E> {
    Reset,
    Late,
    Tls(E),
}

/// What an application does when it is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Pause,
    Resume,
    Write(usize),
    Close,
    Abort,
}

/// One end: session, application and the link's end.
pub(crate) struct End<E: Engine> {
    pub(crate) state: TlsState<VecDeque<u8>>,
    pub(crate) engine: E,
    /// Nothing is encrypted while the link is full, as in the Rust face; if not, what is encrypted
    /// waits in the session, as in Python's.
    pub(crate) holds_back: bool,
    /// What the link has taken and not carried over.
    pub(crate) sent: RefCell<VecDeque<u8>>,
    pub(crate) link_paused: Cell<bool>,
    pub(crate) link_closed: Cell<bool>,
    pub(crate) link_aborted: Cell<bool>,
    pub(crate) told: RefCell<Vec<&'static str>>,
    /// What the application does the next times that it is called.
    pub(crate) actions: RefCell<VecDeque<Action>>,
    /// How much it has written that was taken.
    pub(crate) written: Cell<usize>,
    pub(crate) received: RefCell<Vec<u8>>,
    pub(crate) writing_paused: Cell<bool>,
    /// It may do no more with the connection.
    pub(crate) closing: Cell<bool>,
    /// It has called `close` or `abort`.
    pub(crate) has_closed: Cell<bool>,
    pub(crate) has_aborted: Cell<bool>,
    /// How often `resumed` is to be called in a later turn.
    turns: Cell<usize>,
    pub(crate) failed: RefCell<Option<Error<E::Error>>>,
    pub(crate) timers: [Cell<bool>; 2],
    /// The most that ever waited in the session.
    pub(crate) most: Cell<usize>,
}

/// What an application writes: at each place another byte than nearby.
pub(crate) fn text(place: usize) -> u8 {
    (place % 251) as u8 ^ (place / 251) as u8
}

impl<E: Engine> End<E> {
    pub(crate) fn new(engine: E, holds_back: bool) -> End<E> {
        End {
            state: TlsState::new(),
            engine,
            holds_back,
            sent: RefCell::default(),
            link_paused: Cell::new(false),
            link_closed: Cell::new(false),
            link_aborted: Cell::new(false),
            told: RefCell::default(),
            actions: RefCell::default(),
            written: Cell::new(0),
            received: RefCell::default(),
            writing_paused: Cell::new(false),
            closing: Cell::new(false),
            has_closed: Cell::new(false),
            has_aborted: Cell::new(false),
            turns: Cell::new(0),
            failed: RefCell::new(None),
            timers: [Cell::new(false), Cell::new(false)],
            most: Cell::new(0),
        }
    }

    // The application's calls. None of them fails.

    pub(crate) fn write(&self, count: usize) -> Written {
        self.writelines(&[count])
    }

    pub(crate) fn writelines(&self, counts: &[usize]) -> Written {
        let start = self.written.get();
        let mut end = start;
        let lines: Vec<_> = counts
            .iter()
            .map(|count| {
                let from = end;
                end += count;
                ((from..end).map(text).collect::<VecDeque<u8>>(), *count)
            })
            .collect();
        // Who is called back may write what comes behind it.
        self.written.set(end);
        let written = self.state.writelines(self, lines).unwrap();
        if written != Written::Taken {
            self.written.set(start);
        }
        written
    }

    pub(crate) fn resume_reading(&self) {
        self.turns
            .set(self.turns.get() + usize::from(self.state.resume_reading()));
    }

    pub(crate) fn close(&self) {
        self.has_closed.set(true);
        // In the handshake that is an abort.
        let early = self.told.borrow().is_empty();
        self.has_aborted.set(self.has_aborted.get() | early);
        self.state.close(self).unwrap();
    }

    pub(crate) fn abort(&self) {
        self.has_aborted.set(true);
        self.closing.set(true);
        self.state.abort(self, None).unwrap();
    }

    fn tell(&self, what: &'static str) {
        self.told.borrow_mut().push(what);
        if what != "lost" {
            self.act();
        }
    }

    fn next_action(&self) -> Option<Action> {
        self.actions.borrow().front().copied()
    }

    fn act(&self) {
        let action = self.actions.borrow_mut().pop_front();
        match action {
            None => {}
            Some(Action::Pause) => self.state.pause_reading(),
            Some(Action::Resume) => self.resume_reading(),
            Some(Action::Write(count)) => drop(self.write(count)),
            Some(Action::Close) => self.close(),
            Some(Action::Abort) => self.abort(),
        }
    }

    // What the loop and the link do.

    /// Has the loop turn, and tells whether there was anything to do.
    pub(crate) fn turn(&self) -> bool {
        let turns = self.turns.take();
        for _ in 0..turns {
            self.state.resumed(self).unwrap();
        }
        turns > 0
    }

    /// The link ends.
    pub(crate) fn lose(&self) {
        self.closing.set(true);
        let (tell, backlog) = self.state.connection_lost();
        drop(backlog);
        if tell {
            self.tell("lost");
        }
        self.timers.iter().for_each(|timer| timer.set(false));
    }

    fn put(&self, data: &[u8]) {
        if !self.link_aborted.get() && !self.link_closed.get() {
            self.sent.borrow_mut().extend(data);
        }
        if self.sent.borrow().len() > PIPE {
            self.state.link_full();
        }
    }
}

impl<E: Engine> Session<VecDeque<u8>> for End<E> {
    type Error = Error<E::Error>;

    fn handshake(&self) -> Result<Answer, Self::Error> {
        self.engine.handshake().map_err(Error::Tls)
    }

    fn encrypt(&self, data: &mut VecDeque<u8>) -> Result<(usize, Answer), Self::Error> {
        let mut done = 0;
        while !data.is_empty() {
            if self.holds_back && self.state.is_link_full() && !self.closing.get() {
                return Ok((done, Answer::Again));
            }
            // The link may call somebody who writes. From in here nobody closes.
            if let Some(Action::Write(count)) = self.next_action() {
                let later = self.actions.take();
                self.write(count);
                self.actions.borrow_mut().extend(later.into_iter().skip(1));
            }
            let encrypted = self
                .engine
                .encrypt(data.make_contiguous(), |sent| self.put(sent));
            let count = encrypted.map_err(Error::Tls)?;
            data.drain(..count);
            done += count;
        }
        Ok((done, Answer::Done))
    }

    fn deliver(&self) -> Result<Delivery, Self::Error> {
        let closed = self.engine.deliver(|data| {
            // Nothing comes before the beginning or after the end.
            assert_eq!(self.told.borrow().last(), Some(&"made"));
            self.received.borrow_mut().extend(data);
            self.act();
            self.state.is_reading()
        });
        match closed {
            Ok(true) => Ok(Delivery::Closed),
            Ok(false) => Ok(Delivery::Drained),
            Err(error) => Err(Error::Tls(error)),
        }
    }

    fn unwrap(&self) -> Result<Answer, Self::Error> {
        self.engine.goodbye().map_err(Error::Tls)
    }

    fn incoming(&self) -> Result<usize, Self::Error> {
        Ok(self.engine.incoming())
    }

    fn outgoing(&self) -> Result<usize, Self::Error> {
        let len = self.engine.outgoing();
        self.most.set(self.most.get().max(len));
        Ok(len)
    }
}

impl<E: Engine> Host<VecDeque<u8>> for End<E> {
    fn send(&self) -> Result<(), Self::Error> {
        self.put(&self.engine.take_output());
        Ok(())
    }

    fn pause_link(&self) -> Result<(), Self::Error> {
        assert!(!self.link_paused.replace(true));
        Ok(())
    }

    fn resume_link(&self) -> Result<(), Self::Error> {
        assert!(self.link_paused.replace(false));
        Ok(())
    }

    fn close_link(&self) -> Result<(), Self::Error> {
        if self.holds_back {
            self.send()?;
        }
        self.link_closed.set(true);
        Ok(())
    }

    fn abort_link(&self, error: Option<Self::Error>) -> Result<(), Self::Error> {
        self.link_aborted.set(true);
        self.failed.replace(error);
        Ok(())
    }

    fn established(&self) -> Result<(), Self::Error> {
        self.send()
    }

    fn connection_made(&self) -> Result<(), Self::Error> {
        self.tell("made");
        Ok(())
    }

    fn connected(&self) -> Result<(), Self::Error> {
        Ok(())
    }

    fn eof_received(&self) -> Result<(), Self::Error> {
        self.tell("eof");
        Ok(())
    }

    fn pause_writing(&self) -> Result<(), Self::Error> {
        assert!(!self.writing_paused.replace(true));
        self.act();
        Ok(())
    }

    fn resume_writing(&self) -> Result<(), Self::Error> {
        assert!(self.writing_paused.replace(false));
        self.act();
        Ok(())
    }

    fn closing(&self) {
        self.closing.set(true);
    }

    fn start_timer(&self, deadline: Deadline) -> Result<(), Self::Error> {
        assert!(!self.timers[deadline as usize].replace(true));
        Ok(())
    }

    fn cancel_timer(&self, deadline: Deadline) -> Result<(), Self::Error> {
        self.timers[deadline as usize].set(false);
        Ok(())
    }

    fn has_timer(&self, deadline: Deadline) -> bool {
        self.timers[deadline as usize].get()
    }

    fn fatal(&self, error: Self::Error, _: During) -> Result<(), Self::Error> {
        self.closing.set(true);
        self.send()?;
        self.abort_link(Some(error))
    }

    fn refused(&self, error: Self::Error) -> Result<(), Self::Error> {
        self.fatal(error, During::Handshake)
    }

    fn reset(&self) -> Self::Error {
        Error::Reset
    }

    fn timed_out(&self, _: Deadline) -> Self::Error {
        Error::Late
    }
}

/// Carries at most `most` bytes from one end to the other, and tells whether there were any.
pub(crate) fn carry<E: Engine>(from: &End<E>, to: &End<E>, most: usize) -> bool {
    if to.link_paused.get() || to.link_aborted.get() {
        return false;
    }
    let count = from.sent.borrow().len().min(most);
    if count == 0 {
        return false;
    }
    let rest = from.sent.borrow_mut().split_off(count);
    let data = Vec::from(from.sent.replace(rest));
    to.engine
        .with_input(&data, || to.state.received(to).unwrap());
    if from.sent.borrow().is_empty() && from.state.is_link_full() {
        from.state.link_free(from).unwrap();
    }
    true
}

/// Has the loop turn and the link carry until nothing is left to do.
pub(crate) fn settle<E: Engine>(ends: &[End<E>; 2]) {
    let [one, two] = ends;
    loop {
        let mut went_on = false;
        for (end, peer) in [(one, two), (two, one)] {
            went_on |= end.turn() | carry(end, peer, 1000);
            if end.state.is_link_full() && end.sent.borrow().is_empty() {
                went_on = true;
                end.state.link_free(end).unwrap();
            }
        }
        if !went_on {
            return;
        }
    }
}
