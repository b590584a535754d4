//! How a command fails: one clear line for people, an object for programs, an exit code for scripts.
//!
//! Commands return [`anyhow::Error`]; what stands in its chain (a [`Failure`] of our own, a status from a service, an error of the
//! operating system) decides what is told. Must not know any command.

use serde::Serialize;
use tonic_types::StatusExt as _;

use crate::{cli::text::printable, model::Reason};

/// The remedy of what needs none.
pub(crate) const NO_REMEDY: &str = "none needed";

/// The command did what it was asked to.
pub(crate) const EXIT_DONE: u8 = 0;
/// The command failed.
pub(crate) const EXIT_FAILED: u8 = 1;
/// The command line or a configuration is wrong; nothing was tried.
pub(crate) const EXIT_USAGE: u8 = 64;

/// A failure as it is told. The fields are those of the error object of `--output json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// The kind of failure, as a status code's name: `NOT_FOUND`, `UNAVAILABLE`, …, or `USAGE`.
    pub(crate) code: String,
    /// The reason, such as `NAME_CLASH`; empty if there is none.
    pub(crate) reason: String,
    /// What happened, to which thing.
    pub(crate) message: String,
    /// What to do; empty if the message says it.
    pub(crate) remedy: String,
    #[serde(skip)]
    exit: u8,
}

impl Failure {
    /// Makes the failure of a command that was asked for wrongly, or of a wrong configuration.
    pub(crate) fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: "USAGE".into(), reason: String::new(), message: message.into(), remedy: remedy.into(), exit: EXIT_USAGE }
    }

    /// Makes the failure of a command that was tried.
    pub(crate) fn failed(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: "FAILED".into(), reason: String::new(), message: message.into(), remedy: remedy.into(), exit: EXIT_FAILED }
    }

    /// Gives it another code for programs.
    pub(crate) fn coded(mut self, code: &str) -> Self {
        code.clone_into(&mut self.code);
        self
    }

    /// Returns the exit code.
    pub(crate) const fn exit(&self) -> u8 {
        self.exit
    }

    /// Turns whatever a command failed with into what is told; `None` when nobody reads the output any more, which is no failure.
    pub(crate) fn from_error(error: &anyhow::Error) -> Option<Self> {
        let broken_pipe = |io: &std::io::Error| io.kind() == std::io::ErrorKind::BrokenPipe;
        if error.chain().any(|cause| cause.downcast_ref::<OutputClosed>().is_some_and(|closed| broken_pipe(&closed.0))) {
            return None;
        }
        let known = error.chain().enumerate().find_map(|(depth, cause)| {
            let failure = cause.downcast_ref::<Self>().cloned().or_else(|| cause.downcast_ref::<tonic::Status>().map(Self::from_status))?;
            Some((depth, failure))
        });
        let Some((depth, mut failure)) = known else {
            return Some(Self::failed(told(error.chain()), ""));
        };
        if depth > 0 {
            failure.message = format!("{}: {}", told(error.chain().take(depth)), failure.message);
        }
        Some(failure)
    }

    /// Reads what was wrong with a command line.
    pub(crate) fn from_arguments(error: &clap::Error) -> Self {
        let text = error.to_string();
        let said = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"));
        let message = said.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        Self::usage(message.trim_start_matches("error: "), "see --help")
    }

    /// Reads what a service answered.
    fn from_status(status: &tonic::Status) -> Self {
        let info = status.get_details_error_info();
        let reason = info.as_ref().map(|info| info.reason.clone()).unwrap_or_default();
        let known = Reason::from_code(&reason);
        let mut message = if status.message().is_empty() { status.code().description().to_owned() } else { status.message().to_owned() };
        if let Some(request) = status.get_details_bad_request() {
            for violation in request.field_violations {
                if !message.contains(&violation.description) {
                    message += &format!("; {}: {}", violation.field, violation.description);
                }
            }
        }
        let remedy = match (known, status.code()) {
            (_, tonic::Code::Unauthenticated) => "sign in with `skybridge login EMAIL`",
            (Some(reason), _) => reason.remedy(),
            (None, tonic::Code::Unavailable) => "see that the other side is running and can be reached, then try again",
            (None, _) => "",
        };
        let remedy = if message.contains(remedy) || remedy == NO_REMEDY { "" } else { remedy };
        Self { code: code_name(status.code()).to_owned(), reason, message, remedy: remedy.to_owned(), exit: EXIT_FAILED }
    }

    /// Writes it to standard error: one line, or with `json` one object on one line.
    pub(crate) fn report(&self, json: bool) {
        if json {
            let object = serde_json::json!({ "error": self });
            eprintln!("{object}");
        } else if self.remedy.is_empty() {
            eprintln!("skybridge: {}", printable(&self.message));
        } else {
            eprintln!("skybridge: {} ({})", printable(&self.message), printable(&self.remedy));
        }
    }
}

/// Tells what happened and why, and nothing twice: many errors say their cause themselves.
fn told<'a>(chain: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>) -> String {
    chain.map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        told if told.contains(&cause) => told.to_owned(),
        told => format!("{told}: {cause}"),
    })
}

/// Standard output could not be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the output: {0}")]
pub(crate) struct OutputClosed(pub(crate) std::io::Error);

const fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
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

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn a_status_is_told_with_its_context_reason_and_remedy() {
        let details = tonic_types::ErrorDetails::with_error_info("NAME_CLASH", "skybridge.v1", []);
        let status = tonic::Status::with_error_details(tonic::Code::AlreadyExists, "something is called a.txt there", details);
        let error = Err::<(), _>(status).context("acme/docs/a.txt").expect_err("it is an error");
        let failure = Failure::from_error(&error).expect("it is told");
        assert_eq!(failure.code, "ALREADY_EXISTS");
        assert_eq!(failure.reason, "NAME_CLASH");
        assert_eq!(failure.message, "acme/docs/a.txt: something is called a.txt there");
        assert_eq!(failure.remedy, "rename one of the two");
        assert_eq!(failure.exit(), EXIT_FAILED);
    }

    #[test]
    fn a_cause_is_told_once() {
        let listen = crate::net::NetError::Listen {
            address: std::net::SocketAddr::from(([127, 0, 0, 1], 7443)),
            source: std::io::Error::other("address in use"),
        };
        let message = |error: anyhow::Error| Failure::from_error(&error).expect("it is told").message;
        let listening = message(listen.into());
        assert_eq!(listening.matches("address in use").count(), 1, "{listening}");
        let outer = Err::<(), _>(std::io::Error::other("disk full")).context("cannot write a.txt").expect_err("it is an error");
        assert_eq!(message(outer), "cannot write a.txt: disk full");
    }

    #[test]
    fn a_closed_pipe_is_told_to_nobody_but_a_full_disk_is() {
        let closed = |kind| anyhow::Error::new(OutputClosed(std::io::Error::from(kind)));
        assert_eq!(Failure::from_error(&closed(std::io::ErrorKind::BrokenPipe)), None);
        assert!(Failure::from_error(&closed(std::io::ErrorKind::StorageFull)).is_some());
    }
}
