//! The journal of a network: every change of its library in the order of their commits, and an index of it for each sync set.
//!
//! A change is one row however much lies beneath the node. It records the set that the node was in before and the set that it is in
//! after, as of its commit; each set's index gets the entry in the same transaction, so that a reader of a set reads only what concerns
//! it. What an entry shows is the state at that sequence.
//!
//! A reader that lists what is beneath a node which entered sees it as it is by then. So it must take what is older than what it holds
//! for read, a leaving before the last entering too, and a node that is present without having been announced for one that entered: it
//! was moved between the entry and the listing, and a folder's content is to be listed with it. What lies in a folder that never becomes
//! known is no member any more: something above has left.
//!
//! The head stands in the network's row: whoever changes a library reads and writes that row through a [`Ledger`], and so gets the
//! next sequence in the one order of the network.

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::networks::{self, Network};
use super::sets::Definition;
use crate::model::{AccountId, Change, Cursor, Departure, JournalEntry, NetworkId, OpId, Sequence, SetId, TargetNode, Timestamp};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// A change as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The node with the state after the change.
    pub node: TargetNode,
    /// The operation that made it, and its set, when an agent did.
    pub op: Option<(SetId, OpId)>,
    /// The set that the node was in before.
    pub before: Option<SetId>,
    /// The set that it is in after.
    pub after: Option<SetId>,
    /// How it left the set before, if it did.
    pub departure: Departure,
    /// Whether, in a set that it entered, there is something beneath that no entry announces.
    pub lists: bool,
    /// The account that acted.
    pub by: AccountId,
    /// When.
    pub at: Timestamp,
}

impl Record for Entry {
    const TABLE: Table = Table::Journal;
    const FORMAT: u8 = 1;
    type Key = (NetworkId, Sequence);
    type Value = Self;
}

/// Finds the entries that concern a set.
#[derive(Debug)]
struct OfSet;

impl Record for OfSet {
    const TABLE: Table = Table::JournalOfSet;
    const FORMAT: u8 = 1;
    type Key = (SetId, Sequence);
    type Value = ();
}

impl Entry {
    /// Returns what it means to one of the sets that it concerns.
    fn seen_by(self, set: SetId, sequence: Sequence) -> JournalEntry {
        let change = match (self.before == Some(set), self.after == Some(set)) {
            (true, true) => Change::Present(self.node),
            (false, _) => Change::Entered { node: self.node, lists: self.lists },
            (true, false) => Change::Left { node: self.node.node, departure: self.departure },
        };
        JournalEntry { sequence, op: self.op.filter(|(of, _)| *of == set).map(|(_, op)| op), change }
    }
}

/// What would not fit into a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The document is larger than the network's limit.
    Document {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// The quota would be exceeded.
    Quota {
        /// The quota, in bytes.
        quota_bytes: u64,
    },
}

/// The row of a network while a transaction changes its library.
#[derive(Debug)]
pub struct Ledger {
    id: NetworkId,
    network: Network,
}

impl Ledger {
    /// Reads the row.
    ///
    /// # Errors
    /// When there is no such network.
    pub fn open(tx: &Transaction<'_>, id: NetworkId) -> Result<Self, Failure> {
        Ok(Self { id, network: networks::get(tx, id)? })
    }

    /// Returns the last sequence that was given.
    #[must_use]
    pub const fn head(&self) -> Sequence {
        self.network.head
    }

    /// Returns the sequence that the next entry gets.
    #[must_use]
    pub const fn next(&self) -> Sequence {
        self.network.head.next()
    }

    /// Appends an entry.
    ///
    /// # Errors
    /// When the store fails.
    pub fn append(&mut self, tx: &mut Transaction<'_>, entry: &Entry) -> Result<Sequence, StoreError> {
        let sequence = self.next();
        tx.put::<Entry>(&(self.id, sequence), entry)?;
        for set in concerned(entry) {
            tx.put::<OfSet>(&(set, sequence), &())?;
        }
        self.network.head = sequence;
        Ok(sequence)
    }

    /// Says whether a version of this size would fit.
    ///
    /// # Errors
    /// What it would exceed.
    pub const fn check_room(&self, bytes: u64) -> Result<(), NoRoom> {
        let Network { quota_bytes, used_bytes, document_bytes_max, .. } = self.network;
        if document_bytes_max != 0 && bytes > document_bytes_max {
            return Err(NoRoom::Document { limit_bytes: document_bytes_max });
        }
        if quota_bytes != 0 && used_bytes.saturating_add(bytes) > quota_bytes {
            return Err(NoRoom::Quota { quota_bytes });
        }
        Ok(())
    }

    /// Counts a version that was added.
    pub const fn charge(&mut self, bytes: u64) {
        self.network.used_bytes = self.network.used_bytes.saturating_add(bytes);
    }

    /// Counts a version that is gone.
    pub const fn refund(&mut self, bytes: u64) {
        self.network.used_bytes = self.network.used_bytes.saturating_sub(bytes);
    }

    /// Writes the row back.
    ///
    /// # Errors
    /// When the store fails.
    pub fn close(self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        tx.put::<Network>(&(self.id,), &self.network)
    }
}

/// The sets that an entry concerns, each once.
fn concerned(entry: &Entry) -> impl Iterator<Item = SetId> {
    entry.before.into_iter().chain(entry.after.filter(|after| entry.before != Some(*after)))
}

/// A part of the journal of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The entries, in their order.
    pub entries: Vec<JournalEntry>,
    /// The cursor up to which nothing else concerns the set.
    pub covered_to: Cursor,
    /// Whether there are more.
    pub more: bool,
}

/// Why a set cannot be read from a cursor. The reader lists the members and goes on from where that began.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The cursor is of another life of the journal.
    #[error("the cursor is of another life of the journal")]
    OtherEpoch,
    /// What follows the cursor is no longer kept.
    #[error("the journal is kept from {} on", oldest)]
    Compacted {
        /// The oldest sequence that is kept.
        oldest: Sequence,
    },
    /// The cursor is ahead of the journal.
    #[error("the cursor is ahead of the journal, which ends at {head}")]
    Ahead {
        /// The last sequence.
        head: Sequence,
    },
}

/// Returns the position behind the last entry of a network's journal.
///
/// # Errors
/// When there is no such network.
pub fn head(read: &(impl Read + ?Sized), network: NetworkId) -> Result<Cursor, Failure> {
    let network = networks::get(read, network)?;
    Ok(Cursor { epoch: network.epoch, sequence: network.head })
}

/// Reads at most `limit` changes of a set that follow a cursor.
///
/// The inner error says that it cannot be read from there.
///
/// # Errors
/// When the store fails.
pub fn changes(
    read: &(impl Read + ?Sized),
    definition: &Definition,
    after_exclusive: Cursor,
    limit: usize,
) -> Result<Result<Changes, ReadError>, Failure> {
    let (network_id, set) = (definition.set.network, definition.set.id);
    let network = networks::get(read, network_id)?;
    if after_exclusive.epoch != network.epoch {
        return Ok(Err(ReadError::OtherEpoch));
    }
    if after_exclusive.sequence < network.compacted {
        return Ok(Err(ReadError::Compacted { oldest: network.compacted.next() }));
    }
    if after_exclusive.sequence > network.head {
        return Ok(Err(ReadError::Ahead { head: network.head }));
    }
    let mut index = read.scan::<OfSet>(&(set,), Some(&(set, after_exclusive.sequence)), limit.saturating_add(1))?;
    let more = index.len() > limit;
    index.truncate(limit);
    let mut entries = Vec::with_capacity(index.len());
    for ((_, sequence), ()) in index {
        let entry = read.get::<Entry>(&(network_id, sequence))?;
        entries.extend(entry.map(|entry| entry.seen_by(set, sequence)));
    }
    let covered = if more { entries.last().map_or(after_exclusive.sequence, |entry| entry.sequence) } else { network.head };
    Ok(Ok(Changes { entries, covered_to: Cursor { epoch: network.epoch, sequence: covered }, more }))
}

/// Counts the changes of a set that follow a sequence, up to `limit`: how far its agent lags behind.
///
/// # Errors
/// When the store fails.
pub fn lag(read: &(impl Read + ?Sized), set: SetId, after: Sequence, limit: usize) -> Result<usize, StoreError> {
    Ok(read.scan::<OfSet>(&(set,), Some(&(set, after)), limit)?.len())
}

/// Drops at most `limit` of the oldest entries, none above `through` and none that is younger than `before`, and returns how many.
///
/// The caller passes as `through` what the agents of all sets of the network have acknowledged, so that nobody misses a tombstone.
///
/// # Errors
/// When the store fails.
pub fn compact(tx: &mut Transaction<'_>, id: NetworkId, through: Sequence, before: Timestamp, limit: usize) -> Result<usize, Failure> {
    let mut network = networks::get(tx, id)?;
    let rows = tx.scan::<Entry>(&(id,), None, limit)?;
    let mut dropped = 0;
    for (key, entry) in rows {
        if key.1 > through || entry.at >= before {
            break;
        }
        for set in concerned(&entry) {
            tx.delete::<OfSet>(&(set, key.1))?;
        }
        network.compacted = key.1;
        tx.delete::<Entry>(&key)?;
        dropped += 1;
    }
    tx.put::<Network>(&(id,), &network)?;
    Ok(dropped)
}
