//! How the parts of one poll find each other, and how a plain Rust future wakes a coroutine.
//!
//! The waker that a body is polled with points at the [`Turn`], on the stack of `resume`:
//! that is how a leaf future of `awaiting.rs` learns what was sent and says what to yield.
//! Such a leaf is resumed by Python and never uses the waker as a waker.
//!
//! A plain Rust future does: it clones the waker, which makes the coroutine's [`Bell`], and
//! may ring it from any thread. While it waits, the coroutine yields a future for its task to
//! wait on, and ringing sets that future's result.

use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr;
use core::task::{Context, RawWaker, RawWakerVTable, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::{Flow, Job, JobVTable, Remote};

use super::object::{CoroutineObject, Input};
use crate::boundary;
use crate::event_loop;
use crate::events;
use crate::futures;
use crate::names::names;
use crate::object::{Ref, Res, set_slot, write_unraisable};
use crate::timer;

/// One poll of a body.
pub(super) struct Turn {
    object: *mut CoroutineObject,
    input: Cell<Option<Input>>,
    yielded: Cell<Option<Ref>>,
    /// The waker was used during the poll itself.
    woken: Cell<bool>,
}

impl Turn {
    pub(super) fn new(object: *mut CoroutineObject, input: Input) -> Turn {
        Turn {
            object,
            input: Cell::new(Some(input)),
            yielded: Cell::new(None),
            woken: Cell::new(false),
        }
    }

    /// The turn that a leaf is polled in. The leaf must be polled with the body's own waker.
    pub(super) fn of<'a>(cx: &'a Context<'_>) -> &'a Turn {
        let waker = cx.waker();
        assert!(
            ptr::eq(waker.vtable(), &TURN),
            "Python awaitables are awaited by the coroutine itself"
        );
        // SAFETY: only `borrowed` makes a waker with this table, of a turn that outlives it.
        unsafe { &*waker.data().cast::<Turn>() }
    }

    pub(super) fn object(&self) -> *mut CoroutineObject {
        self.object
    }

    /// What the coroutine was resumed with, for the leaf that it was suspended in.
    pub(super) fn take_input(&self) -> Option<Input> {
        self.input.take()
    }

    /// Sets what the coroutine yields.
    pub(super) fn yield_(&self, value: Ref) {
        self.yielded.set(Some(value));
    }

    /// What the coroutine yields after a poll that was not ready.
    #[inline]
    pub(super) fn into_yielded(self) -> Res {
        match self.yielded.take() {
            Some(value) => Ok(value),
            None => self.wait_for_bell(),
        }
    }

    /// Nothing was yielded, so the body waits for a plain Rust future.
    #[cold]
    fn wait_for_bell(&self) -> Res {
        // SAFETY: `resume` keeps the object alive.
        let bell = unsafe { (*self.object).bell.as_ref() };
        let already_rung = self.woken.get() || bell.is_some_and(|bell| bell.lock().rung);
        if already_rung {
            return Ok(Ref::none());
        }
        let future = futures::new_future(events::running_loop()?.ptr())?;
        futures::set_blocking(future.ptr(), true)?;
        // SAFETY: as above; the object owns the future for as long as the bell knows it.
        unsafe {
            set_slot(&raw mut (*self.object).awaiting, future.clone().into_ptr());
            (*self.object).waits_for_bell = true;
        }
        let rung_meanwhile = bell.is_some_and(|bell| {
            let mut state = bell.lock();
            state.future = future.ptr();
            state.rung
        });
        if rung_meanwhile {
            futures::set_result_unless_cancelled(future.ptr(), Ref::none().ptr())?;
        }
        Ok(future)
    }
}

/// A waker for the time of one poll.
pub(super) fn borrowed(turn: &Turn) -> ManuallyDrop<Waker> {
    let raw = RawWaker::new(ptr::from_ref(turn).cast(), &TURN);
    // SAFETY: the functions of TURN take a turn that outlives the waker: the caller drops
    // the turn last, and clones own a bell instead.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
}

static TURN: RawWakerVTable = RawWakerVTable::new(clone_turn, wake_turn, wake_turn, drop_turn);

unsafe fn clone_turn(turn: *const ()) -> RawWaker {
    // SAFETY: called in a poll, so turn and object are alive and the thread is attached.
    let bell = unsafe {
        let object = (*turn.cast::<Turn>()).object;
        (*object).bell.get_or_insert_with(Bell::new).clone()
    };
    RawWaker::new(Arc::into_raw(bell).cast(), &BELL)
}

unsafe fn wake_turn(turn: *const ()) {
    // SAFETY: called in a poll, so the turn is alive.
    unsafe { (*turn.cast::<Turn>()).woken.set(true) };
}

unsafe fn drop_turn(_: *const ()) {}

/// The door through which other threads wake a coroutine. It owns no Python object, so it
/// can be dropped anywhere.
pub(super) struct Bell {
    /// None on a loop that is not ours.
    remote: Option<Remote>,
    state: Mutex<BellState>,
}

struct BellState {
    /// What to complete: owned by the coroutine, which empties this before it gives the
    /// future up. NULL while nobody waits. Others than attached threads only compare it.
    future: *mut PyObject,
    rung: bool,
}

// SAFETY: the future is used only by threads that are attached to the interpreter.
unsafe impl Send for BellState {}

impl Bell {
    fn new() -> Arc<Bell> {
        let remote = match events::running_loop() {
            Ok(running) => event_loop::native(running.ptr()).map(|core| core.engine().remote()),
            Err(raised) => {
                // Outside a loop there is nothing to wake; the wait itself reports it.
                drop(crate::object::take_raised(raised));
                None
            }
        };
        let state = BellState {
            future: ptr::null_mut(),
            rung: false,
        };
        Arc::new(Bell {
            remote,
            state: Mutex::new(state),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BellState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The coroutine goes on, or ends: what was rung until now is answered by that.
    pub(super) fn reset(&self) {
        let mut state = self.lock();
        state.future = ptr::null_mut();
        state.rung = false;
    }

    fn ring(self: Arc<Bell>) {
        let waiting = {
            let mut state = self.lock();
            let first = !core::mem::replace(&mut state.rung, true);
            first && !state.future.is_null()
        };
        if !waiting {
            return;
        }
        match &self.remote {
            Some(remote) => {
                let remote = remote.clone();
                // SAFETY: one ownership of the bell goes into the job, which may run and be
                // dropped on any thread that is attached.
                let job = unsafe { Job::new(Arc::into_raw(self).cast_mut().cast(), &ANSWER) };
                // SAFETY: as above. A closed loop gives the job back: nobody waits there.
                drop(unsafe { remote.schedule(job) });
            }
            None => {
                // SAFETY: paired with Release; this thread may be unknown to the interpreter.
                unsafe {
                    let attached = ffi::PyGILState_Ensure();
                    self.answer(|future| {
                        let loop_ = futures::get_loop(future.ptr())?;
                        let callback = timer::callback(complete, future)?;
                        loop_.call_method(names().call_soon_threadsafe, &[callback.ptr()])?;
                        Ok(())
                    });
                    ffi::PyGILState_Release(attached);
                }
            }
        }
    }

    /// Hands the waiting future to `complete`. The thread must be attached.
    fn answer(&self, complete: impl FnOnce(Ref) -> Res<()>) {
        let future = {
            let mut state = self.lock();
            let future = core::mem::replace(&mut state.future, ptr::null_mut());
            // SAFETY: the coroutine owns it, or it would be NULL; attached.
            unsafe { Ref::borrow_opt(future) }
        };
        if let Some(future) = future
            && let Err(raised) = boundary::result(|| complete(future))
        {
            write_unraisable(raised, ptr::null_mut());
        }
    }
}

unsafe fn complete(future: *mut PyObject) -> Res<()> {
    futures::set_result_unless_cancelled(future, Ref::none().ptr())
}

static BELL: RawWakerVTable = RawWakerVTable::new(clone_bell, wake_bell, wake_bell_ref, drop_bell);

unsafe fn clone_bell(bell: *const ()) -> RawWaker {
    // SAFETY: the waker owns one count of the Arc.
    unsafe { Arc::increment_strong_count(bell.cast::<Bell>()) };
    RawWaker::new(bell, &BELL)
}

unsafe fn wake_bell(bell: *const ()) {
    // SAFETY: the waker's count passes to the Arc.
    unsafe { Arc::from_raw(bell.cast::<Bell>()) }.ring();
}

unsafe fn wake_bell_ref(bell: *const ()) {
    // SAFETY: the waker keeps its count.
    Arc::clone(&*ManuallyDrop::new(unsafe {
        Arc::from_raw(bell.cast::<Bell>())
    }))
    .ring();
}

unsafe fn drop_bell(bell: *const ()) {
    // SAFETY: the waker's count ends here.
    drop(unsafe { Arc::from_raw(bell.cast::<Bell>()) });
}

/// The job that a ring from our own loop's inbox becomes.
static ANSWER: JobVTable = JobVTable {
    run: run_answer,
    drop: drop_answer,
    clone: clone_answer,
};

unsafe extern "C" fn run_answer(bell: *mut ()) -> Flow {
    // SAFETY: the job's count; jobs run on the loop's thread, attached.
    let bell = unsafe { Arc::from_raw(bell.cast_const().cast::<Bell>()) };
    // SAFETY: `complete` takes a live future.
    bell.answer(|future| unsafe { complete(future.ptr()) });
    Flow::Continue
}

unsafe extern "C" fn drop_answer(bell: *mut ()) {
    // SAFETY: the job's count ends here.
    unsafe { drop_bell(bell.cast_const()) };
}

unsafe extern "C" fn clone_answer(bell: *mut ()) {
    // SAFETY: the job owns one count.
    unsafe { Arc::increment_strong_count(bell.cast_const().cast::<Bell>()) };
}
