//! `Condition`: wait until something became true, holding a lock when it is.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::{Cancelled, Condition, create_task, gather_iter, sleep, yield_now};

/// Guests wait for dishes; the cook tells them when there are some.
#[derive(Default)]
struct Kitchen {
    dishes: Cell<usize>,
    changed: Condition,
}

impl Kitchen {
    async fn cook(&self, count: usize) -> Result<(), Cancelled> {
        let _guard = self.changed.acquire().await?;
        self.dishes.set(self.dishes.get() + count);
        println!("  cook: {} ready", self.dishes.get());
        self.changed.notify(count).expect("the lock is held");
        Ok(())
    }

    async fn guest(self: Rc<Self>, name: &str) -> Result<(), Cancelled> {
        let mut guard = self.changed.acquire().await?;
        self.changed
            .wait_for(&mut guard, || self.dishes.get() > 0)
            .await?;
        self.dishes.set(self.dishes.get() - 1);
        println!("  {name} eats, {} left", self.dishes.get());
        Ok(())
    }
}

async fn runner(start: Rc<Condition>, number: u32) -> Result<(), Cancelled> {
    let mut guard = start.acquire().await?;
    start.wait(&mut guard).await?;
    println!("  runs: {number}");
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("notify as many as there is for:");
    let kitchen = Rc::new(Kitchen::default());
    let guests = ["ann", "bob", "cem"].map(|name| create_task(kitchen.clone().guest(name)));
    yield_now().await?;
    kitchen.cook(1).await?;
    sleep(Duration::from_millis(10)).await?;
    let served = guests.iter().filter(|guest| guest.done()).count();
    println!("  served: {served}");
    kitchen.cook(2).await?;
    gather_iter(guests).await?;

    println!("notify everybody:");
    let start = Rc::new(Condition::new());
    let runners = [0, 1, 2].map(|number| create_task(runner(start.clone(), number)));
    yield_now().await?;
    let guard = start.acquire().await?;
    start.notify_all()?;
    println!("  notified, but the lock is still mine: {}", start.locked());
    drop(guard);
    gather_iter(runners).await?;

    if start.notify(1).is_err() {
        println!("without the lock: cannot notify on un-acquired lock");
    }
    Ok(())
}
