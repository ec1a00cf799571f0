//! What asynchronous generators are in Rust: a value that is asked for the next one, and that cleans up
//! where it is dropped.
//!
//! A clean-up that has to await something is a method. Nobody can await in `drop`, so that does what can be
//! done at once.

use rasyncio::{Cancelled, yield_now};

/// Counts down to one.
struct Countdown {
    next: u32,
}

impl Countdown {
    fn new(start: u32) -> Countdown {
        Countdown { next: start }
    }

    async fn next(&mut self) -> Result<Option<u32>, Cancelled> {
        if self.next == 0 {
            return Ok(None);
        }
        yield_now().await?;
        self.next -= 1;
        Ok(Some(self.next + 1))
    }

    /// The end, with time to await.
    async fn close(self) -> Result<(), Cancelled> {
        yield_now().await
        // Here it is dropped.
    }
}

impl Drop for Countdown {
    fn drop(&mut self) {
        println!("  countdown has cleaned up");
    }
}

/// Values go in by an argument, and come out as the answer.
#[derive(Default)]
struct RunningAverage {
    total: f64,
    count: f64,
}

impl RunningAverage {
    async fn send(&mut self, value: f64) -> Result<f64, Cancelled> {
        yield_now().await?;
        self.total += value;
        self.count += 1.0;
        Ok(self.total / self.count)
    }
}

async fn collect(mut numbers: Countdown) -> Result<Vec<u32>, Cancelled> {
    let mut all = Vec::new();
    while let Some(number) = numbers.next().await? {
        all.push(number);
    }
    Ok(all)
}

#[rasyncio::main]
async fn main() -> Result<(), Cancelled> {
    println!("to the end: {:?}", collect(Countdown::new(3)).await?);

    println!("left early, closed by hand:");
    let mut numbers = Countdown::new(9);
    while let Some(number) = numbers.next().await? {
        if number == 7 {
            break;
        }
    }
    numbers.close().await?;

    println!("values sent in:");
    let mut average = RunningAverage::default();
    let mut averages = Vec::new();
    for number in [10.0, 20.0, 60.0] {
        averages.push(average.send(number).await?);
    }
    println!("   {averages:?}");

    println!("left early and forgotten: it closes at once");
    Countdown::new(9).next().await?;

    println!("left early and kept: it closes with what keeps it");
    let mut kept = Countdown::new(9);
    kept.next().await?;
    Ok(())
}
