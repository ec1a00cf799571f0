//! What a task that waits takes in memory, with the handle of who may await it.
//!
//! Counted is what the allocator gives, which is more than what it is asked for, when all tasks wait
//! and nothing is in the queues; and each runtime is a new one. So whatever a runtime keeps for each of
//! its tasks is in it: lists of tasks, slots, timers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::runtimes::{Program, Runtimes, SLEEPING, WAITING};

pub(crate) const NAMES: [&str; 2] = ["bytes per waiting task", "bytes per sleeping task"];

const PROGRAMS: [[Program; 5]; 2] = [WAITING, SLEEPING];

const TASKS: u32 = 100_000;

/// The system's allocator, with a count of the bytes in use.
struct Counting;

/// Not while time is measured.
static ON: AtomicBool = AtomicBool::new(false);

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static NOTED: AtomicUsize = AtomicUsize::new(0);

/// What the allocation takes.
///
/// # Safety
///
/// `memory` is an allocation of `System` with that layout.
unsafe fn taken(memory: *mut u8, layout: Layout) -> usize {
    #[cfg(target_env = "gnu")]
    {
        let _ = layout;
        // SAFETY: `System` is malloc's. A word before it says how long it is.
        unsafe { libc::malloc_usable_size(memory.cast()) + size_of::<usize>() }
    }
    #[cfg(not(target_env = "gnu"))]
    {
        let _ = memory;
        layout.size()
    }
}

// SAFETY: everything is left to `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller says.
        let memory = unsafe { System.alloc(layout) };
        if ON.load(Ordering::Relaxed) && !memory.is_null() {
            // SAFETY: allocated just now.
            IN_USE.fetch_add(unsafe { taken(memory, layout) }, Ordering::Relaxed);
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe {
            if ON.load(Ordering::Relaxed) {
                IN_USE.fetch_sub(taken(memory, layout), Ordering::Relaxed);
            }
            System.dealloc(memory, layout);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// All tasks are there.
pub(crate) fn note() {
    NOTED.store(IN_USE.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// In a thread of its own, for some runtimes are the thread's.
fn bytes(program: Program) -> f64 {
    let measured = thread::spawn(move || {
        let runtimes = Runtimes::new();
        // What is made when it is first needed.
        program(&runtimes, 1);
        ON.store(true, Ordering::Relaxed);
        let before = IN_USE.load(Ordering::Relaxed);
        program(&runtimes, TASKS);
        ON.store(false, Ordering::Relaxed);
        NOTED
            .load(Ordering::Relaxed)
            .wrapping_sub(before)
            .cast_signed() as f64
            / f64::from(TASKS)
    });
    measured.join().expect("a measurement has panicked")
}

pub(crate) fn run(name: &str) {
    let programs = NAMES.iter().zip(PROGRAMS).find(|row| *row.0 == name);
    let Some((_, programs)) = programs else {
        return;
    };
    print!("{name:<34}");
    let bytes = programs.map(bytes);
    for bytes in bytes {
        print!("{bytes:>15.1}");
    }
    let best = bytes[1..].iter().copied().fold(f64::INFINITY, f64::min);
    println!("{:>11.2}x", best / bytes[0]);
}
