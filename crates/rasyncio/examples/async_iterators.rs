//! Iterating over what takes time.
//!
//! `next` is awaited, and answers `None` at the end.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::{Cancelled, gather, sleep};

/// Counts, with a pause before each number.
struct Ticker {
    number: u32,
    stop: u32,
}

impl Ticker {
    fn new(stop: u32) -> Ticker {
        Ticker { number: 0, stop }
    }

    async fn next(&mut self) -> Result<Option<u32>, Cancelled> {
        if self.number == self.stop {
            return Ok(None);
        }
        sleep(Duration::from_millis(1)).await?;
        self.number += 1;
        Ok(Some(self.number))
    }
}

type Log = Rc<RefCell<Vec<String>>>;

async fn watch(name: &str, stop: u32, log: Log) -> Result<(), Cancelled> {
    let mut ticker = Ticker::new(stop);
    while let Some(number) = ticker.next().await? {
        log.borrow_mut().push(format!("{name}{number}"));
    }
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("async for:");
    let mut ticker = Ticker::new(3);
    while let Some(number) = ticker.next().await? {
        println!("   {number}");
    }
    println!("   else: ran to its end");

    println!("by hand:");
    let mut iterator = Ticker::new(1);
    let first = iterator.next().await?.unwrap_or_default();
    let second = iterator.next().await?;
    let second = second.map_or("nothing left".to_owned(), |number| number.to_string());
    println!("   {first} {second}");

    let log = Log::default();
    let watches = ["a", "b"].map(|name| watch(name, 3, log.clone()));
    for watched in gather(watches).await? {
        watched?;
    }
    log.borrow_mut().sort();
    println!("two at once take turns: {:?}", log.borrow());
    Ok(())
}
