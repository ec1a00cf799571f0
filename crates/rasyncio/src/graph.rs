//! Who waits for whom (asyncio's `graph`, and `python -m asyncio pstree`).

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::panic::Location;

use crate::tasks::{Activity, AnyTask, all_tasks};

/// A picture of all unfinished tasks of the running loop: each below the one that waits for it, with
/// what it waits for itself. For people: the form may change.
///
/// ```text
/// Task-1: waits in rasyncio::tasks::gather, created at src/main.rs:3:1
/// ├── "fetch": waits in rasyncio::locks::lock, created at src/main.rs:9:17
/// └── Task-3: waits in rasyncio::tasks::join, created at src/main.rs:10:17
///     └── Task-4: ready, created at src/main.rs:21:5
/// ```
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use std::time::Duration;
/// use rasyncio::{create_task, gather, graph, sleep, yield_now};
///
/// rasyncio::run(async {
///     let waiting = create_task(async {
///         let hour = Duration::from_secs(3600);
///         gather((sleep(hour), sleep(hour))).await
///     });
///     yield_now().await.unwrap();
///     yield_now().await.unwrap();
///     let tree = graph::format_task_tree();
///     let lines: Vec<_> = tree.lines().collect();
///     assert!(lines[0].starts_with("Task-1: running"));
///     assert!(lines[1].starts_with("Task-2: waits in rasyncio::tasks::gather"));
///     assert!(lines[2].starts_with("├── Task-3: waits in rasyncio::tasks::sleep"));
///     assert!(lines[3].starts_with("└── Task-4: waits in rasyncio::tasks::sleep"));
///     drop(waiting);
/// });
/// ```
#[track_caller]
pub fn format_task_tree() -> String {
    let mut text = String::new();
    for node in task_tree() {
        // Writing to a string does not fail.
        let _ = write!(text, "{node}");
    }
    text
}

/// What [`format_task_tree`] prints: the tasks that no task waits for, oldest first. Of tasks that
/// wait for each other in a ring, the oldest stands at the top.
///
/// # Panics
///
/// If no loop is running.
///
/// ```
/// use rasyncio::{create_task, graph, yield_now};
///
/// rasyncio::run(async {
///     let inner = create_task(async { yield_now().await?; yield_now().await });
///     let _outer = create_task(inner.into_future());
///     yield_now().await?;
///     assert_eq!(graph::task_tree().len(), 2);
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })
/// .unwrap();
/// ```
#[track_caller]
pub fn task_tree() -> Vec<Node> {
    let tasks = all_tasks();
    let numbers: HashMap<_, _> = tasks.iter().map(AnyTask::address).zip(0..).collect();
    let index = |task: &AnyTask| numbers.get(&task.address()).copied();
    let mut graph = Graph {
        awaits: vec![Vec::new(); tasks.len()],
        shown: vec![false; tasks.len()],
        tasks: &tasks,
    };
    let mut awaited = vec![false; tasks.len()];
    for (which, task) in tasks.iter().enumerate() {
        for awaiter in task.awaited_by().iter().filter_map(index) {
            graph.awaits[awaiter].push(which);
            awaited[which] = true;
        }
    }
    let mut roots = Vec::new();
    for which in (0..tasks.len()).filter(|&which| !awaited[which]) {
        roots.push(graph.node(which));
    }
    for which in 0..tasks.len() {
        if !graph.shown[which] {
            roots.push(graph.node(which));
        }
    }
    roots
}

struct Graph<'a> {
    tasks: &'a [AnyTask],
    awaits: Vec<Vec<usize>>,
    shown: Vec<bool>,
}

impl Graph<'_> {
    fn node(&mut self, root: usize) -> Node {
        // Without recursion: chains of tasks may be longer than the stack is deep.
        let mut order = vec![(root, None, false)];
        let mut next = 0;
        self.shown[root] = true;
        while let Some(&(which, _, repeated)) = order.get(next) {
            if !repeated {
                for &awaited in &self.awaits[which] {
                    let repeated = std::mem::replace(&mut self.shown[awaited], true);
                    order.push((awaited, Some(next), repeated));
                }
            }
            next += 1;
        }
        let mut nodes: Vec<_> = order
            .iter()
            .map(|&(which, _, repeated)| Some(Node::new(&self.tasks[which], repeated)))
            .collect();
        // Those further down stand further back. Their parents get them in reverse.
        for place in (1..nodes.len()).rev() {
            if let (Some(node), Some(parent)) = (nodes[place].take(), order[place].1)
                && let Some(parent) = &mut nodes[parent]
            {
                parent.awaits.push(node);
            }
        }
        let mut root = match nodes[0].take() {
            Some(root) => root,
            None => unreachable!("the root is below nobody"),
        };
        root.turn_around();
        root
    }
}

/// A task, and those that it waits for.
///
/// ```
/// use rasyncio::graph;
///
/// rasyncio::run(async {
///     let node = &graph::task_tree()[0];
///     assert!(node.to_string().contains("Task-1"));
/// });
/// ```
#[derive(Debug)]
pub struct Node {
    /// The task.
    pub task: AnyTask,
    /// What it is at.
    pub activity: Activity,
    /// It stands elsewhere in the tree as well, and what it waits for is told there.
    pub repeated: bool,
    /// What it waits for, as far as that is tasks.
    pub awaits: Vec<Node>,
}

impl Node {
    fn new(task: &AnyTask, repeated: bool) -> Node {
        Node {
            task: task.clone(),
            activity: task.activity(),
            repeated,
            awaits: Vec::new(),
        }
    }

    fn turn_around(&mut self) {
        let mut left = vec![self];
        while let Some(node) = left.pop() {
            node.awaits.reverse();
            left.extend(&mut node.awaits);
        }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.task.name();
        if name.starts_with("Task-") {
            write!(f, "{name}: ")?;
        } else {
            write!(f, "{name:?}: ")?;
        }
        if self.task.cancelling() > 0 {
            f.write_str("cancelling, ")?;
        }
        match self.activity {
            Activity::NotStarted => f.write_str("not started"),
            Activity::Running => f.write_str("running"),
            Activity::Ready => f.write_str("ready"),
            Activity::Waiting(Some(leaf)) => write!(f, "waits in {}", Place(leaf)),
            Activity::Waiting(None) => f.write_str("waits"),
            Activity::Ended => f.write_str("ended"),
        }?;
        write!(f, ", created at {}", self.task.created_at())?;
        f.write_str(if self.repeated {
            " (see elsewhere)\n"
        } else {
            "\n"
        })
    }
}

/// The tree below this task, a line for each.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(f)?;
        let mut prefix = String::new();
        let mut levels = vec![self.awaits.iter()];
        while let Some(level) = levels.last_mut() {
            let Some(node) = level.next() else {
                levels.pop();
                // The root's level has no part of the prefix.
                prefix.truncate(prefix.char_indices().rev().nth(3).map_or(0, |(at, _)| at));
                continue;
            };
            let is_last = level.as_slice().is_empty();
            f.write_str(&prefix)?;
            f.write_str(if is_last { "└── " } else { "├── " })?;
            node.line(f)?;
            prefix.push_str(if is_last { "    " } else { "│   " });
            levels.push(node.awaits.iter());
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Without recursion, as above.
        let mut left = std::mem::take(&mut self.awaits);
        while let Some(mut node) = left.pop() {
            left.append(&mut node.awaits);
        }
    }
}

/// A place in a source: a module of this crate by its path, another file by its name and line.
struct Place(&'static Location<'static>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let module = file!()
            .strip_suffix("graph.rs")
            .and_then(|sources| self.0.file().strip_prefix(sources))
            .and_then(|file| file.strip_suffix(".rs"));
        match module {
            Some(module) => write!(f, "rasyncio::{}", module.replace(['/', '\\'], "::")),
            None => self.0.fmt(f),
        }
    }
}
