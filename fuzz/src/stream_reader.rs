//! A stream reader, beside a vector that is searched from the beginning each time.

use rasyncio::streams::reader::{ReaderState, Step};
use rasyncio::streams::search::{Overrun, Search, Separators};

use crate::input::Input;

/// What asyncio says that a reader does.
struct Model {
    bytes: Vec<u8>,
    limit: usize,
    eof: bool,
    failed: bool,
    paused: bool,
}

impl Model {
    fn wait_or(&self, at_end: Step) -> Step {
        match (self.eof, self.failed) {
            (true, _) => at_end,
            (false, true) => Step::Failed,
            (false, false) => Step::Wait,
        }
    }

    fn read(&self, count: usize) -> Step {
        if count > 0 && self.bytes.is_empty() {
            self.wait_or(Step::Ready(0))
        } else {
            Step::Ready(count.min(self.bytes.len()))
        }
    }

    fn readexactly(&self, count: usize) -> Step {
        if self.bytes.len() >= count {
            Step::Ready(count)
        } else {
            self.wait_or(Step::Incomplete(self.bytes.len()))
        }
    }

    fn readuntil(&self, separators: &[&[u8]]) -> Step {
        // By where they end, and the shorter one of two that end together.
        let found = (1..=self.bytes.len()).find_map(|end| {
            let matching = separators
                .iter()
                .filter(|it| self.bytes[..end].ends_with(it));
            matching.map(|it| (end - it.len(), end)).max()
        });
        if let Some((start, end)) = found {
            if start > self.limit {
                return Step::Overrun(Overrun {
                    found: true,
                    consumed: start,
                });
            }
            return Step::Ready(end);
        }
        // The longest separator may be there but for its last byte.
        let longest = separators.iter().map(|it| it.len()).max().unwrap_or(1);
        let consumed = (self.bytes.len() + 1).saturating_sub(longest);
        if consumed > self.limit {
            return Step::Overrun(Overrun {
                found: false,
                consumed,
            });
        }
        self.wait_or(Step::Incomplete(self.bytes.len()))
    }
}

/// A reading that waits, and goes on when more has come.
enum Reading<'a> {
    Some(usize),
    Exactly(usize),
    ToTheEnd,
    Until(Vec<&'a [u8]>, Search),
}

/// Runs one program.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let limit = 1 + input.size();
    let reader = ReaderState::<Vec<u8>, u32, ()>::new(limit);
    let pausable = input.below(4) > 0;
    if pausable {
        reader.can_pause();
    }
    let mut model = Model {
        bytes: Vec::new(),
        limit,
        eof: false,
        failed: false,
        paused: false,
    };
    let mut waits: Option<Reading> = None;
    let mut woken = 0;

    while !input.is_empty() {
        match input.below(16) {
            0..=5 => feed(&reader, &mut model, &mut input, pausable, waits.is_some()),
            6 if input.below(8) == 0 => {
                model.eof = true;
                woken += u32::from(reader.feed_eof().is_some());
            }
            7 if input.below(8) == 0 => {
                model.failed = true;
                woken += u32::from(reader.set_exception(()).is_some());
            }
            8 => {
                // Cancelled: what has come stays.
                waits = None;
                let _ = reader.end_wait();
            }
            _ => {
                let reading = waits.take().unwrap_or_else(|| begin(&mut input));
                waits = go_on(&reader, &mut model, reading, &mut woken);
            }
        }
        reader.with_bytes(|bytes| assert_eq!(bytes, model.bytes));
        assert_eq!(reader.buffered(), model.bytes.len());
        assert_eq!(reader.at_eof(), model.eof && model.bytes.is_empty());
        assert_eq!(reader.is_paused(), model.paused);
        assert_eq!(reader.has_failed(), model.failed);
    }
}

fn feed(
    reader: &ReaderState<Vec<u8>, u32, ()>,
    model: &mut Model,
    input: &mut Input<'_>,
    pausable: bool,
    waits: bool,
) {
    if model.eof {
        return;
    }
    // Few letters, so that separators come about; long chunks without many bytes of input.
    let letters = input.below(12);
    let chunk: Vec<u8> = match input.below(5) {
        0 => vec![b'a'; input.size()],
        _ => input
            .bytes(letters)
            .iter()
            .map(|it| b"ab\r\n"[usize::from(it % 4)])
            .collect(),
    };
    model.bytes.extend_from_slice(&chunk);
    let empty = chunk.is_empty();
    let waiting = reader.has_waiter();
    assert!(!waiting || waits);
    let fed = reader.feed(chunk);
    assert_eq!(fed.wake.is_some(), waiting && !empty);
    let pause = !empty && pausable && !model.paused && model.bytes.len() > 2 * model.limit;
    assert_eq!(fed.pause, pause);
    model.paused |= pause;
}

fn begin<'a>(input: &mut Input<'a>) -> Reading<'a> {
    match input.below(6) {
        0 => Reading::Some(input.size()),
        1 => Reading::Exactly(input.size()),
        2 => Reading::ToTheEnd,
        3 => Reading::Until(vec![b"\n"], Search::new()),
        _ => {
            let all: [&[u8]; 8] = [
                b"\n", b"\r\n", b"ab", b"aab", b"aaaa", b"ba", b"abab", b"\n\n",
            ];
            let count = 1 + input.below(3);
            let chosen = (0..count).map(|_| all[input.below(all.len())]).collect();
            Reading::Until(chosen, Search::new())
        }
    }
}

fn go_on<'a>(
    reader: &ReaderState<Vec<u8>, u32, ()>,
    model: &mut Model,
    mut reading: Reading<'a>,
    woken: &mut u32,
) -> Option<Reading<'a>> {
    let (step, expected) = match &mut reading {
        Reading::Some(count) => (reader.read(*count), model.read(*count)),
        Reading::Exactly(count) => (reader.readexactly(*count), model.readexactly(*count)),
        Reading::ToTheEnd => {
            let expected = model.wait_or(Step::Ready(model.bytes.len()));
            (reader.read_to_end(), expected)
        }
        Reading::Until(separators, search) => {
            let prepared = match separators[..] {
                [b"\n"] => Separators::newline(),
                [one] => Separators::one(one).expect("it is not empty"),
                _ => Separators::new(separators.iter().copied()).expect("none is empty"),
            };
            (
                reader.readuntil(&prepared, search),
                model.readuntil(separators),
            )
        }
    };
    assert_eq!(step, expected);
    match step {
        Step::Ready(count) | Step::Incomplete(count) => {
            let taken = reader.take_whole(count).unwrap_or_else(|| {
                let mut bytes = Vec::new();
                reader.take(count, |slice| bytes.extend_from_slice(slice));
                bytes
            });
            let expected: Vec<u8> = model.bytes.drain(..count).collect();
            assert_eq!(taken, expected);
            resume(reader, model);
            None
        }
        Step::Overrun(overrun) => {
            if let Reading::Until(separators, _) = &reading
                && separators[..] == [b"\n"]
            {
                // As `readline` does it.
                reader.skip_line(overrun);
                let gone = match overrun.found {
                    true => overrun.consumed + 1,
                    false => model.bytes.len(),
                };
                model.bytes.drain(..gone);
                resume(reader, model);
            }
            None
        }
        Step::Failed => None,
        Step::Wait => {
            assert_eq!(reader.wait(*woken), std::mem::take(&mut model.paused));
            Some(reading)
        }
    }
}

fn resume(reader: &ReaderState<Vec<u8>, u32, ()>, model: &mut Model) {
    let resume = model.paused && model.bytes.len() <= model.limit;
    assert_eq!(reader.taken(), resume);
    model.paused &= !resume;
}
