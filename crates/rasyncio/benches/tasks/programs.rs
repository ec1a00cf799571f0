//! What is measured, written once for all runtimes.

/// The programs of a runtime: `$spawn` makes a task of a future and `$join` awaits it, `$yield_now`
/// and `$sleep` are the runtime's.
macro_rules! programs {
    ($spawn:expr, $join:expr, $yield_now:expr, $sleep:expr) => {
        use std::hint::black_box;
        use std::time::Duration;

        use super::{Far, LONG};

        pub(crate) async fn spawn_and_await(operations: u32) {
            for number in 0..operations {
                black_box($join($spawn(async move { number })).await);
            }
        }

        pub(crate) async fn yields(tasks: u32, operations: u32) {
            let each = operations / tasks;
            let yielding = (0..tasks).map(|_| {
                $spawn(async move {
                    for _ in 0..each {
                        let _ = $yield_now().await;
                    }
                })
            });
            for task in yielding.collect::<Vec<_>>() {
                $join(task).await;
            }
        }

        pub(crate) async fn yield_1(operations: u32) {
            yields(1, operations).await;
        }

        pub(crate) async fn yield_1000(operations: u32) {
            yields(1000, operations).await;
        }

        /// Timers that are made and not waited for.
        pub(crate) async fn timers_dropped(operations: u32) {
            for _ in 0..operations {
                // Polled once, so that it is set.
                let mut sleep = Box::pin($sleep(LONG));
                super::poll_once(sleep.as_mut()).await;
                drop(sleep);
            }
        }

        /// Timers that come due, a thousand at a time.
        pub(crate) async fn timers_due(operations: u32) {
            for _ in 0..operations / 1000 {
                let sleeping = (0..1000).map(|_| {
                    $spawn(async move {
                        let _ = $sleep(Duration::from_nanos(1)).await;
                    })
                });
                for task in sleeping.collect::<Vec<_>>() {
                    $join(task).await;
                }
            }
        }

        /// A task that another thread wakes.
        pub(crate) async fn cross_thread(operations: u32) {
            let far = Far::new();
            for _ in 0..operations {
                far.call().await;
            }
        }

        /// Tasks that wait for something, which is the same with all runtimes.
        pub(crate) async fn waiting(tasks: u32) {
            super::OVER.set(false);
            let waiting = (0..tasks).map(|_| $spawn(async { super::Never::default().await }));
            let tasks: Vec<_> = waiting.collect();
            // For queues to be empty, and to be shrunk by those who do.
            let _ = $sleep(super::MOMENT).await;
            super::super::memory::note();
            super::OVER.set(true);
            drop(tasks);
        }

        /// Tasks that sleep as the runtime does.
        pub(crate) async fn sleeping(tasks: u32) {
            let sleeping = (0..tasks).map(|_| {
                $spawn(async {
                    let _ = $sleep(LONG).await;
                })
            });
            let tasks: Vec<_> = sleeping.collect();
            let _ = $sleep(super::MOMENT).await;
            super::super::memory::note();
            drop(tasks);
        }
    };
}
