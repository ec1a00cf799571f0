//! Futures: a result that somebody will put there.
//!
//! Futures connect callback code with `await`. A future is settled once; who waits for it is resumed in a
//! later turn. It comes in two halves, one for who brings the result and one for who waits; the second can
//! be shared.

use std::error::Error;
use std::fmt::Debug;

use rasyncio::events::call_soon;
use rasyncio::futures::{FutureError, Shared, create_future};
use rasyncio::{create_task, gather_iter, yield_now};

type Outcome = Result<(), Box<dyn Error>>;

async fn waiter<T: Clone + Debug>(name: &str, future: Shared<T, &str>) {
    match future.await {
        Ok(result) => println!("  {name} got {result:?}"),
        Err(error) => println!("  {name} got the error {error}"),
    }
}

async fn several_waiters() -> Outcome {
    let (promise, future) = create_future();
    let future = future.shared();
    let waiters = ["A", "B", "C"].map(|name| create_task(waiter(name, future.clone())));
    yield_now().await?;
    println!("pending: {future:?}");
    promise.set_result("a result")?;
    println!("settled: {future:?}");
    gather_iter(waiters).await?;
    Ok(())
}

async fn an_error() -> Outcome {
    let (promise, future) = create_future::<(), _>();
    let task = create_task(waiter("D", future.shared()));
    yield_now().await?;
    promise.set_exception("OSError('line broken')")?;
    task.await?;
    Ok(())
}

async fn once_only() -> Outcome {
    let (promise, future) = create_future::<_, &str>();
    if future.result().is_none() {
        println!("too early: Result is not set.");
    }
    promise.set_result(1)?;
    if promise.set_result(2).is_err() {
        let result = future.result().transpose()?;
        println!(
            "a second result is refused; it stays {}",
            result.unwrap_or_default()
        );
    }
    Ok(())
}

async fn cancelled() -> Outcome {
    let (_promise, future) = create_future::<(), &str>();
    let future = future.shared();
    call_soon({
        let future = future.clone();
        move || assert!(future.cancel_with("changed my mind"))
    });
    if let Err(FutureError::Cancelled(cancelled)) = future.clone().await {
        let message = cancelled.message().unwrap_or_default();
        println!("cancelled: ('{message}',) {}", future.cancelled());
    }
    Ok(())
}

fn main() -> Outcome {
    rasyncio::run(several_waiters())?;
    rasyncio::run(an_error())?;
    rasyncio::run(once_only())?;
    rasyncio::run(cancelled())
}
