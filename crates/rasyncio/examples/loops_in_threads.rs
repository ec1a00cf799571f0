//! One loop per thread, and messages between them.
//!
//! Each thread may run a loop of its own. They meet through `run_coroutine_threadsafe`, whose answer can
//! be awaited on any loop, and through wakers.

use std::sync::mpsc;
use std::thread;

use rasyncio::events::{self, Loop};
use rasyncio::{TaskError, gather, to_thread, yield_now};

type Counted = (&'static str, u32);

async fn count(name: &'static str, numbers: impl IntoIterator<Item = u32>) -> Counted {
    let mut total = 0;
    for number in numbers {
        yield_now().await.expect("nobody cancels it");
        total += number;
    }
    (name, total)
}

/// Awaits in this loop what runs in the other one.
async fn ask(other: &Loop, name: &'static str, numbers: Vec<u32>) -> Result<Counted, TaskError> {
    other
        .run_coroutine_threadsafe(move || count(name, numbers))
        .await
}

async fn talk() -> Result<(), TaskError> {
    println!("running loop in this thread: {}", events::is_running());
    let elsewhere = to_thread(events::is_running).await?;
    println!("running loop in another one: {elsewhere}");

    let (sender, receiver) = mpsc::channel();
    let thread = thread::spawn(move || {
        rasyncio::run(async {
            let (stopper, stopped) = async_channel::bounded::<()>(1);
            let _ = sender.send((events::get_running_loop(), stopper));
            let _ = stopped.recv().await;
        });
    });
    let (other, stopper) = receiver.recv().expect("the thread sends it");

    let guest = ask(&other, "guest", vec![1, 2, 3]).await?;
    println!("the other loop answers: {guest:?}");
    let asked = other.clone();
    let (a, b) = gather((
        async move { ask(&asked, "a", vec![4]).await },
        count("b", [5]),
    ))
    .await?;
    println!("both at once: {:?}", [a?, b]);

    drop(stopper);
    thread.join().expect("it does not panic");
    Ok(())
}

fn main() -> Result<(), TaskError> {
    let threads =
        ["x", "y", "z"].map(|name| thread::spawn(move || rasyncio::run(count(name, 0..100))));
    let mut results: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().expect("it does not panic"))
        .collect();
    results.sort_unstable();
    println!("three loops in three threads: {results:?}");

    rasyncio::run(talk())
}
