//! `Scheduler` and `Job`.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use common::{Dropped, Log};
use rasyncio::scheduler::{Builder, Job, JobError, Scheduler, SpawnError};
use rasyncio::{
    Cancelled, Event, all_tasks, create_task, current_task, events, run, sleep, wait_for, yield_now,
};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_secs(1);

fn limited(limit: usize, pending_limit: usize) -> Scheduler {
    Builder::new()
        .limit(limit)
        .pending_limit(pending_limit)
        .build()
}

fn counts(scheduler: &Scheduler) -> (usize, usize, usize) {
    (
        scheduler.len(),
        scheduler.active_count(),
        scheduler.pending_count(),
    )
}

/// A scheduler that notes what its exception handler is told.
fn noting(log: &Log) -> Builder {
    let log = log.clone();
    Builder::new().exception_handler(move |_, context| log.note(context.to_string()))
}

async fn forever() -> Result<(), Cancelled> {
    sleep(Duration::MAX).await
}

/// A future that refuses the first `times` requests to end.
async fn stubborn(times: u32) {
    for _ in 0..times {
        assert!(sleep(LONG).await.is_err());
        current_task().unwrap().uncancel();
    }
    let _ = sleep(LONG).await;
}

#[rasyncio::test]
async fn a_job_runs_and_gives_its_output() {
    let scheduler = Scheduler::new();
    let mut job = scheduler.spawn(async { 5 }).await.unwrap();
    assert!(job.active() && !job.pending() && !job.closed());
    assert_eq!(job.wait(None).await.unwrap(), 5);
    assert!(!job.active() && !job.pending() && job.closed());
    assert_eq!(counts(&scheduler), (0, 0, 0));
}

#[rasyncio::test]
async fn one_more_than_may_be_active_is_pending() {
    let scheduler = limited(1, 0);
    let ready = Rc::new(Event::new());
    let first = scheduler
        .spawn({
            let ready = ready.clone();
            async move { ready.wait().await }
        })
        .await
        .unwrap();
    let mut second = scheduler.spawn(async { 2 }).await.unwrap();
    assert_eq!(counts(&scheduler), (2, 1, 1));
    assert_eq!(format!("{second:?}"), "<Job pending>");
    ready.set();
    assert_eq!(second.wait(None).await.unwrap(), 2);
    assert!(first.closed());
    assert_eq!(counts(&scheduler), (0, 0, 0));
}

#[rasyncio::test]
async fn pending_jobs_start_in_order() {
    let log = Log::default();
    let scheduler = limited(1, 0);
    for name in ["a", "b", "c"] {
        scheduler.spawn(log.noting(name)).await.unwrap();
    }
    scheduler.wait_and_close(None).await.unwrap();
    assert_eq!(log.take(), ["a", "b", "c"]);
}

#[rasyncio::test]
async fn without_a_limit_all_are_active() {
    let scheduler = Builder::new().limit(None).build();
    for _ in 0..1000 {
        scheduler.spawn(forever()).await.unwrap();
    }
    assert_eq!(counts(&scheduler), (1000, 1000, 0));
    scheduler.close().await.unwrap();
}

#[rasyncio::test]
async fn with_too_many_pending_spawning_waits() {
    let log = Log::default();
    let scheduler = limited(1, 1);
    let spawner = create_task({
        let (scheduler, log) = (scheduler.clone(), log.clone());
        async move {
            for number in 0..4 {
                let log = log.clone();
                scheduler
                    .spawn(async move {
                        sleep(SHORT).await.unwrap();
                        log.note(format!("job {number} at {}", events::time().as_secs()));
                    })
                    .await
                    .unwrap();
            }
            scheduler
        }
    });
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    assert_eq!(counts(&scheduler), (2, 1, 1));
    assert!(!spawner.done());
    spawner.await.unwrap().wait_and_close(None).await.unwrap();
    let times = log.take();
    assert_eq!(times.len(), 4);
    assert!(times[3].starts_with("job 3"));
}

#[rasyncio::test]
async fn a_spawner_that_is_cancelled_drops_its_future() {
    let log = Log::default();
    let scheduler = limited(1, 1);
    for _ in 0..2 {
        scheduler.spawn(forever()).await.unwrap();
    }
    let guard = Dropped(log.clone(), "dropped");
    let late = async move {
        let _guard = guard;
        forever().await
    };
    assert!(wait_for(scheduler.spawn(late), SHORT).await.is_err());
    assert_eq!(log.take(), ["dropped"]);
    assert_eq!(counts(&scheduler), (2, 1, 1));
    scheduler.close().await.unwrap();
}

#[rasyncio::test]
async fn a_spawner_that_gives_its_turn_up_passes_it_on() {
    let scheduler = limited(1, 1);
    let end = Rc::new(Event::new());
    for _ in 0..2 {
        let end = end.clone();
        scheduler
            .spawn(async move { end.wait().await })
            .await
            .unwrap();
    }
    let spawner = || {
        let scheduler = scheduler.clone();
        create_task(async move { scheduler.spawn(async {}).await.map(drop) })
    };
    let (first, second) = (spawner(), spawner());
    yield_now().await.unwrap();
    end.set();
    // The event wakes the job, whose end is taken note of, which wakes the first spawner.
    while !scheduler.jobs().iter().all(|job| job.active()) {
        yield_now().await.unwrap();
    }
    first.cancel();
    assert!(first.await.is_err());
    assert_eq!(second.await.unwrap(), Ok(()));
    scheduler.wait_and_close(None).await.unwrap();
}

#[rasyncio::test]
async fn a_closed_scheduler_refuses_jobs() {
    let scheduler = Scheduler::new();
    scheduler.close().await.unwrap();
    assert_eq!(
        scheduler.spawn(async {}).await.unwrap_err(),
        SpawnError::Closed
    );
    assert_eq!(format!("{scheduler:?}"), "<Scheduler closed jobs=0>");
}

#[rasyncio::test]
async fn closing_refuses_those_who_wait_to_spawn() {
    let scheduler = limited(1, 1);
    for _ in 0..2 {
        scheduler.spawn(forever()).await.unwrap();
    }
    let spawners: Vec<_> = (0..3)
        .map(|_| {
            let scheduler = scheduler.clone();
            create_task(async move { scheduler.spawn(async {}).await.map(drop) })
        })
        .collect();
    yield_now().await.unwrap();
    scheduler.close().await.unwrap();
    for spawner in spawners {
        assert_eq!(spawner.await.unwrap(), Err(SpawnError::Closed));
    }
    assert_eq!(counts(&scheduler), (0, 0, 0));
}

#[rasyncio::test]
async fn closing_ends_active_jobs_and_never_starts_pending_ones() {
    let log = Log::default();
    let scheduler = limited(1, 0);
    let active = scheduler
        .spawn({
            let log = log.clone();
            async move {
                let slept = sleep(LONG).await;
                log.note("cleaning up");
                slept
            }
        })
        .await
        .unwrap();
    let mut waiting = scheduler.spawn(log.noting("started")).await.unwrap();
    yield_now().await.unwrap();
    scheduler.close().await.unwrap();
    assert_eq!(log.take(), ["cleaning up"]);
    assert!(active.closed() && waiting.closed() && scheduler.is_empty());
    assert!(matches!(
        waiting.wait(None).await,
        Err(JobError::Cancelled(_))
    ));
}

#[rasyncio::test]
async fn a_job_that_takes_long_to_close_is_complained_about() {
    let log = Log::default();
    let scheduler = noting(&log).build();
    scheduler.spawn_named("slow", stubborn(1)).await.unwrap();
    yield_now().await.unwrap();
    let start = events::time();
    scheduler.close().await.unwrap();
    assert_eq!(events::time() - start, Duration::from_millis(100));
    assert_eq!(log.take(), ["Job closing timed out: job \"slow\""]);
}

#[rasyncio::test]
async fn a_panic_that_nobody_waits_for_is_told_once() {
    let log = Log::default();
    let scheduler = noting(&log).build();
    let mut job = scheduler
        .spawn_named("bad", async { panic!("oops") })
        .await
        .unwrap();
    sleep(SHORT).await.unwrap();
    assert_eq!(
        log.take(),
        ["Job processing failed: job \"bad\": panicked: oops"]
    );
    scheduler.close().await.unwrap();
    assert_eq!(log.take(), [""; 0]);
    let waited: Result<(), _> = job.wait(None).await;
    assert!(matches!(waited, Err(JobError::Panicked(_))));
}

#[rasyncio::test]
async fn without_a_handler_the_loops_is_told() {
    let seen = Rc::new(RefCell::new(String::new()));
    events::set_exception_handler({
        let seen = seen.clone();
        move |context| *seen.borrow_mut() = context.to_string()
    });
    let scheduler = Scheduler::new();
    scheduler
        .spawn_named("bad", async { panic!("oops") })
        .await
        .unwrap();
    scheduler.wait_and_close(None).await.unwrap();
    assert_eq!(
        *seen.borrow(),
        "Job processing failed: task \"bad\": panicked: oops"
    );
}

#[rasyncio::test]
async fn a_panic_that_somebody_waits_for_is_theirs() {
    let log = Log::default();
    let scheduler = noting(&log).build();
    let mut job: Job<()> = scheduler.spawn(async { panic!("oops") }).await.unwrap();
    match job.wait(None).await {
        Err(JobError::Panicked(panic)) => assert_eq!(panic.message(), "oops"),
        other => unreachable!("{other:?}"),
    }
    let job = scheduler
        .spawn(async {
            let _ = sleep(LONG).await;
            panic!("in closing");
        })
        .await
        .unwrap();
    yield_now().await.unwrap();
    let closed: Result<(), JobError> = job.close(None).await;
    assert!(matches!(closed, Err(JobError::Panicked(_))));
    assert_eq!(log.take(), [""; 0]);
}

#[rasyncio::test]
async fn a_wait_with_a_timeout_closes_the_job() {
    let scheduler = Scheduler::new();
    let mut job = scheduler.spawn(forever()).await.unwrap();
    assert!(matches!(job.wait(SHORT).await, Err(JobError::TimedOut)));
    assert!(job.closed());
    assert_eq!(counts(&scheduler), (0, 0, 0));
}

#[rasyncio::test]
async fn a_wait_for_a_pending_job_can_time_out() {
    let log = Log::default();
    let scheduler = limited(1, 0);
    scheduler.spawn(sleep(LONG)).await.unwrap();
    let mut job = scheduler.spawn(log.noting("started")).await.unwrap();
    assert!(matches!(job.wait(SHORT).await, Err(JobError::TimedOut)));
    assert!(job.closed());
    assert_eq!(counts(&scheduler), (1, 1, 0));
    scheduler.wait_and_close(LONG).await.unwrap();
    assert_eq!(log.take(), [""; 0]);
}

#[rasyncio::test]
async fn an_output_that_comes_in_closing_is_given() {
    let scheduler = Scheduler::new();
    let mut job = scheduler
        .spawn(async {
            assert!(sleep(LONG).await.is_err());
            current_task().unwrap().uncancel();
            5
        })
        .await
        .unwrap();
    assert_eq!(job.wait(SHORT).await.unwrap(), 5);
}

#[rasyncio::test]
async fn who_waits_can_be_cancelled_without_the_job() {
    let scheduler = Scheduler::new();
    let job = scheduler
        .spawn(async {
            sleep(SHORT).await?;
            Ok::<_, Cancelled>(5)
        })
        .await
        .unwrap();
    let any = (*job).clone();
    let waiter = create_task(async move {
        let mut job = job;
        job.wait(None).await
    });
    yield_now().await.unwrap();
    waiter.cancel();
    assert!(waiter.await.is_err());
    assert!(any.active());
    sleep(LONG).await.unwrap();
    assert!(any.closed());
}

#[rasyncio::test]
async fn closing_a_pending_job_starts_no_other() {
    let scheduler = limited(1, 0);
    let active = scheduler.spawn(forever()).await.unwrap();
    let second = scheduler.spawn(forever()).await.unwrap();
    let third = scheduler.spawn(forever()).await.unwrap();
    second.close(None).await.unwrap();
    sleep(SHORT).await.unwrap();
    assert!(active.active() && second.closed() && third.pending());
    assert_eq!(counts(&scheduler), (2, 1, 1));
}

#[rasyncio::test]
async fn closing_a_pending_job_makes_room_for_who_waits() {
    let scheduler = limited(1, 1);
    scheduler.spawn(forever()).await.unwrap();
    let second = scheduler.spawn(forever()).await.unwrap();
    let spawner = create_task({
        let scheduler = scheduler.clone();
        async move { scheduler.spawn(forever()).await.unwrap() }
    });
    yield_now().await.unwrap();
    second.close(None).await.unwrap();
    let third = spawner.await.unwrap();
    assert!(third.pending());
    assert_eq!(counts(&scheduler), (2, 1, 1));
}

#[rasyncio::test]
async fn closing_twice_is_closing_once() {
    let scheduler = Scheduler::new();
    let job = scheduler.spawn(sleep(LONG)).await.unwrap();
    job.close(None).await.unwrap();
    job.close(None).await.unwrap();
    scheduler.close().await.unwrap();
    scheduler.close().await.unwrap();
}

#[rasyncio::test]
async fn a_job_that_refuses_to_close_in_time_is_asked_again() {
    let scheduler = Scheduler::new();
    let job = scheduler.spawn(stubborn(1)).await.unwrap();
    yield_now().await.unwrap();
    let start = events::time();
    assert!(matches!(job.close(SHORT).await, Err(JobError::TimedOut)));
    assert_eq!(events::time() - start, SHORT);
    assert_eq!(counts(&scheduler), (0, 0, 0));
}

#[rasyncio::test]
async fn cancelling_who_closes_asks_the_job_again() {
    let scheduler = Scheduler::new();
    let job = scheduler.spawn(stubborn(1)).await.unwrap();
    let any = (*job).clone();
    yield_now().await.unwrap();
    let closer = create_task(async move { any.close(LONG).await });
    yield_now().await.unwrap();
    yield_now().await.unwrap();
    closer.cancel();
    let start = events::time();
    assert!(closer.await.is_err());
    assert_eq!(events::time(), start);
    assert_eq!(counts(&scheduler), (0, 0, 0));
}

#[rasyncio::test]
async fn waiting_and_closing_waits_for_jobs_that_jobs_spawn() {
    let log = Log::default();
    let scheduler = Scheduler::new();
    scheduler
        .spawn({
            let (scheduler, log) = (scheduler.clone(), log.clone());
            async move {
                sleep(SHORT).await.unwrap();
                scheduler
                    .spawn(async move {
                        sleep(SHORT).await.unwrap();
                        log.note("the second one");
                    })
                    .await
                    .unwrap();
            }
        })
        .await
        .unwrap();
    scheduler.wait_and_close(None).await.unwrap();
    assert_eq!(log.take(), ["the second one"]);
    assert!(scheduler.closed());
}

#[rasyncio::test]
async fn waiting_and_closing_ends_what_takes_too_long() {
    let scheduler = Scheduler::new();
    let job = scheduler.spawn(sleep(LONG)).await.unwrap();
    let start = events::time();
    scheduler.wait_and_close(SHORT).await.unwrap();
    assert_eq!(events::time() - start, SHORT);
    assert!(job.closed());
}

#[rasyncio::test]
async fn shielded_tasks_are_waited_for_and_then_ended() {
    let log = Log::default();
    let scheduler = Scheduler::new();
    let shielded = |seconds| {
        let log = log.clone();
        scheduler.shield(async move {
            let slept = sleep(seconds * SHORT).await;
            log.note(format!("{seconds}: {}", slept.is_ok()));
        })
    };
    let (short, long) = (shielded(1), shielded(100));
    drop((short, long));
    scheduler.wait_and_close(10 * SHORT).await.unwrap();
    assert_eq!(log.take(), ["1: true", "100: false"]);
    assert_eq!(all_tasks().len(), 1);
}

#[rasyncio::test]
async fn names_are_the_tasks() {
    let scheduler = limited(1, 0);
    let first = scheduler.spawn(forever()).await.unwrap();
    assert!(first.name().unwrap().starts_with("Task-"));
    let second = scheduler.spawn(forever()).await.unwrap();
    assert_eq!(second.name(), None);
    second.set_name("second");
    assert_eq!(second.name().as_deref(), Some("second"));
    first.close(None).await.unwrap();
    assert!(second.active());
    assert_eq!(second.name().as_deref(), Some("second"));
    second.set_name("another");
    assert_eq!(format!("{second:?}"), "<Job active name=\"another\">");
    scheduler.close().await.unwrap();
}

#[test]
fn jobs_end_with_their_loop() {
    let log = Log::default();
    let scheduler = limited(1, 0);
    let job = run(async {
        let guard = Dropped(log.clone(), "active dropped");
        let active = async move {
            let _guard = guard;
            forever().await
        };
        let job = scheduler.spawn(active).await.unwrap();
        let guard = Dropped(log.clone(), "pending dropped");
        let waiting = async move {
            let _guard = guard;
        };
        scheduler.spawn(waiting).await.unwrap();
        yield_now().await.unwrap();
        job
    });
    assert!(job.closed());
    drop(job);
    drop(scheduler);
    assert_eq!(log.take().len(), 2);
}

#[rasyncio::test]
async fn a_forgotten_scheduler_runs_its_jobs() {
    let log = Log::default();
    let scheduler = limited(1, 0);
    scheduler.spawn(sleep(SHORT)).await.unwrap();
    scheduler.spawn(log.noting("second")).await.unwrap();
    drop(scheduler);
    sleep(LONG).await.unwrap();
    assert_eq!(log.take(), ["second"]);
}

#[rasyncio::test]
async fn pending_jobs_that_never_start_go_with_their_scheduler() {
    let log = Log::default();
    let scheduler = limited(0, 0);
    let guard = Dropped(log.clone(), "dropped");
    let job = scheduler
        .spawn(async move {
            let _guard = guard;
        })
        .await
        .unwrap();
    drop(scheduler);
    drop(job);
    assert_eq!(log.take(), ["dropped"]);
}

#[rasyncio::test]
async fn a_panic_in_the_handler_stops_nothing() {
    let calls = Rc::new(Cell::new(0));
    let scheduler = Builder::new()
        .limit(1)
        .exception_handler({
            let calls = calls.clone();
            move |_, _| {
                calls.set(calls.get() + 1);
                panic!("the handler, too");
            }
        })
        .build();
    events::set_exception_handler(|_| {});
    for _ in 0..3 {
        scheduler.spawn(async { panic!("oops") }).await.unwrap();
    }
    scheduler.wait_and_close(None).await.unwrap();
    assert_eq!(calls.get(), 3);
}
