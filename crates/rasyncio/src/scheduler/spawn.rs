//! Spawning jobs, and what follows when one has ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::errors::SpawnError;
use super::job::{AnyJob, Job};
use super::member::Typed;
use super::state::{Admission, AdmitError};
use super::{Scheduler, Shared};
use crate::events;
use crate::exceptions::Cancelled;
use crate::locks::line::Ticket;

impl Scheduler {
    /// Runs `future` as a job (aiojobs' `Scheduler.spawn`): at once, or later if there are as many
    /// active jobs as may be. If there are as many pending ones as may be too, it waits until
    /// that changes.
    ///
    /// # Errors
    ///
    /// See [`SpawnError`].
    ///
    /// # Panics
    ///
    /// If no loop is running.
    ///
    /// ```
    /// use rasyncio::scheduler::{Builder, SpawnError};
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Builder::new().limit(1).build();
    ///     let one = scheduler.spawn(async { 1 }).await?;
    ///     let mut two = scheduler.spawn(async { 2 }).await?;
    ///     assert!(one.active() && two.pending());
    ///     assert_eq!(two.wait(None).await.unwrap(), 2);
    ///     assert!(one.closed());
    ///     Ok::<_, SpawnError>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn spawn<F>(&self, future: F) -> Result<Job<F::Output>, SpawnError>
    where
        F: Future + 'static,
    {
        self.spawn_as(None, future).await
    }

    /// [`spawn`](Scheduler::spawn) with a name for the job and its task (the `name` of aiojobs'
    /// `Scheduler.spawn`).
    ///
    /// # Errors
    ///
    /// As for `spawn`.
    ///
    /// ```
    /// use rasyncio::scheduler::Scheduler;
    ///
    /// rasyncio::run(async {
    ///     let scheduler = Scheduler::new();
    ///     let mut job = scheduler.spawn_named("answer", async { 42 }).await?;
    ///     assert_eq!(job.name().as_deref(), Some("answer"));
    ///     assert_eq!(job.wait(None).await?, 42);
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// })
    /// .unwrap();
    /// ```
    pub async fn spawn_named<F>(
        &self,
        name: impl Into<Box<str>>,
        future: F,
    ) -> Result<Job<F::Output>, SpawnError>
    where
        F: Future + 'static,
    {
        self.spawn_as(Some(name.into()), future).await
    }

    async fn spawn_as<F>(
        &self,
        name: Option<Box<str>>,
        future: F,
    ) -> Result<Job<F::Output>, SpawnError>
    where
        F: Future + 'static,
    {
        let state = &self.shared.state;
        let job = Job::new(Typed::new(&self.shared, name));
        let mut waited = false;
        loop {
            match state.admit((*job).clone(), waited) {
                Ok(Admission::Start(any)) => {
                    job.typed()
                        .start_with(move |builder| builder.create_task(future));
                    if !job.closed() {
                        state.list(any);
                    }
                    return Ok(job);
                }
                Ok(Admission::Pending(_)) => {
                    job.typed()
                        .set_starter(Box::new(move |builder| builder.create_task(future)));
                    return Ok(job);
                }
                Ok(Admission::Wait(_)) => {
                    let wait = Wait {
                        shared: &self.shared,
                        ticket: None,
                    };
                    wait.await?;
                    waited = true;
                }
                Err(AdmitError::Closed(_)) => return Err(SpawnError::Closed),
                Err(AdmitError::Failed(never)) => match never {},
            }
        }
    }

    /// A job has ended: pending ones may start.
    pub(super) fn ended(&self, job: &AnyJob) {
        let state = &self.shared.state;
        state.remove(job);
        // What can start no more stays pending, and goes with the scheduler.
        while events::is_open()
            && let Ok(Some(job)) = state.next_to_start()
        {
            job.start();
        }
        self.shared.wake_if_idle();
    }

    /// A pending job will never start.
    pub(super) fn withdraw(&self, job: &AnyJob) {
        let state = &self.shared.state;
        let Ok(_) = state.withdraw(job);
        state.remove(job);
        self.shared.wake_if_idle();
    }
}

/// Waits until there may be room for one more pending job.
struct Wait<'a> {
    shared: &'a Shared,
    ticket: Option<Ticket>,
}

impl Wait<'_> {
    fn give_up(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let state = &self.shared.state;
            let woken = state.spawners().is_woken(ticket);
            let Ok(()) = state.spawner_gave_up(ticket, woken);
        }
    }
}

impl Future for Wait<'_> {
    type Output = Result<(), Cancelled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let spawners = this.shared.state.spawners();
        let Some(ticket) = this.ticket else {
            this.ticket = Some(spawners.suspend(cx));
            return Poll::Pending;
        };
        let woken = ready!(spawners.poll_woken(ticket, cx));
        match &woken {
            // Who was woken has left the line.
            Ok(()) => this.ticket = None,
            Err(_) => this.give_up(),
        }
        Poll::Ready(woken)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.give_up();
    }
}
