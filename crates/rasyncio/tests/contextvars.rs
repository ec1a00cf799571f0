//! Context variables: who sees what was set.

mod common;

use common::{Dropped, Log};
use rasyncio::contextvars::{Context, ResetError, copy_context};
use rasyncio::tasks::Builder;
use rasyncio::{ContextVar, create_task, current_task, events, run, yield_now};

static NAME: ContextVar<String> = ContextVar::new("name");
static LEVEL: ContextVar<u32> = ContextVar::with_default("level", || 1);

fn name() -> Option<String> {
    NAME.get()
}

#[rasyncio::test]
async fn a_task_sees_what_was_set_where_it_was_created() {
    drop(NAME.set("main".into()));
    let before = create_task(async { name() });
    drop(NAME.set("changed".into()));
    let after = create_task(async { name() });
    assert_eq!(before.await.unwrap().unwrap(), "main");
    assert_eq!(after.await.unwrap().unwrap(), "changed");
}

#[rasyncio::test]
async fn what_a_task_sets_is_its_own() {
    let task = create_task(async {
        assert_eq!(name(), None);
        drop(NAME.set("task".into()));
        yield_now().await.unwrap();
        assert_eq!(name().unwrap(), "task");
        create_task(async { name() }).await.unwrap()
    });
    yield_now().await.unwrap();
    assert_eq!(name(), None);
    assert_eq!(task.await.unwrap().unwrap(), "task");
    assert_eq!(name(), None);
}

#[rasyncio::test]
async fn a_token_brings_the_old_value_back() {
    let first = LEVEL.set(2);
    let second = LEVEL.set(3);
    assert_eq!(LEVEL.get(), Some(3));
    LEVEL.reset(second).unwrap();
    assert_eq!(LEVEL.get(), Some(2));
    LEVEL.reset(first).unwrap();
    assert_eq!(LEVEL.with(|level| level.copied()), None);
    assert_eq!(LEVEL.get(), Some(1));
}

#[rasyncio::test]
async fn a_token_of_another_context_or_variable_is_refused() {
    static OTHER: ContextVar<u32> = ContextVar::new("other");
    let token = LEVEL.set(2);
    assert_eq!(OTHER.reset(token), Err(ResetError::OtherVariable));
    let token = LEVEL.set(3);
    let task = create_task(async move { LEVEL.reset(token) });
    assert_eq!(task.await.unwrap(), Err(ResetError::OtherContext));
    assert_eq!(LEVEL.get(), Some(3));
}

#[rasyncio::test]
async fn callbacks_run_in_the_context_in_which_they_were_made() {
    let log = Log::default();
    drop(NAME.set("then".into()));
    let noting = log.clone();
    events::call_soon(move || {
        noting.note(name().unwrap());
        drop(NAME.set("callback".into()));
    });
    drop(NAME.set("now".into()));
    yield_now().await.unwrap();
    assert_eq!(log.take(), ["then"]);
    assert_eq!(name().unwrap(), "now");
}

#[rasyncio::test]
async fn tasks_may_share_a_context() {
    let context = Context::new();
    let task = |number| {
        let builder = Builder::new().context(&context);
        builder.create_task(async move {
            let before = LEVEL.get().unwrap();
            drop(LEVEL.set(before + number));
        })
    };
    let (one, two) = (task(10), task(100));
    one.await.unwrap();
    two.await.unwrap();
    assert_eq!(context.run(|| LEVEL.get()), Some(111));
    assert_eq!(LEVEL.get(), Some(1));
}

#[rasyncio::test]
async fn a_copy_goes_its_own_way() {
    drop(NAME.set("original".into()));
    let copy = copy_context();
    copy.run(|| {
        assert_eq!(name().unwrap(), "original");
        drop(NAME.set("copy".into()));
        create_task(async { assert_eq!(name().unwrap(), "copy") })
    })
    .await
    .unwrap();
    assert_eq!(name().unwrap(), "original");
    assert_eq!(copy.run(name).unwrap(), "copy");
}

#[rasyncio::test]
async fn a_task_has_a_context_from_outside_too() {
    let task = create_task(async {
        yield_now().await.unwrap();
        LEVEL.get()
    });
    yield_now().await.unwrap();
    task.context().run(|| drop(LEVEL.set(5)));
    assert_eq!(task.await.unwrap(), Some(5));
    let own = current_task().unwrap().context();
    assert_eq!(own, current_task().unwrap().context());
}

#[test]
fn what_is_set_outside_is_seen_inside() {
    let token = NAME.set("outside".into());
    assert_eq!(run(async { name() }).unwrap(), "outside");
    NAME.reset(token).unwrap();
    assert_eq!(run(async { name() }), None);
}

#[test]
fn values_are_dropped_with_their_last_context() {
    static GUARD: ContextVar<Dropped> = ContextVar::new("guard");
    let log = Log::default();
    run(async {
        let guard = Dropped(log.clone(), "value");
        let setting = create_task(async move {
            drop(GUARD.set(guard));
            create_task(yield_now())
        });
        let child = setting.await.unwrap();
        assert!(log.take().is_empty());
        child.await.unwrap().unwrap();
        assert_eq!(log.take(), ["value"]);
    });
}
