//! The picture of who waits for whom.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use rasyncio::tasks::{Activity, Builder};
use rasyncio::{
    Cancelled, Lock, Queue, Task, TaskGroup, as_completed, cancellable, create_task, events,
    gather, graph, shield, sleep, timeout, wait, yield_now,
};

const HOUR: Duration = Duration::from_secs(3600);

fn named<F: Future + 'static>(name: &str, future: F) -> Task<F::Output> {
    Builder::new().name(name).create_task(future)
}

async fn settle() {
    for _ in 0..4 {
        yield_now().await.unwrap();
    }
}

/// The picture without what is after the comma, and without the task that asks.
fn picture() -> Vec<String> {
    let tree = graph::format_task_tree();
    let lines = tree.lines().skip(1);
    let short = |line: &str| line.split(", created at").next().unwrap_or("").to_owned();
    lines.map(short).collect()
}

#[rasyncio::test]
async fn a_task_says_what_it_waits_in() {
    let lock = Rc::new(Lock::new());
    let guard = lock.acquire().await.unwrap();
    let queue = Rc::new(Queue::<u32>::new(0));
    let end = Rc::new(Cell::new(None::<Waker>));
    let tasks = (
        named("sleeper", sleep(HOUR)),
        named("getter", async move { queue.get().await.is_ok() }),
        named("locker", {
            let lock = lock.clone();
            async move { drop(lock.acquire().await) }
        }),
        named("limited", async { timeout(HOUR, sleep(HOUR)).await }),
        named("stranger", {
            let end = end.clone();
            poll_fn(move |cx| match end.replace(Some(cx.waker().clone())) {
                None => Poll::Pending,
                Some(_) => Poll::Ready(()),
            })
        }),
        named("wrapped", cancellable(pending::<()>())),
    );
    settle().await;
    let new = named("new", async {});
    assert_eq!(
        picture(),
        [
            "\"sleeper\": waits in rasyncio::tasks::sleep",
            "\"getter\": waits in rasyncio::queues::get",
            "\"locker\": waits in rasyncio::locks::lock",
            "\"limited\": waits in rasyncio::tasks::sleep",
            "\"stranger\": waits",
            "\"wrapped\": waits in rasyncio::futures",
            "\"new\": not started",
        ]
    );
    drop((tasks, guard, new));
    let waker = end.take().unwrap();
    end.set(Some(waker.clone()));
    waker.wake();
}

#[rasyncio::test]
async fn tasks_stand_below_those_that_wait_for_them() {
    let joiner = named("joiner", async {
        named("joined", async { named("last", sleep(HOUR)).await }).await
    });
    let gatherer = named("gatherer", async {
        gather((named("one", sleep(HOUR)), named("two", sleep(HOUR)))).await
    });
    settle().await;
    assert_eq!(
        picture(),
        [
            "\"joiner\": waits in rasyncio::tasks::join",
            "└── \"joined\": waits in rasyncio::tasks::join",
            "    └── \"last\": waits in rasyncio::tasks::sleep",
            "\"gatherer\": waits in rasyncio::tasks::gather",
            "├── \"one\": waits in rasyncio::tasks::sleep",
            "└── \"two\": waits in rasyncio::tasks::sleep",
        ]
    );
    drop((joiner, gatherer));
}

#[rasyncio::test]
async fn every_way_to_wait_is_seen() {
    let tasks = (
        named("shields", async { shield(named("a", sleep(HOUR))).await }),
        named("waits", async { wait([named("b", sleep(HOUR))]).await }),
        named("completes", async {
            as_completed([named("c", sleep(HOUR))]).next().await
        }),
        named("groups", async {
            let group = TaskGroup::new();
            let create = |name| {
                let builder = Builder::new().name(name);
                drop(group.create_task_with(builder, sleep(HOUR)));
            };
            let body = async {
                create("d");
                sleep(Duration::from_secs(1)).await?;
                create("e");
                Ok::<_, Cancelled>(())
            };
            group.run(body).await
        }),
    );
    settle().await;
    let before = picture();
    assert_eq!(
        before
            .iter()
            .filter(|line| line.starts_with("└── "))
            .count(),
        4
    );
    assert_eq!(before[6], "\"groups\": waits in rasyncio::tasks::sleep");
    sleep(Duration::from_secs(2)).await.unwrap();
    let after = picture();
    assert_eq!(
        after[6],
        "\"groups\": waits in rasyncio::taskgroups::running"
    );
    assert_eq!(after[7], "├── \"d\": waits in rasyncio::tasks::sleep");
    assert_eq!(after[8], "└── \"e\": waits in rasyncio::tasks::sleep");
    drop(tasks);
}

#[rasyncio::test]
async fn a_task_that_several_wait_for_is_told_once() {
    let shared = named("shared", async { named("inner", sleep(HOUR)).await });
    let any = (*shared).clone();
    let first = named("first", async move { wait([any]).await });
    let any = (*shared).clone();
    let second = named("second", async move { wait([any]).await });
    settle().await;
    assert_eq!(
        picture(),
        [
            "\"first\": waits in rasyncio::tasks::wait",
            "└── \"shared\": waits in rasyncio::tasks::join",
            "    └── \"inner\": waits in rasyncio::tasks::sleep",
            "\"second\": waits in rasyncio::tasks::wait",
            "└── \"shared\": waits in rasyncio::tasks::join",
        ]
    );
    assert!(graph::format_task_tree().ends_with("(see elsewhere)\n"));
    let names: Vec<_> = shared.awaited_by().iter().map(|task| task.name()).collect();
    assert_eq!(names, ["first", "second"]);
    drop((first, second));
}

#[rasyncio::test]
async fn a_ring_is_shown() {
    let (one, two): (Rc<Cell<Option<_>>>, _) = Default::default();
    let task = |name, waits_for: &Rc<Cell<Option<rasyncio::AnyTask>>>| {
        let waits_for = waits_for.clone();
        named(name, async move {
            let other = waits_for.take().unwrap();
            drop(wait([other]).await);
        })
    };
    let (first, second) = (task("first", &one), task("second", &two));
    one.set(Some((*second).clone()));
    Rc::<Cell<_>>::clone(&two).set(Some((*first).clone()));
    settle().await;
    assert_eq!(
        picture(),
        [
            "\"first\": waits in rasyncio::tasks::wait",
            "└── \"second\": waits in rasyncio::tasks::wait",
            "    └── \"first\": waits in rasyncio::tasks::wait",
        ]
    );
}

#[rasyncio::test]
async fn a_chain_may_be_longer_than_the_stack_is_deep() {
    fn chain(length: u32) -> Task<()> {
        create_task(async move {
            if length > 0 {
                let _ = chain(length - 1).await;
            } else {
                let _ = sleep(HOUR).await;
            }
        })
    }
    let first = chain(50_000);
    while !matches!(first.activity(), Activity::Waiting(_)) || events::time() < HOUR / 2 {
        sleep(HOUR / 2).await.unwrap();
    }
    let mut depth = 0;
    let tree = graph::task_tree();
    let mut node = &tree[1];
    while let Some(below) = node.awaits.first() {
        (node, depth) = (below, depth + 1);
    }
    assert_eq!(depth, 50_000);
    drop(tree);
    first.cancel();
    assert!(first.await.is_err());
}

#[rasyncio::test]
async fn where_a_task_was_created_is_known() {
    let task = create_task(async {});
    assert!(task.created_at().file().ends_with("graph.rs"));
    assert_eq!(task.created_at().line(), line!() - 2);
    assert_eq!(task.activity(), Activity::NotStarted);
    settle().await;
    assert_eq!(task.activity(), Activity::Ended);
}
