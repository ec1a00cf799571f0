//! What the parts of a task cost: `cargo run --release -p rasyncio --example speed`.

use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rasyncio::{Cancelled, Event, create_task, gather_iter, sleep, yield_now};

/// Prints nanoseconds per operation.
fn report(what: &str, operations: u32, start: Instant) {
    let each = start.elapsed().as_nanos() as f64 / f64::from(operations);
    println!("{what:<44} {each:>8.1} ns");
}

async fn yields(tasks: u32, each: u32) {
    let start = Instant::now();
    let yielding = (0..tasks).map(|_| async move {
        for _ in 0..each {
            yield_now().await?;
        }
        Ok::<_, Cancelled>(())
    });
    black_box(gather_iter(yielding).await.ok());
    report(&format!("yield_now, {tasks} tasks"), tasks * each, start);
}

async fn create_and_await(count: u32) {
    let start = Instant::now();
    for n in 0..count {
        black_box(create_task(async move { n }).await.ok());
    }
    report("create_task and await", count, start);
}

async fn gathers(count: u32, width: u32) {
    let start = Instant::now();
    for _ in 0..count {
        black_box(gather_iter((0..width).map(|n| async move { n })).await.ok());
    }
    report(&format!("gather of {width}, each"), count * width, start);
}

async fn ping_pong(rounds: u32) {
    let events = Rc::new([Event::new(), Event::new()]);
    let player = |me: usize| {
        let events = events.clone();
        async move {
            for _ in 0..rounds {
                events[me].wait().await?;
                events[me].clear();
                events[1 - me].set();
            }
            Ok::<_, Cancelled>(())
        }
    };
    let start = Instant::now();
    let players = gather_iter([player(0), player(1)]);
    events[0].set();
    black_box(players.await.ok());
    report("ping-pong over two events, each", rounds * 2, start);
}

async fn sleeps(count: u32) {
    let start = Instant::now();
    black_box(
        gather_iter((0..count).map(|_| sleep(Duration::from_nanos(1))))
            .await
            .ok(),
    );
    report("create_task, sleep and await", count, start);
}

#[rasyncio::main]
async fn main() {
    yields(1, 1_000_000).await;
    yields(1000, 1000).await;
    create_and_await(1_000_000).await;
    gathers(10_000, 100).await;
    ping_pong(500_000).await;
    sleeps(1_000_000).await;
}
