//! The futures of this crate under a host that has tasks of its own kind: it polls them with its
//! own waker, in its own scope, and its requests are heard as a task's are.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rasyncio::runners::Host;
use rasyncio::scope::{Cancel, Requested, Scope, delivered, leave, suspend_on};
use rasyncio::{Cancelled, Event, TaskError, create_task, sleep, yield_now};
use rasyncio_engine::{Clock, EventLoop, PlainDriver, VirtualClock};

/// Counts how often it was woken.
#[derive(Default)]
struct Wakes(AtomicU32);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task of another kind.
struct Foreign<F> {
    scope: Scope,
    wakes: Arc<Wakes>,
    future: Pin<Box<F>>,
}

impl<F: Future> Foreign<F> {
    fn new(future: F) -> Foreign<F> {
        Foreign {
            scope: Scope::new(),
            wakes: Arc::default(),
            future: Box::pin(future),
        }
    }

    fn step(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(self.wakes.clone());
        let future = self.future.as_mut();
        self.scope
            .enter(|| future.poll(&mut Context::from_waker(&waker)))
    }

    fn was_woken(&self) -> bool {
        self.wakes.0.swap(0, Ordering::Relaxed) > 0
    }
}

#[test]
fn an_event_wakes_it() {
    let event = Event::new();
    let mut task = Foreign::new(event.wait());
    assert!(task.step().is_pending() && !task.was_woken());
    event.set();
    assert!(task.was_woken());
    assert_eq!(task.step(), Poll::Ready(Ok(())));
}

#[test]
fn its_request_is_delivered_at_the_event() {
    let event = Event::new();
    let mut task = Foreign::new(event.wait());
    assert!(task.step().is_pending());
    assert_eq!(task.scope.request(Cancelled::new()), Requested::Waiting);
    assert_eq!(task.step(), Poll::Ready(Err(Cancelled::new())));
    assert_eq!(task.scope.take_reason(), Some(Cancelled::new()));
}

#[test]
fn a_request_made_before_it_suspends_wakes_it_at_once() {
    let event = Event::new();
    let mut task = Foreign::new(event.wait());
    let _ = task.scope.request(Cancelled::new());
    assert!(task.step().is_pending() && task.was_woken());
    assert!(matches!(task.step(), Poll::Ready(Err(_))));
}

#[test]
fn it_sleeps_on_an_entered_loop() {
    let engine = EventLoop::with_clock(Clock::Virtual(VirtualClock::new())).unwrap();
    let host = Host::new(&engine);
    let mut task = Foreign::new(sleep(Duration::from_secs(1)));
    host.enter(&engine, || {
        assert!(task.step().is_pending());
        while !task.was_woken() {
            let Ok(_) = engine.turn(&mut PlainDriver);
        }
        assert_eq!(task.step(), Poll::Ready(Ok(())));
    });
}

#[test]
fn a_sleep_that_is_dropped_takes_its_timer_back() {
    let engine = EventLoop::new().unwrap();
    let host = Host::new(&engine);
    host.enter(&engine, || {
        let mut task = Foreign::new(sleep(Duration::from_secs(60)));
        assert!(task.step().is_pending());
        assert!(engine.next_timer().is_some());
        drop(task);
        assert!(engine.next_timer().is_none());
    });
}

#[test]
fn its_request_goes_to_the_task_that_it_awaits() {
    let engine = EventLoop::new().unwrap();
    let host = Host::new(&engine);
    host.enter(&engine, || {
        let inner = create_task(sleep(Duration::from_secs(60)));
        let mut task = Foreign::new(inner.into_future());
        assert!(task.step().is_pending());
        let Ok(_) = engine.turn(&mut PlainDriver);
        assert_eq!(task.scope.request(Cancelled::new()), Requested::Forwarded);
        while !task.was_woken() {
            let Ok(_) = engine.turn(&mut PlainDriver);
        }
        assert!(matches!(
            task.step(),
            Poll::Ready(Err(TaskError::Cancelled(_)))
        ));
    });
}

/// Something that can be cancelled, and notes it.
#[derive(Default)]
struct Job {
    asked: RefCell<Vec<Cancelled>>,
    refuses: Cell<bool>,
    ended: Cell<bool>,
}

impl Cancel for Job {
    fn cancel(&self, cancelled: &Cancelled) -> bool {
        self.asked.borrow_mut().push(cancelled.clone());
        !self.refuses.get()
    }
}

/// A leaf that waits for a [`Job`], as the documentation of `scope` has it.
async fn wait_for(job: Rc<Job>) -> Result<(), Cancelled> {
    let target: Rc<dyn Cancel> = job.clone();
    let ended = poll_fn(|_| {
        if job.ended.get() {
            return Poll::Ready(());
        }
        suspend_on(target.clone());
        Poll::Pending
    });
    ended.await;
    leave(&target);
    let asked = job.asked.borrow().first().cloned();
    match asked {
        Some(cancelled) => {
            delivered(&cancelled);
            Err(cancelled)
        }
        None => Ok(()),
    }
}

#[test]
fn a_leaf_of_its_own_gets_requests_at_once() {
    let job = Rc::new(Job::default());
    let mut task = Foreign::new(wait_for(job.clone()));
    assert!(task.step().is_pending());
    let reason = Cancelled::with_message("why");
    assert_eq!(task.scope.request(reason.clone()), Requested::Forwarded);
    assert_eq!(job.asked.borrow().first(), Some(&reason));
    job.ended.set(true);
    assert_eq!(task.step(), Poll::Ready(Err(reason.clone())));
    assert_eq!(task.scope.take_reason(), Some(reason));
}

#[test]
fn a_leaf_of_its_own_may_refuse_and_is_not_asked_again() {
    let job = Rc::new(Job::default());
    job.refuses.set(true);
    let mut task = Foreign::new(wait_for(job.clone()));
    assert!(task.step().is_pending());
    assert_eq!(task.scope.request(Cancelled::new()), Requested::Waiting);
    assert!(task.step().is_pending());
    assert_eq!(job.asked.borrow().len(), 1);
    assert!(task.scope.is_requested());
}

#[test]
fn outside_of_any_scope_the_futures_simply_are_not_cancelled() {
    let event = Event::new();
    let mut wait = pin!(event.wait());
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(wait.as_mut().poll(cx).is_pending());
    event.set();
    assert_eq!(wait.as_mut().poll(cx), Poll::Ready(Ok(())));
    let mut moment = pin!(yield_now());
    assert!(moment.as_mut().poll(cx).is_pending());
    assert_eq!(moment.as_mut().poll(cx), Poll::Ready(Ok(())));
}
