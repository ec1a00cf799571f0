//! `Semaphore`: so many at a time, and no more.
//!
//! The bounded kind also notices when it is released more often than acquired.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::{BoundedSemaphore, Cancelled, Semaphore, gather_iter, sleep};

/// Counts how many are inside and remembers the most.
#[derive(Default)]
struct Meter {
    inside: Cell<u32>,
    most: Cell<u32>,
}

struct Inside<'a>(&'a Meter);

impl Meter {
    fn enter(&self) -> Inside<'_> {
        self.inside.set(self.inside.get() + 1);
        self.most.set(self.most.get().max(self.inside.get()));
        Inside(self)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.set(self.0.inside.get() - 1);
    }
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    for limit in [1, 3] {
        let shared = Rc::new((Semaphore::new(limit), Meter::default()));
        let visitors = gather_iter((0..7).map(|number| {
            let shared = shared.clone();
            async move {
                let (semaphore, meter) = &*shared;
                let _permit = semaphore.acquire().await?;
                let _inside = meter.enter();
                sleep(Duration::from_millis(10)).await?;
                Ok::<_, Cancelled>(number)
            }
        }))
        .await?;
        let (count, most) = (visitors.len(), shared.1.most.get());
        println!("limit {limit}: {count} visitors, at most {most} at a time");
    }

    let semaphore = Semaphore::new(2);
    semaphore.acquire().await?.forget();
    println!("one place left, locked: {}", semaphore.locked());
    semaphore.acquire().await?.forget();
    println!("no place left, locked: {}", semaphore.locked());
    for _ in 0..3 {
        semaphore.release();
    }
    let grown = !semaphore.locked();
    println!("a plain semaphore grows when released too often: {grown}");

    let bounded = BoundedSemaphore::new(1);
    if let Err(error) = bounded.release() {
        println!("a bounded one does not: {error}");
    }
    Ok(())
}
