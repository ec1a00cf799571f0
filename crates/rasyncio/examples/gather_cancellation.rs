//! `gather` and cancellation, in both directions.
//!
//! Cancelling who awaits the gathering cancels its tasks. A task of it that is cancelled by somebody
//! else fails it, as one that panics would.

use std::time::Duration;

use rasyncio::{
    AnyTask, Cancelled, TaskError, create_task, events, gather, sleep, timeout, yield_now,
};

const HOUR: Duration = Duration::from_secs(3600);

async fn worker(name: &'static str) -> Result<(), Cancelled> {
    let slept = sleep(HOUR).await;
    if slept.is_err() {
        println!("  {name} cleans up");
    }
    slept
}

fn cancel_soon(task: &AnyTask, message: Option<&'static str>) {
    let task = task.clone();
    events::call_soon(move || {
        match message {
            Some(message) => task.cancel_with(message),
            None => task.cancel(),
        };
    });
}

async fn from_outside() -> Result<(), TaskError> {
    println!("the gather is cancelled:");
    let group = create_task(async { gather((worker("A"), worker("B"))).await });
    yield_now().await?;
    yield_now().await?;
    println!("  cancel(): {}", group.cancel());
    if group.await.is_err_and(|error| error.cancelled().is_some()) {
        println!("  the gather raised CancelledError");
    }
    Ok(())
}

async fn from_inside() -> Result<(), TaskError> {
    println!("one of its tasks is cancelled:");
    let first = create_task(worker("C"));
    let second = create_task(async {
        sleep(Duration::from_millis(10)).await?;
        println!("  D is not touched");
        Ok::<_, Cancelled>(())
    });
    let watched = (*second).clone();
    cancel_soon(&first, None);
    if let Err(TaskError::Cancelled(_)) = gather((first, second)).await {
        println!("  the gather raised CancelledError");
    }
    rasyncio::wait([watched]).await?;
    Ok(())
}

async fn as_a_result() -> Result<(), TaskError> {
    println!("with return_exceptions:");
    let first = create_task(worker("E"));
    cancel_soon(&first, Some("with a message"));
    let (first, second) = gather((first, async { "F" })).return_exceptions().await?;
    let first = first.err();
    let cancelled = first.as_ref().and_then(TaskError::cancelled);
    let message = cancelled.and_then(Cancelled::message).unwrap_or_default();
    println!("  [CancelledError('{message}'), '{}']", second?);
    Ok(())
}

async fn by_timeout() {
    println!("a timeout around it:");
    let both = async { gather((worker("G"), worker("H"))).await };
    if timeout(Duration::from_millis(10), both).await.is_err() {
        println!("  TimeoutError, and both are cancelled");
    }
}

#[rasyncio::main]
async fn main() -> Result<(), TaskError> {
    from_outside().await?;
    from_inside().await?;
    as_a_result().await?;
    by_timeout().await;
    Ok(())
}
