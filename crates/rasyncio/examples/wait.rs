//! `wait`: until all are done, until the first is, or until the first error.
//!
//! It gives two lists, never an error of the tasks, and cancels none of them.

use std::time::Duration;

use rasyncio::{AnyTask, ReturnWhen, Task, TaskError, create_task, sleep, wait};

type Outcome = Result<&'static str, String>;

async fn work(name: &'static str, delay: u64, fails: bool) -> Outcome {
    sleep(Duration::from_millis(delay))
        .await
        .map_err(|cancelled| cancelled.to_string())?;
    if fails {
        return Err(format!("ValueError('{name}')"));
    }
    Ok(name)
}

fn names<'a, T: AsRef<AnyTask> + 'a>(tasks: impl IntoIterator<Item = &'a T>) -> Vec<String> {
    let tasks = tasks.into_iter();
    let mut names: Vec<_> = tasks.map(|task| task.as_ref().name()).collect();
    names.sort();
    names
}

async fn show(what: &str, return_when: ReturnWhen) -> Result<(), TaskError> {
    println!("{what}");
    // `create_task!` looks at errors, so that they count for `FirstException`.
    let tasks: [Task<Outcome>; 3] = [
        create_task!(work("quick", 10, false), name = "quick"),
        create_task!(work("broken", 60, true), name = "broken"),
        create_task!(work("slow", 110, false), name = "slow"),
    ];
    let (done, pending) = wait(tasks).return_when(return_when).await?;
    println!("  done:    {:?}", names(&done));
    println!("  pending: {:?}", names(&pending));
    for task in done {
        if let Err(error) = task.await? {
            println!("  error:   {error}");
        }
    }

    // Who is pending is still running: wait again, or cancel.
    for task in &pending {
        task.cancel();
    }
    if !pending.is_empty() {
        wait(&pending).await?;
        let cancelled = names(pending.iter().filter(|task| task.cancelled()));
        println!("  cancelled: {cancelled:?}");
    }
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), TaskError> {
    show("FIRST_COMPLETED", ReturnWhen::FirstCompleted).await?;
    show("FIRST_EXCEPTION", ReturnWhen::FirstException).await?;
    show("ALL_COMPLETED", ReturnWhen::AllCompleted).await?;
    // Waiting for nothing is over at once, and what is no task is refused by the compiler.
    let (done, pending) = wait(Vec::<AnyTask>::new()).await?;
    assert!(done.is_empty() && pending.is_empty());
    Ok(())
}
