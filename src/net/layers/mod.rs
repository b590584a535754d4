//! What every call passes through, one layer a file.

mod call;
pub(super) mod called;
pub(super) mod served;
