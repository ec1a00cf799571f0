use std::rc::Rc;

use proptest::prelude::*;

use super::*;

type Reader = ReaderState<Vec<u8>, u32, &'static str>;

fn take(reader: &Reader, count: usize) -> Vec<u8> {
    if let Some(chunk) = reader.take_whole(count) {
        return chunk;
    }
    let mut bytes = Vec::new();
    reader.take(count, |slice| bytes.extend_from_slice(slice));
    bytes
}

fn feed(reader: &Reader, bytes: &[u8]) -> bool {
    let fed = reader.feed(bytes.to_vec());
    assert!(fed.wake.is_none());
    fed.pause
}

fn until(reader: &Reader, separator: &[u8]) -> Step {
    reader.readuntil(&Separators::one(separator).unwrap(), &mut Search::new())
}

#[test]
fn data_wakes_who_waits_once() {
    let reader = Reader::new(10);
    assert_eq!(reader.read(5), Step::Wait);
    assert!(!reader.wait(1));
    assert!(reader.has_waiter());
    assert_eq!(reader.feed(b"ab".to_vec()).wake, Some(1));
    assert_eq!(reader.feed(b"cd".to_vec()).wake, None);
    assert_eq!(reader.read(3), Step::Ready(3));
    assert_eq!(take(&reader, 3), b"abc");
}

#[test]
fn an_empty_chunk_is_nothing() {
    let reader = Reader::new(10);
    assert!(!reader.wait(1));
    assert_eq!(reader.feed(Vec::new()).wake, None);
    assert!(reader.has_waiter());
}

#[test]
fn the_transport_pauses_above_twice_the_limit_and_resumes_at_the_limit() {
    let reader = Reader::new(5);
    assert!(!feed(&reader, &[0; 20]), "there is no transport");
    reader.can_pause();
    take(&reader, 11);
    assert!(!feed(&reader, &[0]));
    assert!(feed(&reader, &[0]));
    assert!(!feed(&reader, &[0]), "it is paused already");
    take(&reader, 6);
    assert!(!reader.taken());
    take(&reader, 1);
    assert!(reader.taken());
    assert!(!reader.taken());
}

#[test]
fn waiting_resumes_a_paused_transport() {
    let reader = Reader::new(5);
    reader.can_pause();
    assert!(feed(&reader, &[0; 11]));
    assert_eq!(reader.readexactly(100), Step::Wait);
    assert!(reader.wait(1));
    assert!(!reader.wait(1));
}

#[test]
fn a_transport_that_cannot_pause_is_asked_once() {
    let reader = Reader::new(5);
    reader.can_pause();
    assert!(feed(&reader, &[0; 11]));
    reader.cannot_pause();
    assert!(!feed(&reader, &[0; 11]));
    take(&reader, 22);
    assert!(!reader.taken());
}

#[test]
fn the_end_completes_and_cuts_short() {
    let reader = Reader::new(10);
    feed(&reader, b"abc");
    assert!(!reader.wait(1));
    assert_eq!(reader.feed_eof(), Some(1));
    assert!(!reader.at_eof());
    assert_eq!(reader.readexactly(4), Step::Incomplete(3));
    assert_eq!(until(&reader, b"x"), Step::Incomplete(3));
    assert_eq!(until(&reader, b"c"), Step::Ready(3));
    assert_eq!(reader.read_to_end(), Step::Ready(3));
    take(&reader, 3);
    assert!(reader.at_eof());
    assert_eq!(reader.read(1), Step::Ready(0));
    assert_eq!(reader.read_to_end(), Step::Ready(0));
}

#[test]
fn reading_nothing_does_not_wait() {
    let reader = Reader::new(10);
    assert_eq!(reader.read(0), Step::Ready(0));
    assert_eq!(reader.readexactly(0), Step::Ready(0));
}

#[test]
fn a_failure_wakes_and_nobody_waits_for_what_will_not_come() {
    let reader = Reader::new(10);
    assert!(!reader.wait(1));
    assert_eq!(reader.set_exception("reset"), Some(1));
    assert_eq!(reader.exception(), Some("reset"));
    assert_eq!(reader.read(1), Step::Failed);
    assert_eq!(reader.read_to_end(), Step::Failed);
    assert_eq!(reader.readexactly(1), Step::Failed);
    assert_eq!(until(&reader, b"x"), Step::Failed);
    assert_eq!(reader.read(0), Step::Ready(0));
}

#[test]
fn a_line_over_the_limit_is_skipped() {
    let reader = Reader::new(3);
    feed(&reader, b"toolong\nok\n");
    let Step::Overrun(overrun) = until(&reader, b"\n") else {
        panic!("7 is more than 3");
    };
    assert!(overrun.found);
    reader.skip_line(overrun);
    assert_eq!(until(&reader, b"\n"), Step::Ready(3));

    let reader = Reader::new(3);
    feed(&reader, b"toolong");
    let Step::Overrun(overrun) = until(&reader, b"\n") else {
        panic!("7 is more than 3");
    };
    assert_eq!(
        overrun,
        Overrun {
            found: false,
            consumed: 7
        }
    );
    reader.skip_line(overrun);
    assert_eq!(reader.buffered(), 0);
}

/// A chunk whose drop comes back into the reader.
struct Restless(Vec<u8>, Rc<ReaderState<Restless, (), ()>>);

impl AsRef<[u8]> for Restless {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        let _ = self.1.read(1);
        let _ = self.1.feed_eof();
        self.1.take(1, |_| {});
    }
}

#[test]
fn dropping_a_chunk_may_come_back() {
    let reader = Rc::new(ReaderState::new(10));
    for _ in 0..5 {
        let _ = reader.feed(Restless(vec![0; 5000], reader.clone()));
        let _ = reader.feed(Restless(vec![0; 5], reader.clone()));
    }
    let separators = Separators::newline();
    let _ = reader.readuntil(&separators, &mut Search::new());
    reader.take(6000, |_| {});
    reader.take(usize::MAX, |_| {});
    assert!(reader.at_eof());
}

#[derive(Clone, Debug)]
enum Op {
    Feed(Vec<u8>),
    Read(usize),
    Exactly(usize),
    Until(Vec<Vec<u8>>),
    Eof,
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = |range| prop::collection::vec(0u8..4, range);
    prop_oneof![
        6 => bytes(0..30).prop_map(Op::Feed),
        1 => bytes(4090..4100).prop_map(Op::Feed),
        2 => (0usize..40).prop_map(Op::Read),
        2 => (0usize..40).prop_map(Op::Exactly),
        3 => prop::collection::vec(bytes(1..4), 1..3).prop_map(Op::Until),
        1 => Just(Op::Eof),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Against a plain vector: the same bytes, in the same order, and pausing as asyncio does.
    #[test]
    fn it_reads_as_a_vector_would(
        limit in 1usize..60,
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let reader = Reader::new(limit);
        reader.can_pause();
        let mut model = Vec::<u8>::new();
        let (mut eof, mut paused) = (false, false);
        for op in ops {
            let step = match &op {
                Op::Feed(_) if eof => continue,
                Op::Feed(bytes) => {
                    model.extend_from_slice(bytes);
                    let fed = reader.feed(bytes.clone());
                    let over = !bytes.is_empty() && model.len() > 2 * limit;
                    prop_assert_eq!(fed.pause, over && !paused);
                    paused |= over;
                    continue;
                }
                Op::Eof => {
                    eof = true;
                    let _ = reader.feed_eof();
                    continue;
                }
                Op::Read(count) => reader.read(*count),
                Op::Exactly(count) => reader.readexactly(*count),
                Op::Until(separators) => {
                    let prepared = Separators::new(separators.iter().map(|it| &it[..])).unwrap();
                    reader.readuntil(&prepared, &mut Search::new())
                }
            };
            let taken = match step {
                Step::Wait => {
                    prop_assert!(!eof);
                    prop_assert_eq!(reader.wait(0), paused);
                    prop_assert_eq!(reader.end_wait(), Some(0));
                    paused = false;
                    continue;
                }
                Step::Overrun(overrun) => {
                    prop_assert!(overrun.consumed > limit);
                    continue;
                }
                Step::Failed => unreachable!(),
                Step::Ready(count) | Step::Incomplete(count) => {
                    let bytes = take(&reader, count);
                    let expected: Vec<u8> = model.drain(..count).collect();
                    prop_assert_eq!(&bytes, &expected);
                    let under = model.len() <= limit;
                    prop_assert_eq!(reader.taken(), under && paused);
                    paused &= !under;
                    bytes
                }
            };
            let complete = matches!(step, Step::Ready(_));
            match op {
                Op::Read(count) => prop_assert!(complete && taken.len() <= count),
                Op::Exactly(count) if complete => prop_assert_eq!(taken.len(), count),
                Op::Until(separators) if complete => {
                    prop_assert!(separators.iter().any(|it| taken.ends_with(it)));
                }
                _ => {
                    prop_assert!(eof && !complete);
                    prop_assert_eq!(reader.buffered(), 0);
                }
            }
            prop_assert_eq!(reader.with_bytes(<[u8]>::to_vec), model.clone());
        }
    }
}

#[test]
fn who_pulls_is_woken_before_anything_is_fed() {
    let reader = Reader::new(10);
    assert_eq!(reader.take_puller(), None);
    assert!(!reader.wait(1));
    assert_eq!(reader.take_puller(), None, "it waits to be fed");
    assert!(!reader.wait_to_pull(2));
    assert_eq!(reader.take_puller(), Some(2));
    assert_eq!(reader.take_puller(), None);
    assert!(!reader.wait_to_pull(3));
    assert_eq!(reader.feed(b"fed".to_vec()).wake, Some(3));
}

#[test]
fn what_was_pulled_is_too_much_only_if_it_is_left() {
    let reader = Reader::new(5);
    reader.can_pause();
    reader.put(vec![0; 20]);
    take(&reader, 20);
    assert!(!reader.overflows());
    reader.put(vec![0; 20]);
    take(&reader, 9);
    assert!(reader.overflows());
    assert!(!reader.overflows(), "it is paused already");
    take(&reader, 6);
    assert!(reader.taken());
}
