//! What several tests need.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod hands;

use std::cell::RefCell;
use std::rc::Rc;

use rasyncio::yield_now;

/// Notes what happens, in order. Clones are the same log.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<RefCell<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }

    /// A callback that notes `what`.
    pub(crate) fn call(&self, what: &'static str) -> impl FnOnce() + 'static {
        let log = self.clone();
        move || log.note(what)
    }

    /// A future that notes `what` and is done.
    pub(crate) fn noting(&self, what: &'static str) -> impl Future<Output = ()> + 'static {
        let log = self.clone();
        async move { log.note(what) }
    }

    /// A future that notes the turns that pass.
    pub(crate) fn counting_turns(&self, turns: usize) -> impl Future<Output = ()> + 'static {
        let log = self.clone();
        async move {
            for turn in 1..=turns {
                log.note(format!("turn {turn}"));
                yield_now().await.unwrap();
            }
        }
    }
}

/// Notes when it is dropped.
pub(crate) struct Dropped(pub(crate) Log, pub(crate) &'static str);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.note(self.1);
    }
}
