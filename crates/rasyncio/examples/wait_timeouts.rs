//! `wait` with a timeout: the loop over results as they come.
//!
//! When the time is up `wait` fails nobody. What is not done is in the second list, and goes on.

use std::time::Duration;

use rasyncio::{Cancelled, ReturnWhen, Task, create_task, sleep, wait};

async fn work(name: &'static str, delay: u64) -> Result<&'static str, Cancelled> {
    sleep(Duration::from_millis(delay)).await?;
    Ok(name)
}

type Work = Task<Result<&'static str, Cancelled>>;

async fn results(done: Vec<Work>) -> Result<Vec<&'static str>, Box<dyn std::error::Error>> {
    let mut results = Vec::new();
    for task in done {
        results.push(task.await??);
    }
    Ok(results)
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks = [("A", 10), ("B", 300)].map(|(name, delay)| create_task(work(name, delay)));
    let (done, pending) = wait(tasks).timeout(Duration::from_millis(100)).await?;
    println!("in time:  {:?}", results(done).await?);
    let cancelled: Vec<_> = pending.iter().map(|task| task.cancelled()).collect();
    println!("not done: {} cancelled: {cancelled:?}", pending.len());

    let (done, _) = wait(pending).await?;
    println!("waited on: {:?}", results(done).await?);

    println!("no time at all:");
    let task = create_task(work("C", 10));
    let (done, pending) = wait([&task]).timeout(Duration::ZERO).await?;
    println!("  done: {} pending: {}", done.len(), pending.len());
    task.await??;

    println!("one after the other, as they finish:");
    let mut pending: Vec<Work> = [("D", 0), ("E", 40), ("F", 80)]
        .map(|(name, delay)| create_task(work(name, delay)))
        .into();
    while !pending.is_empty() {
        let done;
        (done, pending) = wait(pending)
            .return_when(ReturnWhen::FirstCompleted)
            .await?;
        println!("   {:?} left: {}", results(done).await?, pending.len());
    }
    Ok(())
}
