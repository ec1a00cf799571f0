//! `to_thread`: a blocking call, without stopping the loop.
//!
//! The call runs in a worker thread; the loop goes on. What the call is to know of the caller's context
//! variables it is given, for those belong to the loop's thread.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Duration;

use rasyncio::{ContextVar, create_task, gather_iter, to_thread, yield_now};

static USER: ContextVar<&str> = ContextVar::new("user");

/// Waits like any code that knows nothing of asyncio.
fn blocking(event: &mpsc::Receiver<()>, name: &str, user: &str) -> String {
    let _ = event.recv_timeout(Duration::from_secs(10));
    let where_it_is = match thread::current().name() {
        Some("main") => "main",
        _ => "worker",
    };
    format!("{name} in the {where_it_is} thread for {user}")
}

#[rasyncio::main]
async fn main() -> Result<(), rasyncio::TaskError> {
    let _never_reset = USER.set("ann");

    println!("the loop runs while the thread blocks:");
    let (set, event) = mpsc::channel();
    let user = USER.get().expect("it was set");
    let task = create_task(to_thread(move || blocking(&event, "call", user)));
    for turn in 0..3 {
        yield_now().await?;
        println!("  turn {turn} done: {}", task.done());
    }
    let _ = set.send(());
    println!("  {}", task.await??);

    println!("several calls at once:");
    let barrier = Arc::new(Barrier::new(3));
    // Each of these waits for the other two: one after the other would hang.
    let calls = (0..3).map(|number| {
        let barrier = barrier.clone();
        to_thread(move || {
            barrier.wait();
            number
        })
    });
    let order: Result<Vec<_>, _> = gather_iter(calls).await?.into_iter().collect();
    println!("  met at the barrier: {:?}", order?);

    println!("what the call raises comes back:");
    let broken = || Err::<(), _>(std::io::Error::other("in the thread"));
    if let Err(error) = to_thread(broken).await? {
        println!("  {error}");
    }
    Ok(())
}
