//! Up to where agents hold the journal durably: what tombstones wait for, and what the lag of an agent is measured from.

use serde::{Deserialize, Serialize};

use super::record::SetOfNetwork;
use super::{Definition, LISTED_MAX};
use crate::model::{Cursor, NetworkId, Sequence, SetId, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// What an agent acknowledged of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// It holds everything up to here.
    pub cursor: Cursor,
    /// When it said so.
    pub at: Timestamp,
}

impl Record for Acknowledged {
    const TABLE: Table = Table::Acknowledged;
    const FORMAT: u8 = 1;
    type Key = (SetId,);
    type Value = Self;
}

/// Stores what an agent acknowledged, unless it has acknowledged more of the same life of the journal before.
///
/// # Errors
/// When the store fails.
pub fn acknowledge(tx: &mut Transaction<'_>, set: SetId, cursor: Cursor, at: Timestamp) -> Result<(), StoreError> {
    let newer = acknowledged(tx, set)?.is_none_or(|held| held.cursor.epoch != cursor.epoch || held.cursor.sequence < cursor.sequence);
    if newer { tx.put::<Acknowledged>(&(set,), &Acknowledged { cursor, at }) } else { Ok(()) }
}

/// Returns what an agent acknowledged of a set.
///
/// # Errors
/// When the store fails.
pub fn acknowledged(read: &(impl Read + ?Sized), set: SetId) -> Result<Option<Acknowledged>, StoreError> {
    read.get::<Acknowledged>(&(set,))
}

/// Returns the sequence that the agents of all sets of a network have acknowledged; `None` while there is no set.
///
/// # Errors
/// When the store fails.
pub fn acknowledged_by_all(read: &(impl Read + ?Sized), network: NetworkId) -> Result<Option<Sequence>, StoreError> {
    let mut least: Option<Sequence> = None;
    for ((_, set), ()) in read.scan::<SetOfNetwork>(&(network,), None, LISTED_MAX)? {
        if Definition::in_force(read, set)?.is_some() {
            let held = acknowledged(read, set)?.map_or(Sequence::ZERO, |held| held.cursor.sequence);
            least = Some(least.map_or(held, |least| least.min(held)));
        }
    }
    Ok(least)
}
