//! Tasks: futures that run on their own.
//!
//! How to make one, what a task is called, when it starts, and that its result can be had later.

use rasyncio::tasks::{Builder, IntoTask};
use rasyncio::{Cancelled, create_task, yield_now};

async fn greet(name: &'static str) -> Result<String, Cancelled> {
    println!("  hello from {name}");
    yield_now().await?;
    println!("  goodbye from {name}");
    Ok(name.to_uppercase())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let high_level = Builder::new()
        .name("named at birth")
        .create_task(greet("create_task"));
    let older = greet("ensure_future").into_task();
    let low_level = create_task(greet("loop.create_task"));
    older.set_name("named later");

    // Making a task does not run it: it starts when this one waits.
    println!("all made, none started");
    for task in [&high_level, &older] {
        println!("  name: {}", task.name());
    }

    println!("first turn");
    yield_now().await?;
    println!("second turn");
    let mut results = Vec::new();
    for task in [high_level, older, low_level] {
        results.push(task.await??);
        println!("  result: {}", results[results.len() - 1]);
    }

    println!("a result stays: {0} {0}", results[2]);
    // A task gives its output once; whoever needs it twice keeps it.
    let older = create_task(greet_silently());
    let name = older.name();
    println!(
        "ensure_future leaves a task as it is: {}",
        older.into_task().name() == name
    );
    Ok(())
}

async fn greet_silently() {}
