//! What a task that waits takes in memory, with the handle of who awaits it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::runtimes::{MANY, Runtimes};

pub(crate) const NAME: &str = "memory per task";

const TASKS: u32 = 10_000;

/// The system's allocator, with a count of the bytes in use, as far as asked for.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static NOTED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is left to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller says.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All tasks are there.
pub(crate) fn note() {
    NOTED.store(IN_USE.load(Ordering::Relaxed), Ordering::Relaxed);
}

pub(crate) fn run(runtimes: &Runtimes) {
    print!("{:<34}", "memory per task, bytes");
    let mut ours = 0.0;
    let mut best = f64::INFINITY;
    for (which, program) in MANY.iter().enumerate() {
        // Queues have grown then.
        program(runtimes, TASKS);
        let before = IN_USE.load(Ordering::Relaxed);
        program(runtimes, TASKS);
        let bytes = (NOTED.load(Ordering::Relaxed) - before) as f64 / f64::from(TASKS);
        print!("{bytes:>15.1}");
        if which == 0 {
            ours = bytes;
        } else {
            best = best.min(bytes);
        }
    }
    println!("{:>11.2}x", best / ours);
}
