//! The rows with rasyncio.

use std::rc::Rc;

use rasyncio::{Barrier, Condition, Event, Lock, Queue, Runner, Semaphore, Task, create_task};

use crate::yield_once;

async fn all(tasks: Vec<Task<()>>) {
    for task in tasks {
        task.await.expect("a task that ends");
    }
}

fn producer_and_consumer(runner: &Runner, maxsize: usize, count: u32) {
    runner.run(async {
        let queue = Rc::new(Queue::new(maxsize));
        let producer = create_task({
            let queue = queue.clone();
            async move {
                for item in 0..count {
                    queue.put(item).await.expect("room");
                }
            }
        });
        let consumer = create_task(async move {
            for item in 0..count {
                assert_eq!(queue.get().await.expect("an item"), item);
            }
        });
        all(vec![producer, consumer]).await;
    });
}

pub(crate) fn queue_of_10(runner: &Runner, count: u32) {
    producer_and_consumer(runner, 10, count);
}

pub(crate) fn queue_of_1(runner: &Runner, count: u32) {
    producer_and_consumer(runner, 1, count);
}

/// A hundred at a time, as bursts come.
pub(crate) fn unbounded(runner: &Runner, count: u32) {
    runner.run(async {
        let queue = Queue::new(0);
        for _ in 0..count / 100 {
            for item in 0..100 {
                queue.put_nowait(item).expect("room");
            }
            for item in 0..100 {
                assert_eq!(queue.get().await.expect("an item"), item);
            }
        }
    });
}

pub(crate) fn lock(runner: &Runner, count: u32) {
    runner.run(async {
        let lock = Rc::new(Lock::new());
        let tasks = (0..10).map(|_| {
            let lock = lock.clone();
            create_task(async move {
                for _ in 0..count / 10 {
                    let _guard = lock.acquire().await.expect("the lock");
                    yield_once().await;
                }
            })
        });
        all(tasks.collect()).await;
    });
}

pub(crate) fn lock_alone(runner: &Runner, count: u32) {
    runner.run(async {
        let lock = Lock::new();
        for _ in 0..count {
            let _guard = lock.acquire().await.expect("the lock");
        }
    });
}

pub(crate) fn semaphore(runner: &Runner, count: u32) {
    runner.run(async {
        let semaphore = Rc::new(Semaphore::new(3));
        let tasks = (0..10).map(|_| {
            let semaphore = semaphore.clone();
            create_task(async move {
                for _ in 0..count / 10 {
                    let _permit = semaphore.acquire().await.expect("a permit");
                    yield_once().await;
                }
            })
        });
        all(tasks.collect()).await;
    });
}

pub(crate) fn ping_pong(runner: &Runner, count: u32) {
    runner.run(async {
        let events = Rc::new([Event::new(), Event::new()]);
        let players = [0, 1].map(|me| {
            let events = events.clone();
            create_task(async move {
                for _ in 0..count / 2 {
                    events[me].wait().await.expect("the ball");
                    events[me].clear();
                    events[1 - me].set();
                }
            })
        });
        events[0].set();
        all(players.into()).await;
    });
}

pub(crate) fn notify_all(runner: &Runner, count: u32) {
    runner.run(async {
        let condition = Rc::new(Condition::new());
        let rounds = count / 100;
        let waiters = (0..100).map(|_| {
            let condition = condition.clone();
            create_task(async move {
                let mut guard = condition.acquire().await.expect("the lock");
                for _ in 0..rounds {
                    condition.wait(&mut guard).await.expect("a notification");
                }
            })
        });
        let waiters = waiters.collect();
        yield_once().await;
        for _ in 0..rounds {
            let guard = condition.acquire().await.expect("the lock");
            condition.notify_all().expect("the lock");
            drop(guard);
            yield_once().await;
        }
        all(waiters).await;
    });
}

pub(crate) fn barrier(runner: &Runner, count: u32) {
    runner.run(async {
        let barrier = Rc::new(Barrier::new(10));
        let tasks = (0..10).map(|_| {
            let barrier = barrier.clone();
            create_task(async move {
                for _ in 0..count / 10 {
                    barrier.wait().await.expect("a barrier");
                }
            })
        });
        all(tasks.collect()).await;
    });
}
