//! The one place where a [`Fault`] becomes a gRPC status, and a status a fault again.
//!
//! Every status carries `google.rpc.ErrorInfo` with domain [`DOMAIN`] and a reason: the reason that members show where there is one, else
//! the code of the fault's kind. Causes stay in the log, under the request id that an internal fault tells its caller.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::model::{Fault, FaultKind, Reason};
use crate::telemetry;

/// The domain of every `ErrorInfo`.
pub const DOMAIN: &str = "skybridge.v1";

/// How long to wait when a fault that passes by itself does not say.
const RETRY_DELAY_DEFAULT: Duration = Duration::from_secs(1);

/// Returns the reason code of a kind of fault, for faults that have no reason of their own.
#[must_use]
pub const fn kind_code(kind: &FaultKind) -> &'static str {
    match kind {
        FaultKind::Invalid { .. } => "INVALID_ARGUMENT",
        FaultKind::NotFound => "NOT_FOUND",
        FaultKind::AlreadyExists => "ALREADY_EXISTS",
        FaultKind::Stale => "STALE_VERSION",
        FaultKind::Precondition => "FAILED_PRECONDITION",
        FaultKind::Fenced => "FENCED",
        FaultKind::CursorCompacted => "CURSOR_COMPACTED",
        FaultKind::OutOfRange => "OUT_OF_RANGE",
        FaultKind::VersionUnsupported => "VERSION_UNSUPPORTED",
        FaultKind::Unauthenticated => "UNAUTHENTICATED",
        FaultKind::Denied => "PERMISSION_DENIED",
        FaultKind::Exhausted => "RESOURCE_EXHAUSTED",
        FaultKind::Unavailable => "UNAVAILABLE",
        FaultKind::Internal => "INTERNAL",
    }
}

const fn code(kind: &FaultKind) -> Code {
    match kind {
        FaultKind::Invalid { .. } => Code::InvalidArgument,
        FaultKind::NotFound => Code::NotFound,
        FaultKind::AlreadyExists => Code::AlreadyExists,
        FaultKind::Stale => Code::Aborted,
        FaultKind::Precondition | FaultKind::Fenced | FaultKind::VersionUnsupported => Code::FailedPrecondition,
        FaultKind::CursorCompacted | FaultKind::OutOfRange => Code::OutOfRange,
        FaultKind::Unauthenticated => Code::Unauthenticated,
        FaultKind::Denied => Code::PermissionDenied,
        FaultKind::Exhausted => Code::ResourceExhausted,
        FaultKind::Unavailable => Code::Unavailable,
        FaultKind::Internal => Code::Internal,
    }
}

/// Kinds that share their status code with another are told apart by their own code, which therefore goes before any reason.
const fn is_told_by_its_code(kind: &FaultKind) -> bool {
    matches!(kind, FaultKind::Stale | FaultKind::Fenced | FaultKind::VersionUnsupported | FaultKind::CursorCompacted)
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        let reason = match fault.reason {
            Some(reason) if !is_told_by_its_code(&fault.kind) => reason.code(),
            _ => kind_code(&fault.kind),
        };
        let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
        match &fault.kind {
            FaultKind::Invalid { field } => {
                details.add_bad_request_violation(field, &fault.message);
            }
            FaultKind::Exhausted => {
                details.add_quota_failure_violation(reason, &fault.message);
                details.set_retry_info(fault.retry_after);
            }
            FaultKind::Unavailable => {
                details.set_retry_info(Some(fault.retry_after.unwrap_or(RETRY_DELAY_DEFAULT)));
            }
            FaultKind::Internal => {
                let request_id = telemetry::request_id();
                tracing::error!(request_id, cause = fault.internal, "a request failed");
                details.set_request_info(request_id, "");
            }
            FaultKind::NotFound
            | FaultKind::AlreadyExists
            | FaultKind::Stale
            | FaultKind::Precondition
            | FaultKind::Fenced
            | FaultKind::VersionUnsupported
            | FaultKind::CursorCompacted
            | FaultKind::OutOfRange
            | FaultKind::Unauthenticated
            | FaultKind::Denied => {}
        }
        Self::with_error_details(code(&fault.kind), fault.message, details)
    }
}

impl Fault {
    /// Reads a status that a peer, or the transport, answered a call with.
    ///
    /// What the transport says about itself (a lost connection, a cut stream, a deadline) is [`FaultKind::Unavailable`].
    #[must_use]
    pub fn from_status(status: &Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().filter(|info| info.domain == DOMAIN).map(|info| info.reason.as_str()).unwrap_or_default();
        let kind = match status.code() {
            Code::InvalidArgument => FaultKind::Invalid {
                field: details
                    .bad_request()
                    .and_then(|request| request.field_violations.first())
                    .map(|violation| violation.field.clone())
                    .unwrap_or_default(),
            },
            Code::NotFound => FaultKind::NotFound,
            Code::AlreadyExists => FaultKind::AlreadyExists,
            Code::Aborted => FaultKind::Stale,
            Code::FailedPrecondition if reason == kind_code(&FaultKind::Fenced) => FaultKind::Fenced,
            Code::FailedPrecondition if reason == kind_code(&FaultKind::VersionUnsupported) => FaultKind::VersionUnsupported,
            Code::FailedPrecondition | Code::Ok => FaultKind::Precondition,
            Code::OutOfRange if reason == kind_code(&FaultKind::CursorCompacted) => FaultKind::CursorCompacted,
            Code::OutOfRange => FaultKind::OutOfRange,
            Code::Unauthenticated => FaultKind::Unauthenticated,
            Code::PermissionDenied => FaultKind::Denied,
            Code::ResourceExhausted => FaultKind::Exhausted,
            Code::Unimplemented => FaultKind::VersionUnsupported,
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => FaultKind::Unavailable,
            Code::Internal | Code::DataLoss => FaultKind::Internal,
        };
        let message = match details.request_info() {
            Some(request) => format!("{} ({})", status.message(), request.request_id),
            None => status.message().to_owned(),
        };
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        Self { kind, reason: Reason::from_code(reason), message, internal: None, retry_after }
    }
}
