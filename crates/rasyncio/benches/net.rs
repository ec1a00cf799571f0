//! Sockets beside tokio's (`current_thread`), monoio's (epoll and io_uring) and plain C on epoll:
//! `cargo bench -p rasyncio --features tls --bench net`.
//!
//! Each contestant serves in a process of its own. The load is another process: `bench/net_echo.c`,
//! which is the C server as well, or [`net::load`] for what is no TCP in clear. What is measured is the
//! processor time of the server, all of its threads, so that neither the load nor other programs count
//! (nor does what the kernel does for io_uring in threads of its own, if it does). Contestants take
//! turns; a row says what one request costs each (the best round), and how that compares with the first
//! column (the median over rounds).
//!
//! `-- WORD...` runs only the rows whose name has one of the words; `-- --rounds N` says how often;
//! `-- --only NAME,NAME` leaves the other contestants out; `-- --also NAME=PROGRAM` adds a TCP server
//! of your own, which prints its port and ends with its standard input.

mod net {
    #[cfg(feature = "tls")]
    pub(crate) mod encrypted;
    pub(crate) mod load;
    #[cfg(not(loom))]
    pub(crate) mod monoio;
    pub(crate) mod ours;
    pub(crate) mod theirs;
}

use std::fmt::Display;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// What servers listen on.
const ANY: &str = "127.0.0.1:0";
/// What they read into.
const BUFFER: usize = 256 * 1024;

/// What goes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tcp,
    Unix,
    Udp,
    Tls,
}

/// One measured thing.
struct Row {
    kind: Kind,
    name: &'static str,
    requests: u32,
    connections: u32,
    bytes: u32,
    /// Each request has a connection of its own.
    connecting: bool,
}

const ROWS: &[Row] = &[
    row(Kind::Tcp, "echo 1 KiB, 1 connection", 20_000, 1, 1024),
    row(Kind::Tcp, "echo 1 KiB, 50 connections", 40_000, 50, 1024),
    row(
        Kind::Tcp,
        "echo 10 KiB, 50 connections",
        30_000,
        50,
        10 * 1024,
    ),
    row(
        Kind::Tcp,
        "echo 100 KiB, 1 connection",
        4_000,
        1,
        100 * 1024,
    ),
    row(
        Kind::Tcp,
        "echo 100 KiB, 50 connections",
        4_000,
        50,
        100 * 1024,
    ),
    row(
        Kind::Tcp,
        "echo 1 KiB, 1000 connections",
        40_000,
        1000,
        1024,
    ),
    connecting(Kind::Tcp, "connect, one byte, close", 4_000),
    row(
        Kind::Unix,
        "Unix: echo 1 KiB, 1 connection",
        20_000,
        1,
        1024,
    ),
    row(
        Kind::Unix,
        "Unix: echo 1 KiB, 50 connections",
        40_000,
        50,
        1024,
    ),
    row(
        Kind::Unix,
        "Unix: echo 100 KiB, 50 connections",
        4_000,
        50,
        100 * 1024,
    ),
    connecting(Kind::Unix, "Unix: connect, one byte, close", 4_000),
    row(Kind::Udp, "UDP: echo 1 KiB, 1 client", 20_000, 1, 1024),
    row(Kind::Udp, "UDP: echo 1 KiB, 50 clients", 40_000, 50, 1024),
    #[cfg(feature = "tls")]
    row(
        Kind::Tls,
        "TLS: echo 1 KiB, 50 connections",
        20_000,
        50,
        1024,
    ),
    #[cfg(feature = "tls")]
    row(
        Kind::Tls,
        "TLS: echo 100 KiB, 1 connection",
        1_500,
        1,
        100 * 1024,
    ),
    #[cfg(feature = "tls")]
    row(
        Kind::Tls,
        "TLS: echo 100 KiB, 50 connections",
        1_500,
        50,
        100 * 1024,
    ),
    #[cfg(feature = "tls")]
    connecting(Kind::Tls, "TLS: connect, one byte, close", 500),
];

/// Who takes part in what. The others are compared with the first.
const CONTESTANTS: &[(Kind, &[&str])] = &[
    (
        Kind::Tcp,
        &[
            "socket",
            "protocol",
            "streams",
            "tokio",
            "monoio",
            "monoio-uring",
        ],
    ),
    (
        Kind::Unix,
        &[
            "unix-tokio",
            "unix-monoio",
            "unix-monoio-uring",
            "unix-socket",
            "unix-protocol",
            "unix-streams",
        ],
    ),
    (
        Kind::Udp,
        &[
            "udp-tokio",
            "udp-monoio",
            "udp-monoio-uring",
            "udp-socket",
            "udp-endpoint",
        ],
    ),
    (Kind::Tls, &["tls-tokio", "tls-protocol", "tls-streams"]),
];

const fn row(kind: Kind, name: &'static str, requests: u32, connections: u32, bytes: u32) -> Row {
    Row {
        kind,
        name,
        requests,
        connections,
        bytes,
        connecting: false,
    }
}

const fn connecting(kind: Kind, name: &'static str, requests: u32) -> Row {
    Row {
        connecting: true,
        ..row(kind, name, requests, 1, 1)
    }
}

struct Server {
    child: Child,
    /// A port, a path, or a port and a certificate.
    address: String,
}

/// A server as it is started.
struct Contestant {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
}

impl Contestant {
    fn start(&self) -> Server {
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let address = line(&mut output(&mut child));
        Server { child, address }
    }
}

impl Server {
    /// Nanoseconds on a processor until now, all threads.
    fn used(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        tasks
            .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
            .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Nanoseconds of the server for one request.
    fn measure(&self, row: &Row, c: &Path, me: &Path) -> f64 {
        let mut command = match row.kind {
            Kind::Tcp => {
                let mut command = Command::new(c);
                command.arg(if row.connecting { "connect" } else { "load" });
                command
            }
            kind => {
                let mut command = Command::new(me);
                let what = if row.connecting {
                    "--connect"
                } else {
                    "--load"
                };
                command.arg(what).arg(format!("{kind:?}"));
                command
            }
        };
        let numbers = [row.connections, row.bytes, row.requests, 120];
        let mut load = command
            .arg(&self.address)
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the load starts");
        let mut output = output(&mut load);
        let mut input = load.stdin.take().expect("piped");
        assert_eq!(line(&mut output), row.connections.to_string());
        let before = self.used();
        writeln!(input).expect("it listens");
        assert_eq!(line(&mut output), row.requests.to_string());
        let used = self.used() - before;
        drop(input);
        load.wait().expect("it ends");
        used as f64 / f64::from(row.requests)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // What hangs is killed; how it ends is of no interest.
        let _ = self.child.wait();
    }
}

fn output(child: &mut Child) -> BufReader<ChildStdout> {
    BufReader::new(child.stdout.take().expect("piped"))
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("it says something");
    line.trim().to_owned()
}

/// Compiles the C program.
fn compiled() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/net_echo.c");
    let target = env::temp_dir().join(format!("net_echo-{}", std::process::id()));
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".into());
    let status = Command::new(compiler)
        .args(["-O2", "-o"])
        .args([&target, &source])
        .status()
        .expect("there is a C compiler");
    assert!(status.success(), "net_echo.c does not compile");
    target
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut words, mut rounds, mut also, mut only) = (Vec::new(), 5, Vec::new(), None);
    while let Some(argument) = arguments.next() {
        let mut next = || arguments.next().expect("a value follows");
        match &*argument {
            "--serve" => return serve(&next()),
            "--load" | "--connect" => {
                let (kind, address) = (kind_of(&next()), next());
                let mut number = || next().parse::<u32>().expect("a number");
                let (connections, bytes, requests) = (number(), number(), number());
                give_up_after(Duration::from_secs(number().into()));
                let connecting = argument == "--connect";
                let bytes = bytes as usize;
                return rasyncio::run(net::load::run(
                    kind,
                    address,
                    connections,
                    bytes,
                    requests,
                    connecting,
                ));
            }
            "--rounds" => rounds = next().parse().expect("a number"),
            "--also" => also.push(next()),
            "--only" => only = Some(next()),
            _ => words.push(argument),
        }
    }
    let c = compiled();
    let me = env::current_exe().expect("it has a path");
    let wanted = |name: &str| match &only {
        Some(only) => only.split(',').any(|it| it == name),
        None => true,
    };
    for (kind, names) in CONTESTANTS {
        let rows: Vec<&Row> = ROWS
            .iter()
            .filter(|row| row.kind == *kind)
            .filter(|row| words.is_empty() || words.iter().any(|word| row.name.contains(&**word)))
            .collect();
        if rows.is_empty() {
            continue;
        }
        let mut contestants = Vec::new();
        if *kind == Kind::Tcp {
            contestants.push(Contestant {
                name: "C".into(),
                program: c.clone(),
                arguments: vec!["serve".into()],
            });
        }
        contestants.extend(
            names
                .iter()
                .filter(|name| wanted(name))
                .map(|name| Contestant {
                    name: (*name).into(),
                    program: me.clone(),
                    arguments: vec!["--serve".into(), (*name).into()],
                }),
        );
        if *kind == Kind::Tcp {
            contestants.extend(also.iter().map(|also| {
                let (name, program) = also.split_once('=').expect("NAME=PROGRAM");
                Contestant {
                    name: name.into(),
                    program: program.into(),
                    arguments: Vec::new(),
                }
            }));
        }
        // One that does not start does not take part: not every machine allows io_uring.
        contestants.retain(|it| !it.start().address.is_empty());
        measure(&rows, &contestants, rounds, &c, &me);
    }
    // It is only in the way.
    let _ = fs::remove_file(c);
}

fn measure(rows: &[&Row], contestants: &[Contestant], rounds: usize, c: &Path, me: &Path) {
    print!("{:<36}", "server CPU per request, us (to first)");
    contestants.iter().for_each(|it| print!("{:>18}", it.name));
    println!();
    for row in rows {
        let servers: Vec<_> = contestants.iter().map(Contestant::start).collect();
        let mut costs = vec![Vec::new(); servers.len()];
        for round in 0..rounds {
            for turn in 0..servers.len() {
                let turn = (turn + round) % servers.len();
                costs[turn].push(servers[turn].measure(row, c, me));
            }
        }
        print!("{:<36}", row.name);
        for each in &costs {
            let best = each.iter().copied().fold(f64::INFINITY, f64::min) / 1000.0;
            let ratio = median(each.iter().zip(&costs[0]).map(|(a, b)| a / b).collect());
            print!("{:>18}", format!("{best:.2} ({ratio:.2})"));
        }
        println!();
    }
}

fn kind_of(name: &str) -> Kind {
    match name {
        "Unix" => Kind::Unix,
        "Udp" => Kind::Udp,
        "Tls" => Kind::Tls,
        _ => Kind::Tcp,
    }
}

fn serve(who: &str) {
    use net::{ours, theirs};
    match who {
        "socket" => rasyncio::run(ours::socket()),
        "protocol" => rasyncio::run(ours::protocol()),
        "streams" => rasyncio::run(ours::streams()),
        "unix-socket" => rasyncio::run(ours::unix_socket()),
        "unix-protocol" => rasyncio::run(ours::unix_protocol()),
        "unix-streams" => rasyncio::run(ours::unix_streams()),
        "udp-socket" => rasyncio::run(ours::udp_socket()),
        "udp-endpoint" => rasyncio::run(ours::udp_endpoint()),
        "tokio" => theirs::run(theirs::tcp()),
        "unix-tokio" => theirs::run(theirs::unix()),
        "udp-tokio" => theirs::run(theirs::udp()),
        #[cfg(feature = "tls")]
        "tls-protocol" => rasyncio::run(net::encrypted::protocol()),
        #[cfg(feature = "tls")]
        "tls-streams" => rasyncio::run(net::encrypted::streams()),
        #[cfg(feature = "tls")]
        "tls-tokio" => theirs::run(net::encrypted::tokio()),
        #[cfg(not(loom))]
        _ if who.contains("monoio") => {
            let uring = who.ends_with("-uring");
            match who.split('-').next() {
                Some("unix") => net::monoio::run(uring, net::monoio::unix(uring)),
                Some("udp") => net::monoio::run(uring, net::monoio::udp()),
                _ => net::monoio::run(uring, net::monoio::tcp()),
            }
        }
        _ => panic!("no such server: {who}"),
    }
}

/// Ends the process, and so the measurement, should a server hang.
fn give_up_after(patience: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(patience);
        eprintln!("the load has waited for {patience:?}");
        std::process::exit(1);
    });
}

/// A path for a Unix socket, of this process alone.
fn own_path() -> PathBuf {
    env::temp_dir().join(format!("rasyncio-net-{}", std::process::id()))
}

/// Says where the server listens, and ends the process with its standard input.
fn serving(address: impl Display) {
    println!("{address}");
    std::thread::spawn(|| {
        // However it ends.
        let _ = std::io::stdin().read(&mut [0]);
        let _ = fs::remove_file(own_path());
        std::process::exit(0);
    });
}
