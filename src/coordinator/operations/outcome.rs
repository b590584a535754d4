//! The answers that operations got, kept so that a repeated operation has no second effect.

use serde::{Deserialize, Serialize};

use crate::model::{OpId, Operation, Outcome, Reason, Refusal, SetId, Timestamp};
use crate::store::{ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// The answer to an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredOutcome {
    /// The answer.
    pub outcome: Outcome,
    /// When it was given.
    pub at: Timestamp,
}

impl Record for StoredOutcome {
    const TABLE: Table = Table::Outcome;
    const FORMAT: u8 = 1;
    type Key = (SetId, OpId);
    type Value = Self;
}

pub(super) fn stored(tx: &Transaction<'_>, operation: &Operation) -> Result<Option<Outcome>, StoreError> {
    Ok(tx.get::<StoredOutcome>(&(operation.set, operation.op))?.map(|stored| stored.outcome))
}

pub(super) fn store(tx: &mut Transaction<'_>, operation: &Operation, outcome: &Outcome, at: Timestamp) -> Result<(), StoreError> {
    if is_final(outcome) {
        tx.put::<StoredOutcome>(&(operation.set, operation.op), &StoredOutcome { outcome: outcome.clone(), at })?;
    }
    Ok(())
}

/// Whether the answer stays the answer; see the module above for why.
fn is_final(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Done(_) => true,
        Outcome::Refused(Refusal::Stale | Refusal::ContentMissing) => false,
        Outcome::Refused(Refusal::NameTaken { .. } | Refusal::Missing | Refusal::NotEmpty | Refusal::IdInUse) => true,
        Outcome::Refused(Refusal::Because(reason, _)) => !matches!(
            reason,
            Reason::QuotaExceeded
                | Reason::ContentLimitExceeded
                | Reason::TargetAccessDenied
                | Reason::OwnerNotFound
                | Reason::AuthenticationFailed
        ),
    }
}

/// Forgets answers from before a time: looks at `limit` of them after `after`, and returns where to go on, or `None` at the end.
///
/// # Errors
/// When the store fails.
pub fn prune_outcomes(
    tx: &mut Transaction<'_>,
    before: Timestamp,
    after: Option<(SetId, OpId)>,
    limit: usize,
) -> Result<Option<(SetId, OpId)>, StoreError> {
    let rows = tx.scan::<StoredOutcome>(&(), after.as_ref(), limit)?;
    let last = rows.last().map(|(key, _)| *key).filter(|_| rows.len() == limit);
    for (key, _) in rows.into_iter().filter(|(_, stored)| stored.at < before) {
        tx.delete::<StoredOutcome>(&key)?;
    }
    Ok(last)
}
