//! Spans and events for who listens by the crate tracing.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rasyncio::tasks::Builder;
use rasyncio::{create_task, events, run, yield_now};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Notes spans by name and all that happens in them.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Notes>>);

#[derive(Default)]
struct Notes {
    spans: Vec<String>,
    inside: Vec<u64>,
    lines: Vec<String>,
}

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != "created_at" && field.name() != "took" {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let mut notes = self.0.lock().unwrap();
        notes
            .spans
            .push(format!("{}{}", attributes.metadata().name(), fields.0));
        Id::from_u64(notes.spans.len() as u64)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut notes = self.0.lock().unwrap();
        let inside: Vec<_> = notes
            .inside
            .iter()
            .map(|span| notes.spans[*span as usize - 1].clone())
            .collect();
        let level = event.metadata().level();
        notes
            .lines
            .push(format!("{} {level}{}", inside.join(", "), fields.0));
    }

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().inside.push(span.into_u64());
    }

    fn exit(&self, _: &Id) {
        self.0.lock().unwrap().inside.pop();
    }
}

fn listen(program: impl Future<Output = ()>) -> Vec<String> {
    let listener = Listener::default();
    tracing::subscriber::with_default(listener.clone(), || run(program));
    let mut notes = listener.0.lock().unwrap();
    assert!(notes.inside.is_empty());
    std::mem::take(&mut notes.lines)
}

#[test]
fn a_task_is_in_its_span_while_it_is_polled() {
    let lines = listen(async {
        let named = Builder::new().name("baker");
        let task = named.create_task(async {
            tracing::info!("kneads");
            yield_now().await.unwrap();
            tracing::info!("bakes");
        });
        let other = create_task(async { tracing::info!("eats") });
        task.await.unwrap();
        other.await.unwrap();
        tracing::info!("is content");
    });
    // The parent is where the task was created, but it is not entered.
    assert_eq!(
        lines,
        [
            "task name=baker INFO message=kneads",
            "task name=Task-2 id=2 INFO message=eats",
            "task name=baker INFO message=bakes",
            "task name=Task-1 id=1 INFO message=is content",
        ]
    );
}

#[test]
fn errors_that_nobody_awaits_are_events() {
    let lines = listen(async {
        drop(create_task!(
            async { Err::<(), _>("no disk") },
            name = "saver"
        ));
        drop(create_task(async { panic!("oops") }));
        yield_now().await.unwrap();
    });
    assert_eq!(
        lines,
        [
            " ERROR message=Task exception was never retrieved task=\"saver\" exception=\"no disk\"",
            " ERROR message=Task panic was never retrieved task=\"Task-2\" panic=\"oops\"",
        ]
    );
}

#[test]
fn a_handler_is_asked_instead() {
    let lines = listen(async {
        events::set_exception_handler(|_| tracing::info!("handled"));
        drop(create_task(async { panic!("oops") }));
        yield_now().await.unwrap();
    });
    assert_eq!(lines, [" INFO message=handled"]);
}

#[test]
fn slow_steps_are_events_in_debug_mode() {
    let lines = listen(async {
        events::set_debug(true);
        events::set_slow_callback_duration(Duration::from_millis(1));
        let lazy = Builder::new().name("lazy");
        let task = lazy.create_task(async { std::thread::sleep(Duration::from_millis(2)) });
        task.await.unwrap();
        events::set_debug(false);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with(" WARN message=Executing <Task finished name=\"lazy\"> created at ")
    );
}
