//! The part of a loop that Rust code works with.

use core::cell::Cell;
use core::ptr;
use std::io;

use pyo3::ffi::{self, PyObject};
use rasyncio_engine::{Clock, EventLoop, Remote, TimerKey, VirtualClock};

use super::numbers::Numbers;
use super::readers::Watched;
use super::replaced::Replaced;
use crate::contexts::Entered;
use crate::handles;
use crate::jobs;
use crate::names::names;
use crate::object::{Raised, Ref, Res, import, raise, runtime_error, set_slot};
use crate::tasks::current::Mirror;

/// An owned, nullable reference in a cell.
pub(crate) struct Slot(Cell<*mut PyObject>);

impl Slot {
    const fn new() -> Slot {
        Slot(Cell::new(ptr::null_mut()))
    }

    /// The borrowed pointer, or NULL.
    pub(crate) fn ptr(&self) -> *mut PyObject {
        self.0.get()
    }

    /// The object, or None.
    pub(crate) fn get(&self) -> Ref {
        // SAFETY: owned by the slot, hence alive.
        unsafe { Ref::borrow_opt(self.0.get()) }.unwrap_or_else(Ref::none)
    }

    /// Stores an object; None empties the slot.
    pub(crate) fn set(&self, value: Option<Ref>) {
        let value = value.filter(|value| !value.is_none());
        // SAFETY: the slot owns what it holds.
        unsafe {
            set_slot(
                self.0.as_ptr(),
                value.map_or(ptr::null_mut(), Ref::into_ptr),
            )
        }
    }
}

/// One event loop.
pub(crate) struct LoopCore {
    engine: EventLoop,
    remote: Remote,
    /// The loop object around this, borrowed: it owns us.
    owner: *mut PyObject,
    native: Cell<bool>,
    replaced: Replaced,
    debug: Cell<bool>,
    /// `_thread_id`: 0 while not running.
    thread: Cell<core::ffi::c_ulong>,
    mirror: Mirror,
    contexts: Entered,
    /// Seconds; `loop.slow_callback_duration`, kept as the object that was assigned.
    pub(super) slow_callback_duration: Slot,
    pub(super) default_executor: Slot,
    pub(super) exception_handler: Slot,
    pub(super) task_factory: Slot,
    current_handle: Slot,
    watched: Watched,
    numbers: Numbers,
}

impl LoopCore {
    pub(super) fn new(owner: *mut PyObject, virtual_time: bool) -> io::Result<LoopCore> {
        let clock = if virtual_time {
            Clock::Virtual(VirtualClock::new())
        } else {
            Clock::Monotonic
        };
        let engine = EventLoop::with_clock(clock)?;
        Ok(LoopCore {
            remote: engine.remote(),
            engine,
            owner,
            native: Cell::new(true),
            replaced: Replaced::default(),
            debug: Cell::new(false),
            thread: Cell::new(0),
            mirror: Mirror::new(),
            contexts: Entered::new(),
            slow_callback_duration: Slot::new(),
            default_executor: Slot::new(),
            exception_handler: Slot::new(),
            task_factory: Slot::new(),
            current_handle: Slot::new(),
            watched: Watched::new(),
            numbers: Numbers::new(),
        })
    }

    /// What turns the loop.
    #[inline]
    pub(crate) fn engine(&self) -> &EventLoop {
        &self.engine
    }

    /// The way in for other threads.
    pub(crate) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The loop object, borrowed.
    #[inline]
    pub(crate) fn owner(&self) -> *mut PyObject {
        self.owner
    }

    /// Whether the native path may be taken: nothing on it is overridden.
    #[inline]
    pub(crate) fn is_native(&self) -> bool {
        self.native.get()
    }

    pub(super) fn set_overridden(&self) {
        self.native.set(false);
    }

    #[inline]
    pub(super) fn replaced(&self) -> &Replaced {
        &self.replaced
    }

    /// Which descriptors transports of ours have.
    #[inline]
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// `loop.get_debug()`
    #[inline]
    pub(crate) fn debug(&self) -> bool {
        self.debug.get()
    }

    pub(super) fn set_debug(&self, debug: bool) {
        self.debug.set(debug);
    }

    /// The running loop's thread, 0 if it does not run.
    pub(crate) fn thread(&self) -> core::ffi::c_ulong {
        self.thread.get()
    }

    pub(super) fn set_thread(&self, thread: core::ffi::c_ulong) {
        self.thread.set(thread);
    }

    /// The context in which the loop is between two jobs.
    #[inline]
    pub(crate) fn contexts(&self) -> &Entered {
        &self.contexts
    }

    /// The loop's entry in the standard library's registry of current tasks.
    #[inline]
    pub(crate) fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Something that is no step of a task is about to run: nobody is the current task.
    #[inline]
    pub(crate) fn leave_stale_task(&self) -> Res<()> {
        // SAFETY: the owner is alive while its core is in use.
        unsafe { self.mirror.retire(self.owner) }
    }

    pub(crate) fn set_current_handle(&self, handle: Option<Ref>) {
        self.current_handle.set(handle);
    }

    pub(super) fn current_handle(&self) -> Ref {
        self.current_handle.get()
    }

    /// The references that the collector must see, besides the jobs'.
    pub(super) fn held(&self) -> [*mut PyObject; 5] {
        [
            self.slow_callback_duration.ptr(),
            self.default_executor.ptr(),
            self.exception_handler.ptr(),
            self.task_factory.ptr(),
            self.current_handle.ptr(),
        ]
    }

    /// The objects that were given as descriptors.
    pub(super) fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Drops all that is scheduled and all that is held.
    pub(super) fn clear(&self) {
        self.engine.clear();
        self.watched.clear();
        self.default_executor.set(None);
        self.exception_handler.set(None);
        self.task_factory.set(None);
        self.current_handle.set(None);
    }

    /// Seconds of the engine's clock, that of `time.monotonic()`: what `loop.time()` answers unless the
    /// program has put a clock of its own in its place.
    #[inline]
    pub(crate) fn time(&self) -> f64 {
        self.engine.now() as f64 * 1e-9
    }

    /// RuntimeError if the loop is closed.
    #[inline]
    pub(crate) fn check_closed(&self) -> Res<()> {
        if self.engine.is_closed() {
            Err(runtime_error("Event loop is closed"))
        } else {
            Ok(())
        }
    }

    /// Debug mode: RuntimeError when called from another thread than the running loop's.
    #[inline]
    pub(crate) fn check_thread_in_debug(&self) -> Res<()> {
        if self.debug.get() {
            self.check_thread()
        } else {
            Ok(())
        }
    }

    #[cold]
    fn check_thread(&self) -> Res<()> {
        let thread = self.thread.get();
        // SAFETY: no precondition.
        if thread == 0 || thread == unsafe { ffi::PyThread_get_thread_ident() } {
            return Ok(());
        }
        Err(runtime_error(
            "Non-thread-safe operation invoked on an event loop other than the current one",
        ))
    }

    /// Debug mode: complains in the log about what took longer than
    /// `slow_callback_duration` since `started` (nanoseconds).
    pub(crate) fn warn_if_slow(
        &self,
        started: u64,
        describe: impl FnOnce() -> Res<String>,
    ) -> Res<()> {
        let took = self.engine.now().saturating_sub(started) as f64 * 1e-9;
        // SAFETY: a live number or another object, whose conversion may raise.
        let limit = unsafe { ffi::PyFloat_AsDouble(self.slow_callback_duration.get().ptr()) };
        // SAFETY: attached.
        if limit == -1.0 && unsafe { !ffi::PyErr_Occurred().is_null() } {
            return Err(Raised::set());
        }
        if took < limit {
            return Ok(());
        }
        let text = Ref::str(&describe()?)?;
        let format = Ref::str("Executing %s took %.3f seconds")?;
        let took = Ref::float(took)?;
        // Where asyncio has it, and where tests put one of their own.
        let logger = import(c"asyncio.base_events")?.attr(names().logger)?;
        let warning = logger.attr(names().warning)?;
        warning
            .call(&[format.ptr(), text.ptr(), took.ptr()])
            .map(drop)
    }

    /// Calls a native function at `when` (seconds of the loop's clock).
    pub(crate) fn call_native_at(
        &self,
        when: f64,
        run: unsafe fn(*mut PyObject) -> Res<()>,
        data: Ref,
    ) -> Res<TimerKey> {
        let call = handles::native_call1(run, data)?;
        Ok(self
            .engine
            .set_timer(to_nanoseconds(when), jobs::native_call(call)))
    }

    /// Takes back what [`LoopCore::call_native_at`] has set.
    pub(crate) fn cancel_native(&self, key: TimerKey) {
        drop(self.engine.cancel_timer(key));
    }
}

/// Seconds to the engine's nanoseconds, rounded up so that a timer is never early. NaN is
/// due at once, as in asyncio, where no comparison with it holds it back.
#[inline]
pub(crate) fn to_nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9).ceil() as u64
}

/// `raise OSError(errno, strerror)`
pub(crate) fn os_error(error: &io::Error) -> Raised {
    let Some(errno) = error.raw_os_error() else {
        // SAFETY: a static exception class.
        return unsafe { raise(ffi::PyExc_OSError, &error.to_string()) };
    };
    let made = || {
        // SAFETY: static class; attached.
        let class = unsafe { Ref::borrow(ffi::PyExc_OSError) };
        // SAFETY: strerror's text is copied at once.
        let text = unsafe { core::ffi::CStr::from_ptr(libc::strerror(errno)) };
        let (code, text) = (
            Ref::int(i64::from(errno))?,
            Ref::str(&text.to_string_lossy())?,
        );
        class.call(&[code.ptr(), text.ptr()])
    };
    match made() {
        Ok(error) => crate::object::raise_instance(error),
        Err(raised) => raised,
    }
}
