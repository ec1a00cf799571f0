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
mod side;

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::ptr;
use std::rc::Rc;
use std::task::Context;

use crate::exceptions::Cancelled;
use crate::place::Place;
use crate::scoped::{Scoped, Slot};
use crate::tasks::AnyTask;
pub(crate) use nested::{Inner, Nested, Visit};
pub(crate) use side::Side;
use side::Target;

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

/// The leaf waits for something that requests go to.
const HAS_TARGET: u8 = 16;

/// Where the requests to cancel one thread of execution (a task, a coroutine) wait, and what
/// became of them.
///
/// There is one current scope at a time, that of the code being polled; see the
/// [module](self).
#[derive(Default)]
pub struct Scope {
    /// What few scopes have.
    side: Cell<Option<Box<Side>>>,
    /// The leaf that has suspended last in the latest poll, for people.
    leaf: Cell<Option<Place>>,
    flags: Cell<u8>,
}

/// Something that a leaf waits for and that can itself be cancelled.
pub trait Cancel {
    /// Asks it to end. False if that is too late, and then the asker keeps the request.
    fn cancel(&self, cancelled: &Cancelled) -> bool;
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
            side: Cell::new(None),
            leaf: Cell::new(None),
            flags: Cell::new(0),
        }
    }

    /// A scope that may have something from the beginning.
    #[inline]
    pub(crate) fn with(side: Option<Box<Side>>) -> Scope {
        Scope {
            side: Cell::new(side),
            ..Scope::new()
        }
    }

    /// Looks at what few scopes have. `look` runs no foreign code.
    #[inline]
    pub(crate) fn look<R>(&self, look: impl FnOnce(Option<&Side>) -> R) -> R {
        let side = self.side.take();
        let result = look(side.as_deref());
        self.side.set(side);
        result
    }

    /// Changes what few scopes have. `change` runs no foreign code.
    #[inline]
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Side) -> R) -> R {
        let mut side = self.side.take().unwrap_or_default();
        let result = change(&mut side);
        self.side.set(Some(side));
        result
    }

    /// [`change`](Scope::change), if there is anything.
    #[inline]
    fn change_some<R>(&self, change: impl FnOnce(&mut Side) -> R) -> Option<R> {
        let mut side = self.side.take()?;
        let result = change(&mut side);
        self.side.set(Some(side));
        Some(result)
    }

    /// Calls `poll` with this as the current scope.
    #[inline]
    pub fn enter<R>(&self, poll: impl FnOnce() -> R) -> R {
        self.forget_target();
        self.enter_again(poll)
    }

    /// [`enter`](Scope::enter), where there is no target.
    #[inline]
    pub(crate) fn enter_again<R>(&self, poll: impl FnOnce() -> R) -> R {
        self.leaf.set(None);
        SCOPE.set(Some(self), poll)
    }

    /// Asks the code of this scope to end (asyncio's `Task.cancel`).
    pub fn request(&self, cancelled: Cancelled) -> Requested {
        let open = self.is_open();
        let target = self.change(|side| {
            side.requests = side.requests.saturating_add(1);
            side.target.clone()
        });
        if let Some(target) = target.filter(|_| open) {
            if self.forward(&target, &cancelled) {
                return Requested::Forwarded;
            }
            self.set_flag(REFUSED);
        }
        self.set_cancelled(cancelled);
        self.set_flag(REQUESTED);
        Requested::Waiting
    }

    /// The first half of a [`request`](Scope::request), if that has to go to a task: which one.
    pub(crate) fn begin_forwarding(&self) -> Option<AnyTask> {
        if self.flags.get() & HAS_TARGET == 0 {
            return None;
        }
        let task = self.change_some(|side| match &side.target {
            Some(Target::Task(task)) => {
                side.requests = side.requests.saturating_add(1);
                Some(task.clone())
            }
            _ => None,
        });
        let task = task.flatten()?;
        self.set_flag(FORWARDING);
        Some(task)
    }

    /// The second half: whether the task has taken it.
    pub(crate) fn end_forwarding(&self, taken: bool, cancelled: &Cancelled) -> Requested {
        self.clear_flags(FORWARDING);
        if taken {
            return Requested::Forwarded;
        }
        self.set_cancelled(cancelled.clone());
        self.set_flag(REFUSED | REQUESTED);
        Requested::Waiting
    }

    /// Whether a request can be made now. Not if it has come round in a ring.
    pub(crate) fn is_open(&self) -> bool {
        self.flags.get() & FORWARDING == 0
    }

    /// How many requests were made and not taken back (asyncio's `Task.cancelling`).
    pub fn cancelling(&self) -> u32 {
        self.look(|side| side.map_or(0, |side| side.requests))
    }

    /// Takes one request back and answers how many are left (asyncio's `Task.uncancel`). With
    /// the last one goes a request that no leaf has taken yet.
    pub fn uncancel(&self) -> u32 {
        let left = self.change_some(|side| {
            side.requests = side.requests.saturating_sub(1);
            side.requests
        });
        let left = left.unwrap_or(0);
        if left == 0 {
            self.clear_flags(REQUESTED | REFUSED | DELIVERED);
            drop(self.take_cancelled());
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
    #[inline]
    pub fn take_reason(&self) -> Option<Cancelled> {
        if self.flags.get() & (REQUESTED | DELIVERED) == 0 {
            self.clear_flags(REFUSED);
            return None;
        }
        self.clear_flags(REQUESTED | REFUSED | DELIVERED);
        (self.cancelling() > 0).then(|| self.take_cancelled())
    }

    /// The request that a leaf has resolved to and nobody took back.
    pub(crate) fn delivered(&self) -> Option<Cancelled> {
        (self.flags.get() & DELIVERED != 0).then(|| self.reason())
    }

    fn reason(&self) -> Cancelled {
        self.look(|side| side.map_or_else(Cancelled::new, |side| side.cancelled.clone()))
    }

    fn take_cancelled(&self) -> Cancelled {
        self.change_some(|side| std::mem::take(&mut side.cancelled))
            .unwrap_or_default()
    }

    /// Nothing is allocated for a request that says nothing where there was none.
    fn set_cancelled(&self, cancelled: Cancelled) {
        if cancelled.message().is_some() {
            drop(self.change(|side| std::mem::replace(&mut side.cancelled, cancelled)));
        } else {
            drop(self.take_cancelled());
        }
    }

    /// A delivered request was taken back elsewhere.
    pub(crate) fn forgive(&self) {
        self.clear_flags(DELIVERED);
    }

    /// Takes a request that no leaf has taken.
    pub(crate) fn take_untaken(&self) -> Option<Cancelled> {
        let requested = self.is_requested();
        self.clear_flags(REQUESTED | REFUSED);
        requested.then(|| self.take_cancelled())
    }

    /// Where the leaf is that the code of this scope waits in; `None` if it does not say.
    pub(crate) fn leaf(&self) -> Option<&'static Location<'static>> {
        self.leaf.get().map(Place::location)
    }

    /// Whatever the leaf waited for, it will say so again when it suspends.
    #[inline]
    pub(crate) fn forget_target(&self) {
        if self.has_target() {
            drop(self.take_target());
        }
    }

    #[inline]
    pub(crate) fn has_target(&self) -> bool {
        self.flags.get() & HAS_TARGET != 0
    }

    fn take_target(&self) -> Option<Target> {
        self.clear_flags(HAS_TARGET);
        self.change_some(|side| side.target.take()).flatten()
    }

    /// Lets go of everything that the scope holds, but for its counts and the task's name.
    pub(crate) fn clear(&self) {
        self.clear_flags(REQUESTED | REFUSED | DELIVERED | HAS_TARGET);
        let Some(mut side) = self.side.take() else {
            return;
        };
        let held = (
            std::mem::take(&mut side.cancelled),
            side.target.take(),
            side.context.take(),
        );
        if !side.is_over() {
            self.side.set(Some(side));
        }
        drop(held);
    }

    fn set_flag(&self, flag: u8) {
        self.flags.set(self.flags.get() | flag);
    }

    fn clear_flags(&self, flags: u8) {
        self.flags.set(self.flags.get() & !flags);
    }

    /// The request, for a leaf that resolves to it. It stays the reason of the code's end.
    #[inline]
    fn take_request(&self) -> Option<Cancelled> {
        self.is_requested().then(|| self.deliver())
    }

    #[cold]
    #[inline(never)]
    fn deliver(&self) -> Cancelled {
        self.clear_flags(REQUESTED | REFUSED);
        self.set_flag(DELIVERED);
        self.reason()
    }

    fn forward(&self, target: &Target, cancelled: &Cancelled) -> bool {
        self.set_flag(FORWARDING);
        let taken = target.cancel(cancelled);
        self.clear_flags(FORWARDING);
        taken
    }

    fn leave(&self, target: &Target) {
        let same = |side: Option<&Side>| side?.target.as_ref().map(|set| set.is(target));
        if self.has_target() && self.look(same) == Some(true) {
            self.forget_target();
        }
    }

    fn suspend_on(&self, target: Target) {
        if self.flags.get() & (REQUESTED | REFUSED) == REQUESTED {
            if self.forward(&target, &self.reason()) {
                self.clear_flags(REQUESTED);
            } else {
                self.set_flag(REFUSED);
            }
        }
        let old = self.change(|side| side.target.replace(target));
        self.set_flag(HAS_TARGET);
        drop(old);
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
    let leaf = Place::of(Location::caller());
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
        scope.leaf.set(leaf.map(Place::of));
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
#[inline]
pub(crate) fn leave_task(task: &AnyTask) {
    with_current(|scope| {
        if scope.has_target() {
            scope.leave(&Target::Task(task.clone()));
        }
    });
}

/// A leaf resolves to a cancellation that it did not take here, but that came back from what
/// it waited for.
pub fn delivered(cancelled: &Cancelled) {
    with_current(|scope| {
        scope.set_flag(DELIVERED);
        scope.set_cancelled(cancelled.clone());
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
            scope.set_cancelled(cancelled);
            scope.set_flag(REQUESTED);
        }
    });
}

fn with_current(f: impl FnOnce(&Scope)) {
    SCOPE.with(|scope| scope.map_or((), f));
}
