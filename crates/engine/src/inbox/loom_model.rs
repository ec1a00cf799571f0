//! The inbox under every interleaving (within a bound), as loom sees it.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p rasyncio-engine --lib loom`, which takes
//! seconds.

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::*;

/// All interleavings with at most three preemptions, which is where the bugs of such
/// algorithms show; all of them for three threads would take hours.
fn model(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(f);
}

/// A value of which loom checks that its making happens before its reading.
type Value = UnsafeCell<u32>;

fn read(value: &Value) -> u32 {
    // SAFETY: the value has been taken out, so nobody else has it. (Loom checks.)
    value.with(|value| unsafe { *value })
}

/// The eventfd: it remembers a wake that comes before the wait.
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self, wake: Wake) {
        if wake == Wake::Needed {
            *self.rung.lock().unwrap() = true;
            self.changed.notify_one();
        }
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung = false;
    }
}

struct Loop {
    inbox: Inbox<Value>,
    bell: Bell,
}

impl Loop {
    fn new() -> Arc<Loop> {
        Arc::new(Loop {
            inbox: Inbox::new(),
            bell: Bell {
                rung: Mutex::default(),
                changed: Condvar::default(),
            },
        })
    }

    /// One turn that waits. A lost wake-up is a deadlock, which loom reports.
    fn turn(&self, park: bool) -> Vec<u32> {
        if park {
            self.inbox.park(None).unwrap();
        } else if self.inbox.fall_asleep() {
            self.bell.wait();
        }
        self.inbox.wake_up().map(|value| read(&value)).collect()
    }

    /// One turn whose wait ends without a wake.
    fn time_is_over(&self, park: bool) -> Vec<u32> {
        if park {
            self.inbox.park(Some(Duration::ZERO)).unwrap();
        } else {
            let _ = self.inbox.fall_asleep();
        }
        self.inbox.wake_up().map(|value| read(&value)).collect()
    }
}

#[test]
fn every_value_arrives_once_and_no_wake_up_is_lost() {
    model(|| {
        let it = Loop::new();
        let senders: Vec<_> = [1, 2]
            .map(|value| {
                let it = Arc::clone(&it);
                thread::spawn(move || it.bell.ring(it.inbox.push(Value::new(value)).ok().unwrap()))
            })
            .into();
        let mut seen = Vec::new();
        let mut park = true;
        while seen.len() < 2 {
            seen.extend(it.turn(park));
            park = !park;
        }
        for sender in senders {
            sender.join().unwrap();
        }
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn values_of_one_thread_stay_in_order() {
    model(|| {
        let it = Loop::new();
        let sender = {
            let it = Arc::clone(&it);
            thread::spawn(move || {
                for value in 0..3 {
                    it.bell.ring(it.inbox.push(Value::new(value)).ok().unwrap());
                }
            })
        };
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.extend(it.turn(true));
        }
        sender.join().unwrap();
        assert_eq!(seen, [0, 1, 2]);
    });
}

#[test]
fn a_wake_gets_through_beside_a_value() {
    model(|| {
        let it = Loop::new();
        let waker = {
            let it = Arc::clone(&it);
            thread::spawn(move || it.bell.ring(it.inbox.wake()))
        };
        let sender = {
            let it = Arc::clone(&it);
            thread::spawn(move || it.bell.ring(it.inbox.push(Value::new(1)).ok().unwrap()))
        };
        let mut seen = Vec::new();
        while seen.is_empty() {
            seen.extend(it.turn(true));
        }
        waker.join().unwrap();
        sender.join().unwrap();
        assert_eq!(seen, [1]);
    });
}

#[test]
fn a_lone_wake_ends_the_turn() {
    for park in [false, true] {
        model(move || {
            let it = Loop::new();
            let waker = {
                let it = Arc::clone(&it);
                thread::spawn(move || it.bell.ring(it.inbox.wake()))
            };
            assert!(it.turn(park).is_empty());
            waker.join().unwrap();
        });
    }
}

#[test]
fn a_waker_that_comes_late_loses_no_wake_up_of_others() {
    for (first, second) in [(false, true), (true, false), (true, true)] {
        model(move || {
            let it = Loop::new();
            let senders: Vec<_> = [1, 2]
                .map(|value| {
                    let it = Arc::clone(&it);
                    thread::spawn(move || {
                        it.bell.ring(it.inbox.push(Value::new(value)).ok().unwrap());
                    })
                })
                .into();
            let mut seen = it.time_is_over(first);
            while seen.len() < 2 {
                seen.extend(it.turn(second));
            }
            for sender in senders {
                sender.join().unwrap();
            }
            seen.sort_unstable();
            assert_eq!(seen, [1, 2]);
        });
    }
}

#[test]
fn a_value_is_either_taken_at_the_close_or_given_back() {
    model(|| {
        let it = Loop::new();
        let sender = {
            let it = Arc::clone(&it);
            thread::spawn(move || it.inbox.push(Value::new(1)).is_ok())
        };
        let taken = it.inbox.close().count();
        assert_eq!(sender.join().unwrap(), taken == 1);
        assert_eq!(it.inbox.take().count(), 0);
    });
}
