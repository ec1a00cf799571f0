//! Errors that nobody awaits: the exception handler of the loop.
//!
//! A callback has nobody to raise to, and a failed task may have nobody who waits. Both are reported to the
//! loop's exception handler. The default one writes a line to stderr; with the feature `tracing` it is an
//! event.

use std::panic;
use std::time::Duration;

use rasyncio::events::{self, ExceptionContext, call_soon};
use rasyncio::{Cancelled, create_task, sleep, yield_now};

fn broken_callback() {
    panic!("ZeroDivisionError('in a callback')");
}

async fn broken_task() -> Result<(), &'static str> {
    Err("LookupError('in a task')")
}

fn handler(context: &ExceptionContext<'_>) {
    println!(
        "  handler: {} | {}",
        context.message,
        context.panic.message()
    );
}

async fn show() -> Result<(), Cancelled> {
    call_soon(broken_callback);
    yield_now().await?;

    // The macro sees that the task may fail; the function of that name takes whatever it resolves to.
    drop(create_task!(broken_task(), name = "broken"));
    yield_now().await
}

#[rasyncio::main]
async fn main() -> Result<(), Cancelled> {
    // Rust's own word of a panic, which goes to stderr.
    panic::set_hook(Box::new(|_| ()));

    events::set_exception_handler(handler);
    println!("a handler of our own:");
    show().await?;
    println!("  installed: {}", events::get_exception_handler().is_some());

    println!("called by hand:");
    events::call_exception_handler("something odd", "OSError(5, 'odd')");

    println!("the default handler logs:");
    events::remove_exception_handler();
    events::call_exception_handler("something odd", "detail: 42");

    println!("a handler that is itself broken is reported too, and the loop goes on:");
    events::set_exception_handler(|_| panic!("ZeroDivisionError('division by zero')"));
    call_soon(broken_callback);
    sleep(Duration::from_millis(10)).await?;
    println!(
        "  still running: {}",
        events::get_running_loop().is_running()
    );
    Ok(())
}
