//! Producers and consumers, and knowing when all work is done.
//!
//! `task_done` tells the queue that an item has been worked on; `join` waits until that is so for
//! every item ever put.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::queues::PutError;
use rasyncio::{Cancelled, Queue, create_task, gather, sleep};

struct Shop {
    queue: Queue<String>,
    done: RefCell<Vec<String>>,
}

async fn producer(shop: Rc<Shop>, name: &str, count: u32) -> Result<(), PutError<String>> {
    for number in 0..count {
        shop.queue.put(format!("{name}{number}")).await?;
    }
    println!("  {name} has produced {count}");
    Ok(())
}

async fn consumer(shop: Rc<Shop>) -> Result<(), Cancelled> {
    while let Ok(item) = shop.queue.get().await {
        sleep(Duration::from_millis(5)).await?;
        shop.done.borrow_mut().push(item);
        shop.queue.task_done().expect("one for each item");
    }
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shop = Rc::new(Shop {
        queue: Queue::new(3),
        done: RefCell::default(),
    });
    let consumers = [(); 2].map(|()| create_task(consumer(shop.clone())));

    println!("producing:");
    let producers = ["a", "b"].map(|name| producer(shop.clone(), name, 4));
    for produced in gather(producers).await? {
        produced?;
    }
    shop.queue.join().await?;
    shop.done.borrow_mut().sort();
    println!("all done: {:?}", shop.done.borrow());

    // Consumers run for ever; when there is nothing left, they are sent home.
    for task in &consumers {
        task.cancel();
    }
    let results = gather(consumers).return_exceptions().await?;
    let names = results.map(|result| match result {
        Err(error) if error.cancelled().is_some() => "CancelledError",
        _ => "nothing",
    });
    println!("consumers: {names:?}");

    if shop.queue.task_done().is_err() {
        println!("too often: task_done() called too many times");
    }
    Ok(())
}
