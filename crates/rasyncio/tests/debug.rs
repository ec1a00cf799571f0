//! Debug mode, and errors that nobody awaits.

mod common;

use std::thread;
use std::time::Duration;

use common::Log;
use rasyncio::{create_task, events, tasks::Builder, yield_now};

fn slow() {
    thread::sleep(Duration::from_millis(3));
}

/// Debug mode, and a log of who was slow.
fn watched() -> Log {
    let log = Log::default();
    events::set_debug(true);
    events::set_slow_callback_duration(Duration::from_millis(2));
    let noting = log.clone();
    events::set_slow_callback_handler(move |slow| {
        assert!(slow.took >= Duration::from_millis(2));
        assert!(slow.created_at.file().ends_with("debug.rs"));
        noting.note(slow.task.map_or("callback".into(), |task| task.name()));
    });
    log
}

#[rasyncio::test]
async fn slow_steps_and_callbacks_are_told() {
    let log = watched();
    events::call_soon(slow);
    let task = Builder::new().name("twice").create_task(async {
        slow();
        yield_now().await.unwrap();
        yield_now().await.unwrap();
        slow();
    });
    task.await.unwrap();
    assert_eq!(log.take(), ["callback", "twice", "twice"]);
}

#[rasyncio::test]
async fn out_of_debug_mode_nothing_is_told() {
    let log = watched();
    assert!(events::get_debug());
    events::set_debug(false);
    events::set_slow_callback_duration(Duration::ZERO);
    assert!(!events::get_debug());
    create_task(async { slow() }).await.unwrap();
    assert!(log.take().is_empty());
}

#[rasyncio::test]
async fn an_error_is_told_if_asked_for() {
    let log = Log::default();
    let noting = log.clone();
    events::set_exception_handler(move |context| noting.note(context.to_string()));
    let task = |name, result: Result<(), &'static str>| {
        let builder = Builder::new().name(name);
        builder.create_task(async move { result })
    };
    task("fails", Err("no disk")).report_error();
    task("ends well", Ok(())).report_error();
    drop(task("keeps it to itself", Err("nobody hears me")));
    yield_now().await.unwrap();
    let ended = task("has failed", Err("before"));
    yield_now().await.unwrap();
    ended.report_error();
    let cancelled = task("is cancelled", Err("never"));
    cancelled.cancel();
    cancelled.report_error();
    yield_now().await.unwrap();
    let panics = create_task(async { panic!("at the disk") });
    let panics: rasyncio::Task<Result<(), &str>> = panics;
    panics.report_error();
    yield_now().await.unwrap();
    assert_eq!(
        log.take(),
        [
            "Task exception was never retrieved: task \"fails\": no disk",
            "Task exception was never retrieved: task \"has failed\": before",
            "Task panic was never retrieved: task \"Task-2\": panicked: at the disk",
        ]
    );
}
