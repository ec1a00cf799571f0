//! A job is run once, or dropped once.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rasyncio_engine::{Flow, Job};

#[test]
fn running_a_job_consumes_it() {
    let token = Rc::new(Cell::new(0));
    let inner = Rc::clone(&token);
    let job = Job::from_fn(move || inner.set(inner.get() + 1));
    assert_eq!(Rc::strong_count(&token), 2);
    assert_eq!(job.run(), Flow::Continue);
    assert_eq!((token.get(), Rc::strong_count(&token)), (1, 1));
}

#[test]
fn dropping_a_job_does_not_run_it() {
    let token = Rc::new(Cell::new(0));
    let inner = Rc::clone(&token);
    drop(Job::from_fn(move || inner.set(inner.get() + 1)));
    assert_eq!((token.get(), Rc::strong_count(&token)), (0, 1));
}

#[test]
fn clones_share_the_closure_until_the_last_is_gone() {
    let token = Rc::new(Cell::new(0));
    let inner = Rc::clone(&token);
    let job = Job::from_fn_mut(move || inner.set(inner.get() + 1));
    job.clone().run();
    job.clone().run();
    drop(job.clone());
    assert_eq!((token.get(), Rc::strong_count(&token)), (2, 2));
    job.run();
    assert_eq!((token.get(), Rc::strong_count(&token)), (3, 1));
}

#[test]
fn a_closure_for_once_runs_once_among_all_clones() {
    let token = Rc::new(Cell::new(0));
    let inner = Rc::clone(&token);
    let job = Job::from_fn(move || inner.set(inner.get() + 1));
    job.clone().run();
    job.run();
    assert_eq!(token.get(), 1);
}

#[test]
fn a_closure_that_runs_itself_finds_nothing_to_run() {
    let own: Rc<RefCell<Option<Job>>> = Rc::default();
    let (inner, count) = (Rc::clone(&own), Rc::new(Cell::new(0)));
    let counter = Rc::clone(&count);
    let job = Job::from_fn_mut(move || {
        counter.set(counter.get() + 1);
        if let Some(job) = inner.take() {
            job.run();
        }
    });
    own.replace(Some(job.clone()));
    job.run();
    assert_eq!(count.get(), 1);
}

#[test]
fn a_job_can_be_taken_apart_and_put_together() {
    let token = Rc::new(());
    let inner = Rc::clone(&token);
    let job = Job::from_fn(move || drop(inner));
    let (data, vtable) = job.into_raw();
    assert_eq!(Rc::strong_count(&token), 2);
    // SAFETY: both come from one job, which is made of them once.
    let job = unsafe { Job::new(data, vtable) };
    assert_eq!(job.data(), data);
    drop(job);
    assert_eq!(Rc::strong_count(&token), 1);
}
