//! The client's end: a channel whose calls are spans that the server continues.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::transport;
use tower::Service;
use tracing::Instrument as _;

use super::call::{Call, watch};
use crate::telemetry;

/// A channel to a coordinator. It connects when it is used, and again by itself; clones share the connection.
#[derive(Debug, Clone)]
pub struct Channel(transport::Channel);

impl From<transport::Channel> for Channel {
    fn from(channel: transport::Channel) -> Self {
        Self(channel)
    }
}

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    type Error = transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let mut call = Call::start(false, request.uri().path(), None);
        telemetry::inject(call.span(), request.headers_mut());
        let span = call.span().clone();
        let answer = self.0.call(request);
        let answer = async move {
            match answer.await {
                Ok(answer) => Ok(watch(call, answer)),
                Err(error) => {
                    call.unavailable();
                    Err(error)
                }
            }
        };
        Box::pin(answer.instrument(span))
    }
}
