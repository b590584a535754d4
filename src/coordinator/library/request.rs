//! Answers of calls that can be repeated: what the request of an account made. Kept for a while, then forgotten.

use serde::{Deserialize, Serialize};

use crate::model::{AccountId, NodeId, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// What a request made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The node that it made or changed.
    pub node: NodeId,
    /// When.
    pub at: Timestamp,
}

impl Record for Request {
    const TABLE: Table = Table::Request;
    const FORMAT: u8 = 1;
    type Key = (AccountId, [u8; 16]);
    type Value = Self;
}

/// Returns what an earlier call of the account with this request id made.
///
/// # Errors
/// When the store fails.
pub fn repeated(read: &(impl Read + ?Sized), account: AccountId, request: [u8; 16]) -> Result<Option<NodeId>, StoreError> {
    Ok(read.get::<Request>(&(account, request))?.map(|request| request.node))
}

/// Remembers what a call made, in the transaction that made it.
///
/// # Errors
/// When the store fails.
pub fn remember(tx: &mut Transaction<'_>, account: AccountId, request: [u8; 16], node: NodeId, at: Timestamp) -> Result<(), StoreError> {
    tx.put::<Request>(&(account, request), &Request { node, at })
}

/// Forgets requests from before a time: looks at `limit` of them after `after`, and returns where to go on, or `None` at the end.
///
/// # Errors
/// When the store fails.
pub fn prune(
    tx: &mut Transaction<'_>,
    before: Timestamp,
    after: Option<(AccountId, [u8; 16])>,
    limit: usize,
) -> Result<Option<(AccountId, [u8; 16])>, StoreError> {
    let rows = tx.scan::<Request>(&(), after.as_ref(), limit)?;
    let last = rows.last().map(|(key, _)| *key).filter(|_| rows.len() == limit);
    for (key, _) in rows.into_iter().filter(|(_, request)| request.at < before) {
        tx.delete::<Request>(&key)?;
    }
    Ok(last)
}
