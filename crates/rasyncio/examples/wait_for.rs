//! `wait_for`: one future, at most so many seconds.
//!
//! In time, it hands back the output. Too late, it cancels, waits until what was cancelled has
//! cleaned up, and answers `TimeoutError`.

use std::time::Duration;

use rasyncio::{Cancelled, create_task, sleep, wait_for, yield_now};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(10);

async fn work(time: Duration) -> Result<&'static str, Cancelled> {
    if let Err(cancelled) = sleep(time).await {
        println!("  work: cancelled, cleaning up");
        yield_now().await?;
        println!("  work: clean");
        return Err(cancelled);
    }
    Ok("done")
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let in_time = wait_for(work(MOMENT), Duration::from_secs(5)).await??;
    println!("in time: {in_time}");

    println!("too late:");
    if wait_for(work(HOUR), MOMENT).await.is_err() {
        println!("  TimeoutError");
    }

    println!("no limit: {}", wait_for(work(MOMENT), None).await??);

    println!("no time:");
    let task = create_task(work(HOUR));
    if wait_for(task, Duration::ZERO).await.is_err() {
        println!("  TimeoutError, and the work never started");
    }

    println!("no limit either, cancelled from outside:");
    let task = create_task(wait_for(work(HOUR), None));
    sleep(MOMENT).await?;
    task.cancel();
    if task.await.is_err_and(|error| error.cancelled().is_some()) {
        println!("  CancelledError");
    }
    Ok(())
}
