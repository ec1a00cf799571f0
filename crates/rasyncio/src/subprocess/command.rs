//! How to run a program.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Stdio};
use std::rc::Rc;

use rasyncio_engine::Child;

use super::{Ended, Life, Process};
use crate::events;
use crate::streams::{DEFAULT_LIMIT, Shared, StreamReader, StreamWriter};
use crate::transports::{Link, Transport};

/// How to run a program. What it does not say itself, [`Command::from`] takes from the standard
/// library's: users, groups, what is to be done before the program.
///
/// ```
/// use rasyncio::subprocess::Command;
///
/// rasyncio::run(async {
///     let process = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
///     assert_eq!(process.wait().await?.code(), Some(3));
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[derive(Debug)]
pub struct Command {
    inner: process::Command,
    limit: usize,
    kill_on_drop: bool,
}

impl Command {
    /// Runs a program.
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
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        process::Command::new(program).into()
    }

    /// Has the shell run a line.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     assert_eq!(Command::shell("exit 3").spawn()?.wait().await?.code(), Some(3));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn shell(line: impl AsRef<OsStr>) -> Command {
        Command::new("/bin/sh").arg("-c").arg(line)
    }

    /// One more argument.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("test").arg("-d").arg("/").spawn()?;
    ///     assert!(process.wait().await?.success());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Command {
        self.inner.arg(argument);
        self
    }

    /// More arguments.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("test").args(["-d", "/"]).spawn()?;
    ///     assert!(process.wait().await?.success());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Command {
        self.inner.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::shell("exit $CODE").env("CODE", "3").spawn()?;
    ///     assert_eq!(process.wait().await?.code(), Some(3));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Command {
        self.inner.env(name, value);
        self
    }

    /// Sets variables of the environment.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let names = [("ONE", "1"), ("TWO", "2")];
    ///     let process = Command::shell("test $ONE$TWO = 12").envs(names).spawn()?;
    ///     assert!(process.wait().await?.success());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> Command {
        self.inner.envs(variables);
        self
    }

    /// Leaves a variable of this process's environment out.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::shell("test -z \"$HOME\"").env_remove("HOME").spawn()?;
    ///     assert!(process.wait().await?.success());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Command {
        self.inner.env_remove(name);
        self
    }

    /// Leaves all of this process's environment out, as asyncio's `env` does; what is set afterwards
    /// is all that there is.
    ///
    /// ```
    /// use std::process::Stdio;
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let command = Command::new("/usr/bin/env").env_clear().env("NAME", "value");
    ///     let mut process = command.stdout(Stdio::piped()).spawn()?;
    ///     let (output, _) = process.communicate(b"").await?;
    ///     assert_eq!(output.unwrap(), b"NAME=value\n");
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn env_clear(mut self) -> Command {
        self.inner.env_clear();
        self
    }

    /// The process group to be in: 0 for one of its own (asyncio's `process_group`). A signal that
    /// the terminal sends does not reach it there.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("true").process_group(0).spawn()?;
    ///     assert!(process.wait().await?.success());
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn process_group(mut self, group: i32) -> Command {
        self.inner.process_group(group);
        self
    }

    /// Whether the process is killed when its [`Process`] is dropped. As in asyncio it is not, unless
    /// said: it runs on. Whatever it says, the loop reaps the process when it has ended.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::new("sleep").arg("600").kill_on_drop(true).spawn()?;
    ///     drop(process);
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn kill_on_drop(mut self, kills: bool) -> Command {
        self.kill_on_drop = kills;
        self
    }

    /// The directory to run in.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let process = Command::shell("test $PWD = /").current_dir("/").spawn()?;
    ///     assert!(process.wait().await?.success());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Command {
        self.inner.current_dir(directory);
        self
    }

    /// The standard input: that of this process, unless said.
    ///
    /// ```
    /// use std::process::Stdio;
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let mut process = Command::shell("exit $(cat)").stdin(Stdio::piped()).spawn()?;
    ///     process.communicate(b"3").await?;
    ///     assert_eq!(process.returncode(), Some(3));
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn stdin(mut self, stdin: Stdio) -> Command {
        self.inner.stdin(stdin);
        self
    }

    /// The standard output: that of this process, unless said.
    ///
    /// ```
    /// use std::process::Stdio;
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let mut process = Command::shell("echo hello").stdout(Stdio::piped()).spawn()?;
    ///     let line = process.stdout.as_mut().unwrap().readline().await?;
    ///     assert_eq!(line, b"hello\n");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn stdout(mut self, stdout: Stdio) -> Command {
        self.inner.stdout(stdout);
        self
    }

    /// The standard error: that of this process, unless said.
    ///
    /// ```
    /// use std::process::Stdio;
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let mut process = Command::shell("echo oops >&2").stderr(Stdio::piped()).spawn()?;
    ///     let (_, errors) = process.communicate(b"").await?;
    ///     assert_eq!(errors.unwrap(), b"oops\n");
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn stderr(mut self, stderr: Stdio) -> Command {
        self.inner.stderr(stderr);
        self
    }

    /// The limit of the stream readers (64 KiB).
    ///
    /// ```
    /// use std::process::Stdio;
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     let command = Command::shell("echo a line that is too long").limit(8);
    ///     let mut process = command.stdout(Stdio::piped()).spawn()?;
    ///     assert!(process.stdout.as_mut().unwrap().readline().await.is_err());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub fn limit(mut self, limit: usize) -> Command {
        self.limit = limit;
        self
    }

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    ///
    /// # Panics
    ///
    /// If no loop is running.
    ///
    /// ```
    /// use rasyncio::subprocess::Command;
    ///
    /// rasyncio::run(async {
    ///     assert!(Command::new("no such program").spawn().is_err());
    /// });
    /// ```
    pub fn spawn(self) -> io::Result<Process> {
        let (limit, kills) = (self.limit, self.kill_on_drop);
        // It kills before what can fail has succeeded, too.
        let (mut child, life) = self.start(|| {})?;
        let reader = |pipe: OwnedFd| -> io::Result<StreamReader> {
            rustix::io::ioctl_fionbio(&pipe, true)?;
            let shared = Shared::new(limit);
            let transport = Transport::open(Link::ReadPipe(pipe), Rc::clone(&shared) as _, None);
            Ok(shared.reader(&transport))
        };
        let writer = |pipe: OwnedFd| -> io::Result<StreamWriter> {
            rustix::io::ioctl_fionbio(&pipe, true)?;
            let shared = Shared::new(limit);
            let transport = Transport::open(Link::WritePipe(pipe), Rc::clone(&shared) as _, None);
            Ok(shared.writer(&transport))
        };
        let process = Process {
            stdin: child.stdin.take().map(|it| writer(it.into())).transpose()?,
            stdout: child
                .stdout
                .take()
                .map(|it| reader(it.into()))
                .transpose()?,
            stderr: child
                .stderr
                .take()
                .map(|it| reader(it.into()))
                .transpose()?,
            life,
        };
        process.life.kills.set(kills);
        Ok(process)
    }

    /// Starts the program, and has `told` called when it has ended. It is killed if the answer is
    /// dropped.
    pub(super) fn start(
        mut self,
        told: impl FnOnce() + 'static,
    ) -> io::Result<(process::Child, Life)> {
        let mut child = self.inner.spawn()?;
        let pid = child.id();
        let ended = Rc::new(Ended::default());
        // First of all, so that the process is reaped whatever fails after that.
        let watched = Child::open(pid).and_then(|opened| {
            let ended = Rc::clone(&ended);
            events::with_running(|_, engine| {
                let tell = move |status| {
                    ended.tell(status);
                    told();
                };
                engine.watch(opened, tell).map(drop)
            })
        });
        if let Err(error) = watched {
            // Nobody would hear of its end, or free its number.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        let kills = Cell::new(true);
        Ok((child, Life { pid, ended, kills }))
    }
}

impl From<process::Command> for Command {
    fn from(inner: process::Command) -> Command {
        Command {
            inner,
            limit: DEFAULT_LIMIT,
            kill_on_drop: false,
        }
    }
}
