//! Two connections talk to each other over a link in memory. The TLS is a toy.

mod chaos;
mod ends;
mod program;
mod toy;

use super::*;
use crate::tls::{self, Session};
use ends::{Action, End, Error, carry, settle, text};
use toy::Toy;

/// Two ends that have not heard of each other yet.
fn ends() -> [End<Toy>; 2] {
    toy::ends(false)
}

fn ends_connected() -> [End<Toy>; 2] {
    let ends = ends();
    settle(&ends);
    ends
}

/// What an end has received, which is the front of what was written.
fn received(end: &End<Toy>) -> usize {
    let received = end.received.borrow();
    assert!(
        received
            .iter()
            .enumerate()
            .all(|(place, byte)| *byte == text(place))
    );
    received.len()
}

#[test]
fn what_is_written_in_the_handshake_goes_out_after_it() {
    let ends = ends();
    assert_eq!(ends[0].write(5), Written::Taken);
    settle(&ends);
    assert_eq!(received(&ends[1]), 5);
    assert_eq!(*ends[0].told.borrow(), ["made"]);
    assert!(!ends[0].timers[Deadline::Handshake as usize].get());
}

#[test]
fn it_does_so_also_if_reading_is_paused() {
    let ends = ends();
    ends[0].write(5);
    ends[0].state.pause_reading();
    settle(&ends);
    assert_eq!(received(&ends[1]), 5);
}

#[test]
fn a_link_that_is_free_again_does_not_hurry_the_handshake() {
    let ends = ends();
    ends[0].write(5);
    ends[0].state.link_full();
    ends[0].state.link_free(&ends[0]).unwrap();
    settle(&ends);
    assert_eq!(*ends[0].failed.borrow(), None);
    assert_eq!(received(&ends[1]), 5);
}

#[test]
fn closing_says_goodbye_and_waits_for_the_peers() {
    let ends = ends();
    settle(&ends);
    ends[0].write(10);
    ends[0].state.close(&ends[0]).unwrap();
    assert!(!ends[0].link_closed.get(), "the peer has not answered");
    assert!(ends[0].timers[Deadline::Shutdown as usize].get());
    settle(&ends);
    assert_eq!(received(&ends[1]), 10);
    for end in &ends {
        assert!(end.link_closed.get());
        assert!(end.engine.said_goodbye.get());
        end.lose();
        assert_eq!(*end.told.borrow(), ["made", "eof", "lost"]);
    }
    assert_eq!(ends[0].write(1), Written::Lost { warn: false });
}

#[test]
fn who_closes_and_has_paused_reading_sends_what_waits() {
    let ends = toy::ends(true);
    settle(&ends);
    ends[0].state.link_full();
    ends[0].write(100);
    assert_eq!(ends[0].state.backlog(), 100);
    ends[0].state.pause_reading();
    ends[0].close();
    settle(&ends);
    assert_eq!(received(&ends[1]), 100);
}

#[test]
fn who_closes_hears_the_goodbye_through_a_link_that_was_paused() {
    let ends = toy::ends(true);
    settle(&ends);
    ends[0].state.set_read_limits(Some(100), Some(60)).unwrap();
    ends[0].state.pause_reading();
    ends[1].write(1000);
    carry(&ends[1], &ends[0], 100);
    assert!(ends[0].link_paused.get());
    ends[0].close();
    settle(&ends);
    assert!(ends[0].link_closed.get());
}

#[test]
fn what_is_written_in_the_middle_of_a_write_comes_behind_it() {
    let ends = ends_connected();
    ends[0].actions.borrow_mut().push_back(Action::Write(10));
    ends[0].write(200);
    settle(&ends);
    assert_eq!(received(&ends[1]), 210);
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

#[test]
fn the_end_of_the_link_is_the_end_of_data() {
    let [end, _] = ends();
    assert!(!end.state.eof_received(&end).unwrap());
    assert_eq!(*end.failed.borrow(), Some(Error::Reset));

    let ends = ends_connected();
    ends[1].write(3);
    settle(&ends);
    assert!(!ends[0].state.eof_received(&ends[0]).unwrap());
    assert!(ends[0].link_closed.get());
    assert_eq!(*ends[0].told.borrow(), ["made", "eof"]);
    assert_eq!(received(&ends[0]), 3);
}

#[test]
fn a_paused_application_gets_all_before_the_end() {
    let ends = ends_connected();
    ends[0].state.pause_reading();
    ends[1].write(5);
    settle(&ends);
    assert!(ends[0].state.eof_received(&ends[0]).unwrap(), "kept open");
    assert_eq!(received(&ends[0]), 0);
    assert!(ends[0].state.resume_reading());
    ends[0].state.resumed(&ends[0]).unwrap();
    assert_eq!(received(&ends[0]), 5);
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
    assert!(!ends[0].engine.said_goodbye.get());
}

#[test]
fn many_writes_to_what_is_closed_are_said() {
    let ends = ends_connected();
    ends[0].state.abort(&ends[0], None).unwrap();
    for _ in 0..5 {
        assert_eq!(ends[0].write(1), Written::Lost { warn: false });
    }
    assert_eq!(ends[0].write(1), Written::Lost { warn: true });
}

#[test]
fn marks_pause_the_application_and_the_link() {
    let ends = ends_connected();
    ends[0].state.set_write_limits(Some(1000), None).unwrap();
    ends[1].state.set_read_limits(Some(500), Some(100)).unwrap();
    ends[1].state.pause_reading();
    while !ends[0].writing_paused.get() {
        ends[0].write(100);
        carry(&ends[0], &ends[1], 200);
    }
    assert!(ends[1].link_paused.get());
    assert!(ends[1].incoming().unwrap() < 1000);
    assert!(ends[1].state.resume_reading());
    ends[1].state.resumed(&ends[1]).unwrap();
    settle(&ends);
    assert!(!ends[1].link_paused.get() && !ends[0].writing_paused.get());
}
