//! How a task is woken: at home by a job in the ready queue, from elsewhere by a job in
//! the loop's inbox.
//!
//! A waker owns one reference. Waking hands it over to the job, which gives it up when it
//! has run or is dropped.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::task::{RawWaker, RawWakerVTable, Waker};

use rasyncio_engine::{Flow, Job, JobVTable};

use super::AnyTask;
use super::cell::{Header, Raw, is_local};
use super::state::{DONE, LENT, RUNNING, SCHEDULED};
use crate::events;

static WAKER: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

/// Runs the task. `SCHEDULED` says that there is one.
static LOCAL: JobVTable = JobVTable {
    run: run_local,
    drop: drop_local,
    clone: clone_job,
};

/// Runs the task, sent from another thread. `Sent` says that there is one.
static REMOTE: JobVTable = JobVTable {
    run: run_remote,
    drop: drop_remote,
    clone: clone_job,
};

/// Wakes the task: a waker in the shape of a job, for a timer.
static WAKE: JobVTable = JobVTable {
    run: run_wake,
    drop: drop_wake,
    clone: clone_job,
};

/// A waker for the length of a poll, which the caller keeps the task alive for.
pub(super) fn borrowed(task: Raw) -> ManuallyDrop<Waker> {
    // SAFETY: it is never dropped, and a clone makes its own reference.
    ManuallyDrop::new(unsafe { Waker::from_raw(RawWaker::new(task.as_ptr(), &WAKER)) })
}

/// A job that wakes `waker`'s task. Without an allocation, if that task is ours.
pub(crate) fn into_job(waker: Waker) -> Job {
    match into_data(waker) {
        // SAFETY: the reference of the waker goes to the job.
        Ok(task) => unsafe { Job::new(task, &WAKE) },
        Err(waker) => Job::from_fn(move || events::quietly("a waker panicked", || waker.wake())),
    }
}

/// A waker of a task of ours by what it has for data. Any other is given back.
#[inline]
pub(super) fn into_data(waker: Waker) -> Result<*mut (), Waker> {
    if !ptr::eq(waker.vtable(), &WAKER) {
        return Err(waker);
    }
    let task = waker.data().cast_mut();
    mem::forget(waker);
    Ok(task)
}

/// The waker that [`into_data`] has taken.
///
/// # Safety
///
/// Once for each of those.
#[inline]
pub(super) unsafe fn from_data(task: *mut ()) -> Waker {
    // SAFETY: the reference of the waker that was taken goes to this one.
    unsafe { Waker::from_raw(RawWaker::new(task, &WAKER)) }
}

/// The unfinished task of this thread's loop that a waker is for, if it is for one.
pub(super) fn task_of(waker: &Waker) -> Option<AnyTask> {
    if !ptr::eq(waker.vtable(), &WAKER) {
        return None;
    }
    // SAFETY: the waker keeps the task alive, and a handle is made on its thread of what has not ended.
    unsafe {
        let task = Raw::from_ptr(waker.data().cast_mut());
        let header = task.header();
        (is_local(header) && !header.state.has(DONE)).then(|| task.handle())
    }
}

/// [`task_of`] a waker in its place.
pub(crate) fn waiting(waker: &Cell<Option<Waker>>) -> Option<AnyTask> {
    let inside = waker.take();
    let task = inside.as_ref().and_then(task_of);
    waker.set(inside);
    task
}

/// Schedules the task, unless it is.
///
/// For the loop's thread, and an unfinished task.
#[inline(always)]
pub(super) fn wake_local(task: Raw, header: &Header) {
    let state = header.state.get();
    if state & SCHEDULED == 0 {
        if state & RUNNING == 0 {
            header.refs.retain_local();
        } else {
            header.state.set(state | LENT);
        }
        // SAFETY: the new reference is the job's, or it will be.
        unsafe { schedule(task, header) };
    }
}

/// Wakes an unfinished task, whatever thread this is.
pub(super) fn wake_ref(task: Raw, header: &Header) {
    if is_local(header) {
        if !header.state.has(DONE) {
            wake_local(task, header);
        }
    } else if header.sent.claim() {
        header.refs.retain_shared();
        // SAFETY: the new reference is the job's.
        unsafe { send(task, header) };
    }
}

/// # Safety
///
/// The caller owns a reference, which goes to the job, or the task is `LENT`; and this is the loop's
/// thread.
#[inline]
unsafe fn schedule(task: Raw, header: &Header) {
    header.state.insert(SCHEDULED);
    // SAFETY: the reference is the job's from now on.
    let job = unsafe { Job::new(task.as_ptr(), &LOCAL) };
    // Outside of a loop nobody is local, so there is an engine.
    events::ENGINE.with(|engine| match engine {
        Some(engine) => engine.schedule(job),
        None => give_up(job),
    });
}

#[cold]
#[inline(never)]
fn give_up(job: Job) {
    drop(job);
}

/// # Safety
///
/// The caller owns a reference, which goes to the job, and has claimed `sent`.
unsafe fn send(task: Raw, header: &Header) {
    // A remote of our own: once the job is sent, the task may end and its home be gone before
    // this call returns.
    // SAFETY: the reference keeps the task alive, and that its home.
    let remote = unsafe { &*header.home }.remote.clone();
    // SAFETY: what a task holds is touched by the job's functions only, on the loop's thread.
    let sent = unsafe { remote.schedule(Job::new(task.as_ptr(), &REMOTE)) };
    if let Err(job) = sent {
        // The loop is closed. This may be any thread, so the job's own drop will not do.
        mem::forget(job);
        // SAFETY: the reference has come back with the job.
        unsafe { task.release_anywhere() };
    }
}

// The functions of the waker: any thread.

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker that is cloned keeps the task alive.
    unsafe {
        let task = Raw::from_ptr(data.cast_mut());
        if is_local(task.header()) {
            task.retain_here();
        } else {
            task.header().refs.retain_shared();
        }
    }
    RawWaker::new(data, &WAKER)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: the waker's reference keeps the task alive, and is given up once on every path.
    unsafe {
        let task = Raw::from_ptr(data.cast_mut());
        let header = task.header();
        if is_local(header) {
            if header.state.has(DONE | SCHEDULED) {
                task.release_here();
            } else {
                schedule(task, header);
            }
        } else if header.sent.claim() {
            send(task, header);
        } else {
            task.release_anywhere();
        }
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker's reference keeps the task alive.
    unsafe {
        let task = Raw::from_ptr(data.cast_mut());
        wake_ref(task, task.header());
    }
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: the waker's reference is given up here.
    unsafe {
        let task = Raw::from_ptr(data.cast_mut());
        if is_local(task.header()) {
            task.release_here();
        } else {
            task.release_anywhere();
        }
    }
}

// The functions of the jobs: the thread that has the loop, entered or not.

unsafe extern "C" fn run_local(data: *mut ()) -> Flow {
    // SAFETY: the job's reference keeps the task alive, and is given up once on every path.
    unsafe {
        let task = Raw::from_ptr(data);
        if task.header().state.has(DONE) {
            drop_local(data);
        } else {
            task.run(SCHEDULED);
        }
    }
    Flow::Continue
}

unsafe extern "C" fn drop_local(data: *mut ()) {
    // SAFETY: the job's reference is given up here, if it has one. Otherwise the task is running.
    unsafe {
        let task = Raw::from_ptr(data);
        let state = &task.header().state;
        state.remove(SCHEDULED);
        if !state.remove(LENT) {
            task.release_here();
        }
    }
}

unsafe extern "C" fn run_remote(data: *mut ()) -> Flow {
    // SAFETY: the job's reference keeps the task alive, and is given up once on every path.
    unsafe {
        let task = Raw::from_ptr(data);
        let header = task.header();
        // Before the poll, so that a wake during it is not lost. Should the job for a local wake
        // be in the queue already, that one will poll.
        header.sent.accept();
        if header.state.has(DONE | SCHEDULED) {
            task.release_here();
        } else {
            task.run(0);
        }
    }
    Flow::Continue
}

unsafe extern "C" fn drop_remote(data: *mut ()) {
    // SAFETY: the job's reference is given up here.
    unsafe {
        let task = Raw::from_ptr(data);
        task.header().sent.accept();
        task.release_here();
    }
}

unsafe extern "C" fn run_wake(data: *mut ()) -> Flow {
    // SAFETY: the job owns a reference, as a waker does.
    unsafe { wake(data) };
    Flow::Continue
}

unsafe extern "C" fn drop_wake(data: *mut ()) {
    // SAFETY: the job owns a reference, as a waker does.
    unsafe { drop_waker(data) };
}

unsafe extern "C" fn clone_job(data: *mut ()) {
    // SAFETY: the job that is cloned keeps the task alive.
    unsafe { Raw::from_ptr(data).retain_here() };
}
