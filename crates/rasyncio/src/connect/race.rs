//! Several attempts, the later ones while the earlier ones go on (asyncio's `staggered_race`).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::exceptions::Cancelled;
use crate::tasks::{Sleep, sleep};

/// Begins an attempt with each, when the one before has failed or `delay` is over; without one, when
/// it has failed. Answers what the first one that succeeds gives, and drops the others; or all
/// errors, in the order in which they came. There must be something to try.
///
/// # Errors
///
/// A cancellation.
pub(super) async fn race<A, T, F>(
    tries: Vec<A>,
    delay: Option<Duration>,
    attempt: impl Fn(A) -> F,
) -> io::Result<Result<T, Vec<io::Error>>>
where
    F: Future<Output = io::Result<T>>,
{
    let mut rest = tries.into_iter();
    let mut running: Vec<(usize, Pin<Box<F>>)> = Vec::new();
    let mut begun = 0;
    let mut errors = Vec::new();
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    let mut next = true;
    poll_fn(move |cx| {
        loop {
            if std::mem::take(&mut next)
                && let Some(to) = rest.next()
            {
                begun += 1;
                running.push((begun, Box::pin(attempt(to))));
                timer = delay.map(|delay| Box::pin(sleep(delay)));
            }
            let mut place = 0;
            while let Some((number, future)) = running.get_mut(place) {
                match future.as_mut().poll(cx) {
                    Poll::Pending => place += 1,
                    Poll::Ready(Ok(done)) => return Poll::Ready(Ok(Ok(done))),
                    Poll::Ready(Err(error)) if Cancelled::of(&error).is_some() => {
                        return Poll::Ready(Err(error));
                    }
                    Poll::Ready(Err(error)) => {
                        errors.push(error);
                        next |= *number == begun;
                        drop(running.remove(place));
                    }
                }
            }
            if !next
                && let Some(sleeping) = &mut timer
                && let Poll::Ready(slept) = sleeping.as_mut().poll(cx)
            {
                timer = None;
                slept?;
                next = true;
            }
            if running.is_empty() && rest.len() == 0 {
                return Poll::Ready(Ok(Err(std::mem::take(&mut errors))));
            }
            if !next || rest.len() == 0 {
                return Poll::Pending;
            }
        }
    })
    .await
}
