//! How a cancellation reaches the await that a task is suspended at.
//!
//! asyncio throws an exception into the coroutine. A Rust future can only be polled or
//! dropped, so here the request waits in a [`Scope`], and the innermost future, the *leaf*
//! that really waits for something, takes it when it is polled next and resolves to
//! `Err(Cancelled)`. Whoever polls a future decides which scope is current meanwhile: a
//! Rust task brings its own, and another host (such as a Python coroutine that drives a Rust
//! future) uses [`Scope::enter`] and [`Scope::request`] and gets the same leaves.
//!
//! # What a leaf does
//!
//! 1. Polled again after it has been suspended, it first asks [`take_cancellation`], and if
//!    there is one undoes what it has begun and resolves to it, even if what it waited for
//!    has happened: in asyncio too the cancellation wins.
//! 2. If it need not wait it resolves, *without* asking: as in asyncio, an await that does
//!    not suspend is not cancelled.
//! 3. Otherwise it keeps the waker, calls [`suspend`], and answers `Pending`.
//!
//! A leaf that waits for something that can itself be cancelled (a task, a gathering) calls
//! [`suspend_on`] instead. Then a request goes straight there, in the same instant, and the
//! leaf resolves as that thing ends: cancelled, or not if it refused. Dropped before, it calls
//! [`leave`].
//!
//! ```
//! use std::future::poll_fn;
//! use std::task::{Context, Poll, Waker};
//! use rasyncio::Cancelled;
//! use rasyncio::scope::{self, Scope};
//!
//! // A leaf that waits for ever.
//! let mut suspended = false;
//! let mut leaf = Box::pin(poll_fn(move |cx| {
//!     if suspended && let Some(cancelled) = scope::take_cancellation() {
//!         return Poll::Ready(Err::<(), _>(cancelled));
//!     }
//!     suspended = true;
//!     scope::suspend(cx);
//!     Poll::Pending
//! }));
//!
//! // A host that drives it by hand.
//! let scope = Scope::new();
//! let cx = &mut Context::from_waker(Waker::noop());
//! assert!(scope.enter(|| leaf.as_mut().poll(cx)).is_pending());
//! scope.request(Cancelled::new());
//! assert_eq!(scope.enter(|| leaf.as_mut().poll(cx)), Poll::Ready(Err(Cancelled::new())));
//! ```

mod nested;

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::ptr;
use std::rc::Rc;
use std::task::Context;

use crate::exceptions::Cancelled;
use crate::scoped::{Scoped, Slot};
use crate::tasks::AnyTask;
pub(crate) use nested::{Inner, Nested, Visit};

thread_local! {
    static SLOT: Slot<Scope> = const { Cell::new(ptr::null()) };
}

static SCOPE: Scoped<Scope> = Scoped::new(&SLOT);

/// A request waits to be taken by a leaf.
const REQUESTED: u8 = 1;
/// A leaf has resolved to a cancellation that nobody took back since.
const DELIVERED: u8 = 2;
/// With `REQUESTED`: what the leaf waits for would not take the request, so the leaf should.
const REFUSED: u8 = 4;
/// A request is on its way to the target. Should it come back here, for tasks can wait for
/// each other in a ring, it is refused.
const FORWARDING: u8 = 8;

/// Where the requests to cancel one thread of execution (a task, a coroutine) wait, and what
/// became of them.
///
/// There is one current scope at a time, that of the code being polled; see the
/// [module](self).
#[derive(Default)]
pub struct Scope {
    flags: Cell<u8>,
    /// How many requests were made and not taken back: asyncio's `cancelling()`.
    requests: Cell<u32>,
    /// The latest request, or none that says anything. Meaningful only with `REQUESTED`, or as the
    /// reason later.
    cancelled: Cell<Cancelled>,
    /// Where requests go, for the length of one suspension.
    target: Cell<Option<Target>>,
    /// The leaf that has suspended last in the latest poll, for people.
    leaf: Cell<Option<&'static Location<'static>>>,
}

/// Something that a leaf waits for and that can itself be cancelled.
pub trait Cancel {
    /// Asks it to end. False if that is too late, and then the asker keeps the request.
    fn cancel(&self, cancelled: &Cancelled) -> bool;
}

/// A task needs no allocation to be a target.
enum Target {
    Task(AnyTask),
    Other(Rc<dyn Cancel>),
}

impl Target {
    fn is(&self, other: &Target) -> bool {
        match (self, other) {
            (Target::Task(a), Target::Task(b)) => a == b,
            (Target::Other(a), Target::Other(b)) => Rc::ptr_eq(a, b),
            _ => false,
        }
    }

    fn cancel(&self, cancelled: &Cancelled) -> bool {
        match self {
            Target::Task(task) => task.request(cancelled.clone()),
            Target::Other(other) => other.cancel(cancelled),
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Requested {
    /// It has gone to what the leaf waits for. There is nothing more to do.
    Forwarded,
    /// It waits in the scope. The future should be polled soon.
    Waiting,
}

impl Scope {
    /// A scope without requests.
    pub const fn new() -> Scope {
        Scope {
            flags: Cell::new(0),
            requests: Cell::new(0),
            cancelled: Cell::new(Cancelled::new()),
            target: Cell::new(None),
            leaf: Cell::new(None),
        }
    }

    /// Calls `poll` with this as the current scope.
    #[inline]
    pub fn enter<R>(&self, poll: impl FnOnce() -> R) -> R {
        self.forget_target();
        self.leaf.set(None);
        SCOPE.set(Some(self), poll)
    }

    /// Asks the code of this scope to end (asyncio's `Task.cancel`).
    pub fn request(&self, cancelled: Cancelled) -> Requested {
        self.requests.set(self.requests.get().saturating_add(1));
        if let Some(target) = self.target.take() {
            let forwarded = self.forward(&target, &cancelled);
            // Unless a poll has put a newer one there.
            self.target.set(Some(self.target.take().unwrap_or(target)));
            if forwarded {
                return Requested::Forwarded;
            }
            self.set_flag(REFUSED);
        }
        self.cancelled.set(cancelled);
        self.set_flag(REQUESTED);
        Requested::Waiting
    }

    /// The first half of a [`request`](Scope::request), if that has to go to a task: which one.
    pub(crate) fn begin_forwarding(&self) -> Option<AnyTask> {
        let target = self.target.take();
        let task = match &target {
            Some(Target::Task(task)) => Some(task.clone()),
            _ => None,
        };
        self.target.set(target);
        if task.is_some() {
            self.requests.set(self.requests.get().saturating_add(1));
            self.set_flag(FORWARDING);
        }
        task
    }

    /// The second half: whether the task has taken it.
    pub(crate) fn end_forwarding(&self, taken: bool, cancelled: &Cancelled) -> Requested {
        self.clear_flags(FORWARDING);
        if taken {
            return Requested::Forwarded;
        }
        self.cancelled.set(cancelled.clone());
        self.set_flag(REFUSED | REQUESTED);
        Requested::Waiting
    }

    /// Whether a request can be made now. Not if it has come round in a ring.
    pub(crate) fn is_open(&self) -> bool {
        self.flags.get() & FORWARDING == 0
    }

    /// How many requests were made and not taken back (asyncio's `Task.cancelling`).
    pub fn cancelling(&self) -> u32 {
        self.requests.get()
    }

    /// Takes one request back and answers how many are left (asyncio's `Task.uncancel`). With
    /// the last one goes a request that no leaf has taken yet.
    pub fn uncancel(&self) -> u32 {
        let left = self.requests.get().saturating_sub(1);
        self.requests.set(left);
        if left == 0 {
            self.clear_flags(REQUESTED | REFUSED | DELIVERED);
            drop(self.cancelled.take());
        }
        left
    }

    /// Whether a request waits for a leaf.
    #[inline]
    pub fn is_requested(&self) -> bool {
        self.flags.get() & REQUESTED != 0
    }

    /// Takes the reason if the code of this scope, which has ended, has to count as cancelled:
    /// a request was delivered, or came too late for that, and nobody took it back.
    pub fn take_reason(&self) -> Option<Cancelled> {
        let ended = self.flags.get() & (REQUESTED | DELIVERED) != 0;
        self.clear_flags(REQUESTED | REFUSED | DELIVERED);
        if self.requests.get() == 0 || !ended {
            return None;
        }
        Some(self.cancelled.take())
    }

    /// The request that a leaf has resolved to and nobody took back.
    pub(crate) fn delivered(&self) -> Option<Cancelled> {
        (self.flags.get() & DELIVERED != 0).then(|| self.reason())
    }

    fn reason(&self) -> Cancelled {
        let cancelled = self.cancelled.take();
        self.cancelled.set(cancelled.clone());
        cancelled
    }

    /// A delivered request was taken back elsewhere.
    pub(crate) fn forgive(&self) {
        self.clear_flags(DELIVERED);
    }

    /// Takes a request that no leaf has taken.
    pub(crate) fn take_untaken(&self) -> Option<Cancelled> {
        let requested = self.is_requested();
        self.clear_flags(REQUESTED | REFUSED);
        requested.then(|| self.cancelled.take())
    }

    /// Where the leaf is that the code of this scope waits in; `None` if it does not say.
    pub(crate) fn leaf(&self) -> Option<&'static Location<'static>> {
        self.leaf.get()
    }

    /// Whatever the leaf waited for, it will say so again when it suspends.
    #[inline]
    pub(crate) fn forget_target(&self) {
        drop(self.target.take());
    }

    /// Lets go of everything that the scope holds. Its counts stay.
    pub(crate) fn clear(&self) {
        self.clear_flags(REQUESTED | REFUSED | DELIVERED);
        drop(self.cancelled.take());
        drop(self.target.take());
    }

    fn set_flag(&self, flag: u8) {
        self.flags.set(self.flags.get() | flag);
    }

    fn clear_flags(&self, flags: u8) {
        self.flags.set(self.flags.get() & !flags);
    }

    /// The request, for a leaf that resolves to it. It stays the reason of the code's end.
    fn take_request(&self) -> Option<Cancelled> {
        if !self.is_requested() {
            return None;
        }
        self.clear_flags(REQUESTED | REFUSED);
        self.set_flag(DELIVERED);
        Some(self.reason())
    }

    fn forward(&self, target: &Target, cancelled: &Cancelled) -> bool {
        self.set_flag(FORWARDING);
        let taken = target.cancel(cancelled);
        self.clear_flags(FORWARDING);
        taken
    }

    fn leave(&self, target: &Target) {
        if let Some(set) = self.target.take()
            && !set.is(target)
        {
            self.target.set(Some(set));
        }
    }

    fn suspend_on(&self, target: Target) {
        if self.flags.get() & (REQUESTED | REFUSED) == REQUESTED {
            let cancelled = self.cancelled.take();
            let taken = self.forward(&target, &cancelled);
            self.cancelled.set(cancelled);
            if taken {
                self.clear_flags(REQUESTED);
            } else {
                self.set_flag(REFUSED);
            }
        }
        drop(self.target.replace(Some(target)));
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("requested", &self.is_requested())
            .field("cancelling", &self.cancelling())
            .finish_non_exhaustive()
    }
}

/// Takes the request that waits in the current scope, if there is one, in order to resolve to
/// it. For leaves that have been suspended.
#[inline]
pub fn take_cancellation() -> Option<Cancelled> {
    SCOPE.with(|scope| scope?.take_request())
}

/// Takes the request that what the leaf waits for would not take. Only a ring makes that of
/// something that has not ended.
pub(crate) fn take_refused() -> Option<Cancelled> {
    SCOPE.with(|scope| {
        scope
            .filter(|scope| scope.flags.get() & REFUSED != 0)?
            .take_request()
    })
}

/// A leaf is about to suspend. If a request waits already (the task has cancelled itself, or
/// was cancelled while something that takes no requests ran), the leaf is polled again in
/// the next turn.
#[inline]
#[track_caller]
pub fn suspend(cx: &mut Context<'_>) {
    let leaf = Location::caller();
    let requested = SCOPE.with(|scope| {
        scope.is_some_and(|scope| {
            scope.leaf.set(Some(leaf));
            scope.forget_target();
            scope.is_requested()
        })
    });
    if requested {
        cx.waker().wake_by_ref();
    }
}

/// A leaf is about to suspend, waiting for `target`. Requests go there, one that waits already
/// included, until the leaf is polled again. When `target` ended by cancellation, the leaf says
/// so with [`delivered`] and resolves to that.
#[inline]
#[track_caller]
pub fn suspend_on(target: Rc<dyn Cancel>) {
    suspend_at(Target::Other(target), Some(Location::caller()));
}

/// [`suspend_on`], for what polls a leaf itself.
fn suspend_at(target: Target, leaf: Option<&'static Location<'static>>) {
    with_current(|scope| {
        scope.leaf.set(leaf);
        scope.suspend_on(target);
    });
}

/// [`suspend_on`] a task.
#[inline]
#[track_caller]
pub(crate) fn suspend_on_task(task: &AnyTask) {
    suspend_at(Target::Task(task.clone()), Some(Location::caller()));
}

/// A leaf that has suspended on `target` is dropped.
pub fn leave(target: &Rc<dyn Cancel>) {
    with_current(|scope| scope.leave(&Target::Other(target.clone())));
}

/// [`leave`] a task.
pub(crate) fn leave_task(task: &AnyTask) {
    with_current(|scope| scope.leave(&Target::Task(task.clone())));
}

/// A leaf resolves to a cancellation that it did not take here, but that came back from what
/// it waited for.
pub fn delivered(cancelled: &Cancelled) {
    with_current(|scope| {
        scope.set_flag(DELIVERED);
        scope.cancelled.set(cancelled.clone());
    });
}

/// Why the code of the current scope has to count as cancelled if it ends now.
pub(crate) fn ending() -> Option<Cancelled> {
    SCOPE.with(|scope| {
        let scope = scope?;
        let ending = scope.flags.get() & (REQUESTED | DELIVERED) != 0;
        (ending && scope.cancelling() > 0).then(|| scope.reason())
    })
}

/// How many requests were made in the current scope and not taken back.
pub(crate) fn cancelling() -> u32 {
    SCOPE.with(|scope| scope.map_or(0, Scope::cancelling))
}

/// What a request was forwarded to has ended without taking it: it waits here again, unless it
/// was taken back.
pub(crate) fn give_back(cancelled: Cancelled) {
    with_current(|scope| {
        if scope.cancelling() > 0 {
            scope.cancelled.set(cancelled);
            scope.set_flag(REQUESTED);
        }
    });
}

fn with_current(f: impl FnOnce(&Scope)) {
    SCOPE.with(|scope| scope.map_or((), f));
}
