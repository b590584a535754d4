//! What the program logs during a run: errors are looked at, panics are failures.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use super::Trace;

thread_local! {
    static PANICS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps the panics of this thread, also those that a runtime catches, from now on.
pub(super) fn keep_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.with_borrow_mut(|panics| panics.push(info.to_string()));
            before(info);
        }));
    });
    PANICS.with_borrow_mut(Vec::clear);
}

/// Returns the panics of this thread.
pub(super) fn panics() -> Vec<String> {
    PANICS.with_borrow_mut(std::mem::take)
}

/// Collects what is logged as an error; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Log {
    trace: Trace,
    told: bool,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Log {
    pub(super) fn new(trace: Trace, told: bool) -> Self {
        Self { trace, told, errors: Arc::default() }
    }

    pub(super) fn errors(&self) -> Vec<String> {
        std::mem::take(&mut self.errors.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether it comes from where an agent hears of refusals.
fn tells_refusals(metadata: &Metadata<'_>) -> bool {
    metadata.target().ends_with("agent::session::conversation") && *metadata.level() == Level::DEBUG
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a text does not fail.
        write!(self.0, " {}={value:?}", field.name()).ok();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_wanted = *metadata.level() <= if self.told { Level::TRACE } else { Level::ERROR };
        metadata.is_event() && metadata.target().starts_with("skybridge") && (is_wanted || tells_refusals(metadata))
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        if let Some((_, refusal)) = text.0.split_once(" refusal=").filter(|_| tells_refusals(metadata)) {
            let name = refusal.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
            self.trace.count(format!("refusal: {name}"));
        }
        self.trace.tell(|| format!("{} {}{}", metadata.level(), metadata.target(), text.0));
        if *metadata.level() == Level::ERROR {
            self.errors.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{}{}", metadata.target(), text.0));
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}
