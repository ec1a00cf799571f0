//! A loop with a log, for tests that look at what ran and in which order.
#![allow(dead_code, reason = "each test file uses a part")]

use std::cell::RefCell;
use std::rc::Rc;

use rasyncio_engine::{Clock, EventLoop, Flow, Job, PlainDriver, VirtualClock};

pub(crate) struct Bench {
    pub(crate) event_loop: Rc<EventLoop>,
    pub(crate) clock: VirtualClock,
    log: Rc<RefCell<Vec<String>>>,
}

impl Bench {
    /// On real time.
    pub(crate) fn new() -> Bench {
        Bench::with(Clock::Monotonic, VirtualClock::new())
    }

    /// On virtual time, which starts at zero.
    pub(crate) fn virtual_time() -> Bench {
        let clock = VirtualClock::new();
        Bench::with(Clock::Virtual(clock.clone()), clock)
    }

    fn with(clock: Clock, handle: VirtualClock) -> Bench {
        let event_loop = Rc::new(EventLoop::with_clock(clock).unwrap());
        Bench {
            event_loop,
            clock: handle,
            log: Rc::default(),
        }
    }

    /// A job that logs a word each time it, or a clone of it, runs.
    pub(crate) fn says(&self, word: impl Into<String>) -> Job {
        let (log, word) = (Rc::clone(&self.log), word.into());
        Job::from_fn_mut(move || log.borrow_mut().push(word.clone()))
    }

    /// A job that does something with the bench's loop.
    pub(crate) fn job(&self, f: impl FnOnce(&Rc<EventLoop>) + 'static) -> Job {
        let event_loop = Rc::clone(&self.event_loop);
        Job::from_fn(move || f(&event_loop))
    }

    /// A job that calls `f` when it is dropped without having run.
    pub(crate) fn when_dropped(&self, f: impl FnOnce(&Rc<EventLoop>) + 'static) -> Job {
        struct Dropper<F: FnOnce()>(Option<F>);
        impl<F: FnOnce()> Drop for Dropper<F> {
            fn drop(&mut self) {
                self.0.take().unwrap()();
            }
        }
        let event_loop = Rc::clone(&self.event_loop);
        let dropper = Dropper(Some(move || f(&event_loop)));
        Job::from_fn_mut(move || {
            let _keep = &dropper;
        })
    }

    pub(crate) fn turn(&self) -> Flow {
        self.event_loop.turn(&mut PlainDriver).unwrap()
    }

    pub(crate) fn run(&self) -> Flow {
        self.event_loop.run(&mut PlainDriver).unwrap()
    }

    /// Turns once without waiting, polling for certain.
    pub(crate) fn poll(&self) {
        self.event_loop.stop();
        self.run();
    }

    /// What was logged since the last call.
    pub(crate) fn log(&self) -> String {
        self.log.take().join(" ")
    }
}

/// How many clones a value has, seen from outside: for telling whether a job was dropped.
pub(crate) fn tracked() -> (Rc<()>, impl Fn() -> Job) {
    let token = Rc::new(());
    let inner = Rc::clone(&token);
    let make = move || {
        let token = Rc::clone(&inner);
        Job::from_fn_mut(move || {
            let _keep = &token;
        })
    };
    (token, make)
}
