//! Callbacks that run when a task or future is done.
//!
//! They run in the order in which they were added, each in a turn of the loop after the result is there,
//! never inside `set_result`. A callback added to something that is done already runs soon. What it is
//! handed is a task of whatever output; who wants the output awaits the task, or shares a future.

use std::convert::Infallible;
use std::time::Duration;

use rasyncio::futures::create_future;
use rasyncio::tasks::{Builder, DoneCallback};
use rasyncio::{AnyTask, Cancelled, sleep, yield_now};

fn plain(task: &AnyTask) {
    println!("  plain: {} is done: {}", task.name(), task.done());
}

fn with_arguments(text: &'static str) -> impl FnOnce(&AnyTask) + 'static {
    move |task| println!("  {text}: {}", task.name())
}

fn removed(_task: &AnyTask) {
    println!("  never shown");
}

async fn work() -> Result<u32, Cancelled> {
    sleep(Duration::from_millis(10)).await?;
    Ok(42)
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut task = Builder::new().name("worker").create_task(work());
    task.add_done_callback(plain);
    task.add_done_callback(with_arguments("partial"));
    let unwanted = [
        task.add_done_callback(removed),
        task.add_done_callback(removed),
    ];
    let removed = unwanted.map(DoneCallback::remove);
    println!(
        "callbacks removed: {}",
        removed.map(u32::from).iter().sum::<u32>()
    );

    println!("waiting");
    (&mut task).await??;
    println!("awaited: the waiter is itself a callback, added last");

    task.add_done_callback(with_arguments("late"));
    println!("added to a finished task");
    yield_now().await?;

    let (promise, future) = create_future::<_, Infallible>();
    let future = future.shared();
    future.add_done_callback(|future| {
        if let Some(Ok(result)) = future.result() {
            println!("  future: {result}");
        }
    });
    promise.set_result("set")?;
    println!("set_result has returned, the callback has not run");
    yield_now().await?;
    Ok(())
}
