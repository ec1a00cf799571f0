//! Spans and events of the crate tracing.
//!
//! A task has a span `task` of level `INFO`, entered while the task is polled or its future dropped, with
//! the fields `name`, `id` (of tasks without a name, which are `Task-` and that) and `created_at`. Its
//! parent is the span in which the task was created.

use ::tracing::instrument::{Instrument, Instrumented};
use ::tracing::{Level, error, event_enabled, info_span, warn};

use crate::events::{ExceptionContext, SlowCallback};
use crate::tasks::Origin;

pub(crate) fn in_span<F: Future>(future: F, origin: &Origin) -> Instrumented<F> {
    let (id, name) = (origin.number(), origin.name());
    let created = origin.created;
    future.instrument(info_span!(
        target: "rasyncio",
        "task",
        name = %name,
        id,
        created_at = %created,
    ))
}

/// Tells of what nobody else will see. False if nobody listens.
pub(crate) fn error(context: &ExceptionContext<'_>) -> bool {
    if !event_enabled!(target: "rasyncio", Level::ERROR) {
        return false;
    }
    let task = context.task.map(|task| task.name());
    let (message, text) = (context.message, context.panic.message());
    match context.panic.is_error() {
        true => error!(target: "rasyncio", task, exception = text, "{message}"),
        false => error!(target: "rasyncio", task, panic = text, "{message}"),
    }
    true
}

/// Tells of a step that has taken long. False if nobody listens.
pub(crate) fn slow(slow: &SlowCallback<'_>) -> bool {
    if !event_enabled!(target: "rasyncio", Level::WARN) {
        return false;
    }
    let task = slow.task.map(|task| task.name());
    let (created, took) = (slow.created_at, slow.took.as_secs_f64());
    warn!(target: "rasyncio", task, created_at = %created, took, "{slow}");
    true
}
