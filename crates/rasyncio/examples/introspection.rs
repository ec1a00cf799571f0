//! Who is running: current task, all tasks, names, and who waits where.

use std::rc::Rc;

use rasyncio::graph;
use rasyncio::tasks::Builder;
use rasyncio::{AnyTask, Cancelled, Event, all_tasks, current_task, wait, yield_now};

async fn inner(event: &Event) -> Result<(), Cancelled> {
    event.wait().await
}

async fn outer(event: Rc<Event>) -> Result<(), Cancelled> {
    inner(&event).await
}

/// The task's line of the picture, without the place in the source where it was created.
fn line_of(task: &AnyTask) -> String {
    let tree = graph::format_task_tree();
    let name = format!("\"{}\"", task.name());
    let line = tree.lines().find(|line| line.starts_with(&name));
    let line = line.and_then(|line| line.split_once(", created at"));
    line.map_or(name, |(line, _)| line.to_owned())
}

#[rasyncio::main]
async fn main() -> Result<(), Cancelled> {
    let me = current_task().expect("this is one");
    let names = |tasks: Vec<AnyTask>| {
        let mut names: Vec<_> = tasks.iter().map(AnyTask::name).collect();
        names.sort();
        names
    };
    println!("current task: {}", me.name());
    println!("all tasks:    {:?}", names(all_tasks()));

    let event = Rc::new(Event::new());
    let tasks = ["worker-0", "worker-1", "worker-2"]
        .map(|name| Builder::new().name(name).create_task(outer(event.clone())));
    yield_now().await?;
    println!("with workers: {:?}", names(all_tasks()));

    println!("where it waits:");
    println!("   {}", line_of(&tasks[0]));

    // Wait for everybody but oneself, for instance before leaving.
    event.set();
    let others: Vec<_> = all_tasks().into_iter().filter(|task| *task != me).collect();
    wait(&others).await?;
    println!("all ended: {}", others.iter().all(AnyTask::done));
    println!(
        "a task that has ended is not in all_tasks: {}",
        all_tasks() == [me]
    );
    Ok(())
}
