//! A child process with a protocol.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::process::Stdio;
use std::rc::Rc;

use rustix::process::Signal;

use super::{Command, Life};
use crate::connect::Guard;
use crate::events;
use crate::protocols::{self, Protocol, SubprocessProtocol};
use crate::tasks::yield_now;
use crate::transports::{Link, Transport};

/// Runs a program, and has a protocol called (asyncio's `loop.subprocess_exec`), each of its standard
/// streams as said. For more say in it see [`Command::spawn_protocol`].
///
/// # Errors
///
/// If it cannot be started, and a cancellation, which kills it.
///
/// ```
/// use std::process::Stdio;
/// use std::rc::Rc;
/// use rasyncio::{Event, SubprocessProtocol, SubprocessTransport, subprocess::subprocess_exec};
///
/// #[derive(Default)]
/// struct Ends(Event);
///
/// impl SubprocessProtocol for Ends {
///     fn process_exited(&self, _: &SubprocessTransport) {
///         self.0.set();
///     }
/// }
///
/// rasyncio::run(async {
///     let none = [Stdio::null(), Stdio::null(), Stdio::null()];
///     let (transport, ends) = subprocess_exec(Rc::<Ends>::default, "test", ["-d", "/"], none).await?;
///     ends.0.wait().await?;
///     assert_eq!(transport.get_returncode(), Some(0));
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub async fn subprocess_exec<P, F, A>(
    factory: F,
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = A>,
    [stdin, stdout, stderr]: [Stdio; 3],
) -> io::Result<(SubprocessTransport, Rc<P>)>
where
    P: SubprocessProtocol + 'static,
    F: FnOnce() -> Rc<P>,
    A: AsRef<OsStr>,
{
    let command = Command::new(program).args(arguments);
    let command = command.stdin(stdin).stdout(stdout).stderr(stderr);
    command.spawn_protocol(factory).await
}

/// As [`subprocess_exec`], of a line for the shell (asyncio's `loop.subprocess_shell`).
///
/// # Errors
///
/// As there.
///
/// ```
/// use std::process::Stdio;
/// use std::rc::Rc;
/// use rasyncio::{SubprocessProtocol, subprocess::subprocess_shell};
///
/// rasyncio::run(async {
///     struct Quiet;
///     impl SubprocessProtocol for Quiet {}
///     let none = [Stdio::null(), Stdio::null(), Stdio::null()];
///     let (transport, _) = subprocess_shell(|| Rc::new(Quiet), "sleep 600", none).await?;
///     transport.close();
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
pub async fn subprocess_shell<P, F>(
    factory: F,
    line: impl AsRef<OsStr>,
    [stdin, stdout, stderr]: [Stdio; 3],
) -> io::Result<(SubprocessTransport, Rc<P>)>
where
    P: SubprocessProtocol + 'static,
    F: FnOnce() -> Rc<P>,
{
    let command = Command::shell(line);
    let command = command.stdin(stdin).stdout(stdout).stderr(stderr);
    command.spawn_protocol(factory).await
}

/// A child process and its pipes, for a [`SubprocessProtocol`] (asyncio's `SubprocessTransport`). As a
/// transport it lives on when it is dropped, until the process has ended and its pipes are gone.
///
/// ```
/// use std::process::Stdio;
/// use std::rc::Rc;
/// use rasyncio::{SubprocessProtocol, SubprocessTransport, subprocess::Command};
///
/// struct Echo;
///
/// impl SubprocessProtocol for Echo {
///     fn connection_made(&self, transport: &SubprocessTransport) {
///         let stdin = transport.get_pipe_transport(0).unwrap();
///         stdin.write(b"hello").unwrap();
///         stdin.close();
///     }
/// }
///
/// rasyncio::run(async {
///     let command = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null());
///     let (transport, _) = command.spawn_protocol(|| Rc::new(Echo)).await?;
///     assert!(transport.get_pid() > 0);
///     assert!(transport.get_pipe_transport(1).is_none());
///     transport.close();
///     assert!(transport.is_closing());
///     Ok::<_, std::io::Error>(())
/// })
/// .unwrap();
/// ```
#[derive(Clone)]
pub struct SubprocessTransport {
    inner: Rc<Inner>,
}

#[derive(Default)]
struct Inner {
    life: OnceCell<Life>,
    pipes: [OnceCell<Transport>; 3],
    /// How many pipes are not gone yet.
    open: Cell<usize>,
    /// Gone once `connection_lost` was called.
    protocol: RefCell<Option<Rc<dyn SubprocessProtocol>>>,
    closed: Cell<bool>,
    exited: Cell<bool>,
}

/// What a pipe's transport calls.
struct Pipe {
    fd: i32,
    process: SubprocessTransport,
}

impl Command {
    /// Starts the program, and has a protocol called (asyncio's `loop.subprocess_exec`).
    /// [`Command::limit`] and [`Command::kill_on_drop`] say nothing about it.
    ///
    /// # Errors
    ///
    /// If it cannot be started, and a cancellation, which kills it.
    ///
    /// ```
    /// use std::rc::Rc;
    /// use rasyncio::{SubprocessProtocol, subprocess::Command};
    ///
    /// rasyncio::run(async {
    ///     struct Quiet;
    ///     impl SubprocessProtocol for Quiet {}
    ///     let command = Command::new("sleep").arg("600");
    ///     let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    ///     transport.kill()?;
    ///     Ok::<_, std::io::Error>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn spawn_protocol<P, F>(self, factory: F) -> io::Result<(SubprocessTransport, Rc<P>)>
    where
        P: SubprocessProtocol + 'static,
        F: FnOnce() -> Rc<P>,
    {
        let protocol = factory();
        let transport = SubprocessTransport {
            inner: Rc::new(Inner::default()),
        };
        transport
            .inner
            .protocol
            .replace(Some(Rc::clone(&protocol) as _));
        let told = transport.clone();
        let (mut child, life) = self.start(move || told.process_exited())?;
        life.kills.set(false);
        // From here on the guard kills.
        let _ = transport.inner.life.set(life);
        let guard = Guard::new(&transport, SubprocessTransport::close);
        let pipes = [
            child.stdin.take().map(|it| Link::WritePipe(it.into())),
            child.stdout.take().map(|it| Link::ReadPipe(it.into())),
            child.stderr.take().map(|it| Link::ReadPipe(it.into())),
        ];
        for (fd, link) in (0..).zip(pipes) {
            if let Some(link) = link {
                transport.open_pipe(fd, link)?;
            }
        }
        // After the pipes' own, and before anything can come.
        let made = transport.clone();
        events::call_soon(move || {
            made.call("connection_made", |it| it.connection_made(&made));
        });
        yield_now().await?;
        guard.keep();
        Ok((transport, protocol))
    }
}

impl SubprocessTransport {
    /// The number of the process.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use rasyncio::{SubprocessProtocol, subprocess::Command};
    /// # rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl SubprocessProtocol for Quiet {}
    /// #     let command = Command::new("sleep").arg("600");
    /// let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    /// assert_ne!(transport.get_pid(), std::process::id());
    /// #     transport.close();
    /// #     Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn get_pid(&self) -> u32 {
        self.inner.life.get().map_or(0, |life| life.pid)
    }

    /// What the process has ended with: its exit code, or the negative number of the signal that has
    /// killed it. `None` while it runs, and if somebody else has reaped it.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use rasyncio::{SubprocessProtocol, subprocess::Command};
    /// # rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl SubprocessProtocol for Quiet {}
    /// #     let command = Command::new("sleep").arg("600");
    /// let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    /// assert_eq!(transport.get_returncode(), None);
    /// #     transport.close();
    /// #     Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn get_returncode(&self) -> Option<i32> {
        self.inner.life.get()?.returncode()
    }

    /// The transport of its standard input (0), output (1) or error (2), if that is a pipe.
    ///
    /// ```
    /// # use std::{process::Stdio, rc::Rc};
    /// # use rasyncio::{SubprocessProtocol, subprocess::Command};
    /// # rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl SubprocessProtocol for Quiet {}
    /// let command = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null());
    /// let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    /// assert!(transport.get_pipe_transport(0).is_some());
    /// assert!(transport.get_pipe_transport(1).is_none());
    /// #     transport.close();
    /// #     Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn get_pipe_transport(&self, fd: i32) -> Option<Transport> {
        let pipes = &self.inner.pipes;
        pipes.get(usize::try_from(fd).ok()?)?.get().cloned()
    }

    /// Sends a signal, by its number.
    ///
    /// # Errors
    ///
    /// `ESRCH` if the process has ended, `InvalidInput` if there is no such signal.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use rasyncio::{SubprocessProtocol, subprocess::Command};
    /// # rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl SubprocessProtocol for Quiet {}
    /// #     let command = Command::new("sleep").arg("600");
    /// let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    /// transport.send_signal(libc::SIGINT)?;
    /// #     Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn send_signal(&self, signal: i32) -> io::Result<()> {
        self.life()?.send_signal(signal)
    }

    /// Asks the process to end (`SIGTERM`).
    ///
    /// # Errors
    ///
    /// As [`SubprocessTransport::send_signal`].
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use rasyncio::{SubprocessProtocol, subprocess::Command};
    /// # rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl SubprocessProtocol for Quiet {}
    /// #     let command = Command::new("sleep").arg("600");
    /// let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    /// transport.terminate()?;
    /// #     Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn terminate(&self) -> io::Result<()> {
        self.life()?.send(Signal::TERM)
    }

    /// Ends the process (`SIGKILL`).
    ///
    /// # Errors
    ///
    /// As [`SubprocessTransport::send_signal`].
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use rasyncio::{SubprocessProtocol, subprocess::Command};
    /// # rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl SubprocessProtocol for Quiet {}
    /// #     let command = Command::new("sleep").arg("600");
    /// let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    /// transport.kill()?;
    /// #     Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn kill(&self) -> io::Result<()> {
        self.life()?.send(Signal::KILL)
    }

    /// Closes the pipes, and kills the process if it runs still. The protocol hears of its end.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use rasyncio::{SubprocessProtocol, subprocess::Command};
    /// # rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl SubprocessProtocol for Quiet {}
    /// #     let command = Command::new("sleep").arg("600");
    /// let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    /// transport.close();
    /// #     Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn close(&self) {
        if self.inner.closed.replace(true) {
            return;
        }
        for pipe in self.inner.pipes.iter().filter_map(OnceCell::get) {
            pipe.close();
        }
        // It may have ended meanwhile.
        let _ = self.kill();
    }

    /// Whether [`SubprocessTransport::close`] was called.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use rasyncio::{SubprocessProtocol, subprocess::Command};
    /// # rasyncio::run(async {
    /// #     struct Quiet;
    /// #     impl SubprocessProtocol for Quiet {}
    /// #     let command = Command::new("sleep").arg("600");
    /// let (transport, _) = command.spawn_protocol(|| Rc::new(Quiet)).await?;
    /// assert!(!transport.is_closing());
    /// #     transport.close();
    /// #     Ok::<_, std::io::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn is_closing(&self) -> bool {
        self.inner.closed.get()
    }

    fn life(&self) -> io::Result<&Life> {
        let gone = || io::Error::from_raw_os_error(libc::ESRCH);
        self.inner.life.get().ok_or_else(gone)
    }

    fn open_pipe(&self, fd: i32, link: Link) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&link, true)?;
        let process = self.clone();
        let transport = Transport::open(link, Rc::new(Pipe { fd, process }), None);
        if let Some(place) = usize::try_from(fd)
            .ok()
            .and_then(|fd| self.inner.pipes.get(fd))
        {
            let _ = place.set(transport);
        }
        self.inner.open.set(self.inner.open.get() + 1);
        Ok(())
    }

    fn process_exited(&self) {
        self.call("process_exited", |it| it.process_exited(self));
        self.inner.exited.set(true);
        self.finish();
    }

    /// The end, if all has come to it.
    fn finish(&self) {
        if self.inner.exited.get() && self.inner.open.get() == 0 {
            self.call("connection_lost", |it| it.connection_lost(self));
            drop(self.inner.protocol.take());
        }
    }

    fn call(&self, name: &str, f: impl FnOnce(&dyn SubprocessProtocol)) {
        let protocol = self.inner.protocol.borrow().clone();
        if let Some(protocol) = protocol {
            // A panic is reported, and that is all.
            let _ = protocols::call(name, || {
                f(&*protocol);
                drop(protocol);
            });
        }
    }
}

impl Protocol for Pipe {
    fn data_received(&self, _: &Transport, data: &[u8]) {
        let process = &self.process;
        process.call("pipe_data_received", |it| {
            it.pipe_data_received(process, self.fd, data);
        });
    }

    fn pause_writing(&self, _: &Transport) {
        let process = &self.process;
        process.call("pause_writing", |it| it.pause_writing(process));
    }

    fn resume_writing(&self, _: &Transport) {
        let process = &self.process;
        process.call("resume_writing", |it| it.resume_writing(process));
    }

    fn connection_lost(&self, _: &Transport, error: Option<io::Error>) {
        let process = &self.process;
        process.call("pipe_connection_lost", |it| {
            it.pipe_connection_lost(process, self.fd, error);
        });
        process.inner.open.set(process.inner.open.get() - 1);
        process.finish();
    }
}

impl fmt::Debug for SubprocessTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubprocessTransport")
            .field("pid", &self.get_pid())
            .field("returncode", &self.get_returncode())
            .finish_non_exhaustive()
    }
}
