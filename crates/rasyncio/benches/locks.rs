//! Locks and queues beside tokio's, on its `current_thread` runtime:
//! `cargo bench -p rasyncio --bench locks`.
//!
//! The two take turns within one process, and the processor time of the thread is measured, so
//! that other programs disturb little. A row says what one operation costs with each (the best
//! round) and how the two compare (the median over pairs of neighbouring rounds).
//!
//! `-- WORD...` runs only the rows whose name has one of the words; `-- --only rasyncio` (or
//! `tokio`) only one of the two, for a profiler; `-- --rounds N` and `-- --operations N` say how
//! much.
//!
//! What is fair to tokio: its tasks are spawned with `tokio::spawn`, which is faster than a
//! `LocalSet`; where a task yields it does so by waking itself, which is faster than tokio's
//! `yield_now`; and each row uses what tokio has for the purpose, even if it does less.

#[path = "common/options.rs"]
mod options;

mod locks {
    pub(crate) mod ours;
    pub(crate) mod theirs;
}

use std::pin::Pin;
use std::task::{Context, Poll};

use options::Options;
use rustix::time::{ClockId, clock_gettime};

/// What both are measured at: name, operations per call, and the two.
type Row = (
    &'static str,
    u32,
    fn(&rasyncio::Runner, u32),
    fn(&tokio::runtime::Runtime, u32),
);

const ROWS: &[Row] = &[
    (
        "queue of 10, producer and consumer",
        200_000,
        locks::ours::queue_of_10,
        locks::theirs::queue_of_10,
    ),
    (
        "queue of 1, hand-off",
        200_000,
        locks::ours::queue_of_1,
        locks::theirs::queue_of_1,
    ),
    (
        "unbounded queue, put and get",
        1_000_000,
        locks::ours::unbounded,
        locks::theirs::unbounded,
    ),
    (
        "lock, 10 tasks",
        200_000,
        locks::ours::lock,
        locks::theirs::lock,
    ),
    (
        "lock, uncontended",
        1_000_000,
        locks::ours::lock_alone,
        locks::theirs::lock_alone,
    ),
    (
        "semaphore of 3, 10 tasks",
        200_000,
        locks::ours::semaphore,
        locks::theirs::semaphore,
    ),
    (
        "event, ping-pong",
        200_000,
        locks::ours::ping_pong,
        locks::theirs::ping_pong,
    ),
    (
        "condition, notify_all of 100",
        200_000,
        locks::ours::notify_all,
        locks::theirs::notify_all,
    ),
    (
        "barrier of 10",
        200_000,
        locks::ours::barrier,
        locks::theirs::barrier,
    ),
];

/// Lets all others go first.
pub(crate) async fn yield_once() {
    struct Yield(bool);
    impl Future for Yield {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }
    Yield(false).await
}

/// Nanoseconds that `f` takes this thread.
fn measure(f: impl FnOnce()) -> f64 {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
    };
    let start = now();
    f();
    now() - start
}

fn best(times: &[f64]) -> f64 {
    times.iter().copied().fold(f64::INFINITY, f64::min)
}

fn main() {
    let options = Options::from_arguments(21);
    let runner = rasyncio::Runner::new().expect("a loop");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    println!(
        "{:<40} {:>10} {:>10} {:>8}",
        "", "rasyncio", "tokio", "faster"
    );
    for &(name, operations, ours, theirs) in ROWS {
        if !options.wants(name) {
            continue;
        }
        let operations = options.operations.unwrap_or(operations);
        let ours = || measure(|| ours(&runner, operations)) / f64::from(operations);
        let theirs = || measure(|| theirs(&runtime, operations)) / f64::from(operations);
        if let Some(only) = &options.only {
            let run: &dyn Fn() -> f64 = if only == "tokio" { &theirs } else { &ours };
            let times: Vec<_> = (0..options.rounds).map(|_| run()).collect();
            println!("{name:<40} {:>7.1} ns with {only}", best(&times));
            continue;
        }
        let (mut our_times, mut their_times, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=options.rounds {
            let (our_time, their_time) = (ours(), theirs());
            // The first round warms up.
            if round > 0 {
                our_times.push(our_time);
                their_times.push(their_time);
                ratios.push(their_time / our_time);
            }
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "{name:<40} {:>7.1} ns {:>7.1} ns {:>7.2}x",
            best(&our_times),
            best(&their_times),
            ratios[ratios.len() / 2]
        );
    }
}
