//! The writing half of a stream over a descriptor that takes what it likes, beside two vectors: what was
//! written, and what has arrived.

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice};

use rasyncio::transports::stream::{
    Closing, Descriptor, Drained, Flushed, StreamState, WriteRefused, Written,
};

use crate::input::Input;

/// A descriptor that takes so many bytes at the next calls, then none.
#[derive(Default)]
struct Peer {
    room: Cell<usize>,
    fails: Cell<bool>,
    got: RefCell<Vec<u8>>,
    ended: Cell<bool>,
}

impl Descriptor for Peer {
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        assert!(!data.is_empty(), "sending nothing says nothing");
        assert!(!self.ended.get(), "nothing is sent after the end");
        if self.fails.get() {
            return Err(ErrorKind::ConnectionReset.into());
        }
        let count = self.room.get().min(data.len());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.room.set(self.room.get() - count);
        self.got.borrow_mut().extend_from_slice(&data[..count]);
        Ok(count)
    }

    fn send_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(slices.len() <= rasyncio::transports::chunks::MAX_SLICES);
        let all: Vec<u8> = slices.iter().flat_map(|it| it.to_vec()).collect();
        self.send(&all)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        assert!(!self.ended.replace(true), "it is ended once");
        Ok(())
    }
}

struct Model {
    written: Vec<u8>,
    marks: (usize, usize),
    pausing: bool,
    closing: bool,
    lost: bool,
    eof: bool,
    reserved: bool,
}

/// Runs one program.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let state = StreamState::<Vec<u8>>::new();
    let peer = Peer::default();
    let mut model = Model {
        written: Vec::new(),
        marks: state.limits(),
        pausing: false,
        closing: false,
        lost: false,
        eof: false,
        reserved: false,
    };
    while !input.is_empty() {
        match input.below(16) {
            0..=2 => peer.room.set(peer.room.get() + input.size()),
            3..=7 => write(&state, &peer, &mut model, &mut input),
            8..=10 => flush(&state, &peer, &mut model),
            11 => set_limits(&state, &peer, &mut model, &mut input),
            12 if input.below(4) == 0 => {
                state.write_eof(&peer).expect("it does not fail");
                model.eof |= !model.closing;
            }
            13 if input.below(8) == 0 => close(&state, &peer, &mut model),
            14 if input.below(8) == 0 => {
                if input.below(2) == 0 {
                    peer.fails.set(true);
                } else {
                    assert_eq!(state.abort(), !model.lost);
                    lose(&peer, &mut model);
                }
            }
            15 if input.below(4) == 0 => {
                if input.below(2) == 0 {
                    assert_eq!(state.reserve(), !model.reserved);
                    model.reserved = true;
                } else {
                    state.unreserve();
                    model.reserved = false;
                }
            }
            _ => {}
        }
        check(&state, &peer, &model);
    }
}

fn check(state: &StreamState<Vec<u8>>, peer: &Peer, model: &Model) {
    let got = peer.got.borrow();
    assert!(
        model.written.starts_with(&got),
        "in order, and nothing twice"
    );
    let waits = model.written.len() - got.len();
    assert_eq!(state.buffered(), waits, "nothing is lost");
    assert_eq!(state.wants_write(), waits > 0 && !model.lost);
    assert_eq!(state.is_closing(), model.closing);
    assert_eq!(state.is_lost(), model.lost);
    assert_eq!(state.is_writing_paused(), model.pausing);
    if !model.lost {
        assert_eq!(peer.ended.get(), model.eof && waits == 0);
    }
}

fn waiting(peer: &Peer, model: &Model) -> usize {
    model.written.len() - peer.got.borrow().len()
}

/// The connection is lost, and what waited with it.
fn lose(peer: &Peer, model: &mut Model) {
    model.closing = true;
    model.lost = true;
    model.written.truncate(peer.got.borrow().len());
}

fn write(state: &StreamState<Vec<u8>>, peer: &Peer, model: &mut Model, input: &mut Input<'_>) {
    let before = waiting(peer, model);
    let how = input.below(4);
    let chunks: Vec<Vec<u8>> = match how {
        // As many as one call does not take.
        0 if input.below(8) == 0 => (0..1500).map(|it| vec![it as u8; 3]).collect(),
        0 => (0..input.below(20))
            .map(|it| vec![it as u8; input.size() / 4])
            .collect(),
        _ => vec![vec![input.byte(); input.size()]],
    };
    let data = chunks.concat();
    let result = match how {
        0 => state.writelines(peer, chunks),
        1 => state.write_copy(peer, &data),
        _ => state.write(peer, &data, |sent| data[sent..].to_vec()),
    };
    match result {
        Err(WriteRefused::AfterEof) => assert!(model.eof),
        Err(WriteRefused::Reserved) => assert!(model.reserved && !model.eof),
        Ok(Written::Lost { .. }) => assert!(model.lost),
        Ok(Written::Failed(_)) => {
            assert!(peer.fails.get() && before == 0);
            assert!(state.abort());
            lose(peer, model);
        }
        Ok(Written::Sent) => {
            assert!(before == 0 || data.is_empty());
            model.written.extend_from_slice(&data);
            assert_eq!(waiting(peer, model), before);
        }
        Ok(Written::Queued { watch, pause }) => {
            model.written.extend_from_slice(&data);
            assert_eq!(watch, before == 0);
            let over = waiting(peer, model) > model.marks.1;
            assert_eq!(pause, over && !model.pausing);
            model.pausing |= over;
        }
    }
}

fn flush(state: &StreamState<Vec<u8>>, peer: &Peer, model: &mut Model) {
    let before = waiting(peer, model);
    match state.flush(peer) {
        Flushed::Blocked => assert!(model.lost || before == 0 || peer.room.get() == 0),
        Flushed::Failed(_) => {
            assert!(peer.fails.get());
            assert!(state.abort());
            lose(peer, model);
        }
        Flushed::Sent { resume } => {
            let after = waiting(peer, model);
            assert!(after < before);
            let under = after <= model.marks.0;
            assert_eq!(resume, under && model.pausing);
            model.pausing &= !under;
            let drained = state.drained(peer);
            match drained {
                Drained::NotYet => assert!(after > 0),
                Drained::Closed => {
                    assert!(after == 0 && model.closing);
                    model.lost = true;
                }
                Drained::Ended(result) => {
                    result.expect("it does not fail");
                    assert!(after == 0 && model.eof && !model.closing);
                }
                Drained::Idle => assert!(after == 0 && !model.eof && !model.closing),
            }
        }
    }
}

fn set_limits(state: &StreamState<Vec<u8>>, peer: &Peer, model: &mut Model, input: &mut Input<'_>) {
    let mark = |input: &mut Input<'_>| match input.below(4) {
        0 => None,
        1 => Some(-(input.size() as i64)),
        _ => Some(input.size() as i64),
    };
    let (high, low) = (mark(input), mark(input));
    match state.set_limits(high, low) {
        Err(_) => assert_eq!(state.limits(), model.marks),
        Ok(pause) => {
            model.marks = state.limits();
            assert!(model.marks.0 <= model.marks.1);
            let over = waiting(peer, model) > model.marks.1;
            assert_eq!(pause, over && !model.pausing);
            model.pausing |= over;
        }
    }
}

fn close(state: &StreamState<Vec<u8>>, peer: &Peer, model: &mut Model) {
    let waits = waiting(peer, model) > 0;
    match state.close() {
        Closing::Already => assert!(model.closing),
        Closing::Flushing => assert!(!model.closing && waits),
        Closing::Now => {
            assert!(!model.closing && !waits);
            model.lost = true;
        }
    }
    model.closing = true;
}
