//! Mistakes everybody makes once, and what becomes of them.
//!
//! Running a loop inside a loop, forgetting an error, leaving before the work is done. Others are the
//! compiler's to find: a future that is never awaited is warned of, and what is no future does not run.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use rasyncio::events::{self, ExceptionContext};
use rasyncio::{Cancelled, Runner, create_task, sleep, yield_now};

async fn work() -> &'static str {
    "worked"
}

async fn fail() -> Result<(), &'static str> {
    Err("ValueError('nobody looked')")
}

/// Misuse panics.
fn show_error<T>(call: impl FnOnce() -> T) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(call)) {
        let message = match payload.downcast_ref::<String>() {
            Some(message) => message,
            None => payload.downcast_ref().copied().unwrap_or("no text"),
        };
        println!("  RuntimeError: {message}");
    }
}

fn log(context: &ExceptionContext<'_>) {
    println!("  logged: {}", context.message);
    println!("  {}", context.panic.message());
}

async fn nested_run() {
    show_error(|| rasyncio::run(work()));
}

async fn never_retrieved() -> Result<(), Cancelled> {
    events::set_exception_handler(log);
    // The macro sees that what it resolves to may be an error.
    drop(create_task!(fail(), name = "forgotten"));
    yield_now().await
}

async fn left_too_early() -> Result<(), Cancelled> {
    create_task(slow());
    yield_now().await?;
    println!("  main leaves");
    Ok(())
}

async fn slow() -> Result<(), Cancelled> {
    let slept = sleep(Duration::from_secs(3600)).await;
    if slept.is_err() {
        println!("  slow was cancelled by run()");
    }
    slept
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Rust's own word of a panic, which goes to stderr.
    panic::set_hook(Box::new(|_| ()));

    println!("asyncio.run inside a running loop:");
    rasyncio::run(nested_run());

    println!("no loop is running:");
    show_error(events::get_running_loop);
    show_error(|| create_task(work()));
    // One that is there and does not run can be entered.
    let runner = Runner::new()?;
    show_error(|| runner.enter(|| create_task(work())));

    println!("an error that nobody retrieves:");
    rasyncio::run(never_retrieved())?;

    println!("main ends before its tasks:");
    rasyncio::run(left_too_early())?;
    Ok(())
}
