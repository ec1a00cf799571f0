//! `Barrier`: wait until so many tasks have arrived, then go on together.

use std::rc::Rc;
use std::time::Duration;

use rasyncio::locks::BarrierError;
use rasyncio::{Barrier, create_task, gather_iter, sleep, yield_now};

async fn work(
    barrier: Rc<Barrier>,
    name: &'static str,
    delay: u64,
) -> Result<(&'static str, usize), BarrierError> {
    sleep(Duration::from_millis(delay)).await?;
    println!("  {name} arrives, {} wait", barrier.n_waiting());
    let position = barrier.wait().await?;
    Ok((name, position))
}

async fn phases(barrier: Rc<Barrier>) -> Result<(), BarrierError> {
    for phase in 0..2 {
        // One of them, the last to arrive, can do the common chores.
        if barrier.wait().await? == barrier.parties() - 1 {
            println!("  phase {phase}: all here");
        }
    }
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("three meet:");
    let barrier = Rc::new(Barrier::new(3));
    let people = [("ann", 0), ("bob", 30), ("cem", 60)];
    let people = people.map(|(name, delay)| work(barrier.clone(), name, delay));
    let positions: Result<Vec<_>, _> = gather_iter(people).await?.into_iter().collect();
    println!("  {:?}", positions?);

    println!("it can be used again, here as a context manager:");
    gather_iter((0..3).map(|_| phases(barrier.clone()))).await?;

    println!("broken by one who does not wait for ever:");
    let lonely = create_task({
        let barrier = barrier.clone();
        async move { barrier.wait().await }
    });
    yield_now().await?;
    barrier.abort();
    if lonely.await? == Err(BarrierError::BrokenBarrier) {
        println!("  BrokenBarrierError; broken: {}", barrier.broken());
    }
    barrier.reset();
    println!("  repaired: {}", !barrier.broken());
    Ok(())
}
