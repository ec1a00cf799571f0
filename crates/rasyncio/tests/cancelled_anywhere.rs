//! Random trees of `sleep`, `timeout`, `wait_for`, `shield`, tasks and gatherings, cancelled at a
//! random moment: everything begun ends exactly once, and nothing is left.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use proptest::prelude::*;
use rasyncio::runners::run_virtual;
use rasyncio::{
    Cancelled, all_tasks, create_task, events, gather_iter, shield, sleep, timeout, wait_for,
    yield_now,
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
            some.prop_map(Tree::Gather),
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

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn build(tree: Tree, counts: &Rc<Counts>) -> Pin<Box<dyn Future<Output = Output>>> {
    let counts = counts.clone();
    let future: Pin<Box<dyn Future<Output = Output>>> = match tree {
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
            let inner: Vec<_> = trees.into_iter().map(|tree| build(tree, &counts)).collect();
            Box::pin(async move {
                match gather_iter(inner).await {
                    Ok(outputs) => outputs.into_iter().collect(),
                    Err(error) => Err(error.cancelled().cloned().unwrap()),
                }
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

/// When the tree ends if nobody cancels it, in milliseconds; `None` where two things come
/// together or turns matter, and the order decides.
fn duration(tree: &Tree) -> Option<u64> {
    match tree {
        Tree::Sleep(time) => Some(*time),
        Tree::Turns(_) => Some(0),
        Tree::Sequence(trees) => trees.iter().map(duration).sum(),
        Tree::Task(tree) | Tree::Shield(tree) | Tree::CleanUp(_, tree) => duration(tree),
        Tree::Gather(trees) => trees.iter().map(duration).try_fold(0, |longest, time| {
            let time = time?;
            Some(longest.max(time))
        }),
        Tree::Timeout(limit, tree) | Tree::WaitForTask(limit, tree) => {
            let time = duration(tree)?;
            // What is cancelled in the tree may clean up.
            (time < *limit).then_some(time)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..Default::default() })]

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
    }
}
