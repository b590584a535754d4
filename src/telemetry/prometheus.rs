//! `GET /metrics` for Prometheus, on a loopback address: it is not authenticated.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Encoder as _, Registry, TextEncoder};
use tokio::net::{TcpListener, TcpStream};

use super::TelemetryError;
use crate::task::Tasks;

/// How long one visit may take. Visitors come one after the other.
const VISIT: Duration = Duration::from_secs(10);

pub(super) fn serve(address: SocketAddr, tasks: &Tasks) -> Result<(PrometheusExporter, SocketAddr), TelemetryError> {
    let wrong = |reason: &dyn std::fmt::Display| TelemetryError::Prometheus { address, reason: reason.to_string() };
    if !address.ip().is_loopback() {
        return Err(wrong(&"anybody who reaches it can read it; choose a loopback address such as 127.0.0.1:9090"));
    }
    let registry = Registry::new();
    let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone()).build().map_err(|error| wrong(&error))?;
    let listen = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let bound = listener.local_addr()?;
        TcpListener::from_std(listener).map(|listener| (listener, bound))
    };
    let (listener, bound) = listen().map_err(|error: std::io::Error| wrong(&error))?;
    let cancel = tasks.cancel().clone();
    drop(tasks.spawn("serve metrics", async move {
        let _cancelled = cancel.run_until_cancelled(receive(listener, registry)).await;
    }));
    Ok((reader, bound))
}

async fn receive(listener: TcpListener, registry: Registry) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if tokio::time::timeout(VISIT, answer(stream, &registry)).await.is_err() {
                    tracing::debug!("a visitor of the metrics took too long");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a visitor of the metrics could not be let in");
                tokio::time::sleep(VISIT).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, registry: &Registry) {
    let respond = service_fn(async |request: Request<Incoming>| Ok::<_, Infallible>(page(&request, registry)));
    if let Err(error) = http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), respond).await {
        tracing::debug!(%error, "a visitor of the metrics left early");
    }
}

fn page(request: &Request<Incoming>, registry: &Registry) -> Response<Full<Bytes>> {
    let mut text = Vec::new();
    let status = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => match TextEncoder::new().encode(&registry.gather(), &mut text) {
            Ok(()) => StatusCode::OK,
            Err(error) => {
                tracing::warn!(%error, "the metrics could not be written");
                StatusCode::INTERNAL_SERVER_ERROR
            }
        },
        _ => StatusCode::NOT_FOUND,
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; version=0.0.4"));
    response
}
