//! An async function, the future that calling it makes, and running it.
//!
//! Calling an `async fn` runs none of its body. It makes a future, and something has to drive that:
//! `rasyncio::run`, `await`, or a task. Dropped before, it never runs.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

async fn double(number: u32) -> u32 {
    println!("  doubling {number}");
    number * 2
}

#[rasyncio::main]
async fn main() {
    let never_runs = double(1);
    drop(never_runs);

    let future = double(21);
    println!("calling double made a future");
    println!("awaiting it:");
    println!("  result: {}", future.await);
    // A future runs once: `await` has taken it, and the compiler refuses another one.

    by_hand();
}

/// What a loop does underneath: poll the future until it answers that it is ready. When that may be, it
/// learns from the waker, which here has nobody to wake.
fn by_hand() {
    let mut future = pin!(double(4));
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
        println!("driven by hand: {result}");
    }
}
