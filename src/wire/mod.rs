//! The protocol in Rust: generated code, conversions both ways, faults as gRPC statuses.
//!
//! Whatever arrives is turned into model types here, once: `TryFrom` names the malformed field by its full path, such as
//! `push.operations[3].node_id`. Whatever leaves is made by `From`, which cannot fail. The stream's messages have types of their own
//! ([`AgentMessage`], [`CoordinatorMessage`]); unary requests are read with the small helpers of [`field`]. Nothing here knows who calls.

mod change;
mod common;
mod error;
pub mod field;
mod operation;
mod session;
mod session_codec;
mod set;
mod status;

#[cfg(test)]
mod tests;

pub use common::property_changes;
pub use error::{At, ProtocolError};
pub use operation::{PushBatch, PushOutcomes, PushedOperation};
pub use session::{
    Ack, AgentMessage, ChangeBatch, CoordinatorMessage, Directive, EARLIER_MAX, HELLO_SUBSCRIPTIONS_MAX, Hello, INLINE_BYTES_MAX,
    MemberPage, MemberReport, MemberUpdate, REPORT_TEXT_BYTES_MAX, Subscription, VERSION_CURRENT, VERSION_MIN_SUPPORTED, Welcome,
};
pub use set::{set_choices, sync_options};
pub use status::{DOMAIN, kind_code};

/// The generated code of package `skybridge.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod pb {
    tonic::include_proto!("skybridge.v1");
}

/// The descriptor set of `skybridge.v1`, with comments; what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("skybridge.v1.descriptors");
