//! What becomes of errors in background jobs: told to whoever waits, or else to a handler.
//!
//! Nobody has to await a job. If somebody does, `wait()` answers what the job has panicked with; if nobody
//! does, the scheduler's exception handler is told, or the loop's. (A `Result` that a job resolves to is
//! its output, for whoever waits.)

use std::error::Error;
use std::time::Duration;

use rasyncio::scheduler::{Builder, JobContext, JobError, Scheduler};
use rasyncio::{events, sleep};

async fn divide(one: f64, other: f64) -> f64 {
    let slept = sleep(Duration::from_millis(10)).await;
    assert!(slept.is_err() || other != 0.0, "division by zero");
    one / other
}

fn handler(_: &Scheduler, context: &JobContext<'_>) {
    let panic = context.panic.map(|panic| panic.message());
    println!(
        "  handler: {}: ZeroDivisionError('{}'), {}",
        context.message,
        panic.unwrap_or_default(),
        context.job.name().unwrap_or_default()
    );
}

fn with_handler() -> Scheduler {
    Builder::new().exception_handler(handler).build()
}

async fn nobody_waits() -> Result<(), Box<dyn Error>> {
    println!("nobody waits:");
    let scheduler = with_handler();
    scheduler
        .spawn_named("one by zero", divide(1.0, 0.0))
        .await?;
    scheduler
        .spawn_named("one by two", divide(1.0, 2.0))
        .await?;
    Ok(scheduler.wait_and_close(None).await?)
}

async fn somebody_waits() -> Result<(), Box<dyn Error>> {
    println!("somebody waits:");
    let scheduler = with_handler();
    let mut job = scheduler.spawn(divide(1.0, 0.0)).await?;
    if let Err(JobError::Panicked(panic)) = job.wait(None).await {
        println!("  raised: {}", panic.message());
    }
    Ok(scheduler.wait_and_close(None).await?)
}

async fn too_long() -> Result<(), Box<dyn Error>> {
    println!("somebody waits, but not for long:");
    let scheduler = with_handler();
    let mut job = scheduler.spawn(sleep(Duration::from_secs(3600))).await?;
    if let Err(JobError::TimedOut) = job.wait(Duration::from_millis(10)).await {
        let state = if job.closed() { "closed" } else { "active" };
        println!("  timed out; the job is {state}");
    }
    Ok(scheduler.wait_and_close(None).await?)
}

async fn the_handler_of_the_loop() -> Result<(), Box<dyn Error>> {
    println!("without a handler, the loop's is told:");
    events::set_exception_handler(|context| {
        let message = context.panic.message();
        println!("  loop: ZeroDivisionError('{message}')");
    });
    let scheduler = Scheduler::new();
    scheduler.spawn(divide(1.0, 0.0)).await?;
    Ok(scheduler.wait_and_close(None).await?)
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    nobody_waits().await?;
    somebody_waits().await?;
    too_long().await?;
    the_handler_of_the_loop().await
}
