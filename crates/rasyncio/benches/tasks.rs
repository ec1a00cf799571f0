//! Tasks and timers beside tokio's, smol's and compio's, all on one thread:
//! `cargo bench -p rasyncio --bench tasks`.
//!
//! The runtimes take turns within one process, and the processor time is measured (of the process
//! where a row needs other threads), so that other programs disturb little. A row says what one
//! operation costs with each (the best round), and how rasyncio compares with the best of the others
//! (the median over rounds of neighbouring measurements or, with other threads, by the best rounds;
//! above 1 rasyncio is faster).
//!
//! *Without a runtime* is what the row takes with a thread that does nothing but that. *Median of the rounds*
//! stands below rows with other threads: how threads meet differs by round, and the best is luck.
//!
//! `-- WORD...` runs only the rows whose name has one of the words; `-- --only NAME` only one of the
//! runtimes, for a profiler; `-- --rounds N` and `-- --operations N` say how much.
//!
//! What is fair: every runtime is used as its documentation says, tokio both as a `current_thread`
//! runtime with `spawn` and as a `LocalRuntime` with `spawn_local`; where a task yields, each uses its
//! own way if it has one (smol's, rasyncio's), and wakes itself where that is faster (tokio) or there
//! is none. Rows without a figure are what a runtime does not have.
//!
//! The rows about memory say what the allocator gives for a task that waits, with its handle and all
//! that the runtime keeps for it, in new runtimes: for something that is the same with all of them, and
//! as the runtime sleeps.

#[path = "common/options.rs"]
mod options;

mod tasks {
    #[macro_use]
    pub(crate) mod programs;
    pub(crate) mod memory;
    pub(crate) mod runtimes;
}

use std::thread;
use std::time::Duration;

use options::Options;
use rustix::time::{ClockId, clock_gettime};
use tasks::memory;
use tasks::runtimes::{NAMES, Row, Runtimes, rows};

/// Nanoseconds of processor time that `f` takes.
fn measure(clock: ClockId, f: impl FnOnce()) -> f64 {
    let now = || {
        let now = clock_gettime(clock);
        now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
    };
    if clock == ClockId::ProcessCPUTime {
        // For the threads of who was measured before to fall asleep.
        thread::sleep(Duration::from_millis(30));
    }
    let start = now();
    f();
    now() - start
}

fn best(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let options = Options::from_arguments(15);
    let runtimes = Runtimes::new();
    print!("{:<34}", "nanoseconds");
    for name in NAMES {
        print!("{name:>15}");
    }
    println!("{:>12}", "faster");
    for row in rows() {
        if options.wants(row.name) {
            run(&options, &runtimes, &row);
        }
    }
    for name in memory::NAMES {
        if options.wants(name) && options.only.is_none() {
            memory::run(name);
        }
    }
}

fn print_times(name: &str, times: &[Vec<f64>], of: impl Fn(&[f64]) -> f64) {
    print!("{name:<34}");
    for times in times {
        match times.is_empty() {
            true => print!("{:>15}", ""),
            false => print!("{:>15.1}", of(times)),
        }
    }
}

fn run(options: &Options, runtimes: &Runtimes, row: &Row) {
    let operations = options.operations.unwrap_or(row.operations);
    let mut times = vec![Vec::new(); NAMES.len()];
    let mut floor = Vec::new();
    for round in 0..=options.rounds {
        if let Some(program) = row.floor.filter(|_| options.only.is_none()) {
            let time = measure(row.clock, || program(runtimes, operations));
            floor.push(time / f64::from(operations));
        }
        for (which, name) in NAMES.iter().enumerate() {
            let Some(program) = row.programs[which] else {
                continue;
            };
            if options.only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let time = measure(row.clock, || program(runtimes, operations));
            // The first round warms up.
            if round > 0 {
                times[which].push(time / f64::from(operations));
            }
        }
    }
    print_times(row.name, &times, best);
    let ratio = match row.clock {
        // How threads meet is bimodal: neighbouring rounds say little about each other.
        ClockId::ProcessCPUTime => {
            let theirs = times[1..].iter().map(|times| best(times));
            vec![theirs.fold(f64::INFINITY, f64::min) / best(&times[0])]
        }
        _ => {
            let ratios = (0..options.rounds).filter_map(|round| {
                let theirs = times[1..].iter().filter_map(|times| times.get(round));
                Some(best(&theirs.copied().collect::<Vec<_>>()) / times[0].get(round)?)
            });
            ratios.collect()
        }
    };
    match options.only.is_some() {
        true => println!(),
        false => println!("{:>11.2}x", median(ratio)),
    }
    if row.clock == ClockId::ProcessCPUTime {
        print_times("  median of the rounds", &times, |times| {
            median(times.to_vec())
        });
        println!();
    }
    if !floor.is_empty() {
        println!("{:<34}{:>15.1}", "  without a runtime", best(&floor));
    }
}
