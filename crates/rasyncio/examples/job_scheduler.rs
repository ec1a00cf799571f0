//! A scheduler for background jobs: a concurrency limit, a queue, a clean end.
//!
//! Jobs above the limit wait for a place. Closing the scheduler gives the running jobs a little time, then
//! cancels them; their errors are reported, not lost. (For programs there is `rasyncio::scheduler`.)

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::tasks::Builder;
use rasyncio::{Cancelled, Task, TaskError, create_task, gather_iter, sleep, wait, yield_now};

type Outcome = Result<(), String>;
type Job = Pin<Box<dyn Future<Output = Outcome>>>;

struct Scheduler {
    limit: usize,
    close_timeout: Duration,
    running: RefCell<Vec<Task<()>>>,
    waiting: RefCell<VecDeque<(Job, &'static str)>>,
    closed: Cell<bool>,
}

impl Scheduler {
    fn new(limit: usize) -> Rc<Scheduler> {
        Rc::new(Scheduler {
            limit,
            close_timeout: Duration::from_millis(50),
            running: RefCell::default(),
            waiting: RefCell::default(),
            closed: Cell::new(false),
        })
    }

    fn spawn(
        self: &Rc<Self>,
        job: impl Future<Output = Outcome> + 'static,
        name: &'static str,
    ) -> Result<(), &'static str> {
        if self.closed.get() {
            return Err("scheduler is closed");
        }
        self.waiting.borrow_mut().push_back((Box::pin(job), name));
        self.start_waiting();
        Ok(())
    }

    async fn close(&self) -> Result<(), Cancelled> {
        self.closed.set(true);
        while let Some((_, name)) = self.waiting.borrow_mut().pop_front() {
            println!("  {name}: never started");
        }
        let running = self.running.take();
        let (_, late) = wait(running).timeout(self.close_timeout).await?;
        for task in &late {
            task.cancel();
        }
        gather_iter(late).return_exceptions().await?;
        Ok(())
    }

    fn start_waiting(self: &Rc<Self>) {
        while self.running.borrow().len() < self.limit {
            let Some((job, name)) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            let scheduler = self.clone();
            let inner = Builder::new().name(name).create_task(job);
            let task = create_task(async move {
                let ended = inner.await;
                scheduler.job_done(name, ended);
            });
            self.running.borrow_mut().push(task);
        }
    }

    fn job_done(self: &Rc<Self>, name: &str, ended: Result<Outcome, TaskError>) {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => println!("  {name}: job failed: {error}"),
            Err(TaskError::Cancelled(_)) => println!("  {name}: cancelled"),
            Err(TaskError::Panicked(panic)) => panic.resume(),
        }
        if !self.closed.get() {
            let current = rasyncio::current_task();
            let mut running = self.running.borrow_mut();
            running.retain(|task| Some(&**task) != current.as_ref());
            drop(running);
            self.start_waiting();
        }
    }
}

async fn job(name: &'static str, milliseconds: u64, error: Option<&str>) -> Outcome {
    println!("  {name}: starts");
    let slept = sleep(Duration::from_millis(milliseconds)).await;
    slept.map_err(|cancelled| cancelled.to_string())?;
    if let Some(error) = error {
        return Err(error.to_owned());
    }
    println!("  {name}: ends");
    Ok(())
}

#[rasyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scheduler = Scheduler::new(2);

    println!("three jobs, two places:");
    scheduler.spawn(job("A", 20, None), "A")?;
    scheduler.spawn(job("B", 60, None), "B")?;
    scheduler.spawn(job("C", 120, Some("ValueError('no good')")), "C")?;
    println!(
        "  running: {} waiting: {}",
        scheduler.running.borrow().len(),
        scheduler.waiting.borrow().len()
    );
    sleep(Duration::from_millis(250)).await?;

    println!("closing:");
    scheduler.spawn(job("D", 20, None), "D")?;
    scheduler.spawn(job("E", 3_600_000, None), "E")?;
    scheduler.spawn(job("F", 3_600_000, None), "F")?;
    yield_now().await?;
    scheduler.close().await?;
    if let Err(error) = scheduler.spawn(job("G", 0, None), "G") {
        println!("  refused: {error}");
    }
    Ok(())
}
