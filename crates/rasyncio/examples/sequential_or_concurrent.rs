//! One after the other, or at once.
//!
//! Awaiting a future runs it there and then. Only what was made a task goes on while somebody else
//! waits.

use std::time::Duration;

use rasyncio::{Cancelled, TaskError, create_task, events, sleep};

type Names = Result<[&'static str; 2], TaskError>;

async fn fetch(name: &'static str, milliseconds: u64) -> Result<&'static str, Cancelled> {
    println!("  {name}: asked");
    sleep(Duration::from_millis(milliseconds)).await?;
    println!("  {name}: answered");
    Ok(name)
}

async fn one_after_the_other() -> Names {
    Ok([fetch("slow", 80).await?, fetch("quick", 40).await?])
}

async fn both_at_once() -> Names {
    let slow = create_task(fetch("slow", 80));
    let quick = create_task(fetch("quick", 40));
    Ok([slow.await??, quick.await??])
}

async fn tasks_made_too_late() -> Names {
    // The second task does not exist while the first is awaited.
    let first = create_task(fetch("slow", 80)).await??;
    Ok([first, create_task(fetch("quick", 40)).await??])
}

async fn timed(name: &str, way: impl Future<Output = Names>) -> Result<Duration, TaskError> {
    println!("{name}");
    let start = events::time();
    let results = way.await?;
    let took = events::time() - start;
    println!("  results: {results:?}");
    Ok(took)
}

#[rasyncio::main]
async fn main() -> Result<(), TaskError> {
    let in_turn = timed("one_after_the_other", one_after_the_other()).await?;
    let at_once = timed("both_at_once", both_at_once()).await?;
    let too_late = timed("tasks_made_too_late", tasks_made_too_late()).await?;
    println!("both at once is quicker: {}", at_once < in_turn);
    let nothing_saved = too_late >= Duration::from_millis(120);
    println!("being late saves nothing: {nothing_saved}");
    Ok(())
}
