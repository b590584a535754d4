//! Watching folders: events become hints about folders, by the keys that they were watched under.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use super::{FilesystemRepository, INTERNAL, lock, refused};
use crate::agent::repository::{Hint, RepoKey, RepositoryError, Result};
use crate::model::Name;
use crate::sys::{Errno, WatchEvent, WatchId};

/// Which folder a watch belongs to. A watch stays with its folder when that is renamed, so no path is in here.
#[derive(Debug, Default)]
pub(super) struct Watched {
    folders: HashMap<WatchId, RepoKey>,
    watches: HashMap<RepoKey, WatchId>,
}

impl FilesystemRepository {
    pub(super) fn watch(&self, key: &RepoKey) -> Result<()> {
        let Some(watches) = &self.watches else { return Err(RepositoryError::Unsupported("watching")) };
        let folder = self.folder(key)?;
        if !folder.root.capabilities.events {
            return Err(RepositoryError::Unsupported("watching"));
        }
        // Locked across the call, so that no event of the new watch is read before it is known here.
        let mut watched = lock(&self.watched);
        let watch = watches.add(&folder.dir).map_err(|errno| match errno {
            Errno::NOSPC => RepositoryError::WatchLimit,
            errno => refused(errno),
        })?;
        watched.folders.insert(watch, key.clone());
        watched.watches.insert(key.clone(), watch);
        Ok(())
    }

    pub(super) fn unwatch(&self, key: &RepoKey) {
        let mut watched = lock(&self.watched);
        let Some(watch) = watched.watches.remove(key) else { return };
        watched.folders.remove(&watch);
        if let Some(Err(errno)) = self.watches.as_ref().map(|watches| watches.remove(watch)) {
            // It ended by itself a moment ago.
            tracing::debug!(%errno, "watch was gone");
        }
    }

    pub(super) fn wait_for_hints(&self, wait: Duration) -> Result<bool> {
        self.watches.as_ref().ok_or(RepositoryError::Unsupported("watching"))?.wait(wait).map_err(refused)
    }

    pub(super) fn hints(&self) -> Result<Vec<Hint>> {
        let Some(watches) = &self.watches else { return Err(RepositoryError::Unsupported("watching")) };
        let mut watched = lock(&self.watched);
        let mut hints = BTreeSet::new();
        // What is ours is not hinted, and must not look like the end.
        while hints.is_empty() {
            let events = watches.read().map_err(refused)?;
            if events.is_empty() {
                break;
            }
            for event in events {
                self.translate(&mut watched, event, &mut hints);
            }
        }
        Ok(hints.into_iter().collect())
    }

    fn translate(&self, watched: &mut Watched, event: WatchEvent, hints: &mut BTreeSet<Hint>) {
        match event {
            WatchEvent::Overflow => drop(hints.insert(Hint::Overflow)),
            WatchEvent::Changed(watch, name) => {
                let internal = |folder: &RepoKey| name.as_deref() == Some(INTERNAL) && self.is_library(folder);
                if let Some(folder) = watched.folders.get(&watch).filter(|folder| !internal(folder)) {
                    hints.insert(Hint::Folder(folder.clone(), name.and_then(|name| Name::from_bytes(&name).ok())));
                }
            }
            WatchEvent::Ended(watch) => {
                if let Some(folder) = watched.folders.remove(&watch) {
                    watched.watches.remove(&folder);
                    hints.insert(Hint::Unwatched(folder));
                }
            }
        }
    }
}
