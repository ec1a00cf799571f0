//! `shield`: cancel the wait, not the work.
//!
//! Who waits behind a shield may be cancelled; the task in front of it goes on. Keep that task, and
//! look after it.

use std::time::Duration;

use rasyncio::{Cancelled, Task, TaskError, create_task, shield, sleep, wait, wait_for, yield_now};

type Save = Task<Result<&'static str, Cancelled>>;
type Outcome = Result<(), Box<dyn std::error::Error>>;

const MOMENT: Duration = Duration::from_millis(10);

async fn save(name: &'static str) -> Result<&'static str, Cancelled> {
    println!("  {name}: writing");
    sleep(3 * MOMENT).await?;
    println!("  {name}: written");
    Ok("saved")
}

async fn cancelled_wait() -> Outcome {
    println!("the wait is cancelled:");
    let mut task = create_task(save("A"));
    // What waits behind the shield, as something that can be cancelled by itself.
    let shielded = wait_for(shield(&mut task), MOMENT).await;
    println!(
        "  CancelledError; shield: {} task: {}",
        shielded.is_err(),
        task.cancelled()
    );
    println!("  and later: {}", task.await??);
    Ok(())
}

async fn request(mut task: Save) -> Result<&'static str, TaskError> {
    match shield(&mut task).await {
        Ok(saved) => Ok(saved?),
        Err(cancelled) => {
            // The polite form: finish what must not be left half done, then go.
            println!("  waiter cancelled: true and B {}", task.await??);
            Err(cancelled)
        }
    }
}

async fn cancelled_waiter() -> Outcome {
    println!("the waiting task is cancelled:");
    let waiter = create_task(request(create_task(save("B"))));
    sleep(MOMENT).await?;
    waiter.cancel();
    wait([&waiter]).await?;
    assert!(waiter.cancelled());
    Ok(())
}

async fn timed_out() -> Outcome {
    println!("a timeout around a shield:");
    let mut task = create_task(save("C"));
    if wait_for(shield(&mut task), MOMENT).await.is_err() {
        println!("  TimeoutError; task done: {}", task.done());
    }
    task.await??;
    Ok(())
}

async fn inner_cancelled() -> Outcome {
    println!("the task itself is cancelled: a shield has one side");
    let task = create_task(save("D"));
    yield_now().await?;
    task.cancel();
    if let Err(TaskError::Cancelled(_)) = shield(task).await {
        println!("  CancelledError");
    }
    Ok(())
}

#[rasyncio::main]
async fn main() -> Outcome {
    cancelled_wait().await?;
    cancelled_waiter().await?;
    timed_out().await?;
    inner_cancelled().await
}
