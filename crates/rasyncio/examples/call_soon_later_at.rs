//! Callbacks, soon and later.
//!
//! Callbacks asked for with `call_soon` run in the order in which they were asked for. Timers run
//! in the order of their deadlines, whenever they were made.

use std::time::Duration;

use rasyncio::events::{call_at, call_later, call_soon, time};
use rasyncio::futures::create_future;
use rasyncio::{Cancelled, yield_now};

fn show(text: &'static str) -> impl FnOnce() + 'static {
    move || println!("  {text}")
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (finished, end) = create_future::<_, Cancelled>();

    println!("soon:");
    call_soon(show("first"));
    call_soon(show("second"));
    let unwanted = call_soon(show("never shown"));
    unwanted.cancel();
    println!("  this line comes before them: a callback waits for its turn");
    yield_now().await?;
    println!("  cancelled: {}", unwanted.cancelled());

    println!("later:");
    let start = time();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    call_at(at(90), move || {
        finished.set_result("the last timer").unwrap()
    });
    call_at(at(60), show("60 ms"));
    let timer = call_at(at(30), show("30 ms"));
    let unwanted = call_later(Duration::from_millis(10), show("never shown"));
    unwanted.cancel();
    let asked_for = timer.when() == at(30);
    println!("  when() is the deadline asked for: {asked_for}");
    println!("  ended by {}", end.await.unwrap());
    println!("  no timer was early: {}", time() >= at(90));
    Ok(())
}
