//! Failures that are told to somebody: a closed kind, a message that is safe to show, and the thing concerned.

use std::time::Duration;

use super::Reason;

/// What kind of failure it is; decides the status code on the wire and the exit code of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// A field of a request is malformed. The path names it, such as `operations[3].node_id`.
    Invalid {
        /// The field's path.
        field: String,
    },
    /// The thing is not there, or not for the caller to see.
    NotFound,
    /// Something of that name or identity is there already.
    AlreadyExists,
    /// The state that the request builds on has moved on; read again.
    Stale,
    /// The state of things does not allow it, whoever asks.
    Precondition,
    /// An older session, incarnation or generation than the current one.
    Fenced,
    /// The cursor is no longer covered by the journal.
    CursorCompacted,
    /// A position or range lies outside the thing that it is about.
    OutOfRange,
    /// The two programs share no version of the conversation.
    VersionUnsupported,
    /// No valid sign-in.
    Unauthenticated,
    /// Signed in, but not permitted.
    Denied,
    /// A quota, a limit or a rate was exceeded.
    Exhausted,
    /// Busy, stopping or unreachable; try again.
    Unavailable,
    /// A fault of Skybridge.
    Internal,
}

/// A failure to report. `message` goes to the caller, `internal` only to the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// The reason that members show, where there is one.
    pub reason: Option<Reason>,
    /// What happened, to which thing, and what to do. Safe to show.
    pub message: String,
    /// What only the log may hold.
    pub internal: Option<String>,
    /// When to try again, if that helps and is known.
    pub retry_after: Option<Duration>,
}

impl Fault {
    /// Makes a fault with a message for the caller.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, reason: None, message: message.into(), internal: None, retry_after: None }
    }

    /// Makes the fault of a malformed field.
    #[must_use]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(FaultKind::Invalid { field: field.into() }, message)
    }

    /// Makes the fault of something that is not there.
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(FaultKind::NotFound, message)
    }

    /// Makes the fault of a caller who may not.
    #[must_use]
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(FaultKind::Denied, message)
    }

    /// Makes a fault of Skybridge itself; the cause goes to the log alone.
    #[must_use]
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self {
            kind: FaultKind::Internal,
            reason: Some(Reason::Internal),
            message: "something went wrong in Skybridge; report it with the request id".to_owned(),
            internal: Some(cause.to_string()),
            retry_after: None,
        }
    }

    /// Adds the reason that members show.
    #[must_use]
    pub const fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Adds when to try again.
    #[must_use]
    pub const fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}
