//! Anything may happen, at any time, to either end: also what no well-behaved link does.

use proptest::prelude::*;

use super::ends::Action;
use super::program::{Event, Pair};
use super::tls::Deadline;
use super::toy;

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        2 => Just(Action::Pause),
        2 => Just(Action::Resume),
        4 => (1..200usize).prop_map(Action::Write),
        1 => Just(Action::Close),
    ]
}

fn marks() -> impl Strategy<Value = (Option<i64>, Option<i64>)> {
    (any::<bool>(), 0..2000i64, 0..500i64)
        .prop_map(|(both, high, low)| (Some(high), both.then_some(low)))
}

/// What happens among friends.
fn peaceful() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => action().prop_map(Event::Do),
        2 => action().prop_map(Event::Next),
        1 => prop::collection::vec(0..100usize, 0..4).prop_map(Event::Lines),
        16 => (1..150usize).prop_map(Event::Carry),
        4 => Just(Event::Turn),
        1 => Just(Event::LinkFull),
        2 => Just(Event::LinkFree),
        1 => marks().prop_map(|(high, low)| Event::WriteLimits(high, low)),
        1 => marks().prop_map(|(high, low)| Event::ReadLimits(high, low)),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        40 => peaceful(),
        1 => (0..300usize, 1..4u8).prop_map(|(place, bits)| Event::Alter(place, bits)),
        1 => (0..300usize).prop_map(Event::Lose),
        1 => prop::collection::vec(any::<u8>(), 1..10).prop_map(Event::Insert),
        1 => prop_oneof![Just(Event::Do(Action::Abort)), Just(Event::Next(Action::Abort))],
        1 => Just(Event::Eof),
        1 => prop_oneof![Just(Deadline::Handshake), Just(Deadline::Shutdown)]
            .prop_map(Event::Deadline),
        1 => Just(Event::Lost),
    ]
}

fn run(rust: bool, events: Vec<(usize, Event)>) {
    let mut pair = Pair::new(toy::ends(rust));
    for (this, event) in events {
        pair.happen(this, event);
    }
    pair.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_in_comes_out_and_ends_once(
        rust in any::<bool>(),
        events in prop::collection::vec((0..2usize, peaceful()), 0..120),
    ) {
        run(rust, events);
    }

    #[test]
    fn whatever_happens_an_application_is_told_in_order(
        rust in any::<bool>(),
        events in prop::collection::vec((0..2usize, any_event()), 0..150),
    ) {
        run(rust, events);
    }
}
