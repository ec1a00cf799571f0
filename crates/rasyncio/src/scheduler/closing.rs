//! The end of a scheduler.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::errors::JobError;
use super::job::AnyJob;
use super::{Scheduler, Shared};
use crate::exceptions::Cancelled;
use crate::locks::line::Ticket;
use crate::tasks::{AnyTask, Ended, gather_iter};
use crate::timeouts::wait_for;

impl Shared {
    fn is_idle(&self) -> bool {
        self.state.is_empty() && self.shields.is_empty()
    }

    pub(super) fn wake_if_idle(&self) {
        if self.is_idle() {
            let Ok(_) = self.waiting.wake(usize::MAX);
        }
    }
}

impl Scheduler {
    /// Ends all jobs and shielded tasks (aiojobs' `Scheduler.close`): no more are spawned,
    /// pending ones never start, and the others are asked to end. One that has not after the
    /// [`close_timeout`](super::Builder::close_timeout) is asked again, and when it has ended the
    /// exception handler is told.
    ///
    /// Does nothing if the scheduler is closed.
    ///
    /// # Errors
    ///
    /// If who closes it is cancelled. The jobs were asked to end, but perhaps have not.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rasyncio::scheduler::Scheduler;
    /// use rasyncio::sleep;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let job = scheduler.spawn(sleep(Duration::from_secs(3600))).await?;
    ///     scheduler.close().await?;
    ///     assert!(job.closed());
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn close(&self) -> Result<(), Cancelled> {
        let state = &self.shared.state;
        if state.is_closed() {
            return Ok(());
        }
        let Ok(()) = state.close();
        let shields: Vec<_> = self.shared.shields.places().map(|at| at.get()).collect();
        for task in &shields {
            task.cancel();
        }
        let timeout = self.shared.close_timeout;
        let jobs = state.jobs().into_iter().map(|job| {
            let scheduler = self.clone();
            Box::pin(async move { scheduler.close_job(&job, timeout).await }) as Closing
        });
        let shields = shields
            .into_iter()
            .map(|task| Box::pin(close_shielded(task, timeout)) as Closing);
        gather_iter(jobs.chain(shields)).return_exceptions().await?;
        state.take().for_each(drop);
        Ok(())
    }

    /// Waits until there are no jobs and no shielded tasks, up to `timeout` or, if that is `None`,
    /// the [`wait_timeout`](super::Builder::wait_timeout); then [closes](Scheduler::close)
    /// (aiojobs' `Scheduler.wait_and_close`). Jobs may spawn others meanwhile.
    ///
    /// # Errors
    ///
    /// If who waits is cancelled. If that is before the closing, the scheduler stays open.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let mut job = scheduler.spawn(async { 42 }).await?;
    ///     scheduler.wait_and_close(None).await?;
    ///     assert_eq!(job.wait(None).await?, 42);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn wait_and_close(
        &self,
        timeout: impl Into<Option<Duration>>,
    ) -> Result<(), Cancelled> {
        let timeout = timeout.into().or(self.shared.wait_timeout);
        // If the time is over, closing is what is to be done about it.
        if let Ok(Err(cancelled)) = wait_for(self.idle(), timeout).await {
            return Err(cancelled);
        }
        self.close().await
    }

    /// Awaits `body`, and then [`wait_and_close`](Scheduler::wait_and_close) (aiojobs' `async
    /// with scheduler:`).
    ///
    /// # Errors
    ///
    /// As for `wait_and_close`.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let job = scheduler.within(scheduler.spawn(async { 5 })).await.unwrap();
    ///     assert!(scheduler.closed());
    ///     assert_eq!(job.unwrap().wait(None).await.unwrap(), 5);
    /// });
    /// ```
    pub async fn within<F: Future>(&self, body: F) -> Result<F::Output, Cancelled> {
        let output = body.await;
        self.wait_and_close(None).await?;
        Ok(output)
    }

    async fn close_job(&self, job: &AnyJob, timeout: Option<Duration>) {
        if let Err(JobError::TimedOut) = job.close_within(timeout).await
            && !job.core().explicit.get()
        {
            self.report("Job closing timed out", job, None);
        }
    }

    async fn idle(&self) -> Result<(), Cancelled> {
        while !self.shared.is_idle() {
            let idle = Idle {
                shared: &self.shared,
                ticket: None,
            };
            idle.await?;
        }
        Ok(())
    }
}

type Closing = Pin<Box<dyn Future<Output = ()>>>;

/// Waits for a task that was asked to end, and asks it again when its time is over.
async fn close_shielded(task: AnyTask, timeout: Option<Duration>) {
    let _ = wait_for(Ended::new(task), timeout).await;
}

/// Waits until there are neither jobs nor shielded tasks.
struct Idle<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl Future for Idle<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let waiting = &this.shared.waiting;
        match this.ticket {
            Some(ticket) => Poll::Ready(ready!(waiting.poll_woken(ticket, cx))),
            None => {
                this.ticket = Some(waiting.suspend(cx));
                Poll::Pending
            }
        }
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            drop(self.shared.waiting.leave(ticket));
        }
    }
}
