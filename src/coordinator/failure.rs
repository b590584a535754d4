//! How the coordinator's domain code fails: a refusal for the caller, or the store underneath.

use crate::model::{Fault, FaultKind};
use crate::store::{StoreError, TransactError};

/// Why something was not done. Nothing of it was done then, as the transaction around it is dropped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// The caller asked for what cannot be.
    #[error(transparent)]
    Refused(#[from] Fault),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(fault) => fault,
            Failure::Store(error) => Self::internal(error),
        }
    }
}

impl From<TransactError<Failure>> for Fault {
    fn from(error: TransactError<Failure>) -> Self {
        let unavailable =
            |message: &str, error: StoreError| Self { internal: Some(error.to_string()), ..Self::new(FaultKind::Unavailable, message) };
        match error {
            TransactError::Aborted(failure) => failure.into(),
            TransactError::NotProcessed(error) => unavailable("this was not processed; try again", error),
            TransactError::Unknown(error) => unavailable("it is unknown whether this was processed; look before trying again", error),
        }
    }
}
