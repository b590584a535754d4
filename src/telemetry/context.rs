//! W3C trace context: what makes a span here the child of a span in another process.

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const TRACEPARENT: &str = "traceparent";

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

struct Sent<'a>(&'a HeaderMap);

impl Extractor for Sent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Field<'a>(&'a str);

impl Extractor for Field<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

struct Kept(String);

impl Injector for Kept {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = value;
        }
    }
}

/// Writes a span's context into the headers of a request.
pub(crate) fn inject(span: &Span, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&span.context(), &mut Headers(headers));
}

/// Makes a span the child of the one that the headers of a request name, if they do.
pub(crate) fn adopt(span: &Span, headers: &HeaderMap) {
    set_parent(span, &Sent(headers));
}

/// Returns the context of the current span, for a message that crosses to the other side; empty when nothing is traced.
#[must_use]
pub fn traceparent() -> String {
    let mut kept = Kept(String::new());
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut kept);
    kept.0
}

/// Makes a span the child of the one that a message carries the context of, if it does.
pub fn adopt_traceparent(span: &Span, traceparent: &str) {
    if !traceparent.is_empty() {
        set_parent(span, &Field(traceparent));
    }
}

fn set_parent(span: &Span, sent: &dyn Extractor) {
    // Fails when spans are not exported, and then there is nothing to join.
    let _untraced = span.set_parent(TraceContextPropagator::new().extract(sent));
}
