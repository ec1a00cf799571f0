//! What a turn runs, and in which order.

use std::cell::RefCell;
use std::rc::Rc;

use rasyncio_engine::{EventLoop, Flow, Job, PlainDriver};

struct Bench {
    event_loop: Rc<EventLoop>,
    log: Rc<RefCell<Vec<&'static str>>>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            event_loop: Rc::new(EventLoop::new().unwrap()),
            log: Rc::default(),
        }
    }

    fn says(&self, word: &'static str) -> Job {
        let log = Rc::clone(&self.log);
        Job::from_fn(move || log.borrow_mut().push(word))
    }

    fn turn(&self) -> Flow {
        self.event_loop.turn(&mut PlainDriver).unwrap()
    }

    fn log(&self) -> String {
        self.log.take().join(" ")
    }
}

#[test]
fn jobs_run_in_order() {
    let bench = Bench::new();
    for word in ["a", "b", "c"] {
        bench.event_loop.schedule(bench.says(word));
    }
    bench.turn();
    assert_eq!(bench.log(), "a b c");
}

#[test]
fn what_a_job_schedules_waits_for_the_next_turn() {
    let bench = Bench::new();
    let (event_loop, later) = (Rc::clone(&bench.event_loop), bench.says("later"));
    bench
        .event_loop
        .schedule(Job::from_fn(move || event_loop.schedule(later)));
    bench.event_loop.schedule(bench.says("b"));
    bench.turn();
    assert_eq!(bench.log(), "b");
    bench.turn();
    assert_eq!(bench.log(), "later");
}
