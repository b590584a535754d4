//! The protocol in Rust: generated code, conversions both ways, faults as gRPC statuses. The only reader of generated fields.
