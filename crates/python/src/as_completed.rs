//! `asyncio.as_completed`.
//!
//! One iterator serves both ways of iteration. Plain iteration yields coroutines, each of
//! which completes with the next result; asynchronous iteration yields the futures
//! themselves, and those that were given are the ones that come back.

mod object;

use pyo3::ffi::{self, PyObject};

use crate::args::Signature;
use crate::awaited_by;
use crate::coroutine::{CoroutineDef, Slots, await_future, coroutine, finally};
use crate::events;
use crate::futures;
use crate::object::{
    Raised, Ref, Res, check, import, items, set_slot, take_slot, type_error, type_name,
};
use crate::stdlib::stdlib;
use crate::timer;

pub(crate) use object::init;
use object::{IteratorObject, new};

static WAIT_FOR_ONE: CoroutineDef = CoroutineDef::new(c"<rasyncio.tasks>", c"_wait_for_one");
static GET: CoroutineDef = CoroutineDef::method(c"<rasyncio.queues>", c"get", c"Queue.get");
static ANEXT: CoroutineDef = CoroutineDef::new(c"<rasyncio.tasks>", c"__anext__");

static PARAMETERS: Signature = Signature::required("as_completed", &["fs"]).keywords(&["timeout"]);

vectorcall!(as_completed, |_module, PARAMETERS [fs, timeout]| {
    let iterator = new()?;
    let object = iterator.ptr().cast::<IteratorObject>();
    if cfg!(Py_3_13) {
        start(object, fs, timeout)?;
    } else {
        // A generator function until then, which does nothing before the first step.
        let timeout = if timeout.is_null() { ffi::Py_None() } else { timeout };
        (*object).not_started = Ref::tuple(&[fs, timeout])?.into_ptr();
    }
    Ok(iterator)
});

/// Does what was put off until the first step.
unsafe fn ensure_started(iterator: *mut IteratorObject) -> Res<()> {
    // SAFETY: alive, says the caller; a pair.
    unsafe {
        match take_slot(&raw mut (*iterator).not_started) {
            Some(given) => {
                let (fs, timeout) = (
                    ffi::PyTuple_GET_ITEM(given.ptr(), 0),
                    ffi::PyTuple_GET_ITEM(given.ptr(), 1),
                );
                start(iterator, fs, timeout)
            }
            None => Ok(()),
        }
    }
}

/// `inspect.isawaitable(object)`
fn is_awaitable(object: *mut PyObject) -> Res<bool> {
    if futures::as_exact(object).is_some() {
        return Ok(true);
    }
    import(c"inspect")?
        .attr(Ref::str("isawaitable")?.ptr())?
        .call1(object)?
        .truth()
}

unsafe fn start(
    iterator: *mut IteratorObject,
    fs: *mut PyObject,
    timeout: *mut PyObject,
) -> Res<()> {
    // SAFETY: all alive, says the caller.
    unsafe {
        if is_awaitable(fs)? {
            let name = type_name(fs);
            return Err(type_error(&if cfg!(Py_3_13) {
                format!("expects an iterable of awaitables, not {name}")
            } else {
                format!("expect an iterable of futures, not {name}")
            }));
        }
        let running = stdlib().get_event_loop.call0()?;
        set_slot(&raw mut (*iterator).loop_, running.clone().into_ptr());
        let task = events::current_task(running.ptr())?;
        set_slot(&raw mut (*iterator).task, task.clone().into_ptr());
        let todo = (*iterator).todo;
        let given = Ref::checked(ffi::PySet_New(fs))?;
        for awaitable in items(given.ptr())? {
            let future = events::ensure_future(awaitable.ptr(), running.ptr())?;
            check(ffi::PySet_Add(todo, future.ptr()))?;
        }
        for future in items(todo)? {
            futures::on_done(future.ptr(), completed, iterator.cast())?;
            awaited_by::add(future.ptr(), task.ptr())?;
        }
        (*iterator).left = ffi::PySet_GET_SIZE(todo);
        if (*iterator).left > 0 && !timeout.is_null() && timeout != ffi::Py_None() {
            let data = Ref::borrow(iterator.cast());
            let timer = timer::call_later(running.ptr(), timeout, timed_out, data, |handle| {
                set_slot(&raw mut (*iterator).handle, handle.into_ptr());
            })?;
            (*iterator).timer = Some(timer);
        }
        Ok(())
    }
}

/// The task that made an iterator, borrowed; NULL or None if none did.
pub(crate) unsafe fn task_of(iterator: *mut PyObject) -> *mut PyObject {
    // SAFETY: an iterator, alive, says the caller.
    unsafe { (*iterator.cast::<IteratorObject>()).task }
}

/// The futures' done callback.
pub(crate) unsafe fn completed(future: *mut PyObject, iterator: *mut PyObject) -> Res<()> {
    let iterator = iterator.cast::<IteratorObject>();
    // SAFETY: registered with an iterator, which the callback keeps alive.
    unsafe {
        // After the timeout, and after the collector, the set is empty or gone.
        if (*iterator).todo.is_null() || ffi::PySet_Discard((*iterator).todo, future) != 1 {
            return Ok(());
        }
        if let Some(task) = Ref::borrow_opt((*iterator).task) {
            awaited_by::discard(future, task.ptr())?;
        }
        put(iterator, Ref::borrow(future))?;
        if ffi::PySet_GET_SIZE((*iterator).todo) == 0 {
            cancel_timer(iterator)?;
        }
        Ok(())
    }
}

/// The timer's function: whoever waits or will wait for one of the rest is told by None.
unsafe fn timed_out(iterator: *mut PyObject) -> Res<()> {
    let iterator = iterator.cast::<IteratorObject>();
    // SAFETY: the timer keeps the iterator alive.
    unsafe {
        (*iterator).timer = None;
        if (*iterator).todo.is_null() {
            return Ok(());
        }
        for future in items((*iterator).todo)? {
            futures::off_done(future.ptr(), completed, iterator.cast())?;
            if let Some(task) = Ref::borrow_opt((*iterator).task) {
                awaited_by::discard(future.ptr(), task.ptr())?;
            }
            put(iterator, Ref::none())?;
        }
        check(ffi::PySet_Clear((*iterator).todo))
    }
}

unsafe fn cancel_timer(iterator: *mut IteratorObject) -> Res<()> {
    // SAFETY: alive, says the caller; the timer was set on this very loop.
    unsafe {
        let handle = take_slot(&raw mut (*iterator).handle);
        match (*iterator).timer.take() {
            Some(timer) => {
                let handle = handle.as_ref().map_or(core::ptr::null_mut(), Ref::ptr);
                timer.cancel((*iterator).loop_, handle)
            }
            None => Ok(()),
        }
    }
}

/// Queues a completed future, and wakes the first that waits for one.
unsafe fn put(iterator: *mut IteratorObject, future: Ref) -> Res<()> {
    // SAFETY: alive, says the caller.
    unsafe {
        (*iterator).done.push_back(future);
        wake_next(iterator)
    }
}

unsafe fn wake_next(iterator: *mut IteratorObject) -> Res<()> {
    // SAFETY: alive, says the caller; no reference into the queue is held across the calls.
    unsafe {
        while let Some(waiter) = (*iterator).waiters.pop_front() {
            if !futures::is_done(waiter.ptr())? {
                return futures::set_result(waiter.ptr(), ffi::Py_None());
            }
        }
        Ok(())
    }
}

/// `__next__`: a coroutine for the next result.
unsafe fn next_coroutine(iterator: *mut IteratorObject) -> Res<Option<Ref>> {
    // SAFETY: alive, says the caller.
    unsafe {
        ensure_started(iterator)?;
        if (*iterator).left == 0 {
            return Ok(None);
        }
        (*iterator).left -= 1;
        let held = [Some(Ref::borrow(iterator.cast())), None, None];
        coroutine(&WAIT_FOR_ONE, held, result_of_next).map(Some)
    }
}

/// `__anext__`: a coroutine that answers the next future.
unsafe fn next_future(iterator: *mut IteratorObject) -> Res {
    // SAFETY: alive, says the caller.
    let held = unsafe { [Some(Ref::borrow(iterator.cast())), None, None] };
    coroutine(&ANEXT, held, future_itself)
}

const ITERATOR: usize = 0;
const WAITER: usize = 1;
const FUTURE: usize = 2;

async fn result_of_next(slots: Slots<3>) -> Res {
    take_next(slots).await?;
    futures::result(slots.get(FUTURE))
}

async fn future_itself(slots: Slots<3>) -> Res {
    let iterator = slots.get(ITERATOR).cast::<IteratorObject>();
    // SAFETY: the slot keeps the iterator alive.
    unsafe {
        ensure_started(iterator)?;
        if (*iterator).left == 0 {
            ffi::PyErr_SetNone(ffi::PyExc_StopAsyncIteration);
            return Err(Raised::set());
        }
        (*iterator).left -= 1;
    }
    take_next(slots).await?;
    Ok(slots.take(FUTURE).unwrap_or_else(Ref::none))
}

/// Waits for a completed future, and puts it into its slot.
async fn take_next(slots: Slots<3>) -> Res<()> {
    let iterator = slots.get(ITERATOR).cast::<IteratorObject>();
    // SAFETY: the slot keeps the iterator alive; no reference into its queues is held across
    // an await or a call.
    unsafe {
        while (*iterator).done.is_empty() {
            let waiter = slots.set(WAITER, futures::new_future((*iterator).loop_)?);
            (*iterator).waiters.push_back(Ref::borrow(waiter));
            slots.inside(Some(&GET));
            let waited = await_future(waiter).await;
            slots.inside(None);
            if let Err(raised) = waited {
                (*iterator).left += 1;
                return finally(Err(raised), || give_up(iterator, waiter));
            }
        }
        let next = (*iterator).done.pop_front().unwrap_or_else(Ref::none);
        if next.is_none() {
            ffi::PyErr_SetNone(ffi::PyExc_TimeoutError);
            return Err(Raised::set());
        }
        slots.set(FUTURE, next);
        Ok(())
    }
}

/// A waiter was cancelled. If it had been woken already, another takes its turn.
unsafe fn give_up(iterator: *mut IteratorObject, waiter: *mut PyObject) -> Res<()> {
    // SAFETY: both alive, says the caller.
    unsafe {
        futures::cancel(waiter, core::ptr::null_mut())?;
        (*iterator).waiters.retain(|other| !other.is(waiter));
        if !(*iterator).done.is_empty() && !futures::is_cancelled(waiter)? {
            wake_next(iterator)?;
        }
        Ok(())
    }
}
