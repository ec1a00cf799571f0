//! Random programs of jobs and timers, against asyncio's `_run_once` in its plainest form.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use common::Bench;
use proptest::prelude::*;
use rasyncio_engine::{EventLoop, Job, TimerKey};

/// What a job does when it runs. Jobs are numbered in the order in which they are made.
#[derive(Clone, Debug)]
enum Action {
    Soon,
    Later(u64),
    /// Cancels the n-th timer ever made, whatever has become of it.
    Cancel(usize),
}

/// The actions of each job, by its number. Jobs beyond do nothing.
type Program = Vec<Vec<Action>>;

fn programs() -> impl Strategy<Value = Program> {
    let action = prop_oneof![
        3 => Just(Action::Soon),
        2 => (0..10u64).prop_map(Action::Later),
        1 => (0..60usize).prop_map(Action::Cancel),
    ];
    prop::collection::vec(prop::collection::vec(action, 0..6), 1..60)
}

/// The loop under test, and what its jobs share.
struct World {
    event_loop: Rc<EventLoop>,
    program: Program,
    made: Cell<usize>,
    timers: RefCell<Vec<TimerKey>>,
    /// Which job ran, and when.
    log: RefCell<Vec<(usize, u64)>>,
}

impl World {
    fn make(self: &Rc<World>) -> Job {
        let number = self.made.replace(self.made.get() + 1);
        let world = Rc::clone(self);
        Job::from_fn(move || world.run(number))
    }

    fn run(self: &Rc<World>, number: usize) {
        let now = self.event_loop.now();
        self.log.borrow_mut().push((number, now));
        for action in self.program.get(number).into_iter().flatten() {
            match *action {
                Action::Soon => self.event_loop.schedule(self.make()),
                Action::Later(delay) => {
                    let key = self.event_loop.set_timer(now + delay, self.make());
                    self.timers.borrow_mut().push(key);
                }
                Action::Cancel(timer) => {
                    let key = self.timers.borrow().get(timer).copied();
                    drop(key.and_then(|key| self.event_loop.cancel_timer(key)));
                }
            }
        }
    }
}

fn run_on_the_engine(program: Program) -> Vec<(usize, u64)> {
    let bench = Bench::virtual_time();
    let world = Rc::new(World {
        event_loop: Rc::clone(&bench.event_loop),
        program,
        made: Cell::new(0),
        timers: RefCell::default(),
        log: RefCell::default(),
    });
    bench.event_loop.schedule(world.make());
    while bench.event_loop.ready_len() > 0 || bench.event_loop.next_timer().is_some() {
        bench.turn();
    }
    world.log.take()
}

fn run_on_the_model(program: &Program) -> Vec<(usize, u64)> {
    let mut log = Vec::new();
    let mut now = 0;
    let mut made = 1;
    let mut ready = VecDeque::from([0]);
    // Deadline and job of each timer ever made; `None` once fired or cancelled.
    let mut timers: Vec<Option<(u64, usize)>> = Vec::new();
    loop {
        let next = timers.iter().flatten().map(|&(when, _)| when).min();
        match next {
            None if ready.is_empty() => return log,
            Some(when) if ready.is_empty() => now = now.max(when),
            _ => {}
        }
        let mut due: Vec<_> = timers
            .iter_mut()
            .filter_map(|it| it.take_if(|&mut (when, _)| when <= now))
            .collect();
        // Stable: equal deadlines stay in the order made.
        due.sort_by_key(|&(when, _)| when);
        ready.extend(due.into_iter().map(|(_, number)| number));
        for _ in 0..ready.len() {
            let Some(number) = ready.pop_front() else {
                break;
            };
            log.push((number, now));
            for action in program.get(number).into_iter().flatten() {
                match *action {
                    Action::Cancel(timer) => {
                        if let Some(timer) = timers.get_mut(timer) {
                            *timer = None;
                        }
                        continue;
                    }
                    Action::Soon => ready.push_back(made),
                    Action::Later(delay) => timers.push(Some((now + delay, made))),
                }
                made += 1;
            }
        }
    }
}

proptest! {
    #[test]
    fn turns_run_the_same_jobs_in_the_same_order_at_the_same_time(program in programs()) {
        let expected = run_on_the_model(&program);
        prop_assert_eq!(run_on_the_engine(program), expected);
    }
}
