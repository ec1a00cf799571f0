//! Ctrl-C: the main task is cancelled, cleans up, and the run answers that it was interrupted.
//!
//! The program sends itself the signal that a terminal sends for Ctrl-C.

use std::time::Duration;

use rasyncio::runners::run_interruptible;
use rasyncio::{Cancelled, RunError, create_task, current_task, events, sleep};
use rustix::process::{Signal, getpid, kill_process};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(10);

fn ctrl_c() {
    kill_process(getpid(), Signal::INT).expect("one may signal oneself");
}

async fn background() {
    if sleep(HOUR).await.is_err() {
        println!("  background task cleans up");
    }
}

async fn work() -> Result<(), Cancelled> {
    create_task(background());
    events::call_later(MOMENT, ctrl_c);
    println!("  working");
    let slept = sleep(HOUR).await;
    if slept.is_err() {
        println!("  main is cancelled and may await its clean-up");
        sleep(MOMENT).await?;
    }
    slept
}

async fn refuses() -> &'static str {
    events::call_later(MOMENT, ctrl_c);
    if sleep(HOUR).await.is_err()
        && let Some(me) = current_task()
    {
        // Taken back: the answer counts.
        me.uncancel();
    }
    "it had a result to save"
}

/// Whether Ctrl-C does what it does to any program.
fn is_default() -> bool {
    // SAFETY: it only asks, and all zero is an action.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(libc::SIGINT, std::ptr::null(), &mut action);
        action.sa_sigaction == libc::SIG_DFL
    }
}

fn main() -> Result<(), RunError> {
    println!("the usual way:");
    if let Err(RunError::Interrupted) = run_interruptible(work()) {
        println!("  KeyboardInterrupt");
    }

    println!("main returns all the same:");
    println!("   {}", run_interruptible(refuses())?);

    println!("the handler from before is back: {}", is_default());
    Ok(())
}
