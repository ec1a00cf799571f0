//! What can be awaited, and how to make a kind of your own.
//!
//! Behind `await` can stand any `Future`, and whatever can become one: tasks, the future half of a promise,
//! a type with a `poll` of its own.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rasyncio::futures::create_future;
use rasyncio::{Cancelled, create_task, events, gather, sleep};

async fn coroutine() -> &'static str {
    "a coroutine"
}

/// Lets the other tasks run so many turns, then gives the number of turns.
struct Countdown {
    turns: u32,
    left: u32,
}

impl Countdown {
    fn new(turns: u32) -> Countdown {
        Countdown { turns, left: turns }
    }
}

impl Future for Countdown {
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        if self.left == 0 {
            return Poll::Ready(self.turns);
        }
        println!("  turns left: {}", self.left);
        self.left -= 1;
        // To be polled again in the next turn, as `yield_now` does it.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Awaits something else by means of its `into_future`.
struct Delegating;

impl IntoFuture for Delegating {
    type Output = Result<&'static str, Cancelled>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            sleep(Duration::from_millis(10)).await?;
            Ok("delegated to sleep")
        })
    }
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", coroutine().await);

    let task = create_task(coroutine());
    println!("a task around {}", task.await?);

    let (promise, future) = create_future::<_, std::io::Error>();
    events::call_soon(move || {
        let _ = promise.set_result("a future");
    });
    println!("{}", future.await.map_err(|error| error.to_string())?);

    println!("a countdown took {} turns", Countdown::new(3).await);
    println!("{}", Delegating.await?);
    let (one, two, three) =
        gather((coroutine(), Countdown::new(1), Delegating.into_future())).await?;
    println!("gather takes any of them: [{one:?}, {two}, {:?}]", three?);
    // What is no awaitable does not compile.
    Ok(())
}
