//! The outermost layer of a server: each call gets an id and a span, which continues the caller's trace.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::HeaderValue;
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::call::{Call, watch};
use crate::sys::World;
use crate::telemetry;

/// The header by which a caller may name its request, and which the answer repeats: what to quote when asking about it.
const REQUEST_ID: &str = "x-request-id";
/// A longer name of a caller's is replaced.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Makes [`Served`].
#[derive(Debug, Clone)]
pub(in crate::net) struct ServedLayer(pub(in crate::net) Arc<dyn World>);

impl<S> Layer<S> for ServedLayer {
    type Service = Served<S>;

    fn layer(&self, inner: S) -> Served<S> {
        Served { inner, world: Arc::clone(&self.0) }
    }
}

/// A service whose calls are traced and measured.
#[derive(Debug, Clone)]
pub(in crate::net) struct Served<S> {
    inner: S,
    world: Arc<dyn World>,
}

impl<S> Service<http::Request<Body>> for Served<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let id = request_id(request.headers(), &*self.world);
        let named = telemetry::RequestId::new(id.to_str().unwrap_or_default());
        let call = Call::start(true, request.uri().path(), Some(named.clone()));
        telemetry::adopt(call.span(), request.headers());
        let span = call.span().clone();
        let answer = named.within(|| span.in_scope(|| self.inner.call(request)));
        let answer = async move {
            let mut answer = watch(call, answer.await?);
            answer.headers_mut().insert(REQUEST_ID, id);
            Ok(answer)
        };
        Box::pin(named.scope(answer.instrument(span)))
    }
}

fn request_id(headers: &http::HeaderMap, world: &dyn World) -> HeaderValue {
    let printable = |value: &&HeaderValue| value.len() <= REQUEST_ID_BYTES_MAX && value.as_bytes().iter().all(u8::is_ascii_graphic);
    if let Some(given) = headers.get(REQUEST_ID).filter(printable) {
        return given.clone();
    }
    HeaderValue::try_from(world.mint().to_string()).unwrap_or(HeaderValue::from_static("-"))
}
