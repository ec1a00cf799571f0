//! A blocking call stops everything; three ways out.
//!
//! While one task computes or sleeps the blocking way, no other task runs and every timer is late.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use rasyncio::{
    Cancelled, TaskError, create_task, events, run_in_executor, sleep, to_thread, yield_now,
};

const LONG: Duration = Duration::from_millis(100);
const SHORT: Duration = Duration::from_millis(10);

async fn heartbeat(beats: Rc<Cell<u32>>) -> Result<(), Cancelled> {
    loop {
        sleep(SHORT).await?;
        beats.set(beats.get() + 1);
    }
}

async fn work(way: &str) -> Result<(), TaskError> {
    match way {
        "blocks" => thread::sleep(LONG),
        "in_a_thread" => to_thread(|| thread::sleep(LONG)).await?,
        "in_an_executor" => run_in_executor(None, || thread::sleep(LONG)).await?,
        _ => {
            // Work that cannot go elsewhere can at least make room in between.
            for _ in 0..10 {
                thread::sleep(SHORT);
                yield_now().await?;
            }
        }
    }
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), TaskError> {
    for way in ["blocks", "in_a_thread", "in_an_executor", "in_slices"] {
        let beats = Rc::new(Cell::new(0));
        let task = create_task(heartbeat(beats.clone()));
        yield_now().await?;
        work(way).await?;
        println!("{way:15} the others ran meanwhile: {}", beats.get() > 0);
        task.cancel();
    }

    println!("late, not lost:");
    let timer = create_task(async {
        sleep(SHORT).await?;
        Ok::<_, Cancelled>("a timer of 10 ms")
    });
    yield_now().await?;
    let start = events::time();
    thread::sleep(Duration::from_millis(50));
    let timer = timer.await??;
    let late = events::time() - start >= Duration::from_millis(50);
    println!("   {timer} came after the block: {late}");
    Ok(())
}
