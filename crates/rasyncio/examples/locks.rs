//! `Lock`: one task at a time.
//!
//! Between two awaits nobody interrupts a task. A lock is for what must not be interrupted although
//! it awaits.

use std::cell::Cell;
use std::time::Duration;

use rasyncio::{Cancelled, Lock, gather, gather_iter, wait_for, yield_now};

#[derive(Default)]
struct Account {
    taken: Cell<i32>,
    lock: Lock,
}

impl Account {
    fn balance(&self) -> i32 {
        100 - self.taken.get()
    }

    async fn take(&self, amount: i32) -> Result<bool, Cancelled> {
        if self.balance() < amount {
            return Ok(false);
        }
        yield_now().await?; // asks the bank; others run meanwhile
        self.taken.set(self.taken.get() + amount);
        Ok(true)
    }

    async fn take_safely(&self, amount: i32) -> Result<bool, Cancelled> {
        let _guard = self.lock.acquire().await?;
        self.take(amount).await
    }
}

async fn user(lock: &Lock, name: char) -> Result<(), Cancelled> {
    println!("  {name} wants it, locked: {}", lock.locked());
    let guard = lock.acquire().await?;
    println!("  {name} has it");
    yield_now().await?;
    drop(guard);
    println!("  {name} let it go");
    Ok(())
}

/// What tasks share lives as long as the program here, so that they can borrow it.
fn shared<T: Default>() -> &'static T {
    Box::leak(Box::default())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let account: &Account = shared();
    let taken = gather([account.take(80), account.take(80)]).await?;
    println!("without a lock: {:?}", taken.map(Result::unwrap));
    println!("  balance: {}", account.balance());

    let account: &Account = shared();
    let taken = gather([account.take_safely(80), account.take_safely(80)]).await?;
    println!("with a lock: {:?}", taken.map(Result::unwrap));
    println!("  balance: {}", account.balance());

    println!("first come, first served:");
    let lock: &Lock = shared();
    gather_iter(('A'..='C').map(|name| user(lock, name))).await?;

    println!("who gives up waiting loses the place:");
    let guard = lock.acquire().await?;
    if wait_for(lock.acquire(), Duration::from_millis(10))
        .await
        .is_err()
    {
        println!("  TimeoutError, locked: {}", lock.locked());
    }
    drop(guard);
    println!("  locked: {}", lock.locked());

    if lock.release().is_err() {
        println!("released twice: Lock is not acquired.");
    }
    Ok(())
}
