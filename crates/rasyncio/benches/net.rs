//! Sockets beside tokio's (`current_thread`) and beside plain C on epoll:
//! `cargo bench -p rasyncio --bench net`.
//!
//! Each contestant serves in a process of its own; `bench/net_echo.c` is the C server and the load
//! for all. What is measured is the processor time of the server, all of its threads, so that
//! neither the load nor other programs count. Contestants take turns; a row says what one request
//! costs each (the best round), and how that compares with C (the median over rounds).
//!
//! `-- WORD...` runs only the rows whose name has one of the words; `-- --rounds N` says how often;
//! `-- --also NAME=PROGRAM` adds a server of your own, which prints its port and ends with its
//! standard input.

mod net {
    pub(crate) mod ours;
    pub(crate) mod theirs;
}

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::{env, fs};

/// One measured thing.
struct Row {
    name: &'static str,
    requests: u32,
    load: Load,
}

enum Load {
    Echo {
        connections: u32,
        bytes: u32,
    },
    /// Connect, one byte and back, close.
    Connect,
}

const ROWS: &[Row] = &[
    row("echo 1 KiB, 1 connection", 20_000, 1, 1024),
    row("echo 1 KiB, 50 connections", 40_000, 50, 1024),
    row("echo 10 KiB, 50 connections", 30_000, 50, 10 * 1024),
    row("echo 100 KiB, 1 connection", 4_000, 1, 100 * 1024),
    row("echo 100 KiB, 50 connections", 4_000, 50, 100 * 1024),
    row("echo 1 KiB, 1000 connections", 40_000, 1000, 1024),
    Row {
        name: "connect, one byte, close",
        requests: 4_000,
        load: Load::Connect,
    },
];

const fn row(name: &'static str, requests: u32, connections: u32, bytes: u32) -> Row {
    let load = Load::Echo { connections, bytes };
    Row {
        name,
        requests,
        load,
    }
}

struct Server {
    child: Child,
    port: u16,
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
        let port = line(&mut output(&mut child)).parse().expect("a port");
        Server { child, port }
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
    fn measure(&self, row: &Row, c: &Path) -> f64 {
        let used = match row.load {
            Load::Echo { connections, bytes } => {
                let mut load = Command::new(c)
                    .arg("load")
                    .args(
                        [u32::from(self.port), connections, bytes, row.requests, 120]
                            .map(|number| number.to_string()),
                    )
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .expect("the load starts");
                let mut output = output(&mut load);
                let mut input = load.stdin.take().expect("piped");
                assert_eq!(line(&mut output), connections.to_string());
                let before = self.used();
                writeln!(input).expect("it listens");
                assert_eq!(line(&mut output), row.requests.to_string());
                let used = self.used() - before;
                drop(input);
                load.wait().expect("it ends");
                used
            }
            Load::Connect => {
                let before = self.used();
                for _ in 0..row.requests {
                    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
                        .expect("the server accepts");
                    stream.write_all(b"x").expect("it is there");
                    stream.read_exact(&mut [0]).expect("it answers");
                }
                self.used() - before
            }
        };
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
    let (mut words, mut rounds, mut also) = (Vec::new(), 5, Vec::new());
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--serve" => return serve(&arguments.next().expect("who")),
            "--rounds" => {
                rounds = arguments
                    .next()
                    .and_then(|it| it.parse().ok())
                    .expect("a number")
            }
            "--also" => also.extend(arguments.next()),
            _ => words.push(argument),
        }
    }
    let c = compiled();
    let me = env::current_exe().expect("it has a path");
    let mut contestants = vec![Contestant {
        name: "C".into(),
        program: c.clone(),
        arguments: vec!["serve".into()],
    }];
    contestants.extend(
        ["socket", "protocol", "streams", "tokio"].map(|name| Contestant {
            name: name.into(),
            program: me.clone(),
            arguments: vec!["--serve".into(), name.into()],
        }),
    );
    contestants.extend(also.iter().map(|also| {
        let (name, program) = also.split_once('=').expect("NAME=PROGRAM");
        Contestant {
            name: name.into(),
            program: program.into(),
            arguments: Vec::new(),
        }
    }));

    print!("{:<34}", "server CPU per request, us (to C)");
    contestants.iter().for_each(|it| print!("{:>16}", it.name));
    println!();
    for row in ROWS {
        if !words.is_empty() && !words.iter().any(|word| row.name.contains(&**word)) {
            continue;
        }
        let servers: Vec<_> = contestants.iter().map(Contestant::start).collect();
        let mut costs = vec![Vec::new(); servers.len()];
        for round in 0..rounds {
            for turn in 0..servers.len() {
                let turn = (turn + round) % servers.len();
                costs[turn].push(servers[turn].measure(row, &c));
            }
        }
        print!("{:<34}", row.name);
        for each in &costs {
            let best = each.iter().copied().fold(f64::INFINITY, f64::min) / 1000.0;
            let ratio = median(each.iter().zip(&costs[0]).map(|(a, b)| a / b).collect());
            print!("{:>16}", format!("{best:.2} ({ratio:.2})"));
        }
        println!();
    }
    // It is only in the way.
    let _ = fs::remove_file(c);
}

fn serve(who: &str) {
    match who {
        "socket" => rasyncio::run(net::ours::socket()),
        "protocol" => rasyncio::run(net::ours::protocol()),
        "streams" => rasyncio::run(net::ours::streams()),
        "tokio" => net::theirs::serve(),
        _ => panic!("no such server: {who}"),
    }
}

/// Says where the server listens, and ends the process with its standard input.
fn serving(port: u16) {
    println!("{port}");
    std::thread::spawn(|| {
        // However it ends.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}
