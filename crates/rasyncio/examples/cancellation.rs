//! Cancelling a task asks it to end.
//!
//! It may clean up, it may refuse, and it can tell how often it was asked.

use std::time::Duration;

use rasyncio::{Cancelled, TaskError, create_task, current_task, sleep, wait, yield_now};

const HOUR: Duration = Duration::from_secs(3600);

async fn cleans_up() -> Result<&'static str, Cancelled> {
    let slept = sleep(HOUR).await;
    yield_now().await?;
    println!("  clean");
    slept.map(|()| "never shown")
}

async fn refuses() -> Result<&'static str, Cancelled> {
    if sleep(HOUR).await.is_err() {
        let task = current_task().expect("this is one");
        let (asked, left) = (task.cancelling(), task.uncancel());
        println!("  asked {asked} time(s), left after uncancel: {left}");
    }
    yield_now().await?;
    Ok("refused")
}

async fn finishes_first() -> Result<&'static str, Cancelled> {
    Ok("too quick to be cancelled")
}

async fn try_to_cancel(
    name: &str,
    future: impl Future<Output = Result<&'static str, Cancelled>> + 'static,
) -> Result<(), Cancelled> {
    println!("{name}");
    let mut task = create_task(future);
    yield_now().await?;
    let asked = task.cancel_with("please");
    match (&mut task).await {
        Ok(result) => println!("  asked: {asked} result: {}", result?),
        Err(TaskError::Cancelled(error)) => {
            let (message, cancelled) = (error.message().unwrap_or_default(), task.cancelled());
            println!("  asked: {asked} CancelledError ('{message}',) cancelled: {cancelled}");
        }
        Err(TaskError::Panicked(panic)) => panic.resume(),
    }
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Cancelled> {
    try_to_cancel("cleans_up", cleans_up()).await?;
    try_to_cancel("refuses", refuses()).await?;
    try_to_cancel("finishes_first", finishes_first()).await?;

    println!("cancelled before it began, its body never runs:");
    let task = create_task(cleans_up());
    task.cancel();
    wait([&task]).await?;
    println!("  cancelled: {}", task.cancelled());

    println!("cancelled while it waits for another task, that one is cancelled too:");
    let inner = create_task(sleep(HOUR));
    let inner_handle = (*inner).clone();
    let outer = create_task(inner.into_future());
    yield_now().await?;
    outer.cancel();
    wait([&inner_handle, &outer]).await?;
    println!(
        "  inner: {} outer: {}",
        inner_handle.cancelled(),
        outer.cancelled()
    );
    Ok(())
}
