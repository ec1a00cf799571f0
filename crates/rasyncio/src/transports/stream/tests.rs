use std::collections::VecDeque;
use std::rc::Rc;

use proptest::prelude::*;

use super::*;

/// A descriptor that takes what it is told to.
#[derive(Default)]
struct Script {
    /// What the next calls do: take so many bytes at most, or fail. Afterwards nothing goes.
    next: RefCell<VecDeque<Result<usize, ErrorKind>>>,
    taken: RefCell<Vec<u8>>,
    ended: Cell<u32>,
}

impl Script {
    fn new(next: impl IntoIterator<Item = Result<usize, ErrorKind>>) -> Script {
        Script {
            next: RefCell::new(next.into_iter().collect()),
            ..Script::default()
        }
    }

    fn then(&self, next: Result<usize, ErrorKind>) {
        self.next.borrow_mut().push_back(next);
    }
}

impl Descriptor for Script {
    fn send(&self, data: &[u8]) -> io::Result<usize> {
        assert!(!data.is_empty());
        assert_eq!(self.ended.get(), 0, "nothing is sent after the end");
        let next = self.next.borrow_mut().pop_front();
        let count = next.unwrap_or(Err(ErrorKind::WouldBlock))?.min(data.len());
        self.taken.borrow_mut().extend_from_slice(&data[..count]);
        Ok(count)
    }

    fn send_slices(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.send(&all)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.ended.set(self.ended.get() + 1);
        Ok(())
    }
}

fn write(state: &StreamState<Vec<u8>>, to: &Script, data: &[u8]) -> Written {
    state.write(to, data, |sent| data[sent..].to_vec()).unwrap()
}

#[test]
fn what_is_left_unread_is_for_one_and_not_for_ever() {
    let state = StreamState::<Vec<u8>>::new();
    assert!(!state.take_unread());
    assert!(state.leave_unread());
    assert!(state.take_unread());
    assert!(!state.take_unread());
    assert!(state.leave_unread());
    assert!(!state.leave_unread(), "nobody has come");
    assert!(!state.take_unread());
}

#[test]
fn a_write_goes_out_at_once_if_nothing_waits() {
    let (state, script) = (StreamState::new(), Script::new([Ok(5)]));
    assert!(matches!(write(&state, &script, b"hello"), Written::Sent));
    assert_eq!(*script.taken.borrow(), b"hello");
    assert!(!state.wants_write());
}

#[test]
fn what_does_not_go_out_waits_and_later_writes_queue_behind() {
    let (state, script) = (StreamState::new(), Script::new([Ok(2)]));
    let first = write(&state, &script, b"hello");
    assert!(matches!(
        first,
        Written::Queued {
            watch: true,
            pause: false
        }
    ));
    let second = write(&state, &script, b", world");
    assert!(matches!(
        second,
        Written::Queued {
            watch: false,
            pause: false
        }
    ));
    assert_eq!(state.buffered(), 10);
    script.then(Ok(100));
    assert!(matches!(
        state.flush(&script),
        Flushed::Sent { resume: false }
    ));
    assert!(matches!(state.drained(&script), Drained::Idle));
    assert_eq!(*script.taken.borrow(), b"hello, world");
}

#[test]
fn only_the_missing_part_is_kept() {
    let (state, script) = (StreamState::new(), Script::new([Ok(2)]));
    let written = state.write(&script, b"hello", |sent| {
        assert_eq!(sent, 2);
        b"llo".to_vec()
    });
    assert!(matches!(written, Ok(Written::Queued { .. })));
}

#[test]
fn lines_go_out_in_one_call() {
    let (state, script) = (StreamState::new(), Script::new([Ok(100)]));
    let lines = [b"a".to_vec(), Vec::new(), b"bc".to_vec()];
    assert!(matches!(
        state.writelines(&script, lines),
        Ok(Written::Sent)
    ));
    assert_eq!(*script.taken.borrow(), b"abc");
}

#[test]
fn lines_that_do_not_go_out_pause_the_protocol() {
    let (state, script) = (StreamState::new(), Script::new([Ok(1)]));
    assert!(!state.set_limits(Some(1), None).unwrap());
    let written = state.writelines(&script, [b"ab".to_vec(), b"cd".to_vec()]);
    assert!(matches!(
        written,
        Ok(Written::Queued {
            watch: true,
            pause: true
        })
    ));
}

#[test]
fn closing_flushes_first() {
    let (state, script) = (StreamState::new(), Script::default());
    let _ = write(&state, &script, b"late");
    assert_eq!(state.close(), Closing::Flushing);
    assert_eq!(state.close(), Closing::Already);
    assert!(state.is_closing() && !state.is_lost() && !state.is_reading());
    script.then(Ok(2));
    assert!(matches!(state.flush(&script), Flushed::Sent { .. }));
    assert!(matches!(state.drained(&script), Drained::NotYet));
    script.then(Ok(2));
    assert!(matches!(state.flush(&script), Flushed::Sent { .. }));
    assert!(matches!(state.drained(&script), Drained::Closed));
    assert!(!state.abort(), "connection_lost is called once");
}

#[test]
fn closing_with_nothing_to_flush_is_for_now() {
    let state = StreamState::<Vec<u8>>::new();
    assert_eq!(state.close(), Closing::Now);
    assert!(state.is_lost());
    assert!(!state.abort());
}

#[test]
fn aborting_drops_what_waits() {
    let (state, script) = (StreamState::new(), Script::default());
    let _ = write(&state, &script, b"lost");
    assert!(state.abort());
    assert_eq!(state.buffered(), 0);
    assert!(!state.abort());
    assert!(matches!(state.flush(&script), Flushed::Blocked));
    assert_eq!(state.close(), Closing::Already);
}

#[test]
fn writes_to_a_lost_connection_are_counted() {
    let (state, script) = (StreamState::new(), Script::default());
    assert!(state.abort());
    for _ in 1..WRITES_BEFORE_WARNING {
        assert!(matches!(
            write(&state, &script, b"x"),
            Written::Lost { warn: false }
        ));
    }
    assert!(matches!(
        write(&state, &script, b"x"),
        Written::Lost { warn: true }
    ));
    assert!(matches!(write(&state, &script, b""), Written::Sent));
    assert!(matches!(
        state.writelines(&script, [vec![1]]),
        Ok(Written::Lost { warn: true })
    ));
}

#[test]
fn half_closing_flushes_first_and_refuses_writes() {
    let (state, script) = (StreamState::new(), Script::default());
    let _ = write(&state, &script, b"last");
    state.write_eof(&script).unwrap();
    state.write_eof(&script).unwrap();
    assert_eq!(script.ended.get(), 0);
    let refused = state.write(&script, b"more", |_| unreachable!());
    assert_eq!(refused.unwrap_err(), WriteRefused::AfterEof);
    script.then(Ok(4));
    assert!(matches!(state.flush(&script), Flushed::Sent { .. }));
    assert!(matches!(state.drained(&script), Drained::Ended(Ok(()))));
    assert_eq!(script.ended.get(), 1);
    assert!(state.is_reading());
}

#[test]
fn half_closing_a_closing_stream_does_nothing() {
    let (state, script) = (StreamState::<Vec<u8>>::new(), Script::default());
    assert_eq!(state.close(), Closing::Now);
    state.write_eof(&script).unwrap();
    assert_eq!(script.ended.get(), 0);
}

#[test]
fn pausing_and_resuming_answer_what_changes() {
    let state = StreamState::<Vec<u8>>::new();
    assert!(!state.resume_reading());
    assert!(state.pause_reading());
    assert!(!state.pause_reading());
    assert!(!state.may_receive());
    assert!(state.resume_reading());
    assert!(state.may_receive());
    assert_eq!(state.close(), Closing::Now);
    assert!(!state.pause_reading());
    assert!(!state.resume_reading());
}

#[test]
fn after_the_end_there_is_nothing_to_watch_for() {
    let state = StreamState::<Vec<u8>>::new();
    assert_eq!(state.eof(true), Closing::Already);
    assert!(!state.pause_reading());
    assert!(!state.resume_reading());
    assert!(!state.wants_read());
    assert_eq!(state.close(), Closing::Now);

    let state = StreamState::<Vec<u8>>::new();
    assert_eq!(state.eof(false), Closing::Now);
}

#[test]
fn a_reserved_descriptor_takes_no_writes() {
    let (state, script) = (StreamState::new(), Script::new([Ok(9)]));
    assert!(state.reserve());
    assert!(!state.reserve());
    let refused = state.write(&script, b"x", |_| unreachable!());
    assert_eq!(refused.unwrap_err(), WriteRefused::Reserved);
    state.unreserve();
    assert!(matches!(write(&state, &script, b"x"), Written::Sent));
}

#[test]
fn results_of_recv_are_told_apart() {
    assert!(matches!(received(Ok(3)), Received::Data(3)));
    assert!(matches!(received(Ok(0)), Received::Eof));
    for kind in [ErrorKind::WouldBlock, ErrorKind::Interrupted] {
        assert!(matches!(received(Err(kind.into())), Received::Blocked));
    }
    let reset = received(Err(ErrorKind::ConnectionReset.into()));
    assert!(matches!(reset, Received::Failed(_)));
}

/// A chunk whose drop comes back into the stream.
struct Restless(Vec<u8>, Rc<StreamState<Restless>>);

impl AsRef<[u8]> for Restless {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Restless {
    fn drop(&mut self) {
        let _ = self.1.buffered();
        let _ = self.1.close();
        let _ = self.1.abort();
    }
}

#[test]
fn dropping_a_chunk_may_come_back() {
    let state = Rc::new(StreamState::new());
    let script = Script::default();
    for _ in 0..3 {
        let chunk = Restless(b"abc".to_vec(), state.clone());
        assert!(state.write(&script, b"abc", |_| chunk).is_ok());
    }
    script.then(Ok(4));
    assert!(matches!(state.flush(&script), Flushed::Sent { .. }));
    assert!(matches!(state.drained(&script), Drained::Idle));
    assert!(state.is_lost());
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    Lines(Vec<usize>),
    Writable(Result<usize, ErrorKind>),
    Limits(usize, usize),
    WriteEof,
    Close,
    Abort,
}

fn taking() -> impl Strategy<Value = Result<usize, ErrorKind>> {
    prop_oneof![
        8 => (1usize..60).prop_map(Ok),
        4 => Just(Err(ErrorKind::WouldBlock)),
        1 => Just(Err(ErrorKind::Interrupted)),
        1 => Just(Err(ErrorKind::BrokenPipe)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..80).prop_map(Step::Write),
        3 => prop::collection::vec(0usize..30, 0..40).prop_map(Step::Lines),
        8 => taking().prop_map(Step::Writable),
        2 => (0usize..100, 0usize..100).prop_map(|(a, b)| Step::Limits(a.max(b), a.min(b))),
        1 => Just(Step::WriteEof),
        1 => Just(Step::Close),
        1 => Just(Step::Abort),
    ]
}

/// asyncio's transport, as simply as it can be said.
struct Model {
    given: Vec<u8>,
    high: usize,
    low: usize,
    paused: bool,
    eof: bool,
    closing: bool,
    lost: bool,
    watched: bool,
    /// How often `connection_lost` was scheduled or called.
    losses: u32,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_is_lost_doubled_or_reordered_and_the_marks_are_asyncios(
        at_once in prop::collection::vec(taking(), 0..40),
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut at_once = at_once.into_iter();
        let state = StreamState::new();
        let script = Script::default();
        let mut model = Model {
            given: Vec::new(), high: 64 * 1024, low: 16 * 1024, paused: false, eof: false,
            closing: false, lost: false, watched: false, losses: 0,
        };
        let mut next = 0u8;
        let mut bytes = |count: usize| -> Vec<u8> {
            (0..count).map(|_| { next = next.wrapping_add(1); next }).collect()
        };
        let fail = |model: &mut Model| {
            if state.abort() {
                model.losses += 1;
            }
            model.lost = true;
            model.closing = true;
            model.watched = false;
        };
        for step in steps {
            // What the next call of the system does, if there is one.
            script.next.borrow_mut().clear();
            match step {
                Step::Write(_) | Step::Lines(_) => {
                    script.next.borrow_mut().extend(at_once.next());
                    let result = match step {
                        Step::Write(count) => {
                            let data = bytes(count);
                            let result = state.write(&script, &data, |sent| data[sent..].to_vec());
                            if !model.lost && !model.eof { model.given.extend(data); }
                            result
                        }
                        Step::Lines(counts) => {
                            let lines: Vec<_> = counts.into_iter().map(&mut bytes).collect();
                            if !model.lost && !model.eof { model.given.extend(lines.concat()); }
                            state.writelines(&script, lines)
                        }
                        _ => unreachable!(),
                    };
                    match result {
                        Err(refused) => {
                            prop_assert_eq!(refused, WriteRefused::AfterEof);
                            prop_assert!(model.eof);
                        }
                        Ok(Written::Sent) => prop_assert!(!model.watched || state.buffered() > 0),
                        Ok(Written::Lost { .. }) => prop_assert!(model.lost),
                        Ok(Written::Failed(_)) => {
                            prop_assert!(!model.watched);
                            fail(&mut model);
                        }
                        Ok(Written::Queued { watch, pause }) => {
                            prop_assert_eq!(watch, !model.watched);
                            model.watched = true;
                            let over = state.buffered() > model.high;
                            prop_assert_eq!(pause, over && !model.paused);
                            model.paused |= over;
                        }
                    }
                }
                Step::Writable(taken) => {
                    if !model.watched { continue; }
                    script.then(taken);
                    match state.flush(&script) {
                        Flushed::Blocked => prop_assert!(matches!(
                            taken, Err(ErrorKind::WouldBlock | ErrorKind::Interrupted)
                        )),
                        Flushed::Failed(_) => {
                            prop_assert_eq!(taken, Err(ErrorKind::BrokenPipe));
                            fail(&mut model);
                        }
                        Flushed::Sent { resume } => {
                            let under = state.buffered() <= model.low;
                            prop_assert_eq!(resume, under && model.paused);
                            model.paused &= !under;
                            match state.drained(&script) {
                                Drained::NotYet => prop_assert!(state.buffered() > 0),
                                Drained::Idle => model.watched = false,
                                Drained::Ended(result) => {
                                    prop_assert!(result.is_ok() && model.eof);
                                    model.watched = false;
                                }
                                Drained::Closed => {
                                    prop_assert!(model.closing);
                                    model.lost = true;
                                    model.losses += 1;
                                    model.watched = false;
                                }
                            }
                        }
                    }
                }
                Step::Limits(high, low) => {
                    let pause = state.set_limits(Some(high as i64), Some(low as i64)).unwrap();
                    (model.high, model.low) = (high, low);
                    let over = state.buffered() > high;
                    prop_assert_eq!(pause, over && !model.paused);
                    model.paused |= over;
                }
                Step::WriteEof => {
                    state.write_eof(&script).unwrap();
                    model.eof |= !model.closing;
                }
                Step::Close => match state.close() {
                    Closing::Already => prop_assert!(model.closing),
                    Closing::Now => {
                        prop_assert!(!model.closing && !model.watched);
                        (model.closing, model.lost) = (true, true);
                        model.losses += 1;
                    }
                    Closing::Flushing => {
                        prop_assert!(!model.closing && model.watched);
                        model.closing = true;
                    }
                },
                Step::Abort => fail(&mut model),
            }
            let taken = script.taken.borrow();
            prop_assert!(model.given.starts_with(&taken));
            if !model.lost {
                prop_assert_eq!(taken.len() + state.buffered(), model.given.len());
            }
            prop_assert_eq!(state.wants_write(), model.watched);
            prop_assert_eq!(state.is_lost(), model.lost);
            prop_assert_eq!(state.is_closing(), model.closing);
            prop_assert_eq!(state.is_writing_paused(), model.paused);
            prop_assert_eq!(model.losses, u32::from(model.lost));
            let ended = model.eof && state.buffered() == 0 && !model.lost;
            prop_assert!(script.ended.get() <= 1);
            if ended && !model.closing { prop_assert_eq!(script.ended.get(), 1); }
        }
    }
}
