//! Logs, spans and metrics, and where they go.
//!
//! Logs go to standard error. Spans and metrics go to an OpenTelemetry collector when one is configured, and metrics can be fetched by
//! Prometheus. Only this program's own spans are exported: those of the exporter's libraries would make more of themselves.

mod context;
mod metrics;
mod prometheus;
mod request;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

pub(crate) use context::{adopt, inject};
pub use context::{adopt_traceparent, traceparent};
pub use metrics::{Direction, Instruments, Session, metrics};
pub(crate) use request::{RequestId, request_id};

use crate::config::TelemetryConfig;
use crate::task::{self, Tasks};

/// How long the end of the process may wait for a collector that does not answer.
const FLUSH_LIMIT: Duration = Duration::from_secs(3);

/// Why telemetry cannot be set up as configured.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// What to log is not in the syntax of `RUST_LOG`.
    #[error("{filter:?} does not say what to log: {reason}; write a level such as \"info\", or \"info,skybridge=debug\"")]
    Filter {
        /// What was given.
        filter: String,
        /// Why.
        reason: String,
    },
    /// The collector's address cannot be used.
    #[error("{endpoint:?} cannot be used as OTLP endpoint: {reason}")]
    Endpoint {
        /// The address.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// Metrics cannot be served at this address.
    #[error("cannot serve metrics on {address}: {reason}")]
    Prometheus {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// It was set up before.
    #[error("logging is already set up")]
    AlreadySet,
}

/// Telemetry that is on. Shut it down last.
#[derive(Debug)]
pub struct TelemetryGuard {
    spans: Option<SdkTracerProvider>,
    metrics: Option<SdkMeterProvider>,
    prometheus: Option<SocketAddr>,
    tasks: Tasks,
}

/// Sets up logs, spans and metrics of this process, which is a `role`. Within a runtime.
///
/// # Errors
/// When the configuration cannot be used, or telemetry is on already.
pub fn init(config: &TelemetryConfig, role: &'static str) -> Result<TelemetryGuard, TelemetryError> {
    let parse = |filter: &str| {
        let wrong = |reason: String| TelemetryError::Filter { filter: filter.to_owned(), reason };
        EnvFilter::try_new(filter).map_err(|error| wrong(error.to_string()))
    };
    // Checked even where it does not count, so that a wrong configuration does not wait for the day it does.
    let configured = parse(&config.log)?;
    let chosen = match std::env::var("RUST_LOG") {
        Ok(filter) if !filter.is_empty() => parse(&filter)?,
        _ => configured,
    };
    let resource = Resource::builder()
        .with_service_name(format!("skybridge-{role}"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()))
        .build();
    let spans = config.otlp_endpoint.as_deref().map(|endpoint| spans_to(endpoint, &resource)).transpose()?;
    let tasks = Tasks::new();
    let (metrics, prometheus) = measure(config, resource, &tasks)?;

    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = if config.log_json { lines.json().boxed() } else { lines.boxed() };
    let own = Targets::new().with_target("skybridge", Level::INFO);
    let exported = spans.as_ref().map(|spans| tracing_opentelemetry::layer().with_tracer(spans.tracer("skybridge")).with_filter(own));
    let subscriber = tracing_subscriber::registry().with(exported).with(lines.with_filter(chosen));
    subscriber.try_init().map_err(|_| TelemetryError::AlreadySet)?;
    Ok(TelemetryGuard { spans, metrics, prometheus, tasks })
}

impl TelemetryGuard {
    /// Returns where Prometheus can fetch metrics, if it can.
    #[must_use]
    pub const fn prometheus(&self) -> Option<SocketAddr> {
        self.prometheus
    }

    /// Sends what was not sent yet, at most for a few seconds.
    pub async fn shutdown(self) {
        let Self { spans, metrics, tasks, .. } = self;
        // Both block, and the collector may be what does not answer.
        let flush = task::blocking("flush telemetry", move || {
            let spans = spans.map_or(Ok(()), |spans| spans.shutdown_with_timeout(FLUSH_LIMIT));
            spans.and(metrics.map_or(Ok(()), |metrics| metrics.shutdown_with_timeout(FLUSH_LIMIT)))
        });
        match tokio::time::timeout(FLUSH_LIMIT, flush).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the last spans and metrics were not sent"),
            Ok(Err(lost)) => tracing::warn!(%lost, "the last spans and metrics were not sent"),
            Err(_) => tracing::warn!("the last spans and metrics were not sent in time"),
        }
        tasks.shutdown(FLUSH_LIMIT).await;
    }
}

fn spans_to(endpoint: &str, resource: &Resource) -> Result<SdkTracerProvider, TelemetryError> {
    let wrong = |reason: &dyn std::fmt::Display| TelemetryError::Endpoint { endpoint: endpoint.to_owned(), reason: reason.to_string() };
    if !endpoint.starts_with("http://") {
        return Err(wrong(&"it must look like http://HOST:PORT; run a collector nearby that speaks TLS to others"));
    }
    let exporter =
        opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().map_err(|error| wrong(&error))?;
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.clone()).build())
}

type Measured = (Option<SdkMeterProvider>, Option<SocketAddr>);

fn measure(config: &TelemetryConfig, resource: Resource, tasks: &Tasks) -> Result<Measured, TelemetryError> {
    if config.otlp_endpoint.is_none() && config.prometheus_listen.is_none() {
        return Ok((None, None));
    }
    let mut provider = SdkMeterProvider::builder().with_resource(resource);
    if let Some(endpoint) = &config.otlp_endpoint {
        let exporter = opentelemetry_otlp::MetricExporter::builder().with_tonic().with_endpoint(endpoint).build();
        let wrong = |error: opentelemetry_otlp::ExporterBuildError| TelemetryError::Endpoint {
            endpoint: endpoint.clone(),
            reason: error.to_string(),
        };
        provider = provider.with_periodic_exporter(exporter.map_err(wrong)?);
    }
    let mut served = None;
    if let Some(address) = config.prometheus_listen {
        let (reader, bound) = prometheus::serve(address, tasks)?;
        provider = provider.with_reader(reader);
        served = Some(bound);
    }
    let provider = provider.build();
    metrics::install(Instruments::new(&provider.meter("skybridge")));
    Ok((Some(provider), served))
}
