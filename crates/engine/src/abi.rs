//! The loop as another shared object sees it.
//!
//! Two extension modules that are each linked with a copy of this crate can share one
//! loop: the one that owns it publishes an [`EventLoop::abi`] table (for instance in a
//! `PyCapsule`), the other drives the loop through a [`ForeignLoop`](crate::ForeignLoop). Only `repr(C)` types
//! cross the border. A [`Job`] is one of them, so a job scheduled through the table costs
//! an indirect call more than one of the loop's own.
//!
//! The table only grows: new functions are appended, and [`LoopAbi::size`] says how far it
//! goes. Anything else is a new [`ABI_VERSION`].

use std::ffi::c_int;
use std::io;
use std::mem;
use std::ptr;

use crate::event_loop::EventLoop;
use crate::job::{Job, JobVTable};
use crate::remote::Remote;
use crate::timers::TimerKey;

/// The version of [`LoopAbi`] that this crate makes and understands.
pub const ABI_VERSION: u32 = 1;

/// A [`Job`] or nothing: its two words, or two null pointers.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RawJob {
    /// [`Job::data`].
    pub data: *mut (),
    /// [`Job::vtable`], or null for no job.
    pub vtable: *const JobVTable,
}

impl RawJob {
    pub(crate) fn pack(job: Option<Job>) -> RawJob {
        match job {
            Some(job) => {
                let (data, vtable) = job.into_raw();
                RawJob { data, vtable }
            }
            None => RawJob {
                data: ptr::null_mut(),
                vtable: ptr::null(),
            },
        }
    }

    /// # Safety
    ///
    /// `self` comes from `pack`, and only one job is made of it.
    pub(crate) unsafe fn unpack(self) -> Option<Job> {
        // SAFETY: a table is static in the object that it comes from, and the caller's promise
        // makes the data fit it.
        unsafe {
            self.vtable
                .as_ref()
                .map(|vtable| Job::new(self.data, vtable))
        }
    }
}

/// The functions of a loop, and the loop.
///
/// None of the functions unwinds. `loop_data` is good while the loop lives, and goes to the
/// functions named `loop_*`, on the loop's thread. A remote is made by `loop_remote`, is good
/// on any thread, and ends with `remote_drop`. Errors are `errno` numbers, and 0 is none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "each is the method of the same name")]
pub struct LoopAbi {
    /// [`ABI_VERSION`] of the publisher.
    pub version: u32,
    /// Size of the publisher's table in bytes.
    pub size: u32,
    /// The loop.
    pub loop_data: *mut (),
    pub loop_schedule: unsafe extern "C" fn(loop_data: *mut (), job: Job),
    pub loop_now: unsafe extern "C" fn(loop_data: *mut ()) -> u64,
    pub loop_set_timer: unsafe extern "C" fn(loop_data: *mut (), when: u64, job: Job) -> u64,
    pub loop_cancel_timer: unsafe extern "C" fn(loop_data: *mut (), key: u64) -> RawJob,
    pub loop_set_reader: SetWatch,
    pub loop_remove_reader: RemoveWatch,
    pub loop_set_writer: SetWatch,
    pub loop_remove_writer: RemoveWatch,
    pub loop_stop: unsafe extern "C" fn(loop_data: *mut ()),
    pub loop_current_task: unsafe extern "C" fn(loop_data: *mut ()) -> *mut (),
    pub loop_set_current_task: unsafe extern "C" fn(loop_data: *mut (), task: *mut ()) -> *mut (),
    pub loop_remote: unsafe extern "C" fn(loop_data: *mut ()) -> *mut (),
    pub remote_clone: unsafe extern "C" fn(remote: *mut ()) -> *mut (),
    pub remote_drop: unsafe extern "C" fn(remote: *mut ()),
    /// Answers the job if the loop is closed.
    pub remote_schedule: unsafe extern "C" fn(remote: *mut (), job: Job) -> RawJob,
    pub remote_wake: unsafe extern "C" fn(remote: *mut ()),
    pub remote_is_loop_thread: unsafe extern "C" fn(remote: *mut ()) -> bool,
}

/// Writes the job that was replaced to `replaced`, unless it fails; then it has dropped `job`.
pub type SetWatch =
    unsafe extern "C" fn(loop_data: *mut (), fd: c_int, job: Job, replaced: *mut RawJob) -> c_int;

/// Answers the job that was removed.
pub type RemoveWatch = unsafe extern "C" fn(loop_data: *mut (), fd: c_int) -> RawJob;

impl EventLoop {
    /// The table of this loop. It is good for as long as the loop lives and stays in its place;
    /// whoever publishes it must see to that.
    pub fn abi(&self) -> LoopAbi {
        LoopAbi {
            version: ABI_VERSION,
            size: mem::size_of::<LoopAbi>() as u32,
            loop_data: ptr::from_ref(self).cast_mut().cast(),
            loop_schedule: schedule,
            loop_now: now,
            loop_set_timer: set_timer,
            loop_cancel_timer: cancel_timer,
            loop_set_reader: set_reader,
            loop_remove_reader: remove_reader,
            loop_set_writer: set_writer,
            loop_remove_writer: remove_writer,
            loop_stop: stop,
            loop_current_task: current_task,
            loop_set_current_task: set_current_task,
            loop_remote: remote,
            remote_clone,
            remote_drop,
            remote_schedule,
            remote_wake,
            remote_is_loop_thread,
        }
    }
}

/// # Safety
///
/// `loop_data` comes from a table whose loop is still alive.
unsafe fn this<'a>(loop_data: *mut ()) -> &'a EventLoop {
    // SAFETY: `EventLoop::abi` stored it, and the caller promises the rest.
    unsafe { &*loop_data.cast_const().cast::<EventLoop>() }
}

unsafe extern "C" fn schedule(loop_data: *mut (), job: Job) {
    // SAFETY: the table's contract.
    unsafe { this(loop_data) }.schedule(job);
}

unsafe extern "C" fn now(loop_data: *mut ()) -> u64 {
    // SAFETY: the table's contract.
    unsafe { this(loop_data) }.now()
}

unsafe extern "C" fn set_timer(loop_data: *mut (), when: u64, job: Job) -> u64 {
    // SAFETY: the table's contract.
    unsafe { this(loop_data) }.set_timer(when, job).into_raw()
}

unsafe extern "C" fn cancel_timer(loop_data: *mut (), key: u64) -> RawJob {
    // SAFETY: the table's contract.
    RawJob::pack(unsafe { this(loop_data) }.cancel_timer(TimerKey::from_raw(key)))
}

unsafe extern "C" fn set_reader(
    loop_data: *mut (),
    fd: c_int,
    job: Job,
    replaced: *mut RawJob,
) -> c_int {
    // SAFETY: the table's contract, and `replaced` is the caller's to be written.
    unsafe { answer(this(loop_data).set_reader(fd, job), replaced) }
}

unsafe extern "C" fn set_writer(
    loop_data: *mut (),
    fd: c_int,
    job: Job,
    replaced: *mut RawJob,
) -> c_int {
    // SAFETY: the table's contract, and `replaced` is the caller's to be written.
    unsafe { answer(this(loop_data).set_writer(fd, job), replaced) }
}

/// # Safety
///
/// `replaced` can be written to.
unsafe fn answer(result: io::Result<Option<Job>>, replaced: *mut RawJob) -> c_int {
    match result {
        Ok(job) => {
            // SAFETY: the caller's promise.
            unsafe { replaced.write(RawJob::pack(job)) };
            0
        }
        // Only a closed loop fails without a number.
        Err(error) => error.raw_os_error().unwrap_or(libc::ESHUTDOWN),
    }
}

unsafe extern "C" fn remove_reader(loop_data: *mut (), fd: c_int) -> RawJob {
    // SAFETY: the table's contract.
    RawJob::pack(unsafe { this(loop_data) }.remove_reader(fd))
}

unsafe extern "C" fn remove_writer(loop_data: *mut (), fd: c_int) -> RawJob {
    // SAFETY: the table's contract.
    RawJob::pack(unsafe { this(loop_data) }.remove_writer(fd))
}

unsafe extern "C" fn stop(loop_data: *mut ()) {
    // SAFETY: the table's contract.
    unsafe { this(loop_data) }.stop();
}

unsafe extern "C" fn current_task(loop_data: *mut ()) -> *mut () {
    // SAFETY: the table's contract.
    unsafe { this(loop_data) }.current_task()
}

unsafe extern "C" fn set_current_task(loop_data: *mut (), task: *mut ()) -> *mut () {
    // SAFETY: the table's contract.
    unsafe { this(loop_data) }.set_current_task(task)
}

unsafe extern "C" fn remote(loop_data: *mut ()) -> *mut () {
    // SAFETY: the table's contract.
    unsafe { this(loop_data) }.remote().into_raw().cast_mut()
}

unsafe extern "C" fn remote_clone(remote: *mut ()) -> *mut () {
    // SAFETY: `loop_remote` made it and the caller owns it, before and after.
    let remote = unsafe { Remote::borrow_raw(remote) };
    Remote::clone(&remote).into_raw().cast_mut()
}

unsafe extern "C" fn remote_drop(remote: *mut ()) {
    // SAFETY: `loop_remote` made it and the caller gives it up.
    drop(unsafe { Remote::from_raw(remote) });
}

unsafe extern "C" fn remote_schedule(remote: *mut (), job: Job) -> RawJob {
    // SAFETY: `loop_remote` made it; the caller promises for the job what `schedule` asks.
    RawJob::pack(unsafe { Remote::borrow_raw(remote).schedule(job) }.err())
}

unsafe extern "C" fn remote_wake(remote: *mut ()) {
    // SAFETY: `loop_remote` made it.
    unsafe { Remote::borrow_raw(remote) }.wake();
}

unsafe extern "C" fn remote_is_loop_thread(remote: *mut ()) -> bool {
    // SAFETY: `loop_remote` made it.
    unsafe { Remote::borrow_raw(remote) }.is_loop_thread()
}
