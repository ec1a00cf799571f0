//! A loop that another shared object owns: the other side of [`LoopAbi`].

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::os::fd::RawFd;

use crate::abi::{ABI_VERSION, LoopAbi, RawJob, SetWatch};
use crate::job::Job;
use crate::timers::TimerKey;

/// A loop that another shared object owns. Its methods are those of
/// [`EventLoop`](crate::EventLoop).
#[derive(Debug)]
pub struct ForeignLoop {
    abi: LoopAbi,
    _thread: PhantomData<*mut ()>,
}

/// Why a table cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbiError {
    /// The publisher has another [`ABI_VERSION`], namely this.
    Version(u32),
    /// The publisher's table ends, after so many bytes, before a function that is needed.
    Size(u32),
}

impl fmt::Display for AbiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AbiError::Version(version) => {
                write!(
                    f,
                    "the loop has ABI version {version}, and {ABI_VERSION} is needed"
                )
            }
            AbiError::Size(size) => write!(f, "the loop's ABI table is too short: {size} bytes"),
        }
    }
}

impl std::error::Error for AbiError {}

impl ForeignLoop {
    /// Takes up a published table.
    ///
    /// # Errors
    ///
    /// When the publisher's version does not suit ours.
    ///
    /// # Safety
    ///
    /// `abi` points to a table that [`EventLoop::abi`](crate::EventLoop::abi) has made, of any version. The loop
    /// outlives the result, and this is its thread.
    pub unsafe fn new(abi: *const LoopAbi) -> Result<ForeignLoop, AbiError> {
        // SAFETY: every version of the table begins with these two.
        let (version, size) = unsafe { ((*abi).version, (*abi).size) };
        if version != ABI_VERSION {
            return Err(AbiError::Version(version));
        }
        if (size as usize) < mem::size_of::<LoopAbi>() {
            return Err(AbiError::Size(size));
        }
        // SAFETY: it is as long as ours at least, and the same as far as ours goes.
        let abi = unsafe { *abi };
        Ok(ForeignLoop {
            abi,
            _thread: PhantomData,
        })
    }

    /// [`EventLoop::schedule`](crate::EventLoop::schedule).
    #[inline]
    pub fn schedule(&self, job: Job) {
        // SAFETY: the loop is alive and this is its thread (`new`).
        unsafe { (self.abi.loop_schedule)(self.abi.loop_data, job) }
    }

    /// [`EventLoop::now`](crate::EventLoop::now).
    pub fn now(&self) -> u64 {
        // SAFETY: as in `schedule`.
        unsafe { (self.abi.loop_now)(self.abi.loop_data) }
    }

    /// [`EventLoop::set_timer`](crate::EventLoop::set_timer).
    pub fn set_timer(&self, when: u64, job: Job) -> TimerKey {
        // SAFETY: as in `schedule`.
        TimerKey::from_raw(unsafe { (self.abi.loop_set_timer)(self.abi.loop_data, when, job) })
    }

    /// [`EventLoop::cancel_timer`](crate::EventLoop::cancel_timer).
    pub fn cancel_timer(&self, key: TimerKey) -> Option<Job> {
        // SAFETY: as in `schedule`; the answer is ours.
        unsafe { (self.abi.loop_cancel_timer)(self.abi.loop_data, key.into_raw()).unpack() }
    }

    /// [`EventLoop::set_reader`](crate::EventLoop::set_reader).
    pub fn set_reader(&self, fd: RawFd, job: Job) -> io::Result<Option<Job>> {
        self.set_watch(self.abi.loop_set_reader, fd, job)
    }

    /// [`EventLoop::set_writer`](crate::EventLoop::set_writer).
    pub fn set_writer(&self, fd: RawFd, job: Job) -> io::Result<Option<Job>> {
        self.set_watch(self.abi.loop_set_writer, fd, job)
    }

    /// [`EventLoop::remove_reader`](crate::EventLoop::remove_reader).
    pub fn remove_reader(&self, fd: RawFd) -> Option<Job> {
        // SAFETY: as in `schedule`; the answer is ours.
        unsafe { (self.abi.loop_remove_reader)(self.abi.loop_data, fd).unpack() }
    }

    /// [`EventLoop::remove_writer`](crate::EventLoop::remove_writer).
    pub fn remove_writer(&self, fd: RawFd) -> Option<Job> {
        // SAFETY: as in `schedule`; the answer is ours.
        unsafe { (self.abi.loop_remove_writer)(self.abi.loop_data, fd).unpack() }
    }

    /// [`EventLoop::stop`](crate::EventLoop::stop).
    pub fn stop(&self) {
        // SAFETY: as in `schedule`.
        unsafe { (self.abi.loop_stop)(self.abi.loop_data) }
    }

    /// [`EventLoop::current_task`](crate::EventLoop::current_task).
    pub fn current_task(&self) -> *mut () {
        // SAFETY: as in `schedule`.
        unsafe { (self.abi.loop_current_task)(self.abi.loop_data) }
    }

    /// [`EventLoop::set_current_task`](crate::EventLoop::set_current_task).
    #[expect(
        clippy::not_unsafe_ptr_arg_deref,
        reason = "the pointer is stored, not followed"
    )]
    pub fn set_current_task(&self, task: *mut ()) -> *mut () {
        // SAFETY: as in `schedule`.
        unsafe { (self.abi.loop_set_current_task)(self.abi.loop_data, task) }
    }

    /// [`EventLoop::remote`](crate::EventLoop::remote).
    pub fn remote(&self) -> ForeignRemote {
        // SAFETY: as in `schedule`.
        let remote = unsafe { (self.abi.loop_remote)(self.abi.loop_data) };
        ForeignRemote {
            remote,
            abi: self.abi,
        }
    }

    fn set_watch(&self, set: SetWatch, fd: RawFd, job: Job) -> io::Result<Option<Job>> {
        let mut replaced = RawJob::pack(None);
        // SAFETY: as in `schedule`; `replaced` lives through the call.
        match unsafe { set(self.abi.loop_data, fd, job, &mut replaced) } {
            0 => {
                // SAFETY: the loop has written it, for us.
                Ok(unsafe { replaced.unpack() })
            }
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Reaches a loop that another shared object owns, from any thread. Its methods are those of
/// [`Remote`](crate::Remote).
#[derive(Debug)]
pub struct ForeignRemote {
    remote: *mut (),
    abi: LoopAbi,
}

// SAFETY: behind the pointer is a `Remote`, which is `Send`; of the table, only functions for
// remotes are used, which are good on any thread.
unsafe impl Send for ForeignRemote {}
// SAFETY: as above, and `Remote` is `Sync`.
unsafe impl Sync for ForeignRemote {}

impl ForeignRemote {
    /// [`Remote::schedule`](crate::Remote::schedule).
    ///
    /// # Safety
    ///
    /// The job must be fit to run and to be dropped on the loop's thread.
    pub unsafe fn schedule(&self, job: Job) -> Result<(), Job> {
        // SAFETY: we own the remote, the caller promises for the job, and the answer is ours.
        match unsafe { (self.abi.remote_schedule)(self.remote, job).unpack() } {
            None => Ok(()),
            Some(job) => Err(job),
        }
    }

    /// [`Remote::wake`](crate::Remote::wake).
    pub fn wake(&self) {
        // SAFETY: we own the remote.
        unsafe { (self.abi.remote_wake)(self.remote) }
    }

    /// [`Remote::is_loop_thread`](crate::Remote::is_loop_thread).
    pub fn is_loop_thread(&self) -> bool {
        // SAFETY: we own the remote.
        unsafe { (self.abi.remote_is_loop_thread)(self.remote) }
    }
}

impl Clone for ForeignRemote {
    fn clone(&self) -> ForeignRemote {
        // SAFETY: we own the remote, and the answer is a second one.
        let remote = unsafe { (self.abi.remote_clone)(self.remote) };
        ForeignRemote {
            remote,
            abi: self.abi,
        }
    }
}

impl Drop for ForeignRemote {
    fn drop(&mut self) {
        // SAFETY: we own the remote and give it up.
        unsafe { (self.abi.remote_drop)(self.remote) }
    }
}
