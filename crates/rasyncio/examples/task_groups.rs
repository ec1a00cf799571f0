//! Task groups: no task outlives the block that made it.
//!
//! The end of the block waits for all tasks. A task of the group may add more.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use rasyncio::tasks::Builder;
use rasyncio::{Cancelled, TaskGroup, sleep, yield_now};

type Found = Rc<RefCell<Vec<String>>>;

async fn crawl(group: TaskGroup, found: Found, page: String, depth: u32) -> Result<(), Cancelled> {
    yield_now().await?;
    found.borrow_mut().push(page.clone());
    if depth > 0 {
        for link in ['a', 'b'] {
            let next = crawl(
                group.clone(),
                found.clone(),
                format!("{page}{link}"),
                depth - 1,
            );
            group.create_task(next);
        }
    }
    Ok(())
}

async fn after<T>(milliseconds: u64, output: T) -> Result<T, Cancelled> {
    sleep(Duration::from_millis(milliseconds)).await?;
    Ok(output)
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("results:");
    let group = TaskGroup::new();
    let (first, second) = group
        .run(async {
            let first = Builder::new().name("first");
            let first = group.create_task_with(first, after(20, "one"));
            let second = group.create_task(after(10, "two"));
            println!(
                "  inside: {} {} {}",
                first.name(),
                first.done(),
                second.done()
            );
            Ok::<_, Cancelled>((first, second))
        })
        .await?;
    println!("  after:  {} {}", first.await?, second.await?);

    println!("tasks that make tasks:");
    let found = Found::default();
    let group = TaskGroup::new();
    group
        .run(async {
            group.create_task(crawl(group.clone(), found.clone(), "/".to_owned(), 2));
            Ok(())
        })
        .await?;
    println!("   {:?}", found.borrow());

    println!("nested groups:");
    let outer = TaskGroup::new();
    outer
        .run(async {
            outer.create_task(yield_now());
            let inner = TaskGroup::new();
            let body = async { Ok::<_, Cancelled>(inner.create_task(after(10, "inner"))) };
            let task = inner.run(body).await.map_err(|_| Cancelled::new())?;
            println!("   {} ended first", task.await?);
            Ok::<_, Cancelled>(())
        })
        .await?;

    std::panic::set_hook(Box::new(|_| {}));
    let late = catch_unwind(AssertUnwindSafe(|| group.create_task(yield_now())));
    if late.is_err() {
        println!("too late: is finished");
    }
    Ok(())
}
