//! Child processes with a protocol; the order of calls is stock asyncio's.

use std::cell::RefCell;
use std::io;
use std::process::Stdio;
use std::rc::Rc;

use rasyncio::subprocess::{Command, subprocess_shell};
use rasyncio::{Event, SubprocessProtocol, SubprocessTransport, run};

#[derive(Default)]
struct Log {
    calls: RefCell<Vec<String>>,
    ended: Event,
}

impl Log {
    fn add(&self, call: impl Into<String>) {
        self.calls.borrow_mut().push(call.into());
    }

    fn place(&self, call: &str) -> usize {
        let calls = self.calls.borrow();
        let found = calls.iter().position(|it| it == call);
        found.unwrap_or_else(|| panic!("no {call} in {calls:?}"))
    }
}

impl SubprocessProtocol for Log {
    fn connection_made(&self, transport: &SubprocessTransport) {
        let pipes = [0, 1, 2, 3].map(|fd| transport.get_pipe_transport(fd).is_some());
        self.add(format!("made {pipes:?}"));
    }

    fn pipe_data_received(&self, _: &SubprocessTransport, fd: i32, data: &[u8]) {
        self.add(format!("data {fd} {}", data.escape_ascii()));
    }

    fn pipe_connection_lost(&self, _: &SubprocessTransport, fd: i32, error: Option<io::Error>) {
        self.add(format!("pipe {fd} {:?}", error.map(|error| error.kind())));
    }

    fn process_exited(&self, transport: &SubprocessTransport) {
        self.add(format!("exited {:?}", transport.get_returncode()));
    }

    fn connection_lost(&self, _: &SubprocessTransport) {
        self.add("lost");
        self.ended.set();
    }
}

fn piped() -> [Stdio; 3] {
    [Stdio::piped(), Stdio::piped(), Stdio::piped()]
}

async fn start(line: &str, pipes: [Stdio; 3]) -> io::Result<(SubprocessTransport, Rc<Log>)> {
    subprocess_shell(Rc::<Log>::default, line, pipes).await
}

#[test]
fn made_comes_first_and_lost_last() -> io::Result<()> {
    run(async {
        let (transport, log) = start("echo hi; echo err >&2; exit 3", piped()).await?;
        log.ended.wait().await?;
        assert_eq!(log.place("made [true, true, true, false]"), 0);
        assert!(log.place("data 1 hi\\n") < log.place("pipe 1 None"));
        assert!(log.place("data 2 err\\n") < log.place("pipe 2 None"));
        log.place("pipe 0 None");
        log.place("exited Some(3)");
        assert_eq!(log.place("lost") + 1, log.calls.borrow().len());
        assert_eq!(log.calls.borrow().len(), 8);
        assert_eq!(
            transport.kill().unwrap_err().raw_os_error(),
            Some(libc::ESRCH)
        );
        Ok(())
    })
}

#[test]
fn the_process_may_end_before_its_pipes() -> io::Result<()> {
    run(async {
        let pipes = [Stdio::null(), Stdio::piped(), Stdio::null()];
        let (_, log) = start("sleep 0.2 & exit 4", pipes).await?;
        log.ended.wait().await?;
        let made = "made [false, true, false, false]";
        let order = [made, "exited Some(4)", "pipe 1 None", "lost"];
        assert_eq!(*log.calls.borrow(), order);
        Ok(())
    })
}

#[test]
fn closing_closes_the_pipes_and_kills() -> io::Result<()> {
    run(async {
        let command = Command::new("sleep").arg("600");
        let [stdin, stdout, stderr] = piped();
        let command = command.stdin(stdin).stdout(stdout).stderr(stderr);
        let (transport, log) = command.spawn_protocol(Rc::<Log>::default).await?;
        transport.close();
        assert_eq!(
            (transport.is_closing(), transport.get_returncode()),
            (true, None)
        );
        log.ended.wait().await?;
        let made = "made [true, true, true, false]";
        let lost = ["pipe 0 None", "pipe 1 None", "pipe 2 None"];
        let order = [made, lost[0], lost[1], lost[2], "exited Some(-9)", "lost"];
        assert_eq!(*log.calls.borrow(), order);
        Ok(())
    })
}

#[test]
fn what_is_written_comes_back() -> io::Result<()> {
    run(async {
        let (transport, log) = start("cat", piped()).await?;
        let stdin = transport.get_pipe_transport(0).expect("it is a pipe");
        stdin.write(b"hello").map_err(io::Error::other)?;
        stdin.close();
        log.ended.wait().await?;
        log.place("data 1 hello");
        assert_eq!(transport.get_returncode(), Some(0));
        Ok(())
    })
}

#[test]
fn who_does_not_read_breaks_the_pipe() -> io::Result<()> {
    run(async {
        let (transport, log) = start("read line; exit 0", piped()).await?;
        let stdin = transport.get_pipe_transport(0).expect("it is a pipe");
        let mut data = vec![b'x'; 1_000_000];
        data[0] = b'\n';
        stdin.write(&data).map_err(io::Error::other)?;
        log.ended.wait().await?;
        log.place("pipe 0 Some(BrokenPipe)");
        Ok(())
    })
}
