//! Ending a program that has background jobs: what may finish, and what is cancelled.
//!
//! `close()` cancels all jobs, and gives them `close_timeout` to clean up. `wait_and_close()` lets them
//! finish first, for `wait_timeout` at most. `shield()` protects work from the cancellation of whoever has
//! asked for it; the scheduler waits for that, too.

use std::error::Error;
use std::time::Duration;

use rasyncio::scheduler::{Builder, JobContext, Scheduler};
use rasyncio::{Cancelled, create_task, sleep, wait, yield_now};

const HOUR: u64 = 3_600_000;

async fn work(name: &'static str, milliseconds: u64, clean_up: u64) -> Result<(), Cancelled> {
    let slept = sleep(Duration::from_millis(milliseconds)).await;
    match slept {
        Ok(()) => println!("  {name}: done"),
        Err(_) => {
            sleep(Duration::from_millis(clean_up)).await?;
            println!("  {name}: cleaned up");
        }
    }
    slept
}

fn handler(_: &Scheduler, context: &JobContext<'_>) {
    let name = context.job.name().unwrap_or_default();
    println!("  handler: {}, {name}", context.message);
}

async fn closing() -> Result<(), Box<dyn Error>> {
    println!("close() cancels:");
    let scheduler = Builder::new()
        .limit(3)
        .close_timeout(Duration::from_millis(100))
        .exception_handler(handler)
        .build();
    let jobs = [
        scheduler.spawn(work("quick", 0, 0)).await?,
        scheduler.spawn(work("slow", HOUR, 10)).await?,
        scheduler
            .spawn_named("too slow", work("too slow", HOUR, HOUR))
            .await?,
        scheduler.spawn(work("pending", 0, 0)).await?,
    ];
    yield_now().await?;
    yield_now().await?;
    scheduler.close().await?;
    let closed: Vec<_> = jobs.iter().map(|job| job.closed()).collect();
    println!("  {scheduler:?} {closed:?}");
    if let Err(error) = scheduler.spawn(work("late", 0, 0)).await {
        println!("  refused: {error}");
    }
    Ok(())
}

async fn waiting() -> Result<(), Box<dyn Error>> {
    println!("wait_and_close() waits:");
    let scheduler = Scheduler::new();
    scheduler.spawn(work("patient", 50, 0)).await?;
    scheduler.wait_and_close(None).await?;

    println!("though not for ever:");
    let scheduler = Scheduler::new();
    scheduler.spawn(work("in time", 10, 0)).await?;
    scheduler.spawn(work("endless", HOUR, 0)).await?;
    scheduler.wait_and_close(Duration::from_millis(50)).await?;
    Ok(())
}

async fn shielding() -> Result<(), Box<dyn Error>> {
    println!("shielded work outlives who has asked for it:");
    let scheduler = Scheduler::new();
    let shielding = scheduler.clone();
    let request = create_task(async move { shielding.shield(work("transaction", 20, 0)).await });
    yield_now().await?;
    yield_now().await?;
    request.cancel();
    wait([&request]).await?;
    println!("  request cancelled: {}", request.cancelled());
    scheduler.wait_and_close(None).await?;
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    closing().await?;
    waiting().await?;
    shielding().await
}
