//! Background jobs: how many run at a time, and who waits for a place.
//!
//! A scheduler runs up to `limit` jobs. Further ones are pending, and start in order when a place is free.
//! When as many are pending as may be, `spawn()` itself waits: whoever makes work is slowed down to the
//! pace at which it is done.

use std::error::Error;
use std::time::Duration;

use rasyncio::scheduler::{Builder, Scheduler};
use rasyncio::{Cancelled, sleep};

async fn download(name: &'static str, milliseconds: u64) -> Result<String, Cancelled> {
    println!("  {name}: starts");
    sleep(Duration::from_millis(milliseconds)).await?;
    println!("  {name}: ends");
    Ok(format!("contents of {name}"))
}

fn look(scheduler: &Scheduler) {
    let (active, pending) = (scheduler.active_count(), scheduler.pending_count());
    println!("  {active} active, {pending} pending");
}

async fn a_limit() -> Result<(), Box<dyn Error>> {
    println!("two at a time:");
    let scheduler = Builder::new().limit(2).build();
    let mut jobs = Vec::new();
    for (name, time) in [("A", 20), ("B", 50), ("C", 60), ("D", 60), ("E", 60)] {
        jobs.push((name, scheduler.spawn(download(name, time)).await?));
    }
    look(&scheduler);
    for (name, mut job) in jobs {
        let contents = job.wait(None).await??;
        println!("  waited for {name} and got {contents}");
    }
    scheduler.wait_and_close(None).await?;
    Ok(())
}

async fn back_pressure() -> Result<(), Box<dyn Error>> {
    println!("one at a time, and one pending:");
    let scheduler = Builder::new().limit(1).pending_limit(1).build();
    for name in ["A", "B", "C", "D"] {
        println!("  spawning {name}");
        scheduler.spawn(download(name, 10)).await?;
        look(&scheduler);
    }
    scheduler.wait_and_close(None).await?;
    Ok(())
}

async fn no_limit() -> Result<(), Box<dyn Error>> {
    println!("any number:");
    let scheduler = Builder::new().limit(None).build();
    for _ in 0..1000 {
        scheduler.spawn(sleep(Duration::from_millis(10))).await?;
    }
    look(&scheduler);
    scheduler.wait_and_close(None).await?;
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    a_limit().await?;
    back_pressure().await?;
    no_limit().await
}
