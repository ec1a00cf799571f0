//! Fire and forget, done right: look at the result.
//!
//! The loop owns its tasks, so nobody has to keep a reference for a task to live on. What remains is
//! that an error should not get lost: here whoever starts a task in the background also sees to that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::{AnyTask, Cancelled, create_task, sleep, wait, yield_now};

#[derive(Default)]
struct Background {
    tasks: RefCell<BTreeMap<String, AnyTask>>,
    log: RefCell<Vec<String>>,
}

impl Background {
    fn start<F>(self: &Rc<Self>, future: F)
    where
        F: Future<Output = Result<String, String>> + 'static,
    {
        let background = self.clone();
        let task = create_task(async move {
            let name = rasyncio::current_task().map(|task| task.name());
            let line = match future.await {
                Ok(line) => line,
                Err(error) => format!("failed: {error}"),
            };
            background.log.borrow_mut().push(line);
            background
                .tasks
                .borrow_mut()
                .remove(&name.unwrap_or_default());
        });
        self.tasks.borrow_mut().insert(task.name(), (*task).clone());
    }
}

async fn send_mail(address: &'static str) -> Result<String, String> {
    let slept = sleep(Duration::from_millis(10)).await;
    slept.map_err(|cancelled| cancelled.to_string())?;
    match address.contains('@') {
        true => Ok(format!("sent to {address}")),
        false => Err(format!("ValueError('{address}')")),
    }
}

#[rasyncio::main]
async fn main() -> Result<(), Cancelled> {
    let background = Rc::new(Background::default());
    background.start(send_mail("ann@example.com"));
    background.start(send_mail("nowhere"));
    println!("in the background: {}", background.tasks.borrow().len());
    let tasks: Vec<_> = background.tasks.borrow().values().cloned().collect();
    wait(tasks).await?;
    yield_now().await?;
    println!("in the background: {}", background.tasks.borrow().len());
    let mut log = background.log.take();
    log.sort();
    for line in log {
        println!("   {line}");
    }
    Ok(())
}
