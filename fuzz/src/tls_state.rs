//! Two TLS connections over links in memory, in which anything may happen.
//!
//! What happens, and what has to hold then, is what the crate's own random tests use. Here the TLS is
//! their toy, or rustls as the crate has it.

#[path = "../../crates/rasyncio/src/tls/state/tests/ends.rs"]
mod ends;
#[path = "../../crates/rasyncio/src/tls/state/tests/program.rs"]
mod program;
mod rustls;
#[path = "../../crates/rasyncio/src/tls/state/tests/toy.rs"]
mod toy;

use rasyncio::tls;

use crate::input::Input;
use ends::{Action, End, Engine, settle};
use program::{Event, Pair};
use rustls::How;
use tls::Deadline;

/// Runs one program over a toy in the place of TLS, of either face's kind: ten times as many as over rustls.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let how = input.byte();
    let ends = toy::ends(how & 1 > 0);
    play(ends, how & 2 > 0, input, 5_000);
}

/// Runs one program over rustls.
pub fn run_rustls(data: &[u8]) {
    let mut input = Input(data);
    let how = input.byte();
    let ends = rustls::ends(&How {
        sealed: how & 1 > 0,
        lends: how & 4 > 0,
        old: how & 8 > 0,
    });
    // More than is encrypted at once, or decrypted.
    play(ends, how & 2 > 0, input, 400_000);
}

/// Runs the program, in which both ends together write at most so many bytes.
fn play<E: Engine>(ends: [End<E>; 2], shaken: bool, input: Input<'_>, most: usize) {
    if shaken {
        settle(&ends);
    }
    let mut pair = Pair::new(ends);
    let mut program = Program { input, most };
    while !program.input.is_empty() {
        let what = program.input.byte();
        let event = program.event(what & 0x7f);
        pair.happen(usize::from(what >> 7), event);
    }
    pair.finish();
}

struct Program<'a> {
    input: Input<'a>,
    /// How much may be written yet.
    most: usize,
}

impl Program<'_> {
    fn event(&mut self, what: u8) -> Event {
        match what {
            0..=31 => Event::Carry(self.input.size()),
            32..=47 => Event::Do(Action::Write(self.count(1))),
            48..=51 => Event::Lines((0..self.input.below(5)).map(|_| self.count(1)).collect()),
            52..=59 => Event::Turn,
            60..=63 => Event::Do(Action::Pause),
            64..=67 => Event::Do(Action::Resume),
            68..=71 => Event::LinkFull,
            72..=75 => Event::LinkFree,
            76..=79 => Event::WriteLimits(self.mark(), self.mark()),
            80..=83 => Event::ReadLimits(self.mark(), self.mark()),
            84..=99 => Event::Next(self.action()),
            100..=103 => Event::Do(Action::Close),
            104..=107 => Event::Alter(self.input.size(), self.input.byte()),
            108..=109 => Event::Lose(self.input.size()),
            110..=113 => Event::Insert(self.bytes()),
            // With a header, as if it was one of theirs.
            114..=118 => {
                let kind = self.input.byte();
                let content = self.bytes();
                let mut record = vec![kind, 3, 3, 0, content.len() as u8];
                record.extend(content);
                Event::Insert(record)
            }
            119..=120 => Event::Eof,
            121 => Event::Deadline(Deadline::Handshake),
            122 => Event::Deadline(Deadline::Shutdown),
            123 => Event::Do(Action::Abort),
            124 => Event::Lost,
            // Much, at little cost of input.
            125 => Event::Do(Action::Write(self.count(16))),
            _ => Event::Carry(usize::MAX),
        }
    }

    fn action(&mut self) -> Action {
        match self.input.below(16) {
            0..=3 => Action::Pause,
            4..=7 => Action::Resume,
            8..=12 => Action::Write(self.count(1)),
            13..=14 => Action::Close,
            _ => Action::Abort,
        }
    }

    /// How much is written: a size, so many times.
    fn count(&mut self, times: usize) -> usize {
        let count = self.most.min(times * self.input.size());
        self.most -= count;
        count
    }

    fn mark(&mut self) -> Option<i64> {
        match self.input.below(4) {
            0 => None,
            1 => Some(-(self.input.size() as i64)),
            _ => Some(self.input.size() as i64),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let most = self.input.below(64);
        self.input.bytes(most).to_vec()
    }
}
