//! Kept versions: listing them, and putting one back.

use std::path::Path;
use std::sync::Arc;

use super::Local;
use super::caller::{Caller, absolute};
use super::show;
use crate::agent::applier;
use crate::agent::planner::committed;
use crate::agent::repository::{At, Displaced, Leftover, NotSyncable, RepoKey, Repository, RepositoryError, Resolved, Staged, Stamp};
use crate::agent::state::{Displacements, members};
use crate::agent::tracker::Look;
use crate::agent::versions::{self, Cause, Version};
use crate::content::{Blob, BlobKind, ChunkerParameters};
use crate::model::{ContentRef, Fault, FaultKind, Name, NodeId, OpId, Reason, SetId, Timestamp};
use crate::store::{StoreError, Transaction, WriteExt as _};
use crate::sys::Want;
use crate::task;
use crate::transfer::AGENT_SCOPE;
use crate::wire::pb;

/// The most versions that are listed, and paths that are looked at for them.
const LISTED_MAX: usize = 1_000;

/// A kept version, and whose it is.
struct Kept {
    number: u32,
    version: Version,
    set: SetId,
    node: NodeId,
}

/// Finds the versions that a path shows, newest first: all those of the document there, and those that documents left at this path which
/// are gone or elsewhere now. Of one that is elsewhere only to those who may read it there.
async fn kept(local: &Local, caller: Caller, path: &Path, whose: Whose) -> Result<Vec<Kept>, Fault> {
    let there = show::member_at(local, path).await.ok().map(|(set, row)| (set, row.member.node));
    let shown = path.display().to_string();
    let had = local.context.store.read(|read| versions::at_path(read, &shown))?;
    let mut kept = Vec::new();
    for member in there.into_iter().chain(had.into_iter().filter(|had| Some(*had) != there)) {
        let is_there = Some(member) == there;
        kept.extend(of_member(local, caller, member, whose, Some(&shown).filter(|_| !is_there)).await?);
    }
    if kept.is_empty() && there.is_none() {
        return Err(Fault::not_found(format!("no versions of {shown} were kept")));
    }
    kept.sort_by_key(|kept| std::cmp::Reverse(kept.number));
    Ok(kept)
}

/// The versions of a member that a caller may see; of one that is not there any more, those that it left at a path.
async fn of_member(
    local: &Local,
    caller: Caller,
    (set, node): (SetId, NodeId),
    whose: Whose,
    left_at: Option<&String>,
) -> Result<Vec<Kept>, Fault> {
    if whose == Whose::Own && !local.context.store.read(|read| members::load_set(read, set))?.is_none_or(|set| caller.owns(&set)) {
        return Ok(Vec::new());
    }
    if left_at.is_some() && !may_see(local, caller, set, node).await? {
        return Ok(Vec::new());
    }
    let versions = local.context.store.read(|read| versions::of_member(read, set, node))?;
    let shown = versions.into_iter().filter(|(_, version)| left_at.is_none_or(|path| version.path == *path));
    Ok(shown.map(|(number, version)| Kept { number, version, set, node }).collect())
}

/// Finds the versions that were kept beneath a folder, or what was one: the way to those of documents whose path nobody knows any more.
async fn beneath(local: &Local, caller: Caller, folder: &Path) -> Result<Vec<Kept>, Fault> {
    let folder = folder.display().to_string();
    let mut kept = Vec::new();
    for (path, set, node) in local.context.store.read(|read| versions::beneath(read, &folder, LISTED_MAX))? {
        if let Ok(whose) = allowed(local, caller, Path::new(&path), Want::Read).await {
            kept.extend(of_member(local, caller, (set, node), whose, Some(&path)).await?);
        }
    }
    Ok(kept)
}

/// Whether a document is gone, or somewhere where the caller may read it.
async fn may_see(local: &Local, caller: Caller, set: SetId, node: NodeId) -> Result<bool, Fault> {
    let row = local.context.store.read(|read| members::load(read, set, node))?;
    match row.filter(|row| row.source.is_some()) {
        Some(row) => Ok(caller.must(local, &show::path_of(local, set, &row)?, Want::Read).await.is_ok()),
        None => Ok(true),
    }
}

/// Whose versions a caller is shown at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Anybodys,
    /// Those of sets that are the caller's own, or the administrator's.
    Own,
}

/// Refuses whoever has no right to a path. Of a document that is gone its folder decides. Where that is gone, too, nobody can say any more who
/// had a right to it: what is left above decides, and only for the caller's own sets.
async fn allowed(local: &Local, caller: Caller, path: &Path, want: Want) -> Result<Whose, Fault> {
    let there = path.ancestors().find(|at| local.rights.exists(at)).unwrap_or(path);
    caller.must(local, there, want).await?;
    let folder_is_there = there == path || path.parent() == Some(there);
    Ok(if folder_is_there { Whose::Anybodys } else { Whose::Own })
}

/// Lists the versions kept at a path, and beneath it.
pub(super) async fn list(local: &Local, caller: Caller, path: &str) -> Result<Vec<pb::SourceVersion>, Fault> {
    let path = absolute("path", path)?;
    let whose = allowed(local, caller, &path, Want::Read).await?;
    let mut listed = beneath(local, caller, &path).await?;
    match kept(local, caller, &path, whose).await {
        Err(fault) if fault.kind == FaultKind::NotFound && !listed.is_empty() => {}
        kept => listed.extend(kept?),
    }
    listed.sort_by_key(|kept| std::cmp::Reverse(kept.number));
    listed.truncate(LISTED_MAX);
    Ok(listed.iter().map(|kept| describe(kept.number, &kept.version)).collect())
}

fn describe(number: u32, version: &Version) -> pb::SourceVersion {
    let cause = match version.cause {
        Cause::Replaced => pb::SourceVersionCause::Replaced,
        Cause::Conflict => pb::SourceVersionCause::Conflict,
        Cause::Deleted => pb::SourceVersionCause::Deleted,
        Cause::WrittenMeanwhile => pb::SourceVersionCause::WrittenMeanwhile,
        Cause::Locked => pb::SourceVersionCause::Locked,
        Cause::RestoredOver => pb::SourceVersionCause::RestoredOver,
    };
    let millis = version.kept_millis;
    let kept = Timestamp { seconds: i64::try_from(millis / 1_000).unwrap_or(i64::MAX), nanoseconds: (millis % 1_000) as u32 * 1_000_000 };
    pb::SourceVersion {
        version: number,
        keep_time: Some(kept.into()),
        size_bytes: version.content.size_bytes,
        cause: cause.into(),
        path: version.path.clone(),
    }
}

/// Puts a version back as an ordinary change of the document at the path, or as a new document there if it is gone.
pub(super) async fn restore(local: &Local, caller: Caller, path: &str, number: u32) -> Result<String, Fault> {
    let path = absolute("path", path)?;
    let whose = allowed(local, caller, &path, Want::Write).await?;
    let found = kept(local, caller, &path, whose).await?.into_iter().find(|kept| kept.number == number);
    let Kept { version, set, node, .. } =
        found.ok_or_else(|| Fault::not_found(format!("{} has no version {number}; see `skybridge versions`", path.display())))?;
    // What it replaces belongs to the document that is there now.
    let (set, node) = show::member_at(local, &path).await.map_or((set, node), |(set, row)| (set, row.member.node));
    let op = OpId::from_uuid(local.context.world.mint());
    let _at_work = local.context.at_work.begin(op);
    // Whose it is that this takes out of its place is known before it does, whatever comes between.
    write(local, move |tx| tx.put::<Displacements>(&op, &(set, node))).await?;
    let displaced = put(local, &path, op, version.content).await?;
    local.context.looks.look(set, Look::Set);
    if let Some(displaced) = displaced {
        keep(local, set, node, &path, displaced).await?;
    }
    Ok(path.display().to_string())
}

async fn keep(local: &Local, set: SetId, node: NodeId, path: &Path, displaced: Displaced) -> Result<(), Fault> {
    let kept = applier::keep_displaced(&local.context, &displaced, Cause::RestoredOver, path.display().to_string()).await;
    // What could not be kept stays where it is, and is kept with the leftovers.
    let Some(version) = kept else { return Ok(()) };
    write(local, move |tx| versions::list(tx, set, node, version.clone())).await?;
    applier::discard_displaced(&local.context, displaced).await;
    Ok(())
}

async fn write(local: &Local, change: impl FnMut(&mut Transaction<'_>) -> Result<(), StoreError> + Send + 'static) -> Result<(), Fault> {
    committed::<()>(local.context.store.transact(change).await).map_err(|error: StoreError| Fault::internal(error))
}

/// Puts a kept content at a path; returns what it displaced.
async fn put(local: &Local, path: &Path, op: OpId, content: ContentRef) -> Result<Option<Displaced>, Fault> {
    let (repository, at) = (local.context.repository.clone(), path.to_owned());
    let mut work = step(path, move || Work::begin(repository, op, &at)).await?;
    let mut reader = local.context.depot.content(AGENT_SCOPE, &content, 0..content.size_bytes).map_err(Fault::internal)?;
    while let Some(bytes) = reader.next().await.map_err(Fault::internal)? {
        work = step(path, move || work.append(&Blob::new(BlobKind::Chunk, bytes))).await?;
    }
    let (repository, displaced) = (Arc::clone(&local.context.repository), step(path, move || work.place(&content)).await?);
    let settled = task::blocking("restore a version", move || repository.settle()).await.map_err(Fault::internal)?;
    settled.map_err(|error| {
        let text = format!("{}: {error}; the version is there, but may not survive a loss of power: restore it again", path.display());
        Fault::new(FaultKind::Precondition, text).because(Reason::SourceAccessDenied)
    })?;
    Ok(displaced)
}

async fn step<T: Send + 'static>(path: &Path, work: impl FnOnce() -> Result<T, RepositoryError> + Send + 'static) -> Result<T, Fault> {
    task::blocking("restore a version", work).await.map_err(Fault::internal)?.map_err(|error| explain(path, &error))
}

fn explain(path: &Path, error: &RepositoryError) -> Fault {
    Fault::new(FaultKind::Precondition, format!("{}: {error}; no document was changed", path.display())).because(Reason::SourceAccessDenied)
}

/// A version on its way to its place. Every step blocks.
struct Work {
    repository: Arc<dyn Repository>,
    op: OpId,
    target: Target,
    staged: Staged,
}

/// Where it is put.
enum Target {
    /// Instead of a document.
    Over(At, Stamp),
    New(RepoKey, Name),
}

impl Work {
    fn begin(repository: Arc<dyn Repository>, op: OpId, path: &Path) -> Result<Self, RepositoryError> {
        let target = Target::at(&*repository, op, path)?;
        let folder = match &target {
            Target::Over(at, _) => &at.folder,
            Target::New(folder, _) => folder,
        };
        let staged = repository.stage_document(folder, op, ChunkerParameters::DEFAULT)?;
        Ok(Self { repository, op, target, staged })
    }

    fn append(mut self, chunk: &Blob) -> Result<Self, RepositoryError> {
        self.repository.append(&mut self.staged, chunk)?;
        Ok(self)
    }

    /// Swaps it in; returns what it displaced.
    fn place(mut self, content: &ContentRef) -> Result<Option<Displaced>, RepositoryError> {
        self.repository.finish(&mut self.staged, content)?;
        Ok(match &self.target {
            Target::Over(at, stamp) => {
                self.repository.inherit(&self.staged, at, &[])?;
                self.repository.flush(&[&self.staged])?;
                Some(self.repository.replace(&self.staged, at, stamp)?.1)
            }
            Target::New(folder, name) => {
                self.repository.flush(&[&self.staged])?;
                self.repository.place_new(&self.staged, folder, name)?;
                None
            }
        })
    }
}

impl Target {
    fn at(repository: &dyn Repository, op: OpId, path: &Path) -> Result<Self, RepositoryError> {
        match repository.resolve(path) {
            Ok(Resolved { folders, entry, .. }) => {
                let folder = folders.last().cloned().ok_or(RepositoryError::Gone)?;
                let name = entry.name.allowed().cloned().ok_or(RepositoryError::Changed)?;
                Ok(Self::Over(At { folder, name, key: entry.key }, entry.stamp))
            }
            Err(NotSyncable::Repository(RepositoryError::Gone)) => {
                let (folder, name) = split(path)?;
                Ok(Self::New(folder_at(repository, op, folder)?, name))
            }
            Err(NotSyncable::Repository(error)) => Err(error),
            Err(_) => Err(RepositoryError::Changed),
        }
    }
}

/// The folder at a path; made again, with those above it, where it is gone.
fn folder_at(repository: &dyn Repository, op: OpId, path: &Path) -> Result<RepoKey, RepositoryError> {
    match repository.resolve(path) {
        Ok(Resolved { entry, .. }) => Ok(entry.key),
        Err(NotSyncable::Repository(RepositoryError::Gone)) => {
            let (above, name) = split(path)?;
            let above = folder_at(repository, op, above)?;
            let staged = repository.stage_folder(&above, op)?;
            let placed = repository.flush(&[&staged]).and_then(|()| repository.place_new(&staged, &above, &name));
            if placed.is_err() {
                discard(repository, op);
            }
            Ok(placed?.key)
        }
        Err(NotSyncable::Repository(error)) => Err(error),
        Err(_) => Err(RepositoryError::Unsupported("restoring to the top of a library")),
    }
}

fn split(path: &Path) -> Result<(&Path, Name), RepositoryError> {
    let name = path.file_name().and_then(|name| Name::new(name.to_string_lossy()).ok());
    path.parent().zip(name).ok_or(RepositoryError::Gone)
}

/// Discards what is staged.
fn discard(repository: &dyn Repository, op: OpId) {
    for site in repository.sites() {
        if let Err(error) = repository.discard(&Leftover::Staged(site.name, op)) {
            tracing::debug!(%error, "nothing staged was discarded");
        }
    }
}

/// If putting it in place failed.
impl Drop for Work {
    fn drop(&mut self) {
        discard(&*self.repository, self.op);
    }
}
