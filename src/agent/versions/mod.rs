//! What the source had before a sync replaced or deleted it: kept in the depot, listed by member and by path, until its retention ends.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::context::Context;
use super::planner::committed;
use super::repository::Document;
use crate::content::{Blob, ChunkerParameters, Cutter, ManifestBuilder};
use crate::depot::DepotError;
use crate::model::{ContentRef, NodeId, SetId};
use crate::store::{Read, ReadExt as _, Record, StoreError, Table, Transaction, WriteExt as _};
use crate::task;
use crate::transfer::AGENT_SCOPE;

/// Why a version was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A change from the cloud replaced it.
    Replaced,
    /// Both sides had changed it, and the cloud's won.
    Conflict,
    /// A delete in the cloud deleted it.
    Deleted,
    /// Somebody wrote while a change from the cloud was put in place.
    WrittenMeanwhile,
    /// It was changed although its sync set locks it.
    Locked,
    /// Restoring another version replaced it.
    RestoredOver,
}

/// Kept versions of a member.
#[derive(Debug)]
pub struct Versions;

/// A kept version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The bytes.
    pub content: ContentRef,
    /// When it was kept, in milliseconds since 1970.
    pub kept_millis: u64,
    /// Why.
    pub cause: Cause,
    /// The path that the document had, as people know it.
    pub path: String,
}

impl Record for Versions {
    const TABLE: Table = Table::SourceVersions;
    const FORMAT: u8 = 1;
    type Key = (SetId, NodeId, u32);
    type Value = Version;
}

/// Which member had a path, for documents that are gone.
#[derive(Debug)]
pub struct VersionPaths;

impl Record for VersionPaths {
    const TABLE: Table = Table::SourceVersionPaths;
    const FORMAT: u8 = 1;
    type Key = (Vec<u8>, SetId, NodeId);
    type Value = ();
}

/// The number of the newest kept version. One count for all of them, so that a number means one version at whatever path it is shown.
#[derive(Debug)]
pub struct VersionNumber;

impl Record for VersionNumber {
    const TABLE: Table = Table::SourceVersionNumber;
    const FORMAT: u8 = 1;
    type Key = ();
    type Value = u32;
}

/// Bytes that are cut and stored at one time.
const STEP_BYTES: usize = 8 * 1024 * 1024;

/// Why a version could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// It could not be read.
    #[error("the replaced document cannot be read: {0}")]
    Read(#[from] super::repository::RepositoryError),
    /// It could not be stored.
    #[error(transparent)]
    Depot(#[from] DepotError),
    /// The work was lost.
    #[error(transparent)]
    Lost(#[from] task::Lost),
}

/// Stores the bytes of a document durably, and returns what they are.
///
/// # Errors
/// When it cannot be read or stored.
pub async fn store(context: &Context, document: Box<dyn Document>) -> Result<ContentRef, KeepError> {
    let mut reading = Some(Reading { document, offset: 0, cutter: Cutter::new(ChunkerParameters::DEFAULT), ended: false });
    let mut manifest = ManifestBuilder::new(ChunkerParameters::DEFAULT);
    while let Some(mut at) = reading.take() {
        let (at, blobs) = task::blocking("cut a version", move || at.next().map(|blobs| (at, blobs))).await??;
        let mut kept = Vec::new();
        for blob in &blobs {
            manifest.push(blob.hash(), u32::try_from(blob.bytes().len()).unwrap_or(u32::MAX), &mut kept);
        }
        kept.extend(blobs);
        context.depot.keep(AGENT_SCOPE, kept).await?;
        reading = Some(at).filter(|at| !at.ended);
    }
    let mut pages = Vec::new();
    let content = manifest.finish(&mut pages);
    context.depot.keep(AGENT_SCOPE, pages).await?;
    Ok(content)
}

struct Reading {
    document: Box<dyn Document>,
    offset: u64,
    cutter: Cutter,
    ended: bool,
}

impl Reading {
    /// Reads and cuts the next stretch.
    fn next(&mut self) -> Result<Vec<Blob>, super::repository::RepositoryError> {
        let mut buffer = vec![0; STEP_BYTES];
        let count = self.document.read_at(self.offset, &mut buffer)?;
        self.offset += count as u64;
        self.ended = count < buffer.len();
        self.cutter.feed(&buffer[..count]);
        Ok(std::iter::from_fn(|| self.cutter.take(self.ended)).map(|chunk| chunk.blob).collect())
    }
}

/// Lists a version, in the transaction that also says why. A content that is the newest version already is not listed twice.
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Transaction<'_>, set: SetId, node: NodeId, version: Version) -> Result<(), StoreError> {
    let newest = tx.last::<Versions>(&(set, node))?;
    if newest.is_some_and(|(_, newest)| newest.content == version.content && newest.cause == version.cause) {
        return Ok(());
    }
    let number = tx.get::<VersionNumber>(&())?.unwrap_or(0) + 1;
    tx.put::<VersionNumber>(&(), &number)?;
    tx.put::<VersionPaths>(&(version.path.clone().into_bytes(), set, node), &())?;
    tx.put::<Versions>(&(set, node, number), &version)
}

/// Returns the kept versions of a member, newest first, at most 1,000.
///
/// # Errors
/// When the store cannot be read.
pub fn of_member(read: &impl Read, set: SetId, node: NodeId) -> Result<Vec<(u32, Version)>, StoreError> {
    let rows = read.scan_back::<Versions>(&(set, node), None, 1_000)?;
    Ok(rows.into_iter().map(|((.., number), version)| (number, version)).collect())
}

/// Returns the members that had versions kept at a path.
///
/// # Errors
/// When the store cannot be read.
pub fn at_path(read: &impl Read, path: &str) -> Result<Vec<(SetId, NodeId)>, StoreError> {
    let rows = read.scan::<VersionPaths>(&(path.as_bytes().to_vec(),), None, 100)?;
    Ok(rows.into_iter().map(|((_, set, node), ())| (set, node)).collect())
}

/// Returns the paths beneath a folder at which versions were kept, and the members that had them; at most `limit`.
///
/// # Errors
/// When the store cannot be read.
pub fn beneath(read: &impl Read, folder: &str, limit: usize) -> Result<Vec<(String, SetId, NodeId)>, StoreError> {
    let prefix = [folder.trim_end_matches('/').as_bytes(), b"/"].concat();
    let before = (prefix.clone(), SetId::from_uuid(Uuid::nil()), NodeId::from_uuid(Uuid::nil()));
    let rows = read.scan::<VersionPaths>(&(), Some(&before), limit)?.into_iter().map(|(key, ())| key);
    let within = rows.take_while(|(path, ..)| path.starts_with(&prefix));
    Ok(within.filter_map(|(path, set, node)| Some((String::from_utf8(path).ok()?, set, node))).collect())
}

/// Removes versions whose retention ended; returns how many. Their bytes are collected later.
///
/// # Errors
/// When the store fails.
pub async fn expire(context: &Context, before_millis: u64) -> Result<usize, StoreError> {
    let old = context.store.read(|read| read.scan::<Versions>(&(), None, usize::MAX))?;
    let old: Vec<_> = old.into_iter().filter(|(_, version)| version.kept_millis < before_millis).collect();
    let count = old.len();
    for rows in old.chunks(500) {
        let rows = rows.to_vec();
        let expired = context.store.transact(move |tx| {
            rows.iter().try_for_each(|(key, version)| {
                tx.delete::<Versions>(key)?;
                if of_member(tx, key.0, key.1)?.iter().any(|(_, other)| other.path == version.path) {
                    return Ok::<_, StoreError>(());
                }
                tx.delete::<VersionPaths>(&(version.path.clone().into_bytes(), key.0, key.1))
            })
        });
        committed(expired.await)?;
    }
    Ok(count)
}
