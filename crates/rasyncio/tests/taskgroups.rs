//! Task groups: who is cancelled, who is waited for, and what is told.

mod common;

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use common::{Dropped, Log};
use rasyncio::futures::create_future;
use rasyncio::taskgroups::{Failure, TaskGroupError};
use rasyncio::{
    Cancelled, TaskGroup, all_tasks, create_task, current_task, events, sleep, timeout, yield_now,
};

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

type Group = TaskGroup<io::Error>;

async fn after<T>(delay: u64, value: T) -> io::Result<T> {
    sleep(milliseconds(delay)).await?;
    Ok(value)
}

async fn fail(delay: u64, message: &'static str) -> io::Result<()> {
    after(delay, ()).await?;
    Err(io::Error::other(message))
}

fn messages(error: TaskGroupError<io::Error>) -> Vec<String> {
    let failures = error.into_failures();
    failures.iter().map(Failure::to_string).collect()
}

#[rasyncio::test]
async fn it_waits_for_its_tasks() {
    let group = Group::new();
    let (one, two) = group
        .run(async {
            Ok((
                group.create_task(after(5, 1)),
                group.create_task(after(9, 2)),
            ))
        })
        .await
        .unwrap();
    assert_eq!(events::time(), milliseconds(9));
    assert!(one.done() && two.done());
    assert_eq!((one.await.unwrap(), two.await.unwrap()), (1, 2));
}

#[rasyncio::test]
async fn a_failure_cancels_the_siblings_and_the_body() {
    let group = Group::new();
    let log = Log::default();
    let result = group
        .run(async {
            let sibling = log.clone();
            group.create_task(async move {
                let slept = after(1000, ()).await;
                sleep(milliseconds(10)).await?;
                sibling.note("sibling has cleaned up");
                slept
            });
            group.create_task(fail(1, "first"));
            let slept = after(1000, ()).await;
            log.note("body");
            slept
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["first"]);
    assert_eq!(log.take(), ["body", "sibling has cleaned up"]);
    assert_eq!(events::time(), milliseconds(11));
    assert_eq!(current_task().unwrap().cancelling(), 0);
    sleep(milliseconds(1)).await.unwrap();
}

#[rasyncio::test]
async fn failures_of_one_turn_come_together() {
    let group = Group::new();
    let result = group
        .run(async {
            group.create_task(fail(1, "one"));
            group.create_task(fail(1, "two"));
            group.create_task(fail(2, "late"));
            Ok(())
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["one", "two"]);
}

#[rasyncio::test]
async fn a_panic_of_a_task_is_a_failure() {
    let group = Group::new();
    let result = group
        .run(async {
            group.create_task::<_, ()>(async { panic!("oops") });
            after(1000, ()).await
        })
        .await;
    let failures = result.unwrap_err().into_failures();
    assert_eq!(failures[0].panicked().unwrap().message(), "oops");
    assert_eq!(events::time(), Duration::ZERO);
}

#[rasyncio::test]
async fn a_failure_of_the_body_cancels_the_tasks_and_is_told() {
    let group = Group::new();
    let result: Result<(), _> = group
        .run(async {
            group.create_task(after(1000, ()));
            yield_now().await?;
            Err(io::Error::other("body"))
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["body"]);
    assert_eq!(events::time(), Duration::ZERO);
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn a_panic_of_the_body_waits_for_the_tasks() {
    let group = Group::new();
    let clean = Rc::new(Cell::new(false));
    let result: Result<(), _> = group
        .run(async {
            let clean = clean.clone();
            group.create_task(async move {
                let slept = after(1000, ()).await;
                sleep(milliseconds(5)).await?;
                clean.set(true);
                slept
            });
            yield_now().await?;
            panic!("body");
        })
        .await;
    let failures = result.unwrap_err().into_failures();
    assert_eq!(failures[0].panicked().unwrap().message(), "body");
    assert!(clean.get());
}

#[rasyncio::test]
async fn who_awaits_a_failing_task_in_the_body_is_cancelled() {
    let group = Group::new();
    let result = group
        .run(async {
            let failing = group.create_task(fail(1, "it"));
            failing.await?;
            Ok(())
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["it"]);
}

#[rasyncio::test]
async fn a_task_that_is_cancelled_alone_is_no_failure() {
    let group = Group::new();
    let result = group
        .run(async {
            let task = group.create_task(after(1000, ()));
            yield_now().await?;
            task.cancel();
            assert!(task.await.is_err());
            after(1, "well").await
        })
        .await;
    assert_eq!(result.unwrap(), "well");
}

/// What fails while it cleans up.
async fn fail_at_the_end(message: &'static str) -> io::Result<()> {
    match after(1000, ()).await {
        Ok(()) => Ok(()),
        Err(_) => Err(io::Error::other(message)),
    }
}

#[rasyncio::test]
async fn an_error_of_a_task_that_the_group_has_cancelled_is_a_failure_too() {
    let group = Group::new();
    let result = group
        .run(async {
            group.create_task(fail_at_the_end("clean-up"));
            group.create_task(after(1000, ()));
            group.create_task(fail(1, "first"));
            Ok(())
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["first", "clean-up"]);
}

#[rasyncio::test]
async fn a_panic_of_a_task_that_the_group_has_cancelled_is_a_failure_too() {
    let group = Group::new();
    let result = group
        .run(async {
            group.create_task(async {
                after(1000, ()).await.expect("no end");
                Ok(())
            });
            group.create_task(fail(1, "first"));
            Ok(())
        })
        .await;
    let failures = result.unwrap_err().into_failures();
    assert_eq!(failures.len(), 2);
    assert!(failures[1].panicked().is_some());
}

#[rasyncio::test]
async fn an_error_of_a_task_that_was_cancelled_alone_is_a_failure() {
    let group = Group::new();
    let result = group
        .run(async {
            let task = group.create_task(fail_at_the_end("clean-up"));
            yield_now().await?;
            task.cancel();
            after(1000, ()).await
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["clean-up"]);
    assert_eq!(events::time(), Duration::ZERO);
}

#[rasyncio::test]
async fn an_error_of_the_body_that_the_group_has_cancelled_is_a_failure_too() {
    let group = Group::new();
    let result = group
        .run(async {
            group.create_task(fail(1, "first"));
            fail_at_the_end("body").await
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["first", "body"]);
}

#[rasyncio::test]
async fn errors_of_those_who_were_cancelled_from_outside_are_failures() {
    let task = create_task(async {
        let group = Group::new();
        let result = group
            .run(async {
                group.create_task(fail_at_the_end("task"));
                fail_at_the_end("body").await
            })
            .await;
        assert_eq!(messages(result.unwrap_err()), ["body", "task"]);
        // The cancellation comes after them.
        assert!(sleep(milliseconds(1)).await.is_err());
    });
    sleep(milliseconds(1)).await.unwrap();
    task.cancel();
    assert!(task.await.unwrap_err().cancelled().is_some());
}

#[rasyncio::test]
async fn an_error_of_ones_own_counts_as_the_cancellation_unless_the_group_knows_better() {
    #[derive(Debug)]
    enum Error {
        Ended,
        NoDisk,
    }
    async fn work(milliseconds: u64, at_the_end: Error) -> Result<(), Error> {
        let slept = sleep(Duration::from_millis(milliseconds)).await;
        slept.map_err(|_| at_the_end)?;
        Err(Error::NoDisk)
    }
    async fn failures(group: TaskGroup<Error>) -> usize {
        let body = async {
            group.create_task(work(1, Error::Ended));
            group.create_task(work(1000, Error::Ended));
            group.create_task(work(1000, Error::NoDisk));
            work(1000, Error::Ended).await
        };
        group.run(body).await.unwrap_err().failures().len()
    }
    assert_eq!(failures(TaskGroup::new()).await, 1);
    let knows = TaskGroup::with_cancellation(|error| matches!(error, Error::Ended));
    assert_eq!(failures(knows).await, 2);
}

#[rasyncio::test]
async fn the_cancellation_of_a_future_is_none_of_the_failures() {
    type Error = Box<dyn std::error::Error>;
    let group = TaskGroup::new();
    let (_promise, future) = create_future::<(), &str>();
    let body = async {
        group.create_task(async { Ok::<_, Error>(future.await?) });
        yield_now().await?;
        Err::<(), Error>("no disk".into())
    };
    let failures = group.run(body).await.unwrap_err().into_failures();
    let failures: Vec<_> = failures.iter().map(ToString::to_string).collect();
    assert_eq!(failures, ["no disk"]);
}

#[rasyncio::test]
async fn who_runs_it_is_cancelled_in_the_body() {
    let task = create_task(async {
        let group = Group::new();
        let result = group
            .run(async {
                group.create_task(after(1000, ()));
                after(1000, ()).await
            })
            .await;
        assert_eq!(all_tasks().len(), 2);
        result.unwrap_err().cancelled().cloned()
    });
    sleep(milliseconds(1)).await.unwrap();
    task.cancel_with("enough");
    let error = task.await.unwrap_err();
    assert_eq!(error.cancelled().unwrap().message(), Some("enough"));
    assert_eq!(events::time(), milliseconds(1));
}

#[rasyncio::test]
async fn who_runs_it_is_cancelled_after_the_body() {
    let seen = Rc::new(Cell::new(false));
    let task = create_task({
        let seen = seen.clone();
        async move {
            let group = Group::new();
            let body = async {
                group.create_task(after(1000, ()));
                Ok(())
            };
            let result = group.run(body).await;
            seen.set(result.unwrap_err().cancelled().is_some());
        }
    });
    sleep(milliseconds(1)).await.unwrap();
    task.cancel();
    assert!(task.await.is_err());
    assert!(seen.get());
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn failures_and_a_cancellation_are_told_one_after_the_other() {
    let task = create_task(async {
        let group = Group::new();
        let result: Result<(), _> = group
            .run(async {
                group.create_task(async {
                    let _ = sleep(milliseconds(1000)).await;
                    current_task().unwrap().uncancel();
                    Err::<(), _>(io::Error::other("clean-up"))
                });
                after(1000, ()).await
            })
            .await;
        assert_eq!(messages(result.unwrap_err()), ["clean-up"]);
        assert!(sleep(milliseconds(1)).await.is_err());
    });
    sleep(milliseconds(1)).await.unwrap();
    task.cancel();
    let error = task.await.unwrap_err();
    assert!(error.cancelled().is_some(), "{error}");
}

#[rasyncio::test]
async fn a_time_limit_around_it_ends_it() {
    let group = Group::new();
    let body = async {
        group.create_task(after(1000, ()));
        Ok(())
    };
    let result = timeout(milliseconds(10), group.run(body)).await;
    assert!(result.is_err());
    assert_eq!(all_tasks().len(), 1);
    assert_eq!(current_task().unwrap().cancelling(), 0);
}

#[rasyncio::test]
async fn groups_nest() {
    let (outer, inner) = (Group::new(), Group::new());
    let result: Result<(), _> = outer
        .run(async {
            outer.create_task(fail(5, "outer"));
            let body = async {
                inner.create_task(after(1000, ()));
                after(1000, ()).await
            };
            let ended = inner.run(body).await;
            assert!(ended.unwrap_err().cancelled().is_some());
            after(1, ()).await
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["outer"]);
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn cancelling_it_is_no_failure() {
    let group = Group::new();
    let body = async {
        let stopper = group.clone();
        group.create_task(after(1000, ()));
        group.create_task(async move {
            after(1, ()).await?;
            stopper.cancel();
            Ok(())
        });
        assert!(sleep(milliseconds(1000)).await.is_err());
        Ok("answer")
    };
    assert_eq!(group.run(body).await.unwrap(), "answer");
    assert_eq!(events::time(), milliseconds(1));
    sleep(milliseconds(1)).await.unwrap();
}

#[rasyncio::test]
async fn cancelled_before_it_runs_the_body_is_cancelled_where_it_suspends() {
    let group = Group::new();
    group.cancel();
    let log = Log::default();
    let body = async {
        log.note("begins");
        group.create_task(after(1000, ()));
        after(1000, ()).await
    };
    let error = group.run(body).await.unwrap_err();
    assert!(error.cancelled().is_some());
    assert_eq!(log.take(), ["begins"]);
    assert_eq!(events::time(), Duration::ZERO);
    sleep(milliseconds(1)).await.unwrap();
}

#[rasyncio::test]
async fn a_task_created_while_the_group_ends_never_starts() {
    let group = Group::new();
    let log = Log::default();
    let result = group
        .run(async {
            let (creator, late) = (group.clone(), log.clone());
            group.create_task(async move {
                let slept = after(1000, ()).await;
                let child = creator.create_task(async move {
                    late.note("started");
                    Ok(())
                });
                assert_eq!(child.cancelling(), 1);
                slept
            });
            group.create_task(fail(1, "it"));
            Ok(())
        })
        .await;
    assert_eq!(messages(result.unwrap_err()), ["it"]);
    assert!(log.take().is_empty());
}

#[rasyncio::test]
async fn tasks_create_tasks() {
    let group = Group::new();
    let log = Log::default();
    let body = async {
        let (inner, log) = (group.clone(), log.clone());
        group.create_task(async move {
            after(1, ()).await?;
            inner.create_task(async move {
                after(1, ()).await?;
                log.note("grandchild");
                Ok(())
            });
            Ok(())
        });
        Ok(())
    };
    group.run(body).await.unwrap();
    assert_eq!(log.take(), ["grandchild"]);
}

#[rasyncio::test]
async fn it_is_left_two_turns_after_the_last_end() {
    for fails in [false, true] {
        let log = Log::default();
        let leaving = create_task({
            let log = log.clone();
            async move {
                let group = Group::new();
                let body = async {
                    group.create_task(async move {
                        if fails {
                            Err(io::Error::other("it"))
                        } else {
                            Ok(())
                        }
                    });
                    Ok(())
                };
                assert_eq!(group.run(body).await.is_err(), fails);
                log.note("left");
            }
        });
        let counting = create_task(log.counting_turns(4));
        leaving.await.unwrap();
        counting.await.unwrap();
        // What stock asyncio logs.
        let expected = ["turn 1", "turn 2", "turn 3", "left", "turn 4"];
        assert_eq!(log.take(), expected);
    }
}

#[rasyncio::test]
async fn dropped_it_cancels_its_tasks() {
    let group = Group::new();
    let log = Log::default();
    let mut running = Box::pin(group.run(async {
        let (guard, log) = (Dropped(log.clone(), "gone"), log.clone());
        group.create_task(async move {
            let _guard = guard;
            let slept = after(1000, ()).await;
            log.note("cleaned up");
            slept
        });
        after(1000, ()).await
    }));
    std::future::poll_fn(|cx| {
        assert!(running.as_mut().poll(cx).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    yield_now().await.unwrap();
    drop(running);
    sleep(milliseconds(1)).await.unwrap();
    assert_eq!(log.take(), ["cleaned up", "gone"]);
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
#[should_panic(expected = "TaskGroup has not been entered")]
async fn it_takes_no_tasks_before_it_runs() {
    Group::new().create_task(after(1, ()));
}

#[rasyncio::test]
#[should_panic(expected = "TaskGroup is finished")]
async fn it_takes_no_tasks_afterwards() {
    let group = Group::new();
    group.run(async { Ok(()) }).await.unwrap();
    group.create_task(after(1, ()));
}

#[rasyncio::test]
#[should_panic(expected = "TaskGroup has already been entered")]
async fn it_runs_once() {
    let group = Group::new();
    group.run(async { Ok(()) }).await.unwrap();
    let _ = group.run(async { Ok(()) }).await;
}

#[rasyncio::test]
async fn a_panic_after_the_group_was_dropped_is_reported() {
    let log = Log::default();
    events::set_exception_handler({
        let log = log.clone();
        move |context| log.note(context.panic.message())
    });
    let running = create_task(async {
        let group = TaskGroup::<Cancelled>::new();
        let body = async {
            group.create_task::<_, ()>(async {
                let _ = sleep(milliseconds(1000)).await;
                panic!("nobody is there")
            });
            sleep(milliseconds(1000)).await
        };
        // Dropped, and not cancelled.
        let mut running = Box::pin(group.run(body));
        std::future::poll_fn(|cx| {
            assert!(running.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        yield_now().await.unwrap();
    });
    running.await.unwrap();
    sleep(milliseconds(1)).await.unwrap();
    assert_eq!(log.take(), ["nobody is there"]);
}
