//! The rows with tokio.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::{Barrier, Mutex, Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;

use crate::yield_once;

async fn all(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("a task that ends");
    }
}

/// In a task, for `block_on` polls its own future in a way that costs more.
fn run<F: Future<Output = ()> + Send + 'static>(runtime: &Runtime, future: F) {
    runtime
        .block_on(runtime.spawn(future))
        .expect("a task that ends");
}

fn producer_and_consumer(runtime: &Runtime, capacity: usize, count: u32) {
    run(runtime, async move {
        let (sender, mut receiver) = mpsc::channel(capacity);
        let producer = tokio::spawn(async move {
            for item in 0..count {
                sender.send(item).await.expect("room");
            }
        });
        let consumer = tokio::spawn(async move {
            for item in 0..count {
                assert_eq!(receiver.recv().await, Some(item));
            }
        });
        all(vec![producer, consumer]).await;
    });
}

pub(crate) fn queue_of_10(runtime: &Runtime, count: u32) {
    producer_and_consumer(runtime, 10, count);
}

pub(crate) fn queue_of_1(runtime: &Runtime, count: u32) {
    producer_and_consumer(runtime, 1, count);
}

pub(crate) fn unbounded(runtime: &Runtime, count: u32) {
    run(runtime, async move {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        for _ in 0..count / 100 {
            for item in 0..100 {
                sender.send(item).expect("room");
            }
            for item in 0..100 {
                assert_eq!(receiver.recv().await, Some(item));
            }
        }
    });
}

pub(crate) fn lock(runtime: &Runtime, count: u32) {
    run(runtime, async move {
        let lock = Arc::new(Mutex::new(()));
        let tasks = (0..10).map(|_| {
            let lock = lock.clone();
            tokio::spawn(async move {
                for _ in 0..count / 10 {
                    let _guard = lock.lock().await;
                    yield_once().await;
                }
            })
        });
        all(tasks.collect()).await;
    });
}

pub(crate) fn lock_alone(runtime: &Runtime, count: u32) {
    run(runtime, async move {
        let lock = Mutex::new(());
        for _ in 0..count {
            let _guard = lock.lock().await;
        }
    });
}

pub(crate) fn semaphore(runtime: &Runtime, count: u32) {
    run(runtime, async move {
        let semaphore = Arc::new(Semaphore::new(3));
        let tasks = (0..10).map(|_| {
            let semaphore = semaphore.clone();
            tokio::spawn(async move {
                for _ in 0..count / 10 {
                    let _permit = semaphore.acquire().await.expect("a permit");
                    yield_once().await;
                }
            })
        });
        all(tasks.collect()).await;
    });
}

pub(crate) fn ping_pong(runtime: &Runtime, count: u32) {
    run(runtime, async move {
        let events = Arc::new([Notify::new(), Notify::new()]);
        let players = [0, 1].map(|me| {
            let events = events.clone();
            tokio::spawn(async move {
                for _ in 0..count / 2 {
                    events[me].notified().await;
                    events[1 - me].notify_one();
                }
            })
        });
        events[0].notify_one();
        all(players.into()).await;
    });
}

pub(crate) fn notify_all(runtime: &Runtime, count: u32) {
    run(runtime, async move {
        let notify = Arc::new(Notify::new());
        let rounds = count / 100;
        let waiters = (0..100).map(|_| {
            let notify = notify.clone();
            tokio::spawn(async move {
                for _ in 0..rounds {
                    notify.notified().await;
                }
            })
        });
        let waiters = waiters.collect();
        yield_once().await;
        for _ in 0..rounds {
            notify.notify_waiters();
            yield_once().await;
        }
        all(waiters).await;
    });
}

pub(crate) fn barrier(runtime: &Runtime, count: u32) {
    run(runtime, async move {
        let barrier = Arc::new(Barrier::new(10));
        let tasks = (0..10).map(|_| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                for _ in 0..count / 10 {
                    barrier.wait().await;
                }
            })
        });
        all(tasks.collect()).await;
    });
}
