//! `as_completed`: handle each result when it comes, the quickest first.

use std::io;
use std::time::Duration;

use rasyncio::tasks::AsCompletedError;
use rasyncio::{as_completed, create_task, sleep};

async fn download(name: &'static str, milliseconds: u64) -> io::Result<&'static str> {
    sleep(Duration::from_millis(milliseconds)).await?;
    if name == "broken" {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    Ok(name)
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("in the order of completion:");
    let downloads = [("slow", 120), ("middle", 70), ("quick", 20)];
    let mut ends = as_completed(downloads.map(|(name, time)| download(name, time)));
    while let Some(task) = ends.next().await? {
        println!("   {}", task.await??);
    }

    println!("with an error among them:");
    let mut ends = as_completed([download("good", 60), download("broken", 10)]);
    while let Some(task) = ends.next().await? {
        match task.await? {
            Ok(name) => println!("   {name}"),
            Err(_) => println!("   ConnectionError: broken"),
        }
    }

    println!("with a time limit for all together:");
    let tasks = [("quick", 10), ("late", 3_600_000)];
    let tasks = tasks.map(|(name, time)| create_task(download(name, time)));
    let late = (*tasks[1]).clone();
    let mut ends = as_completed(tasks).timeout(Duration::from_millis(100));
    loop {
        match ends.next().await {
            Ok(Some(task)) => println!("   {}", task.await??),
            Ok(None) => break,
            Err(AsCompletedError::TimedOut) => {
                println!("   TimeoutError; the late one goes on: {}", !late.done());
                break;
            }
            Err(cancelled) => return Err(cancelled.into()),
        }
    }
    late.cancel();
    Ok(())
}
