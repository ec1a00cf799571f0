//! When timers fire, and in which order.

mod common;

use common::{Bench, tracked};
use proptest::prelude::*;
use rasyncio_engine::TimerKey;

#[test]
fn timers_fire_by_deadline() {
    let bench = Bench::virtual_time();
    for when in [30, 10, 20] {
        bench
            .event_loop
            .set_timer(when, bench.says(when.to_string()));
    }
    assert_eq!(bench.event_loop.next_timer(), Some(10));
    for _ in 0..3 {
        bench.turn();
    }
    assert_eq!(bench.log(), "10 20 30");
    assert_eq!(bench.event_loop.next_timer(), None);
}

#[test]
fn equal_deadlines_fire_in_the_order_made() {
    let bench = Bench::virtual_time();
    let words: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for word in &words {
        bench.event_loop.set_timer(5, bench.says(word));
    }
    bench.turn();
    assert_eq!(bench.log(), words.join(" "));
}

#[test]
fn ready_jobs_run_before_timers_that_are_due() {
    let bench = Bench::virtual_time();
    bench.event_loop.set_timer(0, bench.says("timer"));
    bench.event_loop.schedule(bench.says("job"));
    bench.turn();
    assert_eq!(bench.log(), "job timer");
}

#[test]
fn a_due_timer_is_never_put_off_by_ready_work() {
    let bench = Bench::new();
    bench.poll();
    bench
        .event_loop
        .set_timer(bench.event_loop.now(), bench.says("due"));
    bench.event_loop.schedule(bench.says("work"));
    bench.turn();
    assert_eq!(bench.log(), "work due");
}

#[test]
fn a_timer_set_by_a_job_for_the_past_fires_in_the_next_turn() {
    let bench = Bench::virtual_time();
    let late = bench.says("late");
    bench.event_loop.schedule(bench.job(|event_loop| {
        event_loop.set_timer(0, late);
    }));
    bench.turn();
    assert_eq!(bench.log(), "");
    bench.turn();
    assert_eq!(bench.log(), "late");
}

#[test]
fn no_timer_is_early() {
    let bench = Bench::new();
    for delay in [1, 999, 50_000, 1_000_001, 2_500_000] {
        let when = bench.event_loop.now() + delay;
        let fired = std::rc::Rc::new(std::cell::Cell::new(0));
        let fired_at = std::rc::Rc::clone(&fired);
        bench.event_loop.set_timer(
            when,
            bench.job(move |event_loop| {
                fired_at.set(event_loop.now());
                event_loop.stop();
            }),
        );
        bench.run();
        assert!(fired.get() >= when);
    }
}

#[test]
fn a_cancelled_timer_does_not_fire_and_gives_its_job_back() {
    let bench = Bench::virtual_time();
    let key = bench.event_loop.set_timer(1, bench.says("never"));
    bench.event_loop.set_timer(2, bench.says("second"));
    let job = bench.event_loop.cancel_timer(key).unwrap();
    assert!(bench.event_loop.cancel_timer(key).is_none());
    bench.turn();
    assert_eq!(bench.log(), "second");
    assert_eq!(bench.clock.now(), 2);
    job.run();
    assert_eq!(bench.log(), "never");
}

#[test]
fn a_timer_that_has_fired_cannot_be_cancelled() {
    let bench = Bench::virtual_time();
    let key = bench.event_loop.set_timer(1, bench.says("fired"));
    bench.turn();
    assert!(bench.event_loop.cancel_timer(key).is_none());
}

#[test]
fn a_key_never_names_a_later_timer() {
    let bench = Bench::virtual_time();
    let old = bench.event_loop.set_timer(1, bench.says("old"));
    bench.event_loop.cancel_timer(old).unwrap();
    let new = bench.event_loop.set_timer(1, bench.says("new"));
    assert_ne!(old, new);
    assert!(bench.event_loop.cancel_timer(old).is_none());
    assert!(bench.event_loop.cancel_timer(new).is_some());
}

#[test]
fn a_key_survives_as_a_number_and_rubbish_names_nothing() {
    let bench = Bench::virtual_time();
    let key = bench.event_loop.set_timer(1, bench.says("timer"));
    for raw in [0, 1, u64::MAX, u64::from(u32::MAX)] {
        assert!(
            bench
                .event_loop
                .cancel_timer(TimerKey::from_raw(raw))
                .is_none()
        );
    }
    assert!(
        bench
            .event_loop
            .cancel_timer(TimerKey::from_raw(key.into_raw()))
            .is_some()
    );
}

#[test]
fn a_timer_at_the_end_of_time_never_fires() {
    let bench = Bench::virtual_time();
    bench.event_loop.set_timer(u64::MAX, bench.says("never"));
    bench.clock.advance(u64::MAX);
    bench.poll();
    assert_eq!(bench.log(), "");
}

#[test]
fn a_hundred_thousand_cancelled_timers_leave_nothing() {
    let bench = Bench::virtual_time();
    let (token, job) = tracked();
    for _ in 0..2 {
        let keys: Vec<_> = (0..100_000)
            .map(|when| bench.event_loop.set_timer(when, job()))
            .collect();
        assert!(
            keys.iter()
                .all(|&key| bench.event_loop.cancel_timer(key).is_some())
        );
        assert!(
            keys.iter()
                .all(|&key| bench.event_loop.cancel_timer(key).is_none())
        );
    }
    assert_eq!(bench.event_loop.next_timer(), None);
    // One for the test, one in the factory.
    assert_eq!(std::rc::Rc::strong_count(&token), 2);
}

#[derive(Clone, Debug)]
enum Step {
    Set(u64),
    /// Cancels the n-th timer ever made.
    Cancel(usize),
    Advance(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..50u64).prop_map(Step::Set),
        3 => (0..400usize).prop_map(Step::Cancel),
        1 => (0..20u64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn timers_behave_like_a_sorted_list(steps in steps()) {
        let bench = Bench::virtual_time();
        let mut keys = Vec::new();
        let mut model: Vec<(u64, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Set(delay) => {
                    let when = bench.clock.now() + delay;
                    model.push((when, keys.len()));
                    let job = bench.says(keys.len().to_string());
                    keys.push(bench.event_loop.set_timer(when, job));
                }
                Step::Cancel(number) => if let Some(&key) = keys.get(number) {
                    let before = model.len();
                    model.retain(|&(_, it)| it != number);
                    let cancelled = bench.event_loop.cancel_timer(key).is_some();
                    prop_assert_eq!(cancelled, model.len() < before);
                }
                Step::Advance(by) => {
                    bench.clock.advance(by);
                    model.sort();
                    let due = model.partition_point(|&(when, _)| when <= bench.clock.now());
                    let due: Vec<_> =
                        model.drain(..due).map(|(_, number)| number.to_string()).collect();
                    bench.poll();
                    prop_assert_eq!(bench.log(), due.join(" "));
                }
            }
            prop_assert_eq!(
                bench.event_loop.next_timer(),
                model.iter().map(|&(when, _)| when).min()
            );
        }
    }
}
