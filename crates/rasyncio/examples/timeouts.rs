//! `timeout` and `timeout_at`: a limit for a piece of code.
//!
//! The code is cancelled when its time is up, and the cancellation becomes `TimeoutError` at its
//! end. The limit can be moved while the code runs.

use std::cell::Cell;
use std::time::Duration;

use rasyncio::timeouts::Timeout;
use rasyncio::{Cancelled, create_task, events, sleep, timeout, timeout_at, wait, yield_now};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(10);

type Outcome = Result<(), Box<dyn std::error::Error>>;

async fn too_long() {
    println!("too long:");
    let limit = Timeout::new(MOMENT);
    let ended = limit.run(async {
        if sleep(HOUR).await.is_err() {
            println!("  inside it is a CancelledError");
        }
    });
    if ended.await.is_err() {
        println!("  outside a TimeoutError; expired: {}", limit.expired());
    }
}

async fn in_time() -> Outcome {
    let limit = Timeout::new(Duration::from_secs(5));
    limit.run(sleep(MOMENT)).await??;
    println!("in time; expired: {}", limit.expired());
    Ok(())
}

async fn moved() -> Outcome {
    let limit = Timeout::new(None);
    let body = async {
        println!("no limit yet: {:?}", limit.when());
        limit.reschedule(events::time() + Duration::from_secs(60))?;
        println!("limit set: {}", limit.when() > Some(events::time()));
        yield_now().await?;
        limit.reschedule(None)?;
        println!("taken away: {:?}", limit.when());
        Ok(())
    };
    limit.run(body).await?
}

async fn nested() {
    println!("nested, the outer one first:");
    let inner = async {
        if timeout(HOUR, sleep(2 * HOUR)).await.is_err() {
            println!("  never shown");
        }
    };
    if timeout(MOMENT, inner).await.is_err() {
        println!("  the outer one expired");
    }
}

async fn at_a_moment() {
    let deadline = events::time() + Duration::from_millis(300);
    let steps = Cell::new(0);
    let body = async {
        loop {
            sleep(Duration::from_millis(200)).await?;
            steps.set(steps.get() + 1);
        }
        #[allow(unreachable_code, reason = "it says what `?` gives")]
        Ok::<(), Cancelled>(())
    };
    if timeout_at(deadline, body).await.is_err() {
        println!("one deadline for several waits; steps: {}", steps.get());
    }
}

async fn cancelled_by_somebody_else() -> Outcome {
    let task = create_task(timeout(HOUR, sleep(2 * HOUR)));
    yield_now().await?;
    task.cancel();
    wait([&task]).await?;
    println!(
        "a cancellation from elsewhere stays one: {}",
        task.cancelled()
    );
    Ok(())
}

#[rasyncio::main]
async fn main() -> Outcome {
    too_long().await;
    in_time().await?;
    moved().await?;
    nested().await;
    at_a_moment().await;
    cancelled_by_somebody_else().await
}
