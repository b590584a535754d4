//! Every metric of the program: names, units and the closed sets of their labels. Labels are never ids, paths or messages.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter, UpDownCounter};

/// The bounds, in seconds, that the OpenTelemetry conventions give for the duration of calls.
const CALL_SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Which way content went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the agent to the coordinator.
    Up,
    /// From the coordinator to the agent.
    Down,
}

/// The instruments that code records with.
#[derive(Debug)]
pub struct Instruments {
    server_calls: Histogram<f64>,
    client_calls: Histogram<f64>,
    sessions: UpDownCounter<i64>,
    operations: Counter<u64>,
    entries: Counter<u64>,
    content_bytes: Counter<u64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let calls =
            |name, text| meter.f64_histogram(name).with_unit("s").with_description(text).with_boundaries(CALL_SECONDS.to_vec()).build();
        let counter = |name, text| meter.u64_counter(name).with_description(text).build();
        Self {
            server_calls: calls("rpc.server.call.duration", "How long calls took, as the server saw them."),
            client_calls: calls("rpc.client.call.duration", "How long calls took, as the client saw them."),
            sessions: meter.i64_up_down_counter("skybridge_sessions").with_description("Agents that are connected.").build(),
            operations: counter("skybridge_operations", "Operations of agents that were answered, by outcome."),
            entries: counter("skybridge_journal_entries_delivered", "Journal entries that were sent to agents."),
            content_bytes: meter
                .u64_counter("skybridge_content")
                .with_unit("By")
                .with_description("Content that crossed on connections for content, by direction.")
                .build(),
        }
    }

    /// Records a call that ended. `method` is one that the protocol defines, or `_OTHER`.
    pub(crate) fn call(&self, server: bool, method: &'static str, code: &'static str, failed: bool, took: Duration) {
        let histogram = if server { &self.server_calls } else { &self.client_calls };
        let mut labels = vec![
            KeyValue::new("rpc.system.name", "grpc"),
            KeyValue::new("rpc.method", method),
            KeyValue::new("rpc.response.status_code", code),
        ];
        labels.extend(failed.then(|| KeyValue::new("error.type", code)));
        histogram.record(took.as_secs_f64(), &labels);
    }

    /// Counts a session until the value is dropped.
    #[must_use]
    pub fn session(&self) -> Session {
        self.sessions.add(1, &[]);
        Session(self.sessions.clone())
    }

    /// Counts operations of agents that were answered.
    pub fn operations(&self, done: usize, refused: usize) {
        self.operations.add(done as u64, &[KeyValue::new("outcome", "done")]);
        self.operations.add(refused as u64, &[KeyValue::new("outcome", "refused")]);
    }

    /// Counts journal entries that were sent to an agent.
    pub fn delivered(&self, entries: usize) {
        self.entries.add(entries as u64, &[]);
    }

    /// Counts content that crossed on a connection for content.
    pub fn content(&self, direction: Direction, bytes: u64) {
        let direction = match direction {
            Direction::Up => "up",
            Direction::Down => "down",
        };
        self.content_bytes.add(bytes, &[KeyValue::new("direction", direction)]);
    }
}

/// A session that is counted.
#[derive(Debug)]
pub struct Session(UpDownCounter<i64>);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}

/// Starts as instruments that record nothing, for commands and tests.
static INSTRUMENTS: LazyLock<RwLock<Arc<Instruments>>> =
    LazyLock::new(|| RwLock::new(Arc::new(Instruments::new(&opentelemetry::global::meter("skybridge")))));

/// Returns the instruments of this process.
#[must_use]
pub fn metrics() -> Arc<Instruments> {
    Arc::clone(&INSTRUMENTS.read().unwrap_or_else(PoisonError::into_inner))
}

pub(super) fn install(instruments: Instruments) {
    *INSTRUMENTS.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(instruments);
}
