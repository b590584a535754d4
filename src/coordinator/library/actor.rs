//! Who changes a library, and what the library must ask of those who know content and accounts.

use crate::model::{AccountId, ContentRef, NetworkId, OpId, SetId, Timestamp};
use crate::store::{Read, StoreError, Transaction};

/// Who makes a change, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// The account that acts; of a sync the owner of the set.
    pub account: AccountId,
    /// The set and the operation, when a sync acts for the account.
    pub by_sync: Option<(SetId, OpId)>,
    /// The time.
    pub now: Timestamp,
}

impl Actor {
    /// Returns a person, or a program, who acts for itself.
    #[must_use]
    pub const fn person(account: AccountId, now: Timestamp) -> Self {
        Self { account, by_sync: None, now }
    }
}

/// What the library asks of the rest of the coordinator, inside its own transaction.
pub trait Gate {
    /// Makes content that the caller sent a document's, if all of it is stored and the caller may refer to it. Answers `false`, and has no
    /// effect, if not.
    ///
    /// Called once for each new version, when nothing else stands in its way.
    ///
    /// # Errors
    /// When the store fails.
    fn refer(&self, tx: &mut Transaction<'_>, network: NetworkId, content: &ContentRef) -> Result<bool, StoreError>;

    /// As [`Gate::refer`], for content of a version that the caller may read: what a copy or the restoring of a version refers to.
    ///
    /// # Errors
    /// When the store fails.
    fn refer_again(&self, tx: &mut Transaction<'_>, network: NetworkId, content: &ContentRef) -> Result<bool, StoreError>;

    /// Whether an account exists and was not ended.
    ///
    /// # Errors
    /// When the store fails.
    fn is_active(&self, read: &dyn Read, account: AccountId) -> Result<bool, StoreError>;
}

/// A gate for content that comes from versions which the caller may read.
pub(super) struct Again<'g>(pub(super) &'g dyn Gate);

impl Gate for Again<'_> {
    fn refer(&self, tx: &mut Transaction<'_>, network: NetworkId, content: &ContentRef) -> Result<bool, StoreError> {
        self.0.refer_again(tx, network, content)
    }

    fn refer_again(&self, tx: &mut Transaction<'_>, network: NetworkId, content: &ContentRef) -> Result<bool, StoreError> {
        self.0.refer_again(tx, network, content)
    }

    fn is_active(&self, read: &dyn Read, account: AccountId) -> Result<bool, StoreError> {
        self.0.is_active(read, account)
    }
}
