//! `gather`: many futures at once, their results in the order given.
//!
//! Futures become tasks; tasks are taken as they are.

use std::time::Duration;

use rasyncio::futures::create_future;
use rasyncio::{Cancelled, TaskError, create_task, events, gather, sleep};

async fn square(number: u64, delay: u64) -> Result<u64, Cancelled> {
    sleep(Duration::from_millis(delay)).await?;
    println!("  ready: {number}");
    Ok(number * number)
}

#[rasyncio::main]
async fn main() -> Result<(), TaskError> {
    println!("results keep the order of the arguments:");
    let squares = gather([square(1, 90), square(2, 50), square(3, 10)]).await?;
    println!("  {:?}", squares.map(Result::unwrap));

    println!("a mixture of awaitables:");
    let task = create_task(square(4, 10));
    let (promise, future) = create_future::<_, TaskError>();
    events::call_later(Duration::from_millis(50), move || {
        promise.set_result("a future").unwrap();
    });
    let (one, two, three) = gather((task, future, async { "a coroutine" })).await?;
    println!("  [{}, {:?}, {three:?}]", one?, two.unwrap());

    println!("the same task twice:");
    // In Rust, who has a task has its only output; a copy is made of that.
    let twice = async {
        let output = square(5, 0).await?;
        Ok::<_, Cancelled>([output; 2])
    };
    println!("  {:?}", gather([twice]).await?[0].clone()?);

    println!("gathers nest:");
    let pair = |one, two| async move {
        let both = gather([square(one, 0), square(two, 0)]).await?;
        Ok::<_, TaskError>(both.map(Result::unwrap))
    };
    let (one, two) = gather((pair(6, 7), pair(8, 9))).await?;
    println!("  {:?}", [one?, two?]);

    let nothing: [(); 0] = gather([(); 0].map(|()| async {})).await?;
    println!("nothing to gather: {nothing:?}");
    Ok(())
}
