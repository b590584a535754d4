//! The protocol in Rust: generated code, conversions both ways, faults as gRPC statuses. The only reader of generated fields.

/// The generated code of package `skybridge.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod pb {
    tonic::include_proto!("skybridge.v1");
}

/// The descriptor set of `skybridge.v1`, with comments; what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("skybridge.v1.descriptors");
