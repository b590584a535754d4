//! Spans and metrics as a collector gets them: a call is one trace on both sides, and so is a batch.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{MetricsService, MetricsServiceServer};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use skybridge::config::TelemetryConfig;
use skybridge::net::testing::duplex;
use skybridge::task::Tasks;
use skybridge::telemetry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tracing::Instrument as _;

/// A collector that keeps what it gets.
#[derive(Debug, Clone, Default)]
struct Collector {
    spans: Arc<Mutex<Vec<Span>>>,
    metrics: Arc<Mutex<Vec<String>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(&self, request: Request<ExportTraceServiceRequest>) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let scopes = request.into_inner().resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        self.spans.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Collector {
    async fn export(&self, request: Request<ExportMetricsServiceRequest>) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let scopes = request.into_inner().resource_metrics.into_iter().flat_map(|resource| resource.scope_metrics);
        self.metrics.lock().unwrap().extend(scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name));
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

impl Collector {
    fn span(&self, name: &str, kind: SpanKind) -> Span {
        let spans = self.spans.lock().unwrap();
        let found = spans.iter().find(|span| span.name == name && span.kind() == kind);
        found.unwrap_or_else(|| panic!("no {name} among {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>())).clone()
    }
}

async fn scrape(address: std::net::SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

// One thread: what the server does at the end of a call is done before the caller goes on.
#[tokio::test]
async fn a_collector_gets_both_sides_of_a_call_as_one_trace() {
    let (tasks, collector) = (Tasks::new(), Collector::default());
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(collector.clone()))
        .add_service(MetricsServiceServer::new(collector.clone()));
    drop(tasks.spawn("collector", server.serve_with_incoming(TcpListenerStream::new(socket))));
    let config = TelemetryConfig {
        log: "off".to_owned(),
        log_json: true,
        otlp_endpoint: Some(endpoint),
        prometheus_listen: Some("127.0.0.1:0".parse().unwrap()),
    };
    let guard = telemetry::init(&config, "test").unwrap();
    assert!(matches!(telemetry::init(&TelemetryConfig::default(), "test"), Err(telemetry::TelemetryError::AlreadySet)));

    let (_reporter, health) = tonic_health::server::health_reporter();
    let channel = duplex(Routes::new(health), None, &tasks);
    let work = tracing::info_span!(target: "skybridge", "work");
    let mut client = HealthClient::new(channel.clone());
    client.check(HealthCheckRequest::default()).instrument(work.clone()).await.unwrap();
    // A batch carries its context in a field, because the headers of its stream were sent long ago.
    let carried = work.in_scope(telemetry::traceparent);
    let batch = tracing::info_span!(target: "skybridge", "batch");
    telemetry::adopt_traceparent(&batch, &carried);
    drop((work, batch));
    // Whoever makes up methods does not make up labels.
    let mut tonic = tonic::client::Grpc::new(channel);
    tonic.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<HealthCheckRequest, HealthCheckRequest>::default();
    let path = http::uri::PathAndQuery::from_static("/made.up.Service/Method");
    assert!(tonic.unary(Request::new(HealthCheckRequest::default()), path, codec).await.is_err());

    let page = scrape(guard.prometheus().unwrap()).await;
    assert!(page.contains("rpc_server_call_duration_seconds_count") && page.contains("\"grpc.health.v1.Health/Check\""), "{page}");
    assert!(page.contains("\"_OTHER\"") && !page.contains("made.up"), "{page}");
    guard.shutdown().await;

    let work = collector.span("work", SpanKind::Internal);
    let called = collector.span("grpc.health.v1.Health/Check", SpanKind::Client);
    let served = collector.span("grpc.health.v1.Health/Check", SpanKind::Server);
    let batch = collector.span("batch", SpanKind::Internal);
    assert_eq!((&called.parent_span_id, &called.trace_id), (&work.span_id, &work.trace_id));
    assert_eq!((&served.parent_span_id, &served.trace_id), (&called.span_id, &work.trace_id));
    assert_eq!((&batch.parent_span_id, &batch.trace_id), (&work.span_id, &work.trace_id));
    for span in [called, served] {
        let status = span.attributes.iter().find(|attribute| attribute.key == "rpc.status_code");
        assert!(format!("{status:?}").contains("OK"), "{:?}", span.attributes);
    }
    assert!(collector.metrics.lock().unwrap().iter().any(|name| name == "rpc.server.call.duration"));
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_runs() {
    let default = TelemetryConfig::default;
    for (config, expected) in [
        (TelemetryConfig { log: "skybridge=loudly".to_owned(), ..default() }, "skybridge=loudly"),
        (TelemetryConfig { otlp_endpoint: Some("localhost:4317".to_owned()), ..default() }, "http://HOST:PORT"),
        (TelemetryConfig { prometheus_listen: Some("0.0.0.0:9464".parse().unwrap()), ..default() }, "loopback"),
    ] {
        let refused = telemetry::init(&config, "test").unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    }
}
