//! `Runner`: several runs on one loop, in one context.

use std::time::Duration;

use rasyncio::contextvars::Context;
use rasyncio::events::{Loop, get_running_loop};
use rasyncio::tasks::Builder;
use rasyncio::{ContextVar, RunError, Runner, sleep};

static VISITS: ContextVar<u32> = ContextVar::with_default("visits", || 0);

async fn visit() -> (Loop, u32) {
    let count = VISITS.get().unwrap_or_default() + 1;
    let _token = VISITS.set(count);
    (get_running_loop(), count)
}

async fn leave_something_behind() {
    let hour = sleep(Duration::from_secs(3600));
    let task = Builder::new().name("left behind").create_task(hour);
    task.add_done_callback(|task| {
        println!(
            "  {}, cancelled at the end: {}",
            task.name(),
            task.cancelled()
        );
    });
}

fn main() -> Result<(), RunError> {
    let runner = Runner::new()?;
    let (here, first) = runner.run(visit());
    let (same, second) = runner.run(visit());
    println!(
        "the same loop: {}",
        here == same && same == runner.get_loop()
    );
    println!("the same context: {first} {second}");
    let (_, count) = runner.run_in(&Context::new(), visit());
    println!("another context: {count}");
    runner.run(leave_something_behind());
    println!("closing:");
    drop(runner);

    println!("closed: {}", here.is_closed());
    println!(
        "asyncio.run has a loop for each run: {}",
        rasyncio::run(visit()).0 != here
    );
    Ok(())
}
