//! Errors count as asyncio's exceptions do, for tasks that resolve to a `Result`.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rasyncio::tasks::Builder;
use rasyncio::{Cancelled, ReturnWhen, Task, create_task, events, sleep, wait, yield_now};

fn reports() -> Rc<RefCell<Vec<String>>> {
    let reports: Rc<RefCell<Vec<String>>> = Rc::default();
    events::set_exception_handler({
        let reports = reports.clone();
        move |context| reports.borrow_mut().push(context.to_string())
    });
    reports
}

async fn fails_after(seconds: u64) -> Result<u64, String> {
    sleep(Duration::from_secs(seconds)).await.unwrap();
    Err(format!("failed after {seconds}"))
}

async fn ends_after(seconds: u64) -> Result<u64, String> {
    sleep(Duration::from_secs(seconds)).await.unwrap();
    Ok(seconds)
}

#[rasyncio::test]
async fn an_error_of_a_dropped_task_is_told_at_once() {
    let reports = reports();
    drop(create_task!(fails_after(1), name = "saver"));
    sleep(Duration::from_secs(2)).await.unwrap();
    assert_eq!(
        reports.take(),
        [r#"Task exception was never retrieved: task "saver": failed after 1"#]
    );
}

#[rasyncio::test]
async fn an_error_that_nobody_has_looked_at_is_told_when_the_task_is_dropped() {
    let reports = reports();
    let task = create_task!(fails_after(1));
    sleep(Duration::from_secs(2)).await.unwrap();
    assert!(task.done() && reports.borrow().is_empty());
    drop(task);
    assert_eq!(
        reports.take(),
        [r#"Task exception was never retrieved: task "Task-2": failed after 1"#]
    );
}

#[rasyncio::test]
async fn an_error_that_somebody_has_awaited_is_his() {
    let reports = reports();
    assert_eq!(
        create_task!(fails_after(1)).await.unwrap(),
        Err("failed after 1".to_owned())
    );
    drop(create_task!(ends_after(1)));
    sleep(Duration::from_secs(2)).await.unwrap();
    assert!(reports.borrow().is_empty());
}

#[rasyncio::test]
async fn a_panic_is_told_as_a_panic() {
    let reports = reports();
    drop(create_task!(async {
        if true {
            panic!("oops")
        }
        Ok::<(), String>(())
    }));
    yield_now().await.unwrap();
    assert_eq!(
        reports.take(),
        [r#"Task panic was never retrieved: task "Task-2": panicked: oops"#]
    );
}

#[rasyncio::test]
async fn a_cancellation_is_no_error_whatever_carries_it() {
    let reports = reports();
    drop(create_task!(async { Err::<(), _>(Cancelled::new()) }));
    drop(create_task!(async {
        Err::<(), _>(io::Error::from(Cancelled::new()))
    }));
    drop(create_task!(async {
        Err::<(), Box<dyn std::error::Error>>(Cancelled::new().into())
    }));
    drop(create_task!(async {
        Err::<(), _>(rasyncio::TaskError::from(Cancelled::new()))
    }));
    let task = create_task!(fails_after(1));
    task.cancel();
    drop(task);
    sleep(Duration::from_secs(2)).await.unwrap();
    assert!(reports.borrow().is_empty(), "{reports:?}");
}

#[rasyncio::test]
async fn what_is_no_result_is_an_output_like_others() {
    let reports = reports();
    struct NoText;
    assert_eq!(create_task!(async { 1 }).await.unwrap(), 1);
    drop(create_task!(async { Err::<(), _>(NoText) }));
    drop(create_task(fails_after(0)));
    sleep(Duration::from_secs(1)).await.unwrap();
    assert!(reports.borrow().is_empty());
}

#[rasyncio::test]
async fn the_macro_knows_where_it_stands() {
    let task = create_task!(async {});
    assert_eq!(task.created_at().line(), line!() - 1);
    let context = rasyncio::contextvars::Context::new();
    let task = create_task!(ends_after(0), name = String::from("a"), context = &context);
    assert_eq!(
        (task.name(), task.created_at().file()),
        ("a".to_owned(), file!())
    );
}

#[rasyncio::test]
async fn first_exception_is_an_error_of_a_task_that_was_made_to_be_looked_at() {
    let tasks = [
        create_task!(ends_after(1)),
        create_task!(fails_after(2)),
        create_task!(ends_after(3)),
    ];
    let (done, pending) = wait(&tasks)
        .return_when(ReturnWhen::FirstException)
        .await
        .unwrap();
    assert_eq!(
        (done, pending),
        (vec![&tasks[0], &tasks[1]], vec![&tasks[2]])
    );
}

#[rasyncio::test]
async fn it_may_be_of_tasks_of_several_types() {
    let failing = Builder::new().create_fallible_task(async { Err::<String, _>(5) });
    let other = create_task(sleep(Duration::from_secs(9)));
    let first = wait([&*failing, &*other]).return_when(ReturnWhen::FirstException);
    let (done, pending) = first.await.unwrap();
    assert_eq!((done, pending), (vec![&*failing], vec![&*other]));
    assert_eq!(failing.await.unwrap(), Err(5));
}

#[rasyncio::test]
async fn first_exception_looks_at_what_any_task_resolves_to() {
    let tasks: [Task<Result<u64, String>>; 3] = [
        create_task(ends_after(1)),
        create_task(fails_after(2)),
        create_task(ends_after(3)),
    ];
    let (done, pending) = wait(&tasks).first_exception().await.unwrap();
    assert_eq!((done.len(), pending.len()), (2, 1));
    // An error that has come before counts as well.
    let (done, pending) = wait(tasks).first_exception().await.unwrap();
    assert_eq!((done.len(), pending.len()), (2, 1));
}

#[rasyncio::test]
async fn first_exception_waits_for_all_if_all_end_well_or_cancelled() {
    let tasks = [
        create_task(ends_after(1)),
        create_task(ends_after(2)),
        create_task(ends_after(3)),
    ];
    tasks[0].cancel();
    let (done, pending) = wait(&tasks).first_exception().await.unwrap();
    assert_eq!((done.len(), pending.len()), (3, 0));
    assert_eq!(events::time(), Duration::from_secs(3));
}

#[rasyncio::test]
async fn first_exception_may_be_a_panic() {
    let tasks = [
        create_task(ends_after(3)),
        create_task(async { panic!("oops") }),
    ];
    let (done, pending) = wait(&tasks).first_exception().await.unwrap();
    assert_eq!((done.len(), pending.len()), (1, 1));
}
