//! Races and deadlocks, which one thread does not prevent.
//!
//! A race needs an `await` between reading and writing; a deadlock needs two locks taken in two
//! orders.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::{Cancelled, Lock, TaskError, gather, gather_iter, timeout, yield_now};

type Counter = Rc<Cell<u32>>;

async fn careless(counter: Counter) -> Result<(), Cancelled> {
    let seen = counter.get();
    yield_now().await?;
    counter.set(seen + 1);
    Ok(())
}

async fn careful(counter: Counter) -> Result<(), Cancelled> {
    yield_now().await?;
    counter.set(counter.get() + 1);
    Ok(())
}

async fn race<F>(worker: impl Fn(Counter) -> F) -> Result<u32, TaskError>
where
    F: Future<Output = Result<(), Cancelled>> + 'static,
{
    let counter = Counter::default();
    gather_iter((0..100).map(|_| worker(counter.clone()))).await?;
    Ok(counter.get())
}

async fn transfer(first: Rc<Lock>, second: Rc<Lock>) -> Result<&'static str, Cancelled> {
    let _first = first.acquire().await?;
    yield_now().await?;
    let _second = second.acquire().await?;
    Ok("transferred")
}

async fn both(pairs: [(&Rc<Lock>, &Rc<Lock>); 2]) -> String {
    let transfers = pairs.map(|(first, second)| transfer(first.clone(), second.clone()));
    match timeout(Duration::from_millis(50), gather(transfers)).await {
        Ok(transferred) => format!("{:?}", transferred.unwrap().map(Result::unwrap)),
        Err(_) => "deadlock".to_owned(),
    }
}

#[rasyncio::main]
async fn main() -> Result<(), TaskError> {
    let lost = race(careless).await?;
    println!("100 increments with an await in the middle: {lost}");
    let kept = race(careful).await?;
    println!("100 increments with the await before:       {kept}");

    let (a, b) = (Rc::new(Lock::new()), Rc::new(Lock::new()));
    println!("locks in two orders: {}", both([(&a, &b), (&b, &a)]).await);
    println!("afterwards they are free: {}", !a.locked() && !b.locked());
    println!("locks in one order:  {}", both([(&a, &b), (&a, &b)]).await);
    Ok(())
}
