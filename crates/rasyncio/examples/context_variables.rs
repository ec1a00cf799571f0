//! Context variables: every task has its own copy.
//!
//! A task copies the context in which it was made. What it sets, nobody else sees, unless a context is
//! passed on purpose.

use rasyncio::contextvars::copy_context;
use rasyncio::{ContextVar, create_task, events, gather, yield_now};

static REQUEST: ContextVar<&str> = ContextVar::with_default("request", || "none");

fn set(name: &'static str) {
    let _never_reset = REQUEST.set(name);
}

fn request() -> &'static str {
    REQUEST.get().expect("it has a default")
}

async fn handle(name: &'static str) -> String {
    set(name);
    yield_now().await.expect("nobody cancels it");
    deep_inside().await
}

async fn deep_inside() -> String {
    // No argument was passed down here.
    format!("handled {}", request())
}

fn callback(label: &str) {
    println!("  {label}: {}", request());
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{:?}", gather([handle("one"), handle("two")]).await?);
    println!("here it is still: {}", request());

    set("main's");
    let task = create_task(deep_inside());
    set("changed later");
    println!("a task sees the moment of its birth: {}", task.await?);

    println!("callbacks:");
    events::call_soon(|| callback("as it is now"));
    let other = copy_context();
    other.run(|| set("another"));
    other.run(|| events::call_soon(|| callback("in a context of its own")));
    yield_now().await?;

    println!("a context shared on purpose:");
    let shared = copy_context();
    create_task!(handle("shared"), context = &shared).await?;
    println!("   {}", shared.run(request));
    Ok(())
}
