//! The life of a task: pending, then finished, failed or cancelled.
//!
//! `result()` answers for a finished task only, and as often as it is asked; awaiting the task takes the
//! output out. An error is an output, too. Only a cancellation, and a panic, are the task's own.

use std::fmt::Debug;
use std::time::Duration;

use rasyncio::tasks::Builder;
use rasyncio::{Cancelled, Task, TaskError, sleep, wait, yield_now};

type Outcome = Result<&'static str, LookupError>;

#[derive(Debug)]
struct LookupError(#[expect(dead_code, reason = "it is printed")] &'static str);

impl From<Cancelled> for LookupError {
    fn from(_: Cancelled) -> LookupError {
        LookupError("a cancellation, which the task drops")
    }
}

async fn succeed() -> Outcome {
    yield_now().await?;
    Ok("fine")
}

async fn fail() -> Outcome {
    yield_now().await?;
    Err(LookupError("nothing there"))
}

async fn hang() -> Outcome {
    sleep(Duration::from_secs(3600)).await?;
    Ok("never")
}

fn show(what: impl Debug) -> String {
    format!("{what:?}")
}

fn result(task: &Task<Outcome>) -> String {
    match task.result() {
        None => "InvalidStateError: Result is not set.".to_owned(),
        Some(Ok(Ok(value))) => show(value),
        Some(Ok(Err(error))) => format!("raised {error:?}"),
        Some(Err(TaskError::Cancelled(_))) => "CancelledError".to_owned(),
        Some(Err(TaskError::Panicked(panic))) => format!("raised {panic}"),
    }
}

fn exception(task: &Task<Outcome>) -> String {
    match task.result() {
        None => "InvalidStateError: Exception is not set.".to_owned(),
        Some(Ok(outcome)) => outcome.as_ref().err().map_or("None".to_owned(), show),
        Some(Err(TaskError::Cancelled(_))) => "CancelledError".to_owned(),
        Some(Err(TaskError::Panicked(panic))) => show(panic),
    }
}

fn report(task: &Task<Outcome>) {
    let (name, done, cancelled) = (task.name(), task.done(), task.cancelled());
    println!("  {name:9} done={done} cancelled={cancelled}");
    println!("    result:    {}", result(task));
    println!("    exception: {}", exception(task));
}

#[rasyncio::main]
async fn main() -> Result<(), Cancelled> {
    let tasks = [
        Builder::new().name("succeed").create_task(succeed()),
        Builder::new().name("fail").create_task(fail()),
        Builder::new().name("hang").create_task(hang()),
    ];

    println!("at birth:");
    tasks.iter().for_each(report);

    yield_now().await?;
    println!("cancel() asks a waiting task: {}", tasks[2].cancel());
    wait(&tasks).await?;

    println!("at the end:");
    tasks.iter().for_each(report);
    println!("cancel() cannot change what is over: {}", tasks[0].cancel());
    Ok(())
}
