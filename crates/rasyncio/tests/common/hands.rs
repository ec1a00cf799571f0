//! Futures polled by hand, in any order: woken or not, cancelled, dropped.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use rasyncio::Cancelled;
use rasyncio::scope::Scope;

/// A waker that tells whether it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Hand<'a, O> {
    future: Pin<Box<dyn Future<Output = O> + 'a>>,
    scope: Scope,
    flag: Arc<Flag>,
    cancelled: bool,
}

/// Futures that are pending, by number, and who of them waits in front of whom.
pub(crate) struct Hands<'a, O> {
    pending: BTreeMap<usize, Hand<'a, O>>,
    line: Vec<usize>,
    started: usize,
}

impl<'a, O> Hands<'a, O> {
    pub(crate) fn new() -> Hands<'a, O> {
        Hands {
            pending: BTreeMap::new(),
            line: Vec::new(),
            started: 0,
        }
    }

    /// Polls a new future for the first time.
    pub(crate) fn start(&mut self, future: impl Future<Output = O> + 'a) -> (usize, Option<O>) {
        let number = self.started;
        self.started += 1;
        let hand = Hand {
            future: Box::pin(future),
            scope: Scope::new(),
            flag: Arc::default(),
            cancelled: false,
        };
        self.pending.insert(number, hand);
        self.line.push(number);
        (number, self.poll(number))
    }

    /// Polls one that is pending. Woken, and still pending, it has gone to the end of the line.
    pub(crate) fn poll(&mut self, number: usize) -> Option<O> {
        let hand = self.pending.get_mut(&number).unwrap();
        let woken = hand.flag.0.swap(false, Ordering::Relaxed);
        let waker = Waker::from(hand.flag.clone());
        let cx = &mut Context::from_waker(&waker);
        let polled = hand.scope.enter(|| hand.future.as_mut().poll(cx));
        hand.cancelled = hand.scope.is_requested();
        match polled {
            Poll::Ready(output) => {
                self.remove(number);
                Some(output)
            }
            Poll::Pending => {
                if woken {
                    self.line.retain(|&it| it != number);
                    self.line.push(number);
                }
                None
            }
        }
    }

    /// Polls those who were woken until there are none.
    pub(crate) fn settle(&mut self) -> Vec<(usize, O)> {
        let mut outputs = Vec::new();
        while let Some(number) = self.pick_woken(0) {
            outputs.extend(self.poll(number).map(|output| (number, output)));
        }
        outputs
    }

    /// Cancels one, as a task would be.
    pub(crate) fn cancel(&mut self, number: usize) {
        let hand = self.pending.get_mut(&number).unwrap();
        let _ = hand.scope.request(Cancelled::new());
        hand.cancelled = true;
    }

    /// Drops one.
    pub(crate) fn remove(&mut self, number: usize) {
        self.line.retain(|&it| it != number);
        drop(self.pending.remove(&number));
    }

    /// One of those who are pending.
    pub(crate) fn pick(&self, which: usize) -> Option<usize> {
        let index = which.checked_rem(self.line.len())?;
        Some(self.line[index])
    }

    /// One of those who were woken or cancelled.
    pub(crate) fn pick_woken(&self, which: usize) -> Option<usize> {
        let woken = |&number: &usize| self.is_woken(number) || self.pending[&number].cancelled;
        let woken: Vec<_> = self.line.iter().copied().filter(woken).collect();
        woken.get(which.checked_rem(woken.len())?).copied()
    }

    pub(crate) fn is_woken(&self, number: usize) -> bool {
        self.pending[&number].flag.0.load(Ordering::Relaxed)
    }

    pub(crate) fn is_cancelled(&self, number: usize) -> bool {
        self.pending[&number].cancelled
    }

    /// Those who are pending, first come first.
    pub(crate) fn line(&self) -> &[usize] {
        &self.line
    }

    pub(crate) fn len(&self) -> usize {
        self.line.len()
    }

    /// Whether nobody was woken while one who came before was not.
    pub(crate) fn is_fair(&self) -> bool {
        self.line
            .iter()
            .map(|&number| self.is_woken(number))
            .is_sorted_by(|first, second| first >= second)
    }
}
