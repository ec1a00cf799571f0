//! Prints what the engine's operations cost, in nanoseconds each.
//!
//! `cargo run --release -p rasyncio-engine --example costs`

use std::cell::Cell;
use std::hint::black_box;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Instant;

use rasyncio_engine::{EventLoop, Flow, ForeignLoop, Job, JobVTable, PlainDriver};

/// Rounds of each measurement; the best one counts, for the others were disturbed.
const ROUNDS: usize = 7;

fn measure(name: &str, operations: u32, mut f: impl FnMut()) {
    let best = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            f();
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!(
        "{name:<40} {:>8.1} ns",
        best.as_nanos() as f64 / f64::from(operations)
    );
}

/// A job without data of its own, so that only the queue is measured.
fn nothing() -> Job {
    unsafe extern "C" fn run(_: *mut ()) -> Flow {
        Flow::Continue
    }
    unsafe extern "C" fn ignore(_: *mut ()) {}
    static TABLE: JobVTable = JobVTable {
        run,
        drop: ignore,
        clone: ignore,
    };
    // SAFETY: the functions do not touch the data.
    unsafe { Job::new(std::ptr::null_mut(), &TABLE) }
}

/// A job that schedules itself again until a counter has run out.
struct Chain {
    event_loop: EventLoop,
    left: Cell<u32>,
}

static CHAIN: JobVTable = JobVTable {
    run: run_chain,
    drop: drop_chain,
    clone: drop_chain,
};

unsafe extern "C" fn run_chain(data: *mut ()) -> Flow {
    // SAFETY: the chain outlives the run of its loop.
    let chain = unsafe { &*data.cast::<Chain>() };
    match chain.left.get() {
        0 => chain.event_loop.stop(),
        left => {
            chain.left.set(left - 1);
            // SAFETY: as above.
            chain.event_loop.schedule(unsafe { Job::new(data, &CHAIN) });
        }
    }
    Flow::Continue
}

unsafe extern "C" fn drop_chain(_: *mut ()) {}

fn main() -> std::io::Result<()> {
    const N: u32 = 1_000_000;

    let event_loop = EventLoop::new()?;
    measure("schedule and run, a million in a turn", N, || {
        for _ in 0..N {
            event_loop.schedule(nothing());
        }
        event_loop.turn(&mut PlainDriver).unwrap();
    });
    measure("schedule and run, a hundred in a turn", N, || {
        for _ in 0..N / 100 {
            for _ in 0..100 {
                event_loop.schedule(nothing());
            }
            event_loop.turn(&mut PlainDriver).unwrap();
        }
    });
    measure("Job::from_fn, schedule and run", N, || {
        for _ in 0..N / 100 {
            for _ in 0..100 {
                event_loop.schedule(Job::from_fn(|| ()));
            }
            event_loop.turn(&mut PlainDriver).unwrap();
        }
    });

    let chain = |watched: bool, timer: bool| -> std::io::Result<Rc<Chain>> {
        let chain = Rc::new(Chain {
            event_loop: EventLoop::new()?,
            left: Cell::new(0),
        });
        if watched {
            // Never ready, and open as long as the program.
            let (reader, writer) = std::io::pipe()?;
            chain.event_loop.set_reader(reader.as_raw_fd(), nothing())?;
            std::mem::forget((reader, writer));
        }
        if timer {
            chain
                .event_loop
                .set_timer(chain.event_loop.now() + 3_600_000_000_000, nothing());
        }
        Ok(chain)
    };
    for (name, watched, timer) in [
        ("a turn with one job", false, false),
        ("the same, with a timer", false, true),
        ("the same, with a timer and a reader", true, true),
    ] {
        let chain = chain(watched, timer)?;
        measure(name, N, || {
            chain.left.set(N);
            let data: *mut () = Rc::as_ptr(&chain).cast_mut().cast();
            // SAFETY: the chain outlives the run.
            chain.event_loop.schedule(unsafe { Job::new(data, &CHAIN) });
            chain.event_loop.run(&mut PlainDriver).unwrap();
        });
    }

    measure("set_timer and cancel_timer", N, || {
        for when in 0..N {
            let key = event_loop.set_timer(u64::MAX - u64::from(when), nothing());
            black_box(event_loop.cancel_timer(key));
        }
    });
    measure("set_timer a thousand, fire them", N, || {
        for _ in 0..N / 1000 {
            let now = event_loop.now();
            for later in 0..1000 {
                event_loop.set_timer(now - (later * 7919) % 1000, nothing());
            }
            while event_loop.next_timer().is_some() {
                event_loop.turn(&mut PlainDriver).unwrap();
            }
        }
    });
    let table = event_loop.abi();
    // SAFETY: the loop outlives this and stays in its place.
    let foreign = unsafe { ForeignLoop::new(&table) }.map_err(std::io::Error::other)?;
    measure("ForeignLoop::schedule and run", N, || {
        for _ in 0..N / 100 {
            for _ in 0..100 {
                foreign.schedule(nothing());
            }
            event_loop.turn(&mut PlainDriver).unwrap();
        }
    });
    let remote = event_loop.remote();
    measure("Remote::schedule and run, same thread", N, || {
        for _ in 0..N / 100 {
            for _ in 0..100 {
                // SAFETY: this is the loop's thread.
                let sent = unsafe { remote.schedule(nothing()) };
                black_box(sent.is_ok());
            }
            event_loop.turn(&mut PlainDriver).unwrap();
        }
    });
    measure("now", N, || {
        for _ in 0..N {
            black_box(event_loop.now());
        }
    });
    Ok(())
}
