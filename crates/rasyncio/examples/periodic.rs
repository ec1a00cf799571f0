//! Something every so often: by a task, or by callbacks.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::futures::{Promise, create_future};
use rasyncio::{Cancelled, create_task, events, sleep, tasks::sleep_until, wait};

/// Calls `action` at period, 2 * period, ... however long it takes.
async fn every<F>(
    period: Duration,
    count: u32,
    action: impl Fn(u32) -> F,
) -> Result<Duration, Cancelled>
where
    F: Future<Output = Result<(), Cancelled>>,
{
    let start = events::time();
    for number in 1..=count {
        sleep_until(start + number * period).await?;
        action(number).await?;
    }
    Ok(events::time() - start)
}

async fn tick(number: u32) -> Result<(), Cancelled> {
    println!("  tick {number}");
    sleep(Duration::from_millis(10)).await
}

/// The same with callbacks: each call asks for the next.
struct Timer {
    period: Duration,
    left: Cell<u32>,
    next: Cell<Duration>,
    finished: Promise<&'static str, Cancelled>,
}

impl Timer {
    fn start(self: Rc<Self>) {
        events::call_at(self.next.get(), move || self.fire());
    }

    fn fire(self: Rc<Self>) {
        self.left.set(self.left.get() - 1);
        println!("  fire, left: {}", self.left.get());
        if self.left.get() == 0 {
            self.finished.set_result("fired out").unwrap();
            return;
        }
        self.next.set(self.next.get() + self.period);
        self.start();
    }
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("a coroutine:");
    let took = every(Duration::from_millis(30), 3, tick).await?;
    let in_time = took >= Duration::from_millis(90);
    println!("  not sooner than asked: {in_time}");

    println!("callbacks:");
    let (finished, fired_out) = create_future();
    let period = Duration::from_millis(10);
    let timer = Timer {
        period,
        left: Cell::new(3),
        next: Cell::new(events::time() + period),
        finished,
    };
    Rc::new(timer).start();
    println!("  {}", fired_out.await.unwrap());

    println!("until further notice, so cancelled:");
    let task = create_task(every(period, u32::MAX, |_| async { Ok(()) }));
    sleep(5 * period).await?;
    task.cancel();
    wait([&task]).await?;
    println!("  cancelled: {}", task.cancelled());
    Ok(())
}
