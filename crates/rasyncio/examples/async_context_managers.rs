//! Awaiting at the start and end of a block.
//!
//! Rust has no asynchronous `Drop`. What has to await at the end is a function that is given the block; so
//! the end comes whatever becomes of the block, a cancellation included.

use std::time::Duration;

use rasyncio::{Cancelled, create_task, sleep, wait, yield_now};

/// How a block ends: as Python's exceptions, by name.
#[derive(Debug)]
enum Error {
    Key,
    Value(&'static str),
    Cancelled,
}

impl Error {
    fn name(&self) -> &'static str {
        match self {
            Error::Key => "KeyError",
            Error::Value(_) => "ValueError",
            Error::Cancelled => "CancelledError",
        }
    }
}

impl From<Cancelled> for Error {
    fn from(_: Cancelled) -> Error {
        Error::Cancelled
    }
}

type Outcome = Result<(), Error>;

async fn with_connection(name: &str, block: impl Future<Output = Outcome>) -> Outcome {
    yield_now().await?;
    println!("  {name} opened");
    let outcome = block.await;
    yield_now().await?;
    let how = outcome.as_ref().err().map_or("no error", Error::name);
    println!("  {name} closed, {how}");
    match outcome {
        Err(Error::Key) => Ok(()),
        outcome => outcome,
    }
}

async fn with_transaction(connection: &str, block: impl Future<Output = Outcome>) -> Outcome {
    println!("  begin on {connection}");
    let outcome = block.await;
    match outcome {
        Err(Error::Value(_)) => println!("  roll back"),
        _ => println!("  commit"),
    }
    outcome
}

/// As many as there are, one inside of the other.
async fn with_pool(numbers: std::ops::Range<u32>) -> Outcome {
    let Some(first) = numbers.clone().next() else {
        return Ok(());
    };
    let inner = Box::pin(with_pool(first + 1..numbers.end));
    with_connection(&format!("pool {first}"), inner).await
}

#[rasyncio::main]
async fn main() -> Result<(), Error> {
    println!("a class:");
    with_connection("one", async {
        println!("  in use");
        Ok(())
    })
    .await?;

    println!("it may swallow the error:");
    with_connection("two", async { Err(Error::Key) }).await?;

    println!("a generator function:");
    let block = with_transaction("three", async { Err(Error::Value("wrong")) });
    if let Err(Error::Value(error)) = with_connection("three", block).await {
        println!("  raised: {error}");
    }

    println!("closed although the task is cancelled:");
    let task = create_task(with_connection("four", async {
        Ok(sleep(Duration::from_secs(3600)).await?)
    }));
    sleep(Duration::from_millis(10)).await?;
    task.cancel();
    wait([task]).await?;

    println!("as many as there are:");
    with_pool(0..2).await
}
