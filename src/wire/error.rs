//! What is said of a message that breaks the rules of the protocol.

use std::fmt::Display;

use crate::model::Fault;

/// A malformed field of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {what}")]
pub struct ProtocolError {
    /// The field's path from the message that was read, such as `operations[3].node_id`.
    pub field: String,
    /// What is wrong with it.
    pub what: String,
}

impl ProtocolError {
    /// Makes an error about a field.
    pub fn new(field: impl Into<String>, what: impl Display) -> Self {
        Self { field: field.into(), what: what.to_string() }
    }

    /// Makes the error of a required field that is absent.
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(field, "is required")
    }
}

impl From<ProtocolError> for Fault {
    fn from(error: ProtocolError) -> Self {
        let message = error.to_string();
        Self::invalid(error.field, message)
    }
}

impl From<ProtocolError> for tonic::Status {
    fn from(error: ProtocolError) -> Self {
        Fault::from(error).into()
    }
}

/// Puts the outer field before the path of an error that arose in an inner message.
pub trait At<T> {
    /// The inner message is the field `outer`.
    ///
    /// # Errors
    /// The same error, with the longer path.
    fn at(self, outer: &str) -> Result<T, ProtocolError>;

    /// The inner message is an element of the repeated field `outer`.
    ///
    /// # Errors
    /// The same error, with the longer path.
    fn at_index(self, outer: &str, index: usize) -> Result<T, ProtocolError>;
}

impl<T> At<T> for Result<T, ProtocolError> {
    fn at(self, outer: &str) -> Self {
        self.map_err(|error| ProtocolError { field: format!("{outer}.{}", error.field), ..error })
    }

    fn at_index(self, outer: &str, index: usize) -> Self {
        self.map_err(|error| ProtocolError { field: format!("{outer}[{index}].{}", error.field), ..error })
    }
}
