//! `wait` and `as_completed`: who has ended, and in which order.

mod common;

use std::pin::pin;
use std::time::Duration;

use common::Log;
use futures_core::Stream;
use rasyncio::tasks::AsCompletedError;
use rasyncio::{
    AnyTask, Cancelled, ReturnWhen, Task, all_tasks, as_completed, create_task, current_task,
    events, sleep, wait, yield_now,
};

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

async fn after<T>(delay: u64, value: T) -> T {
    let _ = sleep(milliseconds(delay)).await;
    value
}

fn tasks<const N: usize>(delays: [u64; N]) -> Vec<Task<u64>> {
    delays.map(|delay| create_task(after(delay, delay))).into()
}

#[rasyncio::test]
async fn all_are_waited_for_and_come_back_in_order() {
    let (done, pending) = wait(tasks([3, 1, 2])).await.unwrap();
    assert!(pending.is_empty());
    let mut outputs = Vec::new();
    for task in done {
        outputs.push(task.await.unwrap());
    }
    assert_eq!(outputs, [3, 1, 2]);
}

#[rasyncio::test]
async fn the_first_end_is_enough_if_asked_for() {
    let tasks = tasks([3, 1, 2]);
    let first = wait(&tasks).return_when(ReturnWhen::FirstCompleted);
    let (done, pending) = first.await.unwrap();
    assert_eq!(done, [&tasks[1]]);
    assert_eq!(pending, [&tasks[0], &tasks[2]]);
    assert_eq!(events::time(), milliseconds(1));
}

#[rasyncio::test]
async fn the_first_exception_is_a_panic_and_no_cancellation() {
    let mut tasks = tasks([5, 10]);
    tasks[0].cancel();
    tasks.push(create_task(async {
        after(2, ()).await;
        panic!("first")
    }));
    let first = wait(&tasks).return_when(ReturnWhen::FirstException);
    let (done, pending) = first.await.unwrap();
    assert_eq!((done.len(), pending.len()), (2, 1));
    assert_eq!(events::time(), milliseconds(2));
    let panicked = tasks.pop().unwrap().await.unwrap_err();
    assert_eq!(panicked.panicked().unwrap().message(), "first");
    let first = wait(&tasks).return_when(ReturnWhen::FirstException);
    assert!(first.await.unwrap().1.is_empty());
    assert_eq!(events::time(), milliseconds(10));
}

#[rasyncio::test]
async fn the_end_of_the_time_cancels_nobody() {
    let tasks = tasks([1, 50]);
    let (done, pending) = wait(&tasks).timeout(milliseconds(20)).await.unwrap();
    assert_eq!((done.len(), pending.len()), (1, 1));
    assert_eq!(events::time(), milliseconds(20));
    let (done, _) = wait(&tasks).timeout(milliseconds(1000)).await.unwrap();
    assert_eq!(done.len(), 2);
    assert_eq!(events::time(), milliseconds(50));
    assert!(done.iter().all(|task| !task.cancelled()));
}

#[rasyncio::test]
async fn a_cancelled_wait_cancels_nobody() {
    let tasks = tasks([10, 20]);
    let any: Vec<AnyTask> = tasks.iter().map(|task| (**task).clone()).collect();
    let waiting = create_task(wait(any));
    yield_now().await.unwrap();
    waiting.cancel();
    assert!(waiting.await.is_err());
    assert!(tasks.iter().all(|task| task.cancelling() == 0));
    assert!(wait(&tasks).await.unwrap().1.is_empty());
}

#[rasyncio::test]
async fn waiting_for_nothing_takes_no_time() {
    let (done, pending) = wait(Vec::<Task<()>>::new()).await.unwrap();
    assert!(done.is_empty() && pending.is_empty());
}

#[rasyncio::test]
async fn tasks_of_different_outputs_can_be_waited_for_as_any_task() {
    let (number, text) = (create_task(after(1, 5)), create_task(after(2, "five")));
    let both: [&AnyTask; 2] = [&number, &text];
    let (done, _) = wait(both).await.unwrap();
    assert_eq!(done.len(), 2);
    assert_eq!(number.await.unwrap(), 5);
}

#[rasyncio::test]
async fn who_waits_goes_on_two_turns_after_the_end() {
    // What stock asyncio logs.
    let log = Log::default();
    let task = create_task(log.noting("ended"));
    let waiting = create_task({
        let log = log.clone();
        async move {
            wait([task]).await.unwrap();
            log.note("waited");
        }
    });
    let counting = create_task(log.counting_turns(4));
    waiting.await.unwrap();
    counting.await.unwrap();
    assert_eq!(
        log.take(),
        ["ended", "turn 1", "turn 2", "waited", "turn 3", "turn 4"]
    );
}

#[rasyncio::test]
async fn tasks_that_have_ended_need_a_turn_as_well() {
    let task = create_task(async {});
    yield_now().await.unwrap();
    assert!(task.done());
    let log = Log::default();
    create_task(log.noting("another"));
    let (done, _) = wait([task]).await.unwrap();
    log.note("waited");
    assert_eq!(done.len(), 1);
    assert_eq!(log.take(), ["another", "waited"]);
}

#[rasyncio::test]
async fn ends_come_in_their_order() {
    let mut ends = as_completed([30, 10, 20].map(|delay| after(delay, delay)));
    let mut outputs = Vec::new();
    while let Some(task) = ends.next().await.unwrap() {
        assert!(task.done());
        outputs.push((task.await.unwrap(), events::time()));
    }
    let expected = [10, 20, 30].map(|delay| (delay, milliseconds(delay)));
    assert_eq!(outputs, expected);
    assert!(ends.next().await.unwrap().is_none());
}

#[rasyncio::test]
async fn tasks_that_have_ended_are_given_too() {
    let mut tasks = tasks([0, 5]);
    sleep(milliseconds(1)).await.unwrap();
    assert!(tasks[0].done());
    tasks.swap(0, 1);
    let mut ends = as_completed(tasks);
    let first = ends.next().await.unwrap().unwrap();
    assert_eq!(first.await.unwrap(), 0);
    assert_eq!(ends.next().await.unwrap().unwrap().await.unwrap(), 5);
}

#[rasyncio::test]
async fn a_failed_task_is_given_like_any_other() {
    let mut ends = as_completed([create_task(async { panic!("oops") })]);
    let task: Task<()> = ends.next().await.unwrap().unwrap();
    assert!(task.await.unwrap_err().panicked().is_some());
}

#[rasyncio::test]
async fn when_the_time_is_over_there_is_an_error_for_each_that_has_not_ended() {
    let mut ends = as_completed(tasks([1, 30, 40])).timeout(milliseconds(10));
    assert!(ends.next().await.unwrap().is_some());
    for _ in 0..2 {
        let error = ends.next().await.unwrap_err();
        assert_eq!(error, AsCompletedError::TimedOut);
    }
    assert!(ends.next().await.unwrap().is_none());
    assert_eq!(events::time(), milliseconds(10));
    let rest = ends.into_rest();
    let (done, _) = wait(&rest).await.unwrap();
    assert!(done.len() == 2 && done.iter().all(|task| !task.cancelled()));
}

#[rasyncio::test]
async fn ends_before_the_end_of_the_time_are_given_after_it() {
    let mut ends = as_completed(tasks([1, 2, 30])).timeout(milliseconds(10));
    sleep(milliseconds(20)).await.unwrap();
    assert!(ends.next().await.unwrap().is_some());
    assert!(ends.next().await.unwrap().is_some());
    assert!(ends.next().await.is_err());
}

#[rasyncio::test]
async fn waiting_for_the_next_end_can_be_cancelled_and_goes_on() {
    let task = create_task(async {
        let mut ends = as_completed([after(10, "late")]);
        let error = ends.next().await.unwrap_err();
        assert_eq!(error, Cancelled::new().into());
        current_task().unwrap().uncancel();
        ends.next().await.unwrap().unwrap().await.unwrap()
    });
    yield_now().await.unwrap();
    task.cancel();
    assert_eq!(task.await.unwrap(), "late");
}

#[rasyncio::test]
async fn dropping_the_iteration_lets_its_tasks_run_on() {
    let mut ends = as_completed(tasks([1, 5]));
    ends.next().await.unwrap();
    drop(ends);
    assert_eq!(all_tasks().len(), 2);
    sleep(milliseconds(10)).await.unwrap();
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn it_is_a_stream() {
    let mut ends = pin!(as_completed([2, 1].map(|delay| after(delay, delay))));
    let mut outputs = Vec::new();
    while let Some(task) = std::future::poll_fn(|cx| ends.as_mut().poll_next(cx)).await {
        outputs.push(task.unwrap().await.unwrap());
    }
    assert_eq!(outputs, [1, 2]);
}
