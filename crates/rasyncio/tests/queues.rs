//! Queues: order, bounds, waiting, and what cancelling, dropping and shutting down do.

mod common;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use common::{Dropped, Log};
use rasyncio::queues::{GetError, GetNowaitError, PutError, PutNowaitError, TaskDoneTooOften};
use rasyncio::{
    LifoQueue, PriorityQueue, Queue, Task, TaskError, create_task, current_task, events, yield_now,
};

async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await.unwrap();
    }
}

fn is_cancelled<T>(result: &Result<T, TaskError>) -> bool {
    matches!(result, Err(TaskError::Cancelled(_)))
}

fn getters<T: 'static, const N: usize>(queue: &Rc<Queue<T>>) -> [Task<Result<T, GetError>>; N] {
    [(); N].map(|()| {
        let queue = queue.clone();
        create_task(async move { queue.get().await })
    })
}

fn putters<T: 'static, const N: usize>(
    queue: &Rc<Queue<T>>,
    items: [T; N],
) -> [Task<Result<(), PutError<T>>>; N] {
    items.map(|item| {
        let queue = queue.clone();
        create_task(async move { queue.put(item).await })
    })
}

#[rasyncio::test]
async fn items_go_to_those_who_waited_first() {
    let queue = Rc::new(Queue::new(0));
    let tasks: [_; 3] = getters(&queue);
    turns(1).await;
    for item in 0..3 {
        queue.put_nowait(item).unwrap();
    }
    for (item, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), Ok(item));
    }
}

#[rasyncio::test]
async fn putters_wait_for_room_in_the_order_in_which_they_came() {
    let queue = Rc::new(Queue::new(2));
    let tasks = putters(&queue, [0, 1, 2, 3, 4]);
    turns(1).await;
    assert!(queue.full() && queue.qsize() == 2);
    for item in 0..5 {
        assert_eq!(queue.get().await, Ok(item));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(queue.empty());
}

#[rasyncio::test]
async fn a_getter_has_its_item_a_turn_after_the_put() {
    let (queue, log) = (Rc::new(Queue::new(0)), Log::default());
    let getter = create_task({
        let (queue, log) = (queue.clone(), log.clone());
        async move {
            queue.get().await.unwrap();
            log.note("getter");
        }
    });
    turns(1).await;
    queue.put_nowait(()).unwrap();
    events::call_soon(log.call("scheduled later"));
    log.note("putter");
    getter.await.unwrap();
    assert_eq!(log.take(), ["putter", "getter", "scheduled later"]);
}

#[rasyncio::test]
async fn what_need_not_wait_does_not_suspend_and_is_not_cancelled() {
    let task = create_task(async {
        let queue = Queue::new(1);
        current_task().unwrap().cancel();
        queue.put(1).await.unwrap();
        assert_eq!(queue.get().await, Ok(1));
        queue.task_done().unwrap();
        queue.join().await.unwrap();
        assert!(yield_now().await.is_err());
    });
    assert!(is_cancelled(&task.await));
}

#[rasyncio::test]
async fn a_getter_that_is_cancelled_after_it_was_woken_leaves_the_item_to_the_next() {
    let queue = Rc::new(Queue::new(0));
    let [first, second] = getters(&queue);
    turns(1).await;
    queue.put_nowait("it").unwrap();
    first.cancel();
    assert!(is_cancelled(&first.await));
    assert_eq!(second.await.unwrap(), Ok("it"));
}

#[rasyncio::test]
async fn a_getter_that_is_dropped_after_it_was_woken_leaves_the_item_to_the_next() {
    let queue = Rc::new(Queue::new(0));
    let mut get = Box::pin(queue.get());
    poll_fn(|cx| {
        assert!(get.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
    let [second] = getters(&queue);
    turns(1).await;
    queue.put_nowait("it").unwrap();
    drop(get);
    assert_eq!(second.await.unwrap(), Ok("it"));
}

#[rasyncio::test]
async fn a_getter_whose_item_was_taken_waits_on() {
    let queue = Rc::new(Queue::new(0));
    let [getter] = getters(&queue);
    turns(1).await;
    queue.put_nowait(1).unwrap();
    assert_eq!(queue.get_nowait(), Ok(1));
    turns(2).await;
    assert!(!getter.done());
    queue.put_nowait(2).unwrap();
    assert_eq!(getter.await.unwrap(), Ok(2));
}

#[rasyncio::test]
async fn a_putter_that_is_cancelled_gets_its_item_back_and_leaves_its_room_to_the_next() {
    let queue = Rc::new(Queue::new(1));
    queue.put_nowait(0).unwrap();
    let first = create_task({
        let queue = queue.clone();
        async move {
            let error = queue.put(1).await.unwrap_err();
            assert!(error.cancelled().is_some());
            assert_eq!(error.into_item(), 1);
        }
    });
    let second = create_task({
        let queue = queue.clone();
        async move { queue.put(2).await }
    });
    turns(1).await;
    assert_eq!(queue.get_nowait(), Ok(0));
    first.cancel();
    assert!(is_cancelled(&first.await));
    second.await.unwrap().unwrap();
    assert_eq!(queue.get_nowait(), Ok(2));
}

#[rasyncio::test]
async fn a_put_that_is_dropped_drops_its_item_and_leaves_its_room_to_the_next() {
    let (queue, log) = (Rc::new(Queue::new(1)), Log::default());
    queue.put_nowait(Dropped(log.clone(), "zero")).unwrap();
    {
        let mut put = pin!(queue.put(Dropped(log.clone(), "one")));
        poll_fn(|cx| {
            assert!(put.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let [two] = putters(&queue, [Dropped(log.clone(), "two")]);
        turns(1).await;
        drop(queue.get_nowait());
        drop(two);
    }
    assert_eq!(log.take(), ["zero", "one"]);
    // The put that was dropped had woken this task, so the first turn is half a one.
    turns(2).await;
    assert_eq!(queue.qsize(), 1);
}

#[rasyncio::test]
async fn the_smallest_comes_first() {
    let queue = PriorityQueue::new(0);
    for item in [3, 1, 4, 1, 5, 9, 2, 6] {
        queue.put(item).await.unwrap();
    }
    let items: Vec<_> = std::iter::from_fn(|| queue.get_nowait().ok()).collect();
    assert_eq!(items, [1, 1, 2, 3, 4, 5, 6, 9]);
}

#[rasyncio::test]
async fn the_latest_comes_first() {
    let queue = LifoQueue::default();
    for item in 0..4 {
        queue.put(item).await.unwrap();
    }
    let items: Vec<_> = std::iter::from_fn(|| queue.get_nowait().ok()).collect();
    assert_eq!(items, [3, 2, 1, 0]);
}

#[rasyncio::test]
async fn join_waits_until_every_item_has_been_worked_off() {
    let queue = Rc::new(Queue::new(0));
    queue.join().await.unwrap();
    for item in 0..2 {
        queue.put_nowait(item).unwrap();
    }
    let joiner = create_task({
        let queue = queue.clone();
        async move { queue.join().await }
    });
    for _ in 0..2 {
        turns(1).await;
        assert!(!joiner.done());
        queue.get_nowait().unwrap();
        queue.task_done().unwrap();
    }
    joiner.await.unwrap().unwrap();
    assert_eq!(queue.task_done(), Err(TaskDoneTooOften));
}

#[rasyncio::test]
async fn a_queue_that_is_shut_down_gives_away_what_it_has() {
    let queue = Rc::new(Queue::new(1));
    queue.put_nowait(1).unwrap();
    let [putter] = putters(&queue, [2]);
    turns(1).await;
    queue.shutdown(false);
    assert_eq!(putter.await.unwrap(), Err(PutError::QueueShutDown(2)));
    assert_eq!(queue.put_nowait(3), Err(PutNowaitError::QueueShutDown(3)));
    assert_eq!(queue.get().await, Ok(1));
    assert_eq!(queue.get().await, Err(GetError::QueueShutDown));
    assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueShutDown));
    assert_eq!(queue.unfinished_tasks(), 1);
}

#[rasyncio::test]
async fn a_queue_that_is_shut_down_at_once_drops_what_it_has() {
    let (queue, log) = (Rc::new(Queue::new(0)), Log::default());
    queue.put_nowait(Dropped(log.clone(), "item")).unwrap();
    let joiner = create_task({
        let queue = queue.clone();
        async move { queue.join().await }
    });
    turns(1).await;
    queue.shutdown(true);
    assert_eq!(log.take(), ["item"]);
    joiner.await.unwrap().unwrap();
    assert!(queue.is_shutdown() && queue.get().await.is_err());
}

#[rasyncio::test]
async fn all_getters_hear_of_the_shutdown() {
    let queue = Rc::new(Queue::<()>::new(0));
    let tasks: [_; 3] = getters(&queue);
    turns(1).await;
    queue.shutdown(false);
    for task in tasks {
        assert_eq!(task.await.unwrap(), Err(GetError::QueueShutDown));
    }
}

#[rasyncio::test]
async fn dropping_an_item_may_come_back_to_the_queue() {
    struct Boomerang(Rc<Queue<Boomerang>>);
    impl Drop for Boomerang {
        fn drop(&mut self) {
            if let Ok(other) = self.0.get_nowait() {
                drop(other);
            }
        }
    }
    let queue = Rc::new(Queue::new(0));
    for _ in 0..3 {
        assert!(queue.put_nowait(Boomerang(queue.clone())).is_ok());
    }
    queue.shutdown(true);
    assert!(queue.empty());
    assert_eq!(Rc::strong_count(&queue), 1);
}

#[rasyncio::test]
async fn a_full_queue_and_an_empty_one_say_so() {
    let queue = Queue::new(1);
    assert_eq!(queue.get_nowait(), Err(GetNowaitError::QueueEmpty));
    queue.put_nowait(1).unwrap();
    assert_eq!(queue.put_nowait(2), Err(PutNowaitError::QueueFull(2)));
    assert_eq!(
        format!("{queue:?}"),
        "Queue { maxsize: 1, items: [1], getters: 0, putters: 0, unfinished_tasks: 1, \
         shutdown: false }"
    );
}

#[rasyncio::test]
async fn items_come_one_by_one_until_the_queue_is_shut_down() {
    use futures_util::StreamExt;

    let queue = Rc::new(Queue::new(1));
    let producer = create_task({
        let queue = queue.clone();
        async move {
            for item in 0..5 {
                queue.put(item).await.unwrap();
            }
            queue.shutdown(false);
        }
    });
    let items: Vec<_> = queue.items().map(Result::unwrap).collect().await;
    assert_eq!(items, [0, 1, 2, 3, 4]);
    producer.await.unwrap();
}

#[rasyncio::test]
async fn a_cancellation_is_an_item_and_loses_none() {
    use futures_util::StreamExt;

    let queue = Rc::new(Queue::new(0));
    let consumer = create_task({
        let queue = queue.clone();
        async move {
            let mut items = queue.items();
            assert!(items.next().await.unwrap().is_err());
            rasyncio::current_task().unwrap().uncancel();
            items.next().await.unwrap().unwrap()
        }
    });
    yield_now().await.unwrap();
    // Woken for the item, and cancelled in the same turn.
    queue.put_nowait("one").unwrap();
    consumer.cancel();
    assert_eq!(consumer.await.unwrap(), "one");
}

#[rasyncio::test]
async fn dropped_items_leave_what_they_were_woken_for() {
    use futures_util::StreamExt;

    let queue = Queue::new(0);
    let mut items = queue.items();
    let asked =
        std::future::poll_fn(|cx| std::task::Poll::Ready(items.poll_next_unpin(cx).is_pending()));
    assert!(asked.await);
    queue.put_nowait(1).unwrap();
    drop(items);
    assert_eq!(queue.get().await.unwrap(), 1);
}
