//! `Event`: tell every waiting task that something has happened.

use std::rc::Rc;
use std::time::Duration;

use rasyncio::{Cancelled, Event, create_task, gather_iter, wait_for, yield_now};

async fn waiter(event: Rc<Event>, name: char) -> Result<(), Cancelled> {
    println!("  {name} waits");
    event.wait().await?;
    println!("  {name} goes on: true");
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let event = Rc::new(Event::new());
    println!("set at the start: {}", event.is_set());

    let waiters: Vec<_> = ('A'..='C')
        .map(|name| create_task(waiter(event.clone(), name)))
        .collect();
    yield_now().await?;
    println!("set it: everybody goes on");
    event.set();
    gather_iter(waiters).await?;

    println!("once set, nobody waits:");
    waiter(event.clone(), 'D').await?;

    event.clear();
    println!("cleared: {}", !event.is_set());
    if wait_for(event.wait(), Duration::from_millis(10))
        .await
        .is_err()
    {
        println!("waiting with a limit: TimeoutError");
    }

    println!("set and cleared at once still wakes who waited:");
    let task = create_task(waiter(event.clone(), 'E'));
    yield_now().await?;
    event.set();
    event.clear();
    task.await??;
    Ok(())
}
