//! What lies in a synced folder and cannot be a member: kept by its name, so that people hear of it, once.

use serde::{Deserialize, Serialize};

use crate::agent::state::{Parent, parent_key};
use crate::model::{NodeId, Reason, SetId};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};

/// The most oddities that one page reads.
const PAGE: usize = 1_000;

/// Items that cannot be members, by the folder and the bytes of their name.
#[derive(Debug)]
pub struct Oddities;

/// Why an item is no member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oddity {
    /// The reason.
    pub reason: Reason,
    /// More about this case, for a person.
    pub detail: String,
}

impl Record for Oddities {
    const TABLE: Table = Table::Oddities;
    const FORMAT: u8 = 1;
    type Key = (SetId, Parent, Vec<u8>);
    type Value = Oddity;
}

/// An item that is no member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddItem {
    /// The folder that it is in; all zeros beside direct members.
    pub parent: Parent,
    /// The bytes of its name.
    pub name: Vec<u8>,
    /// Why.
    pub oddity: Oddity,
}

/// Lists a set's items that are no members, at most `limit` of them, after a folder and name that were listed before.
///
/// # Errors
/// When the store cannot be read.
pub fn list(read: &(impl Read + ?Sized), set: SetId, after: Option<(Parent, Vec<u8>)>, limit: usize) -> Result<Vec<OddItem>, StoreError> {
    let after = after.map(|(parent, name)| (set, parent, name));
    let rows = read.scan::<Oddities>(&(set,), after.as_ref(), limit)?;
    Ok(rows.into_iter().map(|((_, parent, name), oddity)| OddItem { parent, name, oddity }).collect())
}

/// Looks at each of a set's.
///
/// # Errors
/// When the store cannot be read.
pub fn for_each(read: &(impl Read + ?Sized), set: SetId, mut look: impl FnMut(&Oddity)) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let rows = read.scan::<Oddities>(&(set,), after.as_ref(), PAGE)?;
        rows.iter().for_each(|(_, oddity)| look(oddity));
        match rows.into_iter().nth(PAGE - 1) {
            Some((last, _)) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// Forgets up to `limit` of a set's; says whether there may be more.
///
/// # Errors
/// When the store fails.
pub fn forget(tx: &mut Transaction<'_>, set: SetId, limit: usize) -> Result<bool, StoreError> {
    let rows = tx.scan::<Oddities>(&(set,), None, limit)?;
    rows.iter().try_for_each(|(key, _)| tx.delete::<Oddities>(key))?;
    Ok(rows.len() == limit)
}

/// Returns a folder's oddities.
pub(super) fn names(read: &(impl Read + ?Sized), set: SetId, parent: Option<NodeId>) -> Result<Vec<(Vec<u8>, Oddity)>, StoreError> {
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let rows = read.scan::<Oddities>(&(set, parent_key(parent)), after.as_ref(), PAGE)?;
        let full = rows.len() == PAGE;
        after = rows.last().map(|(key, _)| key.clone()).filter(|_| full);
        names.extend(rows.into_iter().map(|((.., name), oddity)| (name, oddity)));
        if after.is_none() {
            return Ok(names);
        }
    }
}

/// Returns those of a folder's oddities that have one of these names.
pub(super) fn of_names(
    read: &(impl Read + ?Sized),
    set: SetId,
    parent: Option<NodeId>,
    names: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Vec<(Vec<u8>, Oddity)>, StoreError> {
    let found = |name: Vec<u8>| Ok(read.get::<Oddities>(&(set, parent_key(parent), name.clone()))?.map(|oddity| (name, oddity)));
    names.into_iter().filter_map(|name| found(name).transpose()).collect()
}

/// Sets, or without a value removes, what is known of a name. Without a folder: of a former direct member.
///
/// # Errors
/// When the store fails.
pub fn save(
    tx: &mut Transaction<'_>,
    set: SetId,
    parent: Option<NodeId>,
    name: Vec<u8>,
    oddity: Option<&Oddity>,
) -> Result<(), StoreError> {
    let key = (set, parent_key(parent), name);
    match oddity {
        Some(oddity) => tx.put::<Oddities>(&key, oddity),
        None => tx.delete::<Oddities>(&key),
    }
}
