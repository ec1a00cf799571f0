//! Random tasks that share everything, and are cancelled, time out and are dropped in the midst of
//! it: mutual exclusion holds, no item is lost or doubled, all end, and nothing is left behind.

mod common;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;
use rasyncio::queues::PutError;
use rasyncio::runners::run_virtual;
use rasyncio::{
    Barrier, Cancelled, Condition, Event, Lock, Queue, Semaphore, Task, TaskError, create_task,
    current_task, sleep, yield_now,
};

#[derive(Clone, Debug)]
enum Action {
    Lock,
    Semaphore,
    Wait,
    Set,
    Clear,
    WaitForCondition,
    Notify(usize),
    Barrier,
    Reset,
    Put,
    Get,
    Join,
    Sleep(u64),
}

/// What a task does, one after the other; with a time limit, in milliseconds, after which what it
/// does is dropped.
type Program = Vec<(Action, Option<u64>)>;

fn programs() -> impl Strategy<Value = (Vec<Program>, Vec<(usize, u64)>)> {
    let action = prop_oneof![
        3 => Just(Action::Lock),
        3 => Just(Action::Semaphore),
        1 => Just(Action::Wait),
        1 => Just(Action::Set),
        1 => Just(Action::Clear),
        2 => Just(Action::WaitForCondition),
        2 => (0..3usize).prop_map(Action::Notify),
        2 => Just(Action::Barrier),
        1 => Just(Action::Reset),
        3 => Just(Action::Put),
        3 => Just(Action::Get),
        1 => Just(Action::Join),
        2 => (0..3u64).prop_map(Action::Sleep),
    ];
    let limit = prop::option::weighted(0.3, 0..4u64);
    let program = prop::collection::vec((action, limit), 1..10);
    (
        prop::collection::vec(program, 1..8),
        // Which task is cancelled, and when.
        prop::collection::vec((0..8usize, 0..8u64), 0..8),
    )
}

struct World {
    lock: Lock,
    semaphore: Semaphore,
    event: Event,
    condition: Condition,
    barrier: Barrier,
    queue: Queue<u32>,
    locked: Cell<u32>,
    permitted: Cell<u32>,
    next_item: Cell<u32>,
    /// Items that were put, or are on their way.
    put: RefCell<BTreeSet<u32>>,
    got: RefCell<BTreeSet<u32>>,
}

/// One more while it lives.
struct Inside<'a>(&'a Cell<u32>);

impl<'a> Inside<'a> {
    fn new(count: &'a Cell<u32>, most: u32) -> Inside<'a> {
        count.set(count.get() + 1);
        assert!(count.get() <= most, "too many inside");
        Inside(count)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Drops `future` when it takes longer than that.
async fn within<F: Future>(limit: Option<u64>, future: F) -> Option<F::Output> {
    let Some(limit) = limit else {
        return Some(future.await);
    };
    let mut future = pin!(future);
    let mut timer = pin!(sleep(Duration::from_millis(limit)));
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => timer.as_mut().poll(cx).map(|_| None),
    })
    .await
}

impl World {
    async fn act(&self, action: &Action) -> Result<(), Cancelled> {
        match *action {
            Action::Lock => {
                let _guard = self.lock.acquire().await?;
                let _inside = Inside::new(&self.locked, 1);
                sleep(Duration::from_millis(1)).await?;
            }
            Action::Semaphore => {
                let _permit = self.semaphore.acquire().await?;
                let _inside = Inside::new(&self.permitted, 2);
                sleep(Duration::from_millis(1)).await?;
            }
            Action::Wait => self.event.wait().await?,
            Action::Set => self.event.set(),
            Action::Clear => self.event.clear(),
            Action::WaitForCondition => {
                let mut guard = self.condition.acquire().await?;
                let result = self.condition.wait(&mut guard).await;
                assert!(guard.is_held() && self.condition.locked());
                result?;
            }
            Action::Notify(count) => {
                let _guard = self.condition.acquire().await?;
                yield_now().await?;
                self.condition.notify(count).unwrap();
            }
            Action::Barrier => {
                if let Err(error) = self.barrier.wait().await
                    && let Some(cancelled) = error.cancelled()
                {
                    return Err(cancelled.clone());
                }
            }
            Action::Reset => self.barrier.reset(),
            Action::Put => {
                let item = self.next_item.replace(self.next_item.get() + 1);
                self.put.borrow_mut().insert(item);
                /// Takes the item back, unless it was put.
                struct OnDrop<'a>(&'a World, Option<u32>);
                impl Drop for OnDrop<'_> {
                    fn drop(&mut self) {
                        if let Some(item) = self.1 {
                            assert!(self.0.put.borrow_mut().remove(&item));
                        }
                    }
                }
                let mut item = OnDrop(self, Some(item));
                match self.queue.put(item.1.unwrap()).await {
                    Ok(()) => item.1 = None,
                    Err(PutError::QueueShutDown(same)) => assert_eq!(Some(same), item.1),
                    Err(PutError::Cancelled(cancelled, same)) => {
                        assert_eq!(Some(same), item.1);
                        return Err(cancelled);
                    }
                }
            }
            Action::Get => match self.queue.get().await {
                Ok(item) => {
                    assert!(self.got.borrow_mut().insert(item), "got twice");
                    self.queue.task_done().unwrap();
                }
                Err(error) => {
                    if let Some(cancelled) = error.cancelled() {
                        return Err(cancelled.clone());
                    }
                }
            },
            Action::Join => self.queue.join().await?,
            Action::Sleep(time) => sleep(Duration::from_millis(time)).await?,
        }
        Ok(())
    }

    /// Lets everybody go.
    async fn finish(&self) {
        self.event.set();
        if !self.barrier.broken() {
            self.barrier.abort();
        }
        {
            let _guard = self.condition.acquire().await.unwrap();
            self.condition.notify_all().unwrap();
        }
        while let Ok(item) = self.queue.get_nowait() {
            assert!(self.got.borrow_mut().insert(item), "got twice");
            self.queue.task_done().unwrap();
        }
        sleep(Duration::from_millis(1)).await.unwrap();
    }
}

async fn run(programs: Vec<Program>, cancellations: Vec<(usize, u64)>) {
    let world = Rc::new(World {
        lock: Lock::new(),
        semaphore: Semaphore::new(2),
        event: Event::new(),
        condition: Condition::new(),
        barrier: Barrier::new(3),
        queue: Queue::new(2),
        locked: Cell::new(0),
        permitted: Cell::new(0),
        next_item: Cell::new(0),
        put: RefCell::default(),
        got: RefCell::default(),
    });
    let tasks: Vec<Task<()>> = programs
        .into_iter()
        .map(|program| {
            let world = world.clone();
            create_task(async move {
                for (action, limit) in program {
                    // Half of those who are cancelled go on.
                    if let Some(Err(_)) = within(limit, world.act(&action)).await
                        && limit.is_some()
                    {
                        while current_task().unwrap().uncancel() > 0 {}
                    } else if current_task().unwrap().cancelling() > 0 {
                        return;
                    }
                }
            })
        })
        .collect();
    for time in 0..8 {
        for &(which, when) in &cancellations {
            if when == time && which < tasks.len() {
                tasks[which].cancel();
            }
        }
        sleep(Duration::from_millis(1)).await.unwrap();
    }
    for _ in 0..200 {
        world.finish().await;
    }
    // Now only getters may be left, for whom there is nothing.
    world.queue.shutdown(false);
    for _ in 0..200 {
        world.finish().await;
    }
    assert!(tasks.iter().all(|task| task.done()), "somebody hangs");
    assert_eq!(*world.put.borrow(), *world.got.borrow());
    assert_eq!((world.locked.get(), world.permitted.get()), (0, 0));
    assert!(!world.lock.locked() && !world.condition.locked());
    assert_eq!(world.semaphore.value(), 2);
    assert_eq!(world.queue.unfinished_tasks(), 0);
    let World {
        lock,
        semaphore,
        event,
        condition,
        queue,
        ..
    } = &*world;
    let all = format!("{lock:?} {semaphore:?} {event:?} {condition:?} {queue:?}");
    assert_eq!(all.matches("waiters: 0").count(), 5, "{all}");
    assert!(all.contains("getters: 0, putters: 0"), "{all}");
    for task in tasks {
        if let Err(TaskError::Panicked(panic)) = task.await {
            panic.resume();
        }
    }
    assert_eq!(Rc::strong_count(&world), 1);
}

proptest! {
    #[test]
    fn all_end_and_nothing_is_lost((programs, cancellations) in programs()) {
        run_virtual(run(programs, cancellations));
    }
}
