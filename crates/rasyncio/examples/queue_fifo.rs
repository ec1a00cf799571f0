//! `Queue`: first in, first out, with room for so many, or for any number.

use std::rc::Rc;
use std::time::Duration;

use rasyncio::queues::{GetNowaitError, PutNowaitError};
use rasyncio::{Queue, create_task, wait_for, yield_now};

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let queue = Rc::new(Queue::new(2));
    let (empty, full, size) = (queue.empty(), queue.full(), queue.qsize());
    println!("empty: {empty} full: {full} size: {size}");

    queue.put("first").await?;
    queue.put_nowait("second")?;
    println!("full:  {} size: {}", queue.full(), queue.qsize());
    if let Err(PutNowaitError::QueueFull(_)) = queue.put_nowait("third") {
        println!("put_nowait: QueueFull");
    }

    let putter = create_task({
        let queue = queue.clone();
        async move { queue.put("third").await }
    });
    yield_now().await?;
    println!("put waits: {}", !putter.done());
    println!("get: {}", queue.get().await?);
    putter.await??;
    println!("get: {} and {}", queue.get_nowait()?, queue.get_nowait()?);

    if let Err(GetNowaitError::QueueEmpty) = queue.get_nowait() {
        println!("get_nowait: QueueEmpty");
    }

    let getters = [(); 2].map(|()| {
        let queue = queue.clone();
        create_task(async move { queue.get().await })
    });
    yield_now().await?;
    queue.put_nowait("for the one who waited longest")?;
    queue.put_nowait("for the other")?;
    for getter in getters {
        println!("got: {}", getter.await??);
    }

    if wait_for(queue.get(), Duration::from_millis(10))
        .await
        .is_err()
    {
        println!("nothing came: TimeoutError");
    }
    Ok(())
}
