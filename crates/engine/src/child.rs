//! Child processes: the end of one is an ordinary event.
//!
//! Where the system has pidfds (Linux 5.3), one is watched like any other descriptor: no
//! signal, no thread, and no mistake about which process is meant. Elsewhere a thread
//! waits for the process and then closes a pipe, whose other end is watched.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::process::ExitStatus;
use std::rc::{Rc, Weak};
use std::sync::{Arc, OnceLock};
use std::thread;

use crate::event_loop::EventLoop;
use crate::job::Job;

/// A child process whose end can be waited for: readable once it has ended.
#[derive(Debug)]
pub struct Child {
    fd: OwnedFd,
    end: End,
}

/// Where the exit status comes from.
#[derive(Debug)]
enum End {
    #[cfg(target_os = "linux")]
    Pidfd,
    Thread(Arc<OnceLock<Reaped>>),
}

/// The error is kept as its number, for it is shared.
type Reaped = Result<ExitStatus, i32>;

impl Child {
    /// Takes up the child process `pid`, which must not have been waited for.
    ///
    /// # Errors
    ///
    /// `ESRCH` when there is no such process, or what the system says when descriptors,
    /// memory or threads run out.
    pub fn open(pid: u32) -> io::Result<Child> {
        #[cfg(target_os = "linux")]
        match pidfd::open(pid) {
            Ok(fd) => {
                return Ok(Child {
                    fd,
                    end: End::Pidfd,
                });
            }
            // An old kernel, or a sandbox that does not know the call.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
            Err(error) => return Err(error),
        }
        Child::open_with_thread(pid)
    }

    /// As [`Child::open`], by way of a thread on every system.
    pub fn open_with_thread(pid: u32) -> io::Result<Child> {
        let pid = number(pid)?;
        let (reader, writer) = io::pipe()?;
        let reaped = Arc::new(OnceLock::new());
        let result = Arc::clone(&reaped);
        thread::Builder::new()
            .name(format!("rasyncio-waitpid-{pid}"))
            .spawn(move || {
                // The cell is empty, for this is its only writer.
                let _ = result.set(wait(pid));
                drop(writer);
            })?;
        Ok(Child {
            fd: reader.into(),
            end: End::Thread(reaped),
        })
    }

    /// The exit status, or `None` while the process runs. Reaps the process: the status can be
    /// had once.
    ///
    /// # Errors
    ///
    /// `ECHILD` when somebody else has reaped it, or it is no child of ours.
    pub fn try_wait(&self) -> io::Result<Option<ExitStatus>> {
        match &self.end {
            #[cfg(target_os = "linux")]
            End::Pidfd => pidfd::try_wait(self.fd.as_fd()),
            End::Thread(reaped) => match reaped.get() {
                None => Ok(None),
                Some(Ok(status)) => Ok(Some(*status)),
                Some(Err(error)) => Err(io::Error::from_raw_os_error(*error)),
            },
        }
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A child process that a loop watches; see [`EventLoop::watch_child`].
#[must_use = "it is needed to give the watch up"]
pub struct ChildWatch {
    fd: RawFd,
    /// Alive while the loop watches the descriptor. Later the number may be somebody else's.
    watched: Weak<()>,
}

impl ChildWatch {
    /// Gives the watch up: the process is not reaped by it, and its callback is dropped. Too
    /// late when the process has ended and the loop has seen it.
    pub fn cancel(self, event_loop: &EventLoop) {
        if self.watched.strong_count() > 0 {
            drop(event_loop.remove_reader(self.fd));
        }
    }
}

impl fmt::Debug for ChildWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let watched = self.watched.strong_count() > 0;
        f.debug_struct("ChildWatch")
            .field("watched", &watched)
            .finish_non_exhaustive()
    }
}

impl EventLoop {
    /// Calls `ended` from the loop, once, when the child process `pid` has ended, and reaps it.
    /// The error is `ECHILD` when somebody else was faster and the status is lost.
    ///
    /// # Errors
    ///
    /// Those of [`Child::open`] and [`EventLoop::set_reader`].
    pub fn watch_child(
        &self,
        pid: u32,
        ended: impl FnOnce(io::Result<ExitStatus>) + 'static,
    ) -> io::Result<ChildWatch> {
        self.watch(Child::open(pid)?, ended)
    }

    /// As [`EventLoop::watch_child`], for a child that is open already.
    pub fn watch(
        &self,
        child: Child,
        ended: impl FnOnce(io::Result<ExitStatus>) + 'static,
    ) -> io::Result<ChildWatch> {
        let fd = child.fd.as_raw_fd();
        let token = Rc::new(());
        let watched = Rc::downgrade(&token);
        let job = Job::from_fn(move || {
            let status = child.try_wait();
            drop((token, child));
            ended(status.and_then(|status| {
                // Readable means ended, on both ways.
                status.ok_or_else(|| io::Error::from(io::ErrorKind::WouldBlock))
            }));
        });
        self.set_reader_once(fd, job)?;
        Ok(ChildWatch { fd, watched })
    }
}

fn number(pid: u32) -> io::Result<libc::pid_t> {
    match libc::pid_t::try_from(pid) {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
    }
}

/// Waits until the process has ended.
fn wait(pid: libc::pid_t) -> Reaped {
    use std::os::unix::process::ExitStatusExt;

    let mut status = 0;
    loop {
        // SAFETY: `status` lives through the call.
        if unsafe { libc::waitpid(pid, &mut status, 0) } == pid {
            return Ok(ExitStatus::from_raw(status));
        }
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            error => return Err(error.unwrap_or(libc::ECHILD)),
        }
    }
}

#[cfg(target_os = "linux")]
mod pidfd {
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

    /// The flag by which a core dump shows in a raw wait status.
    const CORE_DUMPED: i32 = 0x80;

    pub(super) fn open(pid: u32) -> io::Result<OwnedFd> {
        let pid = Pid::from_raw(super::number(pid)?)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        Ok(pidfd_open(pid, PidfdFlags::empty())?)
    }

    pub(super) fn try_wait(fd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
        let Some(status) = waitid(
            WaitId::PidFd(fd),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        )?
        else {
            return Ok(None);
        };
        let raw = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => (code & 0xff) << 8,
            (None, Some(signal)) if status.dumped() => signal | CORE_DUMPED,
            (None, Some(signal)) => signal,
            (None, None) => return Ok(None),
        };
        Ok(Some(ExitStatus::from_raw(raw)))
    }
}
