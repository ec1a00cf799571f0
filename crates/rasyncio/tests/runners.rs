//! Running programs, one after the other and on loops that somebody else turns.

mod common;

use std::rc::Rc;
use std::time::Duration;

use common::{Dropped, Log};
use rasyncio::contextvars::Context;
use rasyncio::runners::{Host, Runner};
use rasyncio::{
    AnyTask, ContextVar, RunError, Task, all_tasks, create_task, current_task, events, sleep,
    try_run, yield_now,
};
use rasyncio_engine::{EventLoop, PlainDriver};

#[test]
fn run_answers_what_main_resolves_to() {
    assert_eq!(rasyncio::run(async { 5 }), 5);
}

#[test]
fn main_may_borrow_from_the_caller() {
    let mut words = vec!["a"];
    rasyncio::run(async {
        yield_now().await.unwrap();
        words.push("b");
    });
    assert_eq!(words, ["a", "b"]);
}

#[test]
fn a_run_inside_a_run_is_refused() {
    rasyncio::run(async {
        assert!(matches!(try_run(async {}), Err(RunError::Nested)));
    });
}

#[test]
#[should_panic(expected = "rasyncio::run() cannot be called from a running event loop")]
fn a_run_inside_a_run_panics_with_the_reason() {
    rasyncio::run(async { rasyncio::run(async {}) });
}

#[test]
#[should_panic(expected = "no running event loop")]
fn a_task_needs_a_running_loop() {
    drop(create_task(async {}));
}

#[test]
fn at_the_end_other_tasks_are_cancelled_and_may_clean_up() {
    let log = Log::default();
    rasyncio::run({
        let log = log.clone();
        async move {
            drop(create_task(async move {
                assert!(sleep(Duration::from_secs(60)).await.is_err());
                sleep(Duration::from_millis(1)).await.unwrap();
                log.note("clean");
            }));
            yield_now().await.unwrap();
        }
    });
    assert_eq!(log.take(), ["clean"]);
}

#[test]
fn what_is_created_during_the_clean_up_is_dropped_unfinished() {
    let log = Log::default();
    rasyncio::run({
        let log = log.clone();
        async move {
            drop(create_task(async move {
                assert!(sleep(Duration::from_secs(60)).await.is_err());
                let guard = Dropped(log.clone(), "dropped");
                drop(create_task(async move {
                    let _guard = guard;
                    let _ = sleep(Duration::from_secs(60)).await;
                    log.note("ended");
                }));
            }));
            yield_now().await.unwrap();
        }
    });
    assert_eq!(log.take(), ["dropped"]);
}

#[test]
fn a_task_may_be_asked_about_after_its_loop_is_gone() {
    let (task, pending): (Task<i32>, AnyTask) = rasyncio::run(async {
        let task = create_task(async { 1 });
        let pending = create_task(sleep(Duration::from_secs(60)));
        yield_now().await.unwrap();
        (task, (*pending).clone())
    });
    assert!(pending.done() && pending.cancelled() && !pending.cancel());
    assert_eq!(rasyncio::run(async { task.await.unwrap() }), 1);
}

#[test]
fn tasks_go_on_from_run_to_run_of_a_runner() {
    let log = Log::default();
    let runner = Runner::new().unwrap();
    runner.run(async { drop(create_task(log.counting_turns(3))) });
    assert_eq!(log.take(), ["turn 1"]);
    runner.run(async {});
    assert!(!log.take().is_empty());
    assert_eq!(runner.run(async { all_tasks().len() }), 1);
}

#[test]
fn a_runner_that_is_dropped_cleans_its_tasks_up() {
    let log = Log::default();
    let runner = Runner::new().unwrap();
    runner.run({
        let log = log.clone();
        async move {
            drop(create_task(async move {
                let _ = sleep(Duration::from_secs(60)).await;
                yield_now().await.unwrap();
                log.note("clean");
            }));
            yield_now().await.unwrap();
        }
    });
    drop(runner);
    assert_eq!(log.take(), ["clean"]);
}

#[test]
fn the_runs_of_a_runner_share_a_context() {
    static VISITS: ContextVar<u32> = ContextVar::with_default("visits", || 0);
    let visit = || async {
        let _token = VISITS.set(VISITS.get().unwrap() + 1);
        VISITS.get().unwrap()
    };
    let runner = Runner::new().unwrap();
    let token = VISITS.set(10);
    assert_eq!((runner.run(visit()), runner.run(visit())), (11, 12));
    assert_eq!(runner.run_in(&Context::new(), visit()), 1);
    assert_eq!((runner.run(visit()), VISITS.get()), (13, Some(10)));
    VISITS.reset(token).unwrap();
    assert_eq!(runner.run(visit()), 14);
}

#[test]
fn a_loop_can_be_asked_before_during_and_after() {
    let runner = Runner::new().unwrap();
    let here = runner.get_loop();
    let state = || (here.is_running(), here.is_closed());
    assert_eq!(state(), (false, false));
    assert_eq!(runner.run(async { state() }), (true, false));
    assert_eq!(state(), (false, false));
    runner.enter(|| {
        // Entered twice, it is still entered when the inner one is over.
        runner.enter(|| ());
        assert!(here.is_running());
    });
    drop(runner);
    assert_eq!(state(), (false, true));
}

#[test]
fn a_loop_that_runs_forever_is_stopped_after_the_turn() {
    let log = Log::default();
    let runner = Runner::new().unwrap();
    runner.enter(|| {
        events::call_soon(events::stop);
        events::call_soon(log.call("of the same turn"));
        events::call_soon({
            let log = log.clone();
            move || drop(events::call_soon(log.call("of the next")))
        });
    });
    runner.run_forever();
    assert_eq!(log.take(), ["of the same turn"]);
    assert_eq!(runner.run(async { 1 }), 1);
    assert_eq!(log.take(), ["of the next"]);
}

#[test]
fn a_loop_that_is_stopped_before_it_runs_makes_one_turn() {
    let log = Log::default();
    let runner = Runner::new().unwrap();
    runner.enter(|| {
        events::stop();
        events::call_soon(log.call("called"));
    });
    runner.run_forever();
    assert_eq!(log.take(), ["called"]);
}

#[test]
fn stopping_does_not_end_a_main_task() {
    let runner = Runner::new().unwrap();
    let slept = runner.run(async {
        events::stop();
        sleep(Duration::from_millis(1)).await
    });
    assert_eq!(slept, Ok(()));
    // The next run has that before it.
    runner.run_forever();
}

#[test]
#[should_panic(expected = "rasyncio::run() cannot be called from a running event loop")]
fn a_loop_does_not_run_forever_inside_of_another() {
    let inner = Runner::new().unwrap();
    rasyncio::run(async { inner.run_forever() });
}

#[test]
fn names_are_numbers_unless_given() {
    rasyncio::run(async {
        assert_eq!(current_task().unwrap().name(), "Task-1");
        let task = create_task(async { current_task().unwrap().name() });
        assert_eq!(task.name(), "Task-2");
        task.set_name("renamed");
        assert_eq!(task.await.unwrap(), "renamed");
        let named = rasyncio::tasks::Builder::new()
            .name("given")
            .create_task(async {});
        assert_eq!(format!("{named:?}"), r#"<Task pending name="given">"#);
        named.await.unwrap();
    });
}

#[test]
fn a_host_runs_tasks_on_a_loop_that_others_turn() {
    let engine = EventLoop::new().unwrap();
    let host = Host::new(&engine);
    let task = host.enter(&engine, || create_task(async { 1 }));
    host.enter(&engine, || {
        let Ok(_) = engine.turn(&mut PlainDriver);
    });
    assert!(task.done());
    assert!(!events::is_running());
}

#[test]
fn a_loop_that_is_turned_without_being_entered_keeps_its_tasks_for_later() {
    let engine = EventLoop::new().unwrap();
    let host = Host::new(&engine);
    let task = host.enter(&engine, || create_task(async { 1 }));
    engine.stop();
    let Ok(_) = engine.run(&mut PlainDriver);
    assert!(!task.done());
    host.enter(&engine, || {
        let Ok(_) = engine.turn(&mut PlainDriver);
    });
    assert!(task.done());
}

#[test]
fn a_task_woken_outside_of_its_loop_runs_when_that_is_entered() {
    let engine = EventLoop::new().unwrap();
    let host = Host::new(&engine);
    let turn = || {
        host.enter(&engine, || {
            let Ok(_) = engine.turn(&mut PlainDriver);
        })
    };
    let event = Rc::new(rasyncio::Event::new());
    let task = host.enter(&engine, || {
        let event = event.clone();
        create_task(async move { event.wait().await })
    });
    turn();
    event.set();
    turn();
    assert!(task.done());
}

#[test]
fn dropping_a_host_drops_the_futures_of_its_tasks() {
    let log = Log::default();
    let engine = EventLoop::new().unwrap();
    let host = Host::new(&engine);
    let task = host.enter(&engine, || {
        let guard = Dropped(log.clone(), "dropped");
        create_task(async move {
            let _guard = guard;
            sleep(Duration::from_secs(60)).await
        })
    });
    host.enter(&engine, || {
        let Ok(_) = engine.turn(&mut PlainDriver);
    });
    drop(host);
    assert_eq!(log.take(), ["dropped"]);
    assert!(task.cancelled());
}

#[test]
fn a_task_that_turns_its_own_loop_is_not_run_inside_itself() {
    let engine = Rc::new(EventLoop::new().unwrap());
    let host = Host::new(&engine);
    let log = Log::default();
    let task = host.enter(&engine, || {
        let (engine, log) = (engine.clone(), log.clone());
        create_task(async move {
            drop(create_task(log.noting("other")));
            yield_now().await.unwrap();
            let mut poll = 0;
            std::future::poll_fn(|cx| {
                poll += 1;
                if poll == 2 {
                    return std::task::Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                engine.stop();
                let Ok(_) = engine.run(&mut PlainDriver);
                log.note("turned");
                std::task::Poll::Pending
            })
            .await;
        })
    });
    host.enter(&engine, || {
        while !task.done() {
            let Ok(_) = engine.turn(&mut PlainDriver);
        }
    });
    assert_eq!(log.take(), ["other", "turned"]);
}
