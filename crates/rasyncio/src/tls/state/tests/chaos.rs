//! Anything may happen, at any time, to either end: also what no well-behaved link does.

use super::*;

#[derive(Clone, Debug)]
enum Event {
    Write(Vec<u8>),
    Carry(usize),
    /// The byte at that place of what is under way becomes another one.
    Alter(usize),
    Lose(usize),
    PauseReading,
    ResumeReading,
    LinkFull,
    LinkFree,
    Limits(i64),
    Close,
    Abort,
    Eof,
    Deadline(Deadline),
    Lost,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 1..200).prop_map(Event::Write),
        16 => (1..150usize).prop_map(Event::Carry),
        1 => (0..300usize).prop_map(Event::Alter),
        1 => (0..300usize).prop_map(Event::Lose),
        2 => Just(Event::PauseReading),
        2 => Just(Event::ResumeReading),
        1 => Just(Event::LinkFull),
        2 => Just(Event::LinkFree),
        1 => (0..2000i64).prop_map(Event::Limits),
        1 => Just(Event::Close),
        1 => Just(Event::Abort),
        1 => Just(Event::Eof),
        1 => prop_oneof![Just(Deadline::Handshake), Just(Deadline::Shutdown)]
            .prop_map(Event::Deadline),
        1 => Just(Event::Lost),
    ]
}

/// What the link of one end has done beside carrying.
#[derive(Default)]
struct Link {
    ended: bool,
    lost: bool,
}

impl Link {
    /// Whether a transport would still tell of what comes.
    fn brings(&self, end: &End) -> bool {
        !self.ended && !self.lost && !end.link_aborted.get()
    }
}

/// Nothing fails by what a peer or a link does: that is told to the host.
fn happen(
    event: Event,
    end: &End,
    peer: &End,
    links: &mut [Link; 2],
    this: usize,
) -> Option<Vec<u8>> {
    match event {
        Event::Write(data) => {
            // Also to a connection that has ended.
            return (write(end, &data) == Written::Taken).then_some(data);
        }
        Event::Carry(most) if links[1 - this].brings(peer) => {
            carry(end, peer, most);
        }
        Event::Alter(place) => {
            if let Some(byte) = end.sent.borrow_mut().get_mut(place) {
                *byte ^= 3;
            }
        }
        Event::Lose(place) => drop(end.sent.borrow_mut().remove(place)),
        Event::PauseReading => end.state.pause_reading(),
        Event::ResumeReading if end.state.resume_reading() => end.state.resumed(end).unwrap(),
        Event::LinkFull => end.state.link_full(),
        Event::LinkFree if !links[this].lost => end.state.link_free(end).unwrap(),
        Event::Limits(high) => {
            end.state.set_write_limits(Some(high), None).unwrap();
            end.state.control_writing(end).unwrap();
            end.state.set_read_limits(Some(high), None).unwrap();
            end.state.control_reading(end).unwrap();
        }
        Event::Close => end.state.close(end).unwrap(),
        Event::Abort => end.state.abort(end, None).unwrap(),
        Event::Eof if links[this].brings(end) => {
            links[this].ended = true;
            end.state.eof_received(end).unwrap();
        }
        Event::Deadline(deadline) if end.timers[deadline as usize].replace(false) => {
            end.state.deadline(end, deadline).unwrap();
        }
        Event::Lost if !links[this].lost => {
            links[this].lost = true;
            end.lose();
        }
        _ => {}
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_an_application_is_told_in_order(
        events in prop::collection::vec((0..2usize, event()), 0..150),
    ) {
        let ends = ends();
        let mut links = [Link::default(), Link::default()];
        let mut written = [Vec::new(), Vec::new()];
        let mut whole = true;
        for (this, event) in events {
            whole &= !matches!(event, Event::Alter(_) | Event::Lose(_));
            let (end, peer) = (&ends[this], &ends[1 - this]);
            if let Some(data) = happen(event, end, peer, &mut links, this) {
                written[this].extend(data);
            }
        }
        for (end, link) in ends.iter().zip(&links) {
            if !link.lost {
                end.lose();
            }
            // Life goes on above, for a while.
            write(end, b"too late");
            end.state.pause_reading();
            let _ = end.state.resume_reading();
            end.state.resumed(end).unwrap();
            end.state.close(end).unwrap();
            end.state.received(end).unwrap();
            prop_assert!(end.timers.iter().all(|timer| !timer.get()));
            let told = end.told.borrow();
            let all = ["made", "eof", "lost"];
            let in_order = match told.len() {
                0 => true,
                1 => told[0] == "made",
                2 => told[0] == "made" && all[1..].contains(&told[1]),
                _ => told[..] == all,
            };
            prop_assert!(in_order, "{:?}", told);
        }
        if whole {
            for end in 0..2 {
                prop_assert!(written[end].starts_with(&ends[1 - end].received.borrow()));
            }
        }
    }
}
