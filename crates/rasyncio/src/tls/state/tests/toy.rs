//! A toy in the place of TLS: records of a kind, a length and a content in clear. It costs nothing and
//! does the same each time; what is tested is the order of things.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;

use super::ends::{End, Engine};
use super::tls::Answer;

const HELLO: u8 = 1;
const DATA: u8 = 2;
const GOODBYE: u8 = 3;
/// How much one record carries.
const RECORD: usize = 50;

#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    Rubbish,
    /// Data of ours before the handshake is done, or after we had closed.
    Misplaced,
    /// Data that came after we had closed.
    Unread,
}

#[derive(Default)]
pub(crate) struct Toy {
    /// What comes after our goodbye is nothing to fail at, as for rustls; it is for OpenSSL.
    lenient: bool,
    incoming: RefCell<VecDeque<u8>>,
    outgoing: RefCell<Vec<u8>>,
    said_hello: Cell<bool>,
    heard_hello: Cell<bool>,
    pub(crate) said_goodbye: Cell<bool>,
    heard_goodbye: Cell<bool>,
}

impl Toy {
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
}

impl Engine for Toy {
    type Error = Fault;

    const LONGEST: usize = 2 + u8::MAX as usize;

    fn is_sealed(&self) -> bool {
        false
    }

    fn with_input(&self, bytes: &[u8], work: impl FnOnce()) {
        self.incoming.borrow_mut().extend(bytes);
        work();
    }

    fn handshake(&self) -> Result<Answer, Fault> {
        if !self.said_hello.replace(true) {
            self.record(HELLO, b"hello");
        }
        match self.next() {
            None => Ok(Answer::Again),
            Some((HELLO, _)) => {
                self.heard_hello.set(true);
                Ok(Answer::Done)
            }
            Some(_) => Err(Fault::Rubbish),
        }
    }

    fn encrypt(&self, data: &[u8], _: impl FnOnce(&[u8])) -> Result<usize, Fault> {
        if !self.heard_hello.get() || self.said_goodbye.get() {
            return Err(Fault::Misplaced);
        }
        let count = data.len().min(RECORD);
        self.record(DATA, &data[..count]);
        Ok(count)
    }

    fn deliver(&self, mut give: impl FnMut(&[u8]) -> bool) -> Result<bool, Fault> {
        while !self.heard_goodbye.get() {
            match self.next() {
                None => return Ok(false),
                Some((DATA, content)) => {
                    if !give(&content) {
                        return Ok(false);
                    }
                }
                Some((GOODBYE, _)) => self.heard_goodbye.set(true),
                Some(_) => return Err(Fault::Rubbish),
            }
        }
        Ok(true)
    }

    fn goodbye(&self) -> Result<Answer, Fault> {
        if !self.said_goodbye.replace(true) {
            self.record(GOODBYE, b"");
        }
        if self.heard_goodbye.get() {
            return Ok(Answer::Done);
        }
        loop {
            match self.next() {
                None => return Ok(Answer::Again),
                Some((GOODBYE, _)) => {
                    self.heard_goodbye.set(true);
                    return Ok(Answer::Done);
                }
                Some((DATA, _)) if self.lenient => {}
                Some(_) => return Err(Fault::Unread),
            }
        }
    }

    fn incoming(&self) -> usize {
        self.incoming.borrow().len()
    }

    fn outgoing(&self) -> usize {
        self.outgoing.borrow().len()
    }

    fn take_output(&self) -> Vec<u8> {
        mem::take(&mut self.outgoing.borrow_mut())
    }
}

/// Two ends whose links stand: of the Rust face's kind, or of Python's.
pub(crate) fn ends(rust: bool) -> [End<Toy>; 2] {
    let ends = [(); 2].map(|()| {
        let toy = Toy {
            lenient: rust,
            ..Toy::default()
        };
        End::new(toy, rust)
    });
    for end in &ends {
        end.state.connection_made(end).unwrap();
    }
    ends
}
