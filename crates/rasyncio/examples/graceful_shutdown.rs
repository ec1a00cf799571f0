//! Ending in good order.
//!
//! SIGTERM sets an event. The workers finish the item in hand, within a limit; then resources are
//! closed in the order opposite to their opening.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::queues::GetError;
use rasyncio::signals::add_signal_handler;
use rasyncio::{
    Event, Queue, create_task, events, gather_iter, shield, sleep, wait_for, yield_now,
};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[derive(Default)]
struct Work {
    queue: Queue<u32>,
    finished: RefCell<Vec<u32>>,
}

async fn with_resource(name: &str, body: impl Future<Output = Outcome>) -> Outcome {
    println!("open {name}");
    let outcome = body.await;
    yield_now().await?;
    println!("close {name}");
    outcome
}

async fn worker(work: Rc<Work>) -> Result<(), GetError> {
    loop {
        let item = work.queue.get().await?;
        // From here to the end the item is ours: a stop has to wait.
        let _ = shield(sleep(Duration::from_millis(50))).await;
        work.finished.borrow_mut().push(item);
        work.queue.task_done().expect("one for each item");
    }
}

async fn serve(stop: Rc<Event>) -> Outcome {
    let work = Rc::new(Work::default());
    for item in 0..3 {
        work.queue.put_nowait(item)?;
    }
    let workers: Vec<_> = (0..3).map(|_| create_task(worker(work.clone()))).collect();

    events::call_later(Duration::from_millis(10), || {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)
            .expect("one may signal oneself");
    });
    stop.wait().await?;
    let finished = work.finished.borrow().clone();
    println!("asked to stop; finished so far: {finished:?}");

    wait_for(work.queue.join(), Duration::from_secs(5)).await??;
    for task in &workers {
        task.cancel();
    }
    gather_iter(workers).return_exceptions().await?;
    work.finished.borrow_mut().sort();
    let finished = work.finished.borrow();
    println!("workers are gone; finished: {finished:?}");
    Ok(())
}

#[rasyncio::main]
async fn main() -> Outcome {
    let stop = Rc::new(Event::new());
    add_signal_handler(libc::SIGTERM, {
        let stop = stop.clone();
        move || stop.set()
    })?;
    with_resource("database", with_resource("cache", serve(stop))).await?;
    println!("good bye");
    Ok(())
}
