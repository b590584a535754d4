//! Sets as a whole: whether their site can be seen, and whether all of it was looked at.

use std::collections::{BTreeMap, BTreeSet};

use super::ingest::is_to_move;
use super::look::Looker;
use super::outcome::{Missing, Wanted};
use super::queue::{Scope, Topic};
use super::scene::{self, Known};
use super::{Failure, Tracker};
use crate::agent::repository::{RepoKey, SiteName, Unhealthy};
use crate::agent::state::members::{load, load_set, update_set};
use crate::agent::state::{Keys, LocalSet, LocalSets, MemberRow, Members};
use crate::model::{Name, NodeId, SetId};
use crate::store::{Read, ReadExt as _, StoreError};
use tokio::time::Instant;

/// Rows that are read at one time.
const PAGE: usize = 1_000;

impl Tracker {
    /// Begins to look through a set.
    pub(super) async fn scan(&mut self, set: SetId) {
        if !self.is_healthy(set).await {
            return;
        }
        self.scanning.insert(set);
        for (folder, names) in self.refresh(set) {
            self.stack.push(Wanted { scope: Scope::Names(names), ..Wanted::all(folder, true) });
        }
    }

    /// Reads again which folders hold direct members of a set.
    pub(super) fn refresh(&mut self, set: SetId) -> BTreeMap<RepoKey, BTreeSet<Name>> {
        let members = match self.looker.context.store.read(|read| scene::direct_members(read, set)) {
            Ok(members) => members,
            Err(error) => {
                tracing::warn!(%error, %set, "the direct members of a set could not be read");
                return BTreeMap::new();
            }
        };
        let mut folders = BTreeMap::<_, BTreeSet<_>>::new();
        for known in members {
            folders.entry(known.folder).or_default().insert(known.name);
        }
        self.drop_direct(set);
        for folder in folders.keys() {
            self.direct.entry(folder.clone()).or_default().insert(set);
        }
        folders
    }

    fn drop_direct(&mut self, set: SetId) {
        self.direct.retain(|_, sets| {
            sets.remove(&set);
            !sets.is_empty()
        });
    }

    /// Forgets sets that are no more.
    pub(super) fn forget(&mut self, all: &BTreeSet<SetId>) {
        let seen: BTreeSet<_> = self.direct.values().flatten().chain(&self.unhealthy).chain(&self.scanning).copied().collect();
        for set in seen.difference(all) {
            self.drop_direct(*set);
            self.unhealthy.remove(set);
            self.scanning.remove(set);
            self.polled.remove(set);
            for topic in [Topic::Health, Topic::Watching, Topic::Searching] {
                self.looker.context.looks.report(*set, topic, None);
            }
        }
    }

    /// Checks every site, and looks through the sets that are polled.
    pub(super) async fn check(&mut self) {
        let sets = match self.looker.sets() {
            Ok(sets) => sets,
            Err(failure) => {
                tracing::warn!(%failure, "the sync sets could not be read");
                return;
            }
        };
        for set in sets {
            let was = self.unhealthy.contains(&set);
            if self.is_healthy(set).await && (was || self.polled.contains(&set)) && !self.scanning.contains(&set) {
                self.looker.context.looks.look(set, super::Look::Set);
            }
        }
    }

    /// Whether the site of a set can be seen. If not, the set's source is unknown from now on.
    async fn is_healthy(&mut self, set: SetId) -> bool {
        let unhealthy = match self.looker.health(set).await {
            Ok(unhealthy) => unhealthy,
            Err(failure) => {
                tracing::warn!(%failure, %set, "a site could not be checked");
                self.unhealthy.insert(set);
                return false;
            }
        };
        match unhealthy {
            Some((site, unhealthy)) => {
                self.scanning.remove(&set);
                self.unhealthy.insert(set);
                let text = format!("The document library of site {site} cannot be seen: {unhealthy}. Nothing is deleted because of it.");
                if self.looker.context.looks.report(set, Topic::Health, Some(text)) {
                    tracing::warn!(%set, %site, %unhealthy, "the source of a sync set is unknown");
                }
                if let Err(failure) = self.looker.set_complete(set, false).await {
                    tracing::warn!(%failure, %set, "a set could not be marked");
                }
                false
            }
            None => {
                self.looker.context.looks.report(set, Topic::Health, None);
                if self.unhealthy.remove(&set) {
                    tracing::info!(%set, "the source of a sync set can be seen again");
                }
                true
            }
        }
    }

    /// Ends the scans of those sets of which nothing is left to look at.
    pub(super) async fn finish_scans(&mut self) {
        let blocked: BTreeSet<_> =
            self.later.values().filter_map(|later| later.blocks).chain(self.missing.keys().map(|missing| missing.set)).collect();
        let ready: Vec<_> = self.scanning.difference(&blocked).copied().collect();
        for set in ready {
            match self.looker.orphans(set) {
                Ok(orphans) if orphans.is_empty() => match self.looker.set_complete(set, true).await {
                    Ok(()) => {
                        self.scanning.remove(&set);
                    }
                    Err(failure) => tracing::warn!(%failure, %set, "a set could not be marked"),
                },
                Ok(orphans) => self.missing.extend(orphans.into_iter().map(|orphan| (orphan, Instant::now()))),
                Err(failure) => tracing::warn!(%failure, %set, "a set could not be looked through"),
            }
        }
    }
}

impl Looker {
    /// Lists the sets.
    pub(super) fn sets(&self) -> Result<BTreeSet<SetId>, Failure> {
        let rows = self.context.store.read(|read| all_sets(read))?;
        Ok(rows.into_iter().filter(|local| !local.ending).map(|local| local.definition.id).collect())
    }

    /// Returns the look at a member's place.
    pub(super) fn place(&self, set: SetId, node: NodeId) -> Result<Option<Wanted>, Failure> {
        let row = self.context.store.read(|read| load(read, set, node))?;
        let known = row.and_then(|row| Known::of(set, &row));
        Ok(known.map(|known| Wanted { deep: known.direct, ..Wanted::name(known.folder, known.name) }))
    }

    async fn health(&self, set: SetId) -> Result<Option<(SiteName, Unhealthy)>, Failure> {
        let Some(local) = self.context.store.read(|read| load_set(read, set))? else { return Ok(None) };
        let site = local.site.clone();
        let health = self.blocking("health", move |repository| repository.health(&site)).await?;
        Ok(health.err().map(|unhealthy| (local.site, unhealthy)))
    }

    async fn set_complete(&self, set: SetId, complete: bool) -> Result<(), Failure> {
        let is_news = self.context.store.read(|read| load_set(read, set))?.is_some_and(|local| local.source_complete != complete);
        if is_news {
            self.transact(move |tx| update_set(tx, set, |local| local.source_complete = complete)).await?;
        }
        Ok(())
    }

    /// Lists members whose folder is no longer in the source tree: left behind by a crash, or by a folder that went to another set.
    fn orphans(&self, set: SetId) -> Result<Vec<Missing>, Failure> {
        let (mut orphans, mut present, mut after) = (Vec::new(), BTreeMap::new(), None);
        loop {
            let rows = self.context.store.read(|read| read.scan::<Members>(&(set,), after.as_ref(), PAGE))?;
            for (_, row) in &rows {
                let Some(known) = Known::of(set, row).filter(|known| !known.applying) else { continue };
                let Some(parent) = row.member.source_node().and_then(|source| source.state.place.parent) else { continue };
                let there = match present.get(&parent) {
                    Some(there) => *there,
                    None => self.context.store.read(|read| load(read, set, parent))?.is_some_and(|row| row.member.source_node().is_some()),
                };
                present.insert(parent, there);
                if !there && !self.context.store.read(|read| could_not_follow(read, set, row))? {
                    orphans.push(Missing::of(&known));
                }
            }
            match rows.into_iter().nth(PAGE - 1) {
                Some((last, _)) => after = Some(last),
                None => return Ok(orphans),
            }
        }
    }
}

/// Whether a member lies in a folder of another set, from where the cloud moved it into this one and the repository could not: it is looked for
/// there each time that is tried.
fn could_not_follow(read: &(impl Read + ?Sized), set: SetId, row: &MemberRow) -> Result<bool, StoreError> {
    let Some(at) = &row.source else { return Ok(false) };
    let holder = read.get::<Keys>(&(at.folder.as_bytes().to_vec(),))?;
    Ok(holder.is_some_and(|(other, _)| other != set) && is_to_move(read, set, row)?)
}

fn all_sets(read: &(impl Read + ?Sized)) -> Result<Vec<LocalSet>, StoreError> {
    let (mut sets, mut after) = (Vec::new(), None);
    loop {
        let rows = read.scan::<LocalSets>(&(), after.as_ref(), PAGE)?;
        let full = rows.len() == PAGE;
        after = rows.last().map(|(set, _)| *set).filter(|_| full);
        sets.extend(rows.into_iter().map(|(_, local)| local));
        if after.is_none() {
            return Ok(sets);
        }
    }
}
