//! Random trees of `sleep`, `timeout`, `wait_for`, `wait`, `as_completed`, `shield`, tasks, task
//! groups and gatherings, cancelled or dropped at a random moment: everything begun ends exactly
//! once, nothing is polled after its end, and nothing is left.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use proptest::prelude::*;
use rasyncio::runners::run_virtual;
use rasyncio::tasks::AsCompletedError;
use rasyncio::{
    Cancelled, ReturnWhen, TaskGroup, all_tasks, as_completed, create_task, events, gather_iter,
    shield, sleep, timeout, wait, wait_for, yield_now,
};

type Output = Result<(), Cancelled>;

#[derive(Clone, Debug)]
enum Tree {
    Sleep(u64),
    Turns(u32),
    /// One after the other, until one is cancelled.
    Sequence(Vec<Tree>),
    Timeout(u64, Box<Tree>),
    WaitForTask(u64, Box<Tree>),
    Task(Box<Tree>),
    Shield(Box<Tree>),
    Gather(Vec<Tree>),
    /// With the cancellations of its children as errors.
    GatherFirst(Vec<Tree>),
    WaitForFirst(Vec<Tree>),
    WaitForAll(u64, Vec<Tree>),
    AsCompleted(Vec<Tree>),
    /// The first is the body.
    Group(Vec<Tree>),
    /// Every task creates the next one.
    GroupInDepth(Vec<Tree>),
    /// Is cancelled when the first has ended.
    GroupCancelled(Vec<Tree>),
    /// Cleans up for so long, when cancelled.
    CleanUp(u64, Box<Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        3 => (0..40_u64).prop_map(Tree::Sleep),
        1 => (0..4_u32).prop_map(Tree::Turns),
    ];
    leaf.prop_recursive(5, 24, 3, |inner| {
        let some = prop::collection::vec(inner.clone(), 1..4);
        let one = || inner.clone().prop_map(Box::new);
        prop_oneof![
            some.clone().prop_map(Tree::Sequence),
            (0..40_u64, one()).prop_map(|(limit, tree)| Tree::Timeout(limit, tree)),
            (0..40_u64, one()).prop_map(|(limit, tree)| Tree::WaitForTask(limit, tree)),
            one().prop_map(Tree::Task),
            one().prop_map(Tree::Shield),
            some.clone().prop_map(Tree::Gather),
            some.clone().prop_map(Tree::GatherFirst),
            some.clone().prop_map(Tree::WaitForFirst),
            (0..40_u64, some.clone()).prop_map(|(limit, trees)| Tree::WaitForAll(limit, trees)),
            some.clone().prop_map(Tree::AsCompleted),
            some.clone().prop_map(Tree::Group),
            some.clone().prop_map(Tree::GroupInDepth),
            some.prop_map(Tree::GroupCancelled),
            (0..20_u64, one()).prop_map(|(time, tree)| Tree::CleanUp(time, tree)),
        ]
    })
}

#[derive(Default)]
struct Counts {
    begun: Cell<u32>,
    ended: Cell<u32>,
    /// Dropped before the end.
    dropped: Cell<u32>,
}

/// Counts what becomes of a future, and is no future after its end.
struct Counted<F> {
    future: Option<F>,
    begun: bool,
    counts: Rc<Counts>,
}

fn add(count: &Cell<u32>) {
    count.set(count.get() + 1);
}

impl<F: Future + Unpin> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if !std::mem::replace(&mut self.begun, true) {
            add(&self.counts.begun);
        }
        let future = self.future.as_mut().expect("polled after its end");
        let polled = Pin::new(future).poll(cx);
        if polled.is_ready() {
            self.future = None;
            add(&self.counts.ended);
        }
        polled
    }
}

impl<F> Drop for Counted<F> {
    fn drop(&mut self) {
        if self.begun && self.future.is_some() {
            add(&self.counts.dropped);
        }
    }
}

/// Some turns after a time.
async fn moment(at: u64, turns: u32) -> Output {
    sleep(milliseconds(at)).await?;
    for _ in 0..turns {
        yield_now().await?;
    }
    Ok(())
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

type Built = Pin<Box<dyn Future<Output = Output>>>;

fn build(tree: Tree, counts: &Rc<Counts>) -> Built {
    let counts = counts.clone();
    let future: Built = match tree {
        Tree::Sleep(time) => Box::pin(sleep(milliseconds(time))),
        Tree::Turns(turns) => Box::pin(async move {
            for _ in 0..turns {
                yield_now().await?;
            }
            Ok(())
        }),
        Tree::Sequence(trees) => {
            let counts = counts.clone();
            Box::pin(async move {
                for tree in trees {
                    build(tree, &counts).await?;
                }
                Ok(())
            })
        }
        Tree::Timeout(limit, tree) => {
            let inner = build(*tree, &counts);
            Box::pin(async move {
                match timeout(milliseconds(limit), inner).await {
                    Ok(output) => output,
                    Err(_) => Ok(()),
                }
            })
        }
        Tree::WaitForTask(limit, tree) => {
            let inner = build(*tree, &counts);
            Box::pin(async move {
                match wait_for(create_task(inner), milliseconds(limit)).await {
                    Ok(Ok(output)) => output,
                    Ok(Err(error)) => Err(error.cancelled().cloned().unwrap()),
                    Err(_) => Ok(()),
                }
            })
        }
        Tree::Task(tree) => {
            let inner = build(*tree, &counts);
            Box::pin(async move {
                let joined = create_task(inner).await;
                joined.unwrap_or_else(|error| Err(error.cancelled().cloned().unwrap()))
            })
        }
        Tree::Shield(tree) => {
            let inner = build(*tree, &counts);
            Box::pin(async move {
                let joined = shield(inner).await;
                joined.unwrap_or_else(|error| Err(error.cancelled().cloned().unwrap()))
            })
        }
        Tree::Gather(trees) => {
            let inner = build_all(trees, &counts);
            Box::pin(async move {
                match gather_iter(inner).await {
                    Ok(outputs) => outputs.into_iter().collect(),
                    Err(error) => Err(error.cancelled().cloned().unwrap()),
                }
            })
        }
        Tree::GatherFirst(trees) => {
            let inner = build_all(trees, &counts);
            Box::pin(async move {
                match gather_iter(inner).first_exception().await {
                    Ok(outputs) => outputs.map(drop),
                    Err(error) => Err(error.cancelled().cloned().unwrap()),
                }
            })
        }
        Tree::WaitForFirst(trees) => {
            let inner = build_all(trees, &counts);
            Box::pin(async move {
                let tasks: Vec<_> = inner.into_iter().map(create_task).collect();
                let first = wait(&tasks).return_when(ReturnWhen::FirstCompleted);
                let (done, _) = first.await?;
                assert!(!done.is_empty());
                Ok(())
            })
        }
        Tree::WaitForAll(limit, trees) => {
            let inner = build_all(trees, &counts);
            Box::pin(async move {
                let tasks = inner.into_iter().map(create_task);
                wait(tasks).timeout(milliseconds(limit)).await?;
                Ok(())
            })
        }
        Tree::AsCompleted(trees) => {
            let inner = build_all(trees, &counts);
            Box::pin(async move {
                let mut ends = as_completed(inner);
                loop {
                    match ends.next().await {
                        Ok(Some(task)) => task.await.unwrap()?,
                        Ok(None) => return Ok(()),
                        Err(AsCompletedError::Cancelled(cancelled)) => return Err(cancelled),
                        Err(AsCompletedError::TimedOut) => unreachable!("there is no limit"),
                    }
                }
            })
        }
        Tree::Group(trees) => group_of(build_all(trees, &counts), false),
        Tree::GroupCancelled(trees) => group_of(build_all(trees, &counts), true),
        Tree::GroupInDepth(trees) => {
            let inner = build_all(trees, &counts);
            Box::pin(async move {
                let group = TaskGroup::new();
                let body = async {
                    create_in_depth(&group, inner);
                    Ok(())
                };
                let ended = group.run(body).await;
                ended.map_err(|error| error.cancelled().cloned().expect("nobody fails"))
            })
        }
        Tree::CleanUp(time, tree) => {
            let inner = build(*tree, &counts);
            Box::pin(async move {
                let output = inner.await;
                if output.is_err() {
                    let _ = sleep(milliseconds(time)).await;
                }
                output
            })
        }
    };
    Box::pin(Counted {
        future: Some(future),
        begun: false,
        counts,
    })
}

fn build_all(trees: Vec<Tree>, counts: &Rc<Counts>) -> Vec<Built> {
    trees.into_iter().map(|tree| build(tree, counts)).collect()
}

/// The first is the body, and then the group may be cancelled.
fn group_of(mut trees: Vec<Built>, cancel: bool) -> Built {
    Box::pin(async move {
        let group = TaskGroup::new();
        let body = async {
            for tree in trees.drain(1..) {
                group.create_task(tree);
            }
            trees.remove(0).await?;
            if cancel {
                group.cancel();
            }
            Ok(())
        };
        let ended = group.run(body).await;
        ended.map_err(|error| error.cancelled().cloned().expect("nobody fails"))
    })
}

fn create_in_depth(group: &TaskGroup, mut trees: Vec<Built>) {
    if let Some(tree) = trees.pop() {
        let inner = group.clone();
        group.create_task(async move {
            tree.await?;
            create_in_depth(&inner, trees);
            Ok(())
        });
    }
}

/// When the tree ends if nobody cancels it, in milliseconds; `None` where two things come
/// together or turns matter, and the order decides.
fn duration(tree: &Tree) -> Option<u64> {
    match tree {
        Tree::Sleep(time) => Some(*time),
        Tree::Turns(_) => Some(0),
        Tree::Sequence(trees) | Tree::GroupInDepth(trees) => trees.iter().map(duration).sum(),
        Tree::Task(tree) | Tree::Shield(tree) | Tree::CleanUp(_, tree) => duration(tree),
        Tree::Gather(trees)
        | Tree::GatherFirst(trees)
        | Tree::AsCompleted(trees)
        | Tree::Group(trees) => longest(trees),
        Tree::WaitForFirst(trees) => {
            let times = trees.iter().map(duration).collect::<Option<Vec<_>>>()?;
            times.into_iter().min()
        }
        Tree::WaitForAll(limit, trees) => longest(trees).filter(|longest| longest < limit),
        // What is cancelled in the tree may clean up.
        Tree::GroupCancelled(trees) if trees.len() == 1 => duration(&trees[0]),
        Tree::GroupCancelled(_) => None,
        Tree::Timeout(limit, tree) | Tree::WaitForTask(limit, tree) => {
            let time = duration(tree)?;
            // What is cancelled in the tree may clean up.
            (time < *limit).then_some(time)
        }
    }
}

fn longest(trees: &[Tree]) -> Option<u64> {
    let times = trees.iter().map(duration).collect::<Option<Vec<_>>>()?;
    times.into_iter().max()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..Default::default() })]

    #[test]
    fn everything_begun_ends_once(tree in tree(), at in 0..60_u64, turns in 0..4_u32, cancel in any::<bool>()) {
        let counts = Rc::new(Counts::default());
        let expected = duration(&tree);
        let future = build(tree, &counts);
        let (result, took) = run_virtual(async move {
            let start = events::time();
            let task = create_task(async move {
                let output = future.await;
                (output, events::time() - start)
            });
            sleep(milliseconds(at)).await.unwrap();
            for _ in 0..turns {
                yield_now().await.unwrap();
            }
            let asked = cancel && task.cancel();
            let result = task.await;
            sleep(Duration::from_secs(3600)).await.unwrap();
            assert_eq!(all_tasks().len(), 1, "a task is left");
            match result {
                Ok((output, took)) => {
                    assert!(!asked, "a cancellation was lost");
                    assert_eq!(output, Ok(()));
                    (true, Some(took))
                }
                Err(error) => {
                    assert!(error.cancelled().is_some());
                    assert!(asked, "nobody has asked for a cancellation");
                    (false, None)
                }
            }
        });
        if !cancel {
            prop_assert!(result);
            if let Some(expected) = expected {
                prop_assert_eq!(took, Some(milliseconds(expected)));
            }
        }
        // A task that is cancelled before it starts is dropped without having begun.
        prop_assert_eq!(counts.begun.get(), counts.ended.get() + counts.dropped.get());
        prop_assert_eq!(counts.dropped.get(), 0);
        prop_assert_eq!(Rc::strong_count(&counts), 1, "something is not freed");
    }

    /// As `select!` and its like do, with everything that the tree waits for at that moment; perhaps
    /// in a task that is cancelled before, after or in the same turn.
    #[test]
    fn everything_begun_ends_once_or_is_dropped(
        tree in tree(),
        at in 0..60_u64,
        turns in 0..4_u32,
        cancel in proptest::option::of((0..60_u64, 0..4_u32)),
    ) {
        let counts = Rc::new(Counts::default());
        let mut future = build(tree, &counts);
        run_virtual(async move {
            let mut dropping = Box::pin(moment(at, turns));
            let task = create_task(async move {
                poll_fn(move |cx| {
                    if future.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    dropping.as_mut().poll(cx).map(drop)
                })
                .await;
                // Whoever has dropped something goes on.
                let _ = sleep(milliseconds(1)).await;
            });
            if let Some((at, turns)) = cancel {
                moment(at, turns).await.unwrap();
                task.cancel();
            }
            let _ = task.await;
            sleep(Duration::from_secs(3600)).await.unwrap();
            assert_eq!(all_tasks().len(), 1, "a task is left");
        });
        prop_assert_eq!(counts.begun.get(), counts.ended.get() + counts.dropped.get());
        prop_assert_eq!(Rc::strong_count(&counts), 1, "something is not freed");
    }
}
