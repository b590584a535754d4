//! Kept versions: listing them, and putting one back.

use std::path::Path;

use super::Local;
use super::caller::{Caller, absolute};
use super::show;
use tokio::sync::mpsc;

use crate::agent::planner::committed;
use crate::agent::repository::{At, Leftover, NotSyncable, RepoKey, Repository, RepositoryError, Resolved};
use crate::agent::state::Displacements;
use crate::agent::tracker::Look;
use crate::agent::versions::{self, Cause, Version};
use crate::content::{Blob, BlobKind, ChunkerParameters};
use crate::depot::DepotError;
use crate::model::{ContentRef, Fault, FaultKind, Name, NodeId, OpId, Reason, SetId, Timestamp};
use crate::store::{StoreError, WriteExt as _};
use crate::sys::Want;
use crate::task;
use crate::transfer::AGENT_SCOPE;
use crate::wire::pb;

/// Chunks that wait to be written.
const QUEUE: usize = 16;

/// Sends a kept content, chunk by chunk.
async fn send(local: &Local, content: &ContentRef, chunks: mpsc::Sender<Blob>) -> Result<(), DepotError> {
    let mut reader = local.context.depot.content(AGENT_SCOPE, content, 0..content.size_bytes)?;
    while let Some(bytes) = reader.next().await? {
        // Closed when the receiver failed, and says why.
        let _failed = chunks.send(Blob::new(BlobKind::Chunk, bytes)).await;
    }
    Ok(())
}

/// Finds whose versions a path has: those of the document there, or of one that was there.
async fn owner(local: &Local, path: &Path) -> Result<(SetId, NodeId), Fault> {
    if let Ok((set, row)) = show::member_at(local, path).await {
        return Ok((set, row.member.node));
    }
    let had = local.context.store.read(|read| versions::at_path(read, &path.display().to_string()))?;
    had.last().copied().ok_or_else(|| Fault::not_found(format!("no versions of {} were kept", path.display())))
}

async fn allowed(caller: Caller, path: &Path, want: Want) -> Result<(), Fault> {
    // Of a document that is gone, its folder decides.
    let there = if path.exists() { path } else { path.parent().unwrap_or(path) };
    caller.must(there, want).await
}

/// Lists the versions kept at a path.
pub(super) async fn list(local: &Local, caller: Caller, path: &str) -> Result<Vec<pb::SourceVersion>, Fault> {
    let path = absolute("path", path)?;
    allowed(caller, &path, Want::Read).await?;
    let (set, node) = owner(local, &path).await?;
    let kept = local.context.store.read(|read| versions::of_member(read, set, node))?;
    Ok(kept.into_iter().map(|(number, version)| describe(number, &version)).collect())
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
    pb::SourceVersion { version: number, keep_time: Some(kept.into()), size_bytes: version.content.size_bytes, cause: cause.into() }
}

/// Puts a version back as an ordinary change of the document at the path, or as a new document there if it is gone.
pub(super) async fn restore(local: &Local, caller: Caller, path: &str, number: u32) -> Result<String, Fault> {
    let path = absolute("path", path)?;
    allowed(caller, &path, Want::Write).await?;
    let (set, node) = owner(local, &path).await?;
    let kept = local.context.store.read(|read| versions::of_member(read, set, node))?;
    let found = kept.into_iter().find(|(kept, _)| *kept == number);
    let (_, version) =
        found.ok_or_else(|| Fault::not_found(format!("{} has no version {number}; see `skybridge versions`", path.display())))?;
    let (sender, blobs) = mpsc::channel(QUEUE);
    let op = OpId::from_uuid(local.context.world.mint());
    let work = Work { repository: local.context.repository.clone(), path: path.clone(), content: version.content, blobs, op };
    let place = task::blocking("restore a version", move || work.place());
    let (placed, sent) = tokio::join!(place, send(local, &version.content, sender));
    let placed = placed.map_err(Fault::internal)?;
    sent.map_err(Fault::internal)?;
    if let Some(displaced) = placed.map_err(|error| explain(&path, &error))? {
        keep(local, set, node, &path, displaced).await?;
    }
    local.context.looks.look(set, Look::Set);
    Ok(path.display().to_string())
}

fn explain(path: &Path, error: &RepositoryError) -> Fault {
    Fault::new(FaultKind::Precondition, format!("{}: {error}; nothing was changed", path.display())).because(Reason::SourceAccessDenied)
}

async fn keep(local: &Local, set: SetId, node: NodeId, path: &Path, displaced: crate::agent::repository::Displaced) -> Result<(), Fault> {
    let kept = crate::agent::applier::keep_displaced(&local.context, &displaced, Cause::RestoredOver, path.display().to_string()).await;
    // What could not be kept stays where it is, and is kept with the leftovers.
    let Some(version) = kept else { return Ok(()) };
    let op = displaced.op;
    let listed = local.context.store.transact(move |tx| {
        versions::list(tx, set, node, version.clone())?;
        tx.put::<Displacements>(&op, &(set, node))
    });
    committed::<()>(listed.await).map_err(|error: StoreError| Fault::internal(error))?;
    crate::agent::applier::discard_displaced(&local.context, displaced).await;
    Ok(())
}

struct Work {
    repository: std::sync::Arc<dyn Repository>,
    path: std::path::PathBuf,
    content: ContentRef,
    blobs: mpsc::Receiver<Blob>,
    op: OpId,
}

impl Work {
    /// Stages the version and swaps it in; returns what it displaced. Blocks.
    fn place(mut self) -> Result<Option<crate::agent::repository::Displaced>, RepositoryError> {
        let repository = self.repository.clone();
        let resolve = |path: &Path| repository.resolve(path);
        let path = self.path.clone();
        match resolve(&path) {
            Ok(Resolved { folders, entry, .. }) => {
                let folder = folders.last().cloned().ok_or(RepositoryError::Gone)?;
                let name = entry.name.allowed().cloned().ok_or(RepositoryError::Changed)?;
                self.replace(At { folder, name, key: entry.key }, &entry.stamp).map(Some)
            }
            Err(NotSyncable::Repository(RepositoryError::Gone)) => {
                let folder = path.parent().ok_or(RepositoryError::Gone)?;
                let name = path.file_name().and_then(|name| Name::new(name.to_string_lossy()).ok()).ok_or(RepositoryError::Gone)?;
                match resolve(folder) {
                    Ok(Resolved { entry, .. }) => self.place_new(&entry.key, &name).map(|()| None),
                    Err(NotSyncable::Repository(error)) => Err(error),
                    Err(_) => Err(RepositoryError::Unsupported("restoring to the top of a library")),
                }
            }
            Err(NotSyncable::Repository(error)) => Err(error),
            Err(_) => Err(RepositoryError::Changed),
        }
    }

    fn stage(&mut self, folder: &RepoKey) -> Result<crate::agent::repository::Staged, RepositoryError> {
        let mut staged = self.repository.stage_document(folder, self.op, ChunkerParameters::DEFAULT)?;
        while let Some(blob) = self.blobs.blocking_recv() {
            self.repository.append(&mut staged, &blob)?;
        }
        self.repository.finish(&mut staged, &self.content)?;
        Ok(staged)
    }

    fn replace(&mut self, at: At, stamp: &crate::agent::repository::Stamp) -> Result<crate::agent::repository::Displaced, RepositoryError> {
        let staged = self.stage(&at.folder)?;
        self.repository.inherit(&staged, &at, &[])?;
        self.repository.flush(&[&staged])?;
        let (_, displaced) = self.repository.replace(&staged, &at, stamp)?;
        self.repository.settle()?;
        Ok(displaced)
    }

    fn place_new(&mut self, folder: &RepoKey, name: &Name) -> Result<(), RepositoryError> {
        let staged = self.stage(folder)?;
        self.repository.flush(&[&staged])?;
        self.repository.place_new(&staged, folder, name)?;
        self.repository.settle()
    }
}

/// Discards what is staged if putting it in place failed.
impl Drop for Work {
    fn drop(&mut self) {
        for site in self.repository.sites() {
            if let Err(error) = self.repository.discard(&Leftover::Staged(site.name, self.op)) {
                tracing::debug!(%error, "nothing staged was discarded");
            }
        }
    }
}
