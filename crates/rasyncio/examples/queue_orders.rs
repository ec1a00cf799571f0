//! Queues that give their items away in another order: the latest first, or the smallest.

use std::cmp::Ordering;

use rasyncio::queues::{BaseQueue, GetError, Order};
use rasyncio::{LifoQueue, PriorityQueue, Queue};

/// Jobs compare by their priority alone.
struct Job {
    priority: u32,
    name: &'static str,
}

impl Ord for Job {
    fn cmp(&self, other: &Job) -> Ordering {
        self.priority.cmp(&other.priority)
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Job) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Job) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Job {}

async fn drain<O: Order>(queue: &BaseQueue<O>) -> Result<Vec<O::Item>, GetError> {
    let mut items = Vec::new();
    for _ in 0..queue.qsize() {
        items.push(queue.get().await?);
    }
    Ok(items)
}

async fn show<O: Order<Item = i32>>(name: &str, queue: &BaseQueue<O>) -> Result<(), GetError> {
    for number in [3, 1, 2] {
        queue.put(number).await.expect("there is room");
    }
    println!("{name:14} {:?}", drain(queue).await?);
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), GetError> {
    show("Queue", &Queue::new(0)).await?;
    show("LifoQueue", &LifoQueue::new(0)).await?;
    show("PriorityQueue", &PriorityQueue::new(0)).await?;

    let queue = PriorityQueue::new(0);
    for (priority, name) in [(5, "sweep"), (1, "put out the fire"), (3, "cook")] {
        assert!(queue.put_nowait(Job { priority, name }).is_ok());
    }
    for job in drain(&queue).await? {
        println!("   {} {}", job.priority, job.name);
    }
    Ok(())
}
