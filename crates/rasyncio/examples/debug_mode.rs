//! Debug mode: slow callbacks, slow tasks, where things came from.
//!
//! Switched on by `#[rasyncio::main(debug = true)]`, or `events::set_debug`. Calls from the wrong thread,
//! and callbacks that are no functions, are the compiler's to find.

use std::thread;
use std::time::Duration;

use rasyncio::events::{self, SlowCallback};
use rasyncio::{Cancelled, create_task, yield_now};

/// Prints what debug mode tells, without places and the measured times. As text, `slow` has them.
fn to_output(slow: &SlowCallback<'_>) {
    let what = if slow.task.is_some() {
        "Task"
    } else {
        "Handle"
    };
    println!("  log: Executing <{what} ...> took too long");
}

fn hog() {
    thread::sleep(Duration::from_millis(30));
}

async fn hog_in_a_task() {
    hog();
}

#[rasyncio::main(debug = true)]
async fn main() -> Result<(), Cancelled> {
    events::set_slow_callback_handler(to_output);
    println!("debug: {}", events::get_debug());

    println!("a callback that is slow:");
    events::set_slow_callback_duration(Duration::from_millis(20));
    events::call_soon(hog);
    yield_now().await?;
    yield_now().await?;

    println!("a step of a task that is slow:");
    let _ = create_task(hog_in_a_task()).await;
    events::set_slow_callback_duration(Duration::from_secs(60));

    println!("where a task was made:");
    let task = create_task(async {});
    let file = task.created_at().file();
    println!("  is known: {}", file.ends_with("debug_mode.rs"));
    Ok(())
}
