//! One call from its first header to its last trailer: a span, a duration and a status, for either end of a connection.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use prost::Message as _;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::{Span, field};

use crate::telemetry::{RequestId, metrics};
use crate::wire;

/// The methods that exist. Whatever else a caller asks for is one label, so that a caller cannot make up labels.
static METHODS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let files = [wire::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
    let files = files.into_iter().filter_map(|set| prost_types::FileDescriptorSet::decode(set).ok()).flat_map(|set| set.file);
    let methods = files.flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().flat_map(move |service| {
            let prefix = format!("{package}.{}", service.name());
            service.method.into_iter().map(move |method| format!("{prefix}/{}", method.name()))
        })
    });
    methods.collect()
});

/// A call that goes on. Dropped before its status is known, it was cancelled.
#[derive(Debug)]
pub(super) struct Call {
    server: bool,
    method: &'static str,
    span: Span,
    request: Option<RequestId>,
    started: Instant,
    code: Option<Code>,
}

impl Call {
    pub(super) fn start(server: bool, path: &str, request: Option<RequestId>) -> Self {
        let method = METHODS.get(path.trim_start_matches('/')).map_or("_OTHER", String::as_str);
        let span = tracing::info_span!(
            "rpc",
            otel.name = method,
            otel.kind = if server { "server" } else { "client" },
            otel.status_code = field::Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.status_code = field::Empty,
            "error.type" = field::Empty,
            request_id = request.as_ref().map(RequestId::as_str),
        );
        Self { server, method, span, request, started: Instant::now(), code: None }
    }

    pub(super) const fn span(&self) -> &Span {
        &self.span
    }

    /// The server was not reached.
    pub(super) const fn unavailable(&mut self) {
        self.code = Some(Code::Unavailable);
    }

    /// Takes the status that the headers or trailers carry, if they do.
    pub(super) fn see(&mut self, headers: &http::HeaderMap) {
        self.code = Status::from_header_map(headers).map(|status| status.code()).or(self.code);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        let name = code_name(code);
        let failed = if self.server { is_servers_fault(code) } else { code != Code::Ok };
        self.span.record("rpc.status_code", name);
        if failed {
            self.span.record("error.type", name);
            self.span.record("otel.status_code", "ERROR");
        }
        metrics().call(self.server, self.method, name, failed, self.started.elapsed());
    }
}

/// The body of an answer, watched for the status at its end.
struct Watched {
    body: Body,
    call: Call,
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let (span, request) = (self.call.span.clone(), self.call.request.clone());
        let _entered = span.enter();
        let mut poll = || Pin::new(&mut self.body).poll_frame(context);
        let frame = ready!(match request {
            Some(request) => request.within(poll),
            None => poll(),
        });
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.call.see(trailers);
                }
            }
            Some(Err(status)) => self.call.code = Some(status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Lets a call go on until its answer has ended.
pub(super) fn watch(mut call: Call, answer: http::Response<Body>) -> http::Response<Body> {
    call.see(answer.headers());
    answer.map(|body| Body::new(Watched { body, call }))
}

/// Whether a status is the server's own failure rather than an answer to what was asked.
const fn is_servers_fault(code: Code) -> bool {
    matches!(code, Code::Unknown | Code::DeadlineExceeded | Code::Unimplemented | Code::Internal | Code::Unavailable | Code::DataLoss)
}

const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
