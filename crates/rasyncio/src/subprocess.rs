//! Child processes (asyncio's `subprocess`).
//!
//! ```
//! use std::process::Stdio;
//! use rasyncio::subprocess::Command;
//!
//! rasyncio::run(async {
//!     let mut process = Command::shell("tr a-z A-Z")
//!         .stdin(Stdio::piped())
//!         .stdout(Stdio::piped())
//!         .spawn()?;
//!     let (output, _) = process.communicate(b"hello").await?;
//!     assert_eq!(output.unwrap(), b"HELLO");
//!     assert_eq!(process.returncode(), Some(0));
//!     Ok::<_, std::io::Error>(())
//! })
//! .unwrap();
//! ```

mod command;
mod transport;

use std::cell::Cell;
use std::ffi::OsStr;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::task::Poll;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::locks::Event;
use crate::streams::{StreamReader, StreamWriter};
pub use command::Command;
pub use transport::{SubprocessTransport, subprocess_exec, subprocess_shell};

/// Runs a program (asyncio's `create_subprocess_exec`), each of its standard streams as said. For
/// more say in it see [`Command`].
///
/// # Errors
///
/// If it cannot be started.
///
/// ```
/// use std::process::Stdio;
/// use rasyncio::subprocess::create_subprocess_exec;
///
/// rasyncio::run(async {
///     let pipes = [Stdio::null(), Stdio::piped(), Stdio::inherit()];
///     let mut process = create_subprocess_exec("echo", ["hello"], pipes)?;
///     let (output, _) = process.communicate(b"").await?;
///     assert_eq!(output.unwrap(), b"hello\n");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub fn create_subprocess_exec<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
    [stdin, stdout, stderr]: [Stdio; 3],
) -> io::Result<Process> {
    let command = Command::new(program).args(arguments);
    command.stdin(stdin).stdout(stdout).stderr(stderr).spawn()
}

/// Has the shell run a line (asyncio's `create_subprocess_shell`), each of the standard streams as
/// said.
///
/// # Errors
///
/// If the shell cannot be started.
///
/// ```
/// use std::process::Stdio;
/// use rasyncio::subprocess::create_subprocess_shell;
///
/// rasyncio::run(async {
///     let pipes = [Stdio::null(), Stdio::piped(), Stdio::inherit()];
///     let mut process = create_subprocess_shell("echo $((6 * 7))", pipes)?;
///     let (output, _) = process.communicate(b"").await?;
///     assert_eq!(output.unwrap(), b"42\n");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub fn create_subprocess_shell(
    line: impl AsRef<OsStr>,
    [stdin, stdout, stderr]: [Stdio; 3],
) -> io::Result<Process> {
    let command = Command::shell(line);
    command.stdin(stdin).stdout(stdout).stderr(stderr).spawn()
}

/// A child process (asyncio's `Process`). Dropping it closes its pipes; the process runs on unless
/// [`Command::kill_on_drop`] was asked for, and is reaped by the loop when it ends.
///
/// ```
/// use rasyncio::subprocess::{Command, Process};
///
/// rasyncio::run(async {
///     let process: Process = Command::new("true").spawn()?;
///     assert!(process.wait().await?.success());
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
pub struct Process {
    /// Its standard input, if that is a pipe.
    pub stdin: Option<StreamWriter>,
    /// Its standard output, if that is a pipe.
    pub stdout: Option<StreamReader>,
    /// Its standard error, if that is a pipe.
    pub stderr: Option<StreamReader>,
    life: Life,
}

/// The process itself.
struct Life {
    pid: u32,
    ended: Rc<Ended>,
    /// When this is dropped.
    kills: Cell<bool>,
}

impl Life {
    /// Calls `send` with the number of the process. Until the loop has reaped it, and that happens in
    /// this thread, the number is its own.
    fn signal(&self, send: impl FnOnce(Pid) -> rustix::io::Result<()>) -> io::Result<()> {
        let gone = || io::Error::from_raw_os_error(libc::ESRCH);
        if self.ended.status.get().is_some() {
            return Err(gone());
        }
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        Ok(send(pid.ok_or_else(gone)?)?)
    }

    fn send(&self, signal: Signal) -> io::Result<()> {
        self.signal(|pid| kill_process(pid, signal))
    }

    fn send_signal(&self, signal: i32) -> io::Result<()> {
        if signal == 0 {
            return self.signal(test_kill_process);
        }
        self.send(any_signal(signal).ok_or(ErrorKind::InvalidInput)?)
    }

    fn returncode(&self) -> Option<i32> {
        let status = self.ended.status.get()?.ok()?;
        status.code().or(status.signal().map(|signal| -signal))
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        if self.kills.get() {
            // It may have ended meanwhile.
            let _ = self.signal(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

/// How a process has ended, once it has.
#[derive(Default)]
struct Ended {
    /// The error is kept as its number, for it can be asked for several times.
    status: Cell<Option<Result<ExitStatus, i32>>>,
    event: Event,
}

impl Ended {
    fn tell(&self, status: io::Result<ExitStatus>) {
        let status = status.map_err(|error| error.raw_os_error().unwrap_or(libc::ECHILD));
        self.status.set(Some(status));
        self.event.set();
    }

    async fn wait(&self) -> io::Result<ExitStatus> {
        self.event.wait().await?;
        match self.status.get() {
            Some(status) => status.map_err(io::Error::from_raw_os_error),
            None => Err(ErrorKind::Other.into()),
        }
    }
}

impl Process {
    /// The number of the process.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("true").spawn()?;
    ///     assert_ne!(process.pid(), std::process::id());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn pid(&self) -> u32 {
        self.life.pid
    }

    /// What the process has ended with, as asyncio says it: its exit code, or the negative number of
    /// the signal that has killed it. `None` while it runs.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("sleep").arg("60").spawn()?;
    ///     assert_eq!(process.returncode(), None);
    ///     process.kill()?;
    ///     process.wait().await?;
    ///     assert_eq!(process.returncode(), Some(-libc::SIGKILL));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn returncode(&self) -> Option<i32> {
        self.life.returncode()
    }

    /// Waits until the process has ended. While it has a full pipe to write to, that may be never:
    /// see [`Process::communicate`].
    ///
    /// # Errors
    ///
    /// If somebody else has reaped it, and a cancellation.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     assert!(Command::new("true").spawn()?.wait().await?.success());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn wait(&self) -> io::Result<ExitStatus> {
        self.life.ended.wait().await
    }

    /// Sends `input`, closes the standard input, reads what comes out to its end, and waits for the
    /// process. That it does not take all of the input is no error. Answers what came from its
    /// standard output and its standard error, if those are pipes.
    ///
    /// # Errors
    ///
    /// Those of the pipes, and a cancellation. What has come stays in the readers.
    ///
    /// ```
    /// use std::process::Stdio;
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let command = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped());
    ///     let (output, errors) = command.spawn()?.communicate(b"hello").await?;
    ///     assert_eq!((output.unwrap(), errors), (b"hello".to_vec(), None));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn communicate(
        &mut self,
        input: &[u8],
    ) -> io::Result<(Option<Vec<u8>>, Option<Vec<u8>>)> {
        let (stdin, stdout, stderr) = (self.stdin.take(), &mut self.stdout, &mut self.stderr);
        let mut feeding = pin!(async {
            let Some(stdin) = stdin else { return Ok(()) };
            if stdin.write(input).is_err() {
                return Ok(());
            }
            match stdin.drain().await {
                Err(error) if is_gone(&error) => Ok(()),
                result => result,
            }
        });
        let mut output = pin!(read_all(stdout));
        let mut errors = pin!(read_all(stderr));
        let (mut fed, mut out, mut err) = (None, None, None);
        poll_fn(|cx| {
            let done = [
                poll_once(&mut fed, || feeding.as_mut().poll(cx))?,
                poll_once(&mut out, || output.as_mut().poll(cx))?,
                poll_once(&mut err, || errors.as_mut().poll(cx))?,
            ];
            if done == [true; 3] {
                Poll::Ready(Ok::<_, io::Error>(()))
            } else {
                Poll::Pending
            }
        })
        .await?;
        self.life.ended.wait().await?;
        Ok((out.flatten(), err.flatten()))
    }

    /// Sends a signal; 0 only asks whether there is a process to send one to.
    ///
    /// # Errors
    ///
    /// `ESRCH` if the process has ended (Python's `ProcessLookupError`), `InvalidInput` for no signal.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("sleep").arg("600").spawn()?;
    ///     process.send_signal(2)?;
    ///     process.wait().await?;
    ///     assert_eq!(process.returncode(), Some(-2));
    ///     assert!(process.send_signal(2).is_err(), "it has ended");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn send_signal(&self, signal: i32) -> io::Result<()> {
        self.life.send_signal(signal)
    }

    /// Asks the process to end (`SIGTERM`).
    ///
    /// # Errors
    ///
    /// As [`Process::send_signal`].
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("sleep").arg("60").spawn()?;
    ///     process.terminate()?;
    ///     process.wait().await?;
    ///     assert_eq!(process.returncode(), Some(-libc::SIGTERM));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn terminate(&self) -> io::Result<()> {
        self.life.send(Signal::TERM)
    }

    /// Ends the process (`SIGKILL`).
    ///
    /// # Errors
    ///
    /// As [`Process::send_signal`].
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("sleep").arg("60").spawn()?;
    ///     process.kill()?;
    ///     process.wait().await?;
    ///     assert!(process.kill().is_err());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn kill(&self) -> io::Result<()> {
        self.life.send(Signal::KILL)
    }
}

/// A signal by its number: one with a name, or a real-time one.
#[allow(unsafe_code)]
fn any_signal(number: i32) -> Option<Signal> {
    #[cfg(target_os = "linux")]
    if (libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number) {
        // SAFETY: none of those that the C library keeps for itself, which are below the first one.
        return Some(unsafe { Signal::from_raw_unchecked(number) });
    }
    Signal::from_named_raw(number)
}

async fn read_all(pipe: &mut Option<StreamReader>) -> io::Result<Option<Vec<u8>>> {
    match pipe {
        Some(pipe) => Ok(Some(pipe.read_to_end().await?)),
        None => Ok(None),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

/// Polls what is not done yet. True once it is.
fn poll_once<T>(
    done: &mut Option<T>,
    poll: impl FnOnce() -> Poll<io::Result<T>>,
) -> io::Result<bool> {
    if done.is_none()
        && let Poll::Ready(result) = poll()
    {
        *done = Some(result?);
    }
    Ok(done.is_some())
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.pid())
            .field("returncode", &self.returncode())
            .finish_non_exhaustive()
    }
}
