//! The scheduler against a simple model: how many run, who is next, and that each ends once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use rasyncio::runners::run_virtual;
use rasyncio::scheduler::{AnyJob, Builder, SpawnError};
use rasyncio::{all_tasks, create_task, sleep, yield_now};

#[derive(Clone, Debug)]
enum Step {
    Spawn(u64),
    /// In a task of its own, which is cancelled by the other one.
    SpawnBeside(u64),
    CancelSpawner(usize),
    CloseJob(usize),
    Sleep(u64),
    Turn,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..30_u64).prop_map(Step::Spawn),
        4 => (0..30_u64).prop_map(Step::SpawnBeside),
        1 => (0..8_usize).prop_map(Step::CancelSpawner),
        2 => (0..8_usize).prop_map(Step::CloseJob),
        2 => (0..20_u64).prop_map(Step::Sleep),
        2 => Just(Step::Turn),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..40)
}

/// What the jobs note.
#[derive(Default)]
struct Record {
    running: Cell<usize>,
    most: Cell<usize>,
    started: RefCell<Vec<u32>>,
    ended: Cell<usize>,
}

fn job(number: u32, time: u64, record: &Rc<Record>) -> impl Future<Output = u32> + 'static {
    let record = record.clone();
    async move {
        record.started.borrow_mut().push(number);
        record.running.set(record.running.get() + 1);
        record.most.set(record.most.get().max(record.running.get()));
        let slept = sleep(Duration::from_millis(time)).await;
        record.running.set(record.running.get() - 1);
        record.ended.set(record.ended.get() + 1);
        drop(slept);
        number
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_more_than_may_run_and_each_ends_once(
        steps in steps(),
        limit in 1..4_usize,
        pending_limit in 0..3_usize,
    ) {
        let record = Rc::new(Record::default());
        run_virtual(async {
            let scheduler = Builder::new().limit(limit).pending_limit(pending_limit).build();
            let jobs: Rc<RefCell<Vec<AnyJob>>> = Rc::default();
            let mut spawners = Vec::new();
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Spawn(time) => {
                        match scheduler.spawn(job(number, time, &record)).await {
                            Ok(job) => jobs.borrow_mut().push((*job).clone()),
                            Err(error) => assert_eq!(error, SpawnError::Closed),
                        }
                    }
                    Step::SpawnBeside(time) => {
                        let (scheduler, jobs) = (scheduler.clone(), jobs.clone());
                        let future = job(number, time, &record);
                        spawners.push(create_task(async move {
                            if let Ok(job) = scheduler.spawn(future).await {
                                jobs.borrow_mut().push((*job).clone());
                            }
                        }));
                    }
                    Step::CancelSpawner(which) => {
                        if let Some(spawner) = spawners.get(which) {
                            spawner.cancel();
                        }
                    }
                    Step::CloseJob(which) => {
                        let job = jobs.borrow().get(which).cloned();
                        if let Some(job) = job {
                            job.close(None).await.unwrap();
                        }
                    }
                    Step::Sleep(time) => sleep(Duration::from_millis(time)).await.unwrap(),
                    Step::Turn => yield_now().await.unwrap(),
                    Step::Close => scheduler.close().await.unwrap(),
                }
                let state = (scheduler.len(), scheduler.active_count(), scheduler.pending_count());
                assert_eq!(state.0, state.1 + state.2);
                assert!(state.1 <= limit, "{state:?}");
                assert!(pending_limit == 0 || state.2 <= pending_limit, "{state:?}");
                // Nobody is pending while there is room.
                assert!(state.2 == 0 || state.1 == limit, "{state:?}");
            }
            for spawner in spawners {
                let _ = spawner.await;
            }
            scheduler.wait_and_close(None).await.unwrap();
            assert!(scheduler.is_empty());
            assert!(jobs.borrow().iter().all(|job| job.closed()));
            assert_eq!(all_tasks().len(), 1, "a task is left");
        });
        prop_assert!(record.most.get() <= limit);
        prop_assert_eq!(record.running.get(), 0);
        let started = record.started.borrow();
        prop_assert_eq!(started.len(), record.ended.get());
        let mut once = started.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), started.len());
    }
}
