//! What a crash, or a writer who never lets go, left behind.

use std::collections::{BTreeMap, BTreeSet};

use super::{batch, displaced};
use crate::agent::context::Context;
use crate::agent::planner::applied::{self, Ending};
use crate::agent::planner::placing::{self, Placing};
use crate::agent::planner::{Order, committed};
use crate::agent::repository::{Displaced, Leftover, RepoKey, Repository, RepositoryError};
use crate::agent::state::{Applying, Displacements, LocalSets, members};
use crate::agent::versions::{self, Cause};
use crate::engine::Activity;
use crate::model::{NodeId, OpId, SetId};
use crate::store::{ReadExt as _, StoreError, WriteExt as _};
use crate::task;

/// Brings the state to where work can begin: nothing is under way at the source, what was displaced is kept, and nothing is known of the
/// source until it was looked through.
///
/// # Errors
/// When the store fails.
pub async fn recover(context: &Context) -> Result<(), StoreError> {
    leftovers(context, true).await?;
    let (placing, placed) = placed(context).await?;
    let world = context.world.clone();
    let applying = context.store.read(|read| read.scan::<Applying>(&(), None, usize::MAX))?;
    let sets = context.store.read(|read| read.scan::<LocalSets>(&(), None, usize::MAX))?;
    let recovered = context.store.transact(move |tx| {
        placed.iter().try_for_each(|(order, ending)| applied::record(tx, order, ending, &*world))?;
        placing.iter().try_for_each(|key| placing::end(tx, key))?;
        for (op, (set, node)) in &applying {
            tx.delete::<Applying>(op)?;
            // What it took out of its place and could not be kept yet is still theirs.
            tx.put::<Displacements>(op, &(*set, *node))?;
            // Its sync may have ended since: nobody would ever plan what is dirty of a set that is no more.
            let Some(before) = members::load(tx, *set, *node)? else { continue };
            let mut row = before.clone();
            if row.operation == Some(*op) {
                row.operation = None;
                row.member.activity = Activity::Idle;
            }
            members::save(tx, *set, Some(&before), Some(&row))?;
            members::mark_dirty(tx, *set, *node)?;
        }
        sets.iter().try_for_each(|(set, _)| members::update_set(tx, *set, |local| local.source_complete = false))
    });
    committed(recovered.await)
}

/// Returns what may have been put in place without a record of it, and how the orders of what was ended. Without that, people's renames of
/// these items would make them strangers, and their members would be made a second time.
async fn placed(context: &Context) -> Result<(Vec<RepoKey>, Vec<(Order, Ending)>), StoreError> {
    let rows = context.store.read(|read| read.scan::<Placing>(&(), None, usize::MAX))?;
    let (keys, orders): (Vec<_>, Vec<_>) = rows.into_iter().map(|((key,), order)| (RepoKey::from_bytes(&key), order)).unzip();
    if keys.is_empty() {
        return Ok((keys, Vec::new()));
    }
    let (repository, asked, work) = (context.repository.clone(), keys.clone(), orders.clone());
    let found = match task::blocking("find what was placed", move || find_placed(&*repository, &asked, &work)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "what was put in place before the end cannot be looked for; it is planned again from what is seen");
            vec![false; keys.len()]
        }
        Err(lost) => {
            tracing::error!(%lost, "what was put in place before the end was not looked for");
            vec![false; keys.len()]
        }
    };
    let ended = keys.iter().zip(orders).zip(found).filter(|(_, found)| *found);
    let ended = ended.filter_map(|((key, order), _)| batch::placed(&order, key.clone()).map(|ending| (order, ending))).collect();
    Ok((keys, ended))
}

/// Whether each item is in a place, durably.
fn find_placed(repository: &dyn Repository, keys: &[RepoKey], orders: &[Order]) -> Result<Vec<bool>, RepositoryError> {
    let found: Vec<_> = repository.locate(keys)?.iter().map(Option::is_some).collect();
    let sites: BTreeSet<_> = orders.iter().zip(&found).filter(|(_, found)| **found).map(|(order, _)| &order.site).collect();
    sites.into_iter().try_for_each(|site| repository.settle_all(site))?;
    Ok(found)
}

/// Keeps and discards what lies around. At the start nothing is at work, so what is staged can go, too.
///
/// # Errors
/// When the store fails.
pub async fn leftovers(context: &Context, at_start: bool) -> Result<(), StoreError> {
    // Read before the listing: what is displaced since then is in neither.
    let displacements = context.store.read(|read| read.scan::<Displacements>(&(), None, usize::MAX))?;
    let at_work = context.at_work.now();
    let repository = context.repository.clone();
    let found = match task::blocking("list leftovers", move || repository.leftovers()).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => {
            tracing::warn!(%error, "leftovers cannot be listed; they are looked for again");
            return Ok(());
        }
        Err(lost) => {
            tracing::error!(%lost, "leftovers were not listed");
            return Ok(());
        }
    };
    let applying = context.store.read(|read| read.scan::<Applying>(&(), None, usize::MAX))?;
    let applying: BTreeMap<OpId, (SetId, NodeId)> = applying.into_iter().collect();
    let idle = displacements.into_iter().map(|(op, _)| op).filter(|op| !at_work.contains(op));
    forget_discarded(context, idle, &found).await?;
    let is_at_work = |op: &OpId| applying.contains_key(op) || context.at_work.now().contains(op);
    for leftover in found {
        match leftover {
            Leftover::Staged(..) if at_start => {
                let repository = context.repository.clone();
                if let Ok(Err(error)) = task::blocking("discard", move || repository.discard(&leftover)).await {
                    tracing::warn!(%error, "something staged could not be discarded");
                }
            }
            Leftover::Staged(..) => {}
            // One that is being worked on is kept by whoever works on it.
            Leftover::Displaced(displaced) if at_start || !is_at_work(&displaced.op) => {
                let owner = applying.get(&displaced.op).copied();
                keep_leftover(context, displaced, owner).await?;
            }
            Leftover::Displaced(_) => {}
        }
    }
    Ok(())
}

/// Forgets whose something was that is not there any more. Not while a site cannot be seen.
async fn forget_discarded(context: &Context, known: impl Iterator<Item = OpId>, found: &[Leftover]) -> Result<(), StoreError> {
    let repository = &context.repository;
    if repository.sites().iter().any(|site| repository.health(&site.name).is_err()) {
        return Ok(());
    }
    let operation = |leftover: &Leftover| match leftover {
        Leftover::Displaced(displaced) => Some(displaced.op),
        Leftover::Staged(..) => None,
    };
    let there: BTreeSet<_> = found.iter().filter_map(operation).collect();
    let gone: Vec<_> = known.filter(|op| !there.contains(op)).collect();
    if gone.is_empty() {
        return Ok(());
    }
    committed(context.store.transact(move |tx| gone.iter().try_for_each(|op| tx.delete::<Displacements>(op))).await)
}

async fn keep_leftover(context: &Context, displaced: Displaced, owner: Option<(SetId, NodeId)>) -> Result<(), StoreError> {
    let owner = match owner {
        Some(owner) => Some(owner),
        None => context.store.read(|read| read.get::<Displacements>(&displaced.op))?,
    };
    let Some((set, node)) = owner else {
        tracing::warn!(op = %displaced.op, "something displaced belongs to no member; it stays where it is");
        return Ok(());
    };
    let path = context.store.read(|read| members::load(read, set, node))?.map(|row| path_of(context, &row)).unwrap_or_default();
    let Some(version) = displaced::store(context, &displaced, Cause::WrittenMeanwhile, path).await else { return Ok(()) };
    let newest = context.store.read(|read| versions::of_member(read, set, node))?;
    // What was kept already and not written to since is not a version of its own.
    let is_new = !newest.iter().any(|(_, kept)| kept.content == version.content);
    let op = displaced.op;
    let listed = context.store.transact(move |tx| {
        if is_new {
            versions::list(tx, set, node, version.clone())?;
        }
        tx.put::<Displacements>(&op, &(set, node))
    });
    committed(listed.await)?;
    displaced::discard(context, displaced).await;
    Ok(())
}

fn path_of(context: &Context, row: &crate::agent::state::MemberRow) -> String {
    let place = row.source.as_ref().zip(row.member.source_node());
    place.map_or_else(String::new, |(source, node)| {
        let name = crate::agent::repository::EntryName::Allowed(node.state.place.name.clone());
        context
            .repository
            .path_of(&source.folder, &name)
            .map_or_else(|_| node.state.place.name.to_string(), |path| path.display().to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::forget::forget_set;
    use crate::agent::planner::tests::Bench;
    use crate::agent::state::{Dirty, MemberRow};
    use crate::content::ChunkerParameters;
    use crate::engine::Target;
    use crate::model::{Kind, Name, NodeState, PairingId, Place, Properties, Revisions, Sequence, SetShape, TargetNode};
    use uuid::Uuid;

    #[tokio::test]
    async fn whose_something_was_is_forgotten_once_it_is_not_there_any_more() {
        let bench = Bench::new(SetShape::Documents).await;
        let (set, node) = (SetId::from_uuid(Uuid::from_u128(1)), NodeId::from_uuid(Uuid::from_u128(2)));
        let op = OpId::from_uuid(Uuid::from_u128(3));
        let stored = bench.context.store.transact(move |tx| tx.put::<Displacements>(&op, &(set, node)));
        stored.await.unwrap();
        let held = || bench.context.store.read(|read| read.get::<Displacements>(&op)).unwrap();
        assert!(held().is_some());
        leftovers(&bench.context, false).await.unwrap();
        assert!(held().is_none());
    }
    #[tokio::test]
    async fn edge_k13_what_was_staged_is_discarded_at_the_start_and_not_while_it_may_be_at_work() {
        let bench = Bench::new(SetShape::Documents).await;
        let repository = bench.context.repository.clone();
        let library = repository.sites()[0].library.clone().unwrap();
        drop(repository.stage_folder(&library, OpId::from_uuid(Uuid::from_u128(3))).unwrap());
        leftovers(&bench.context, false).await.unwrap();
        assert_eq!(repository.leftovers().unwrap().len(), 1);
        assert!(repository.list(&library).unwrap().is_empty(), "nor is it ever seen as somebody's");
        recover(&bench.context).await.unwrap();
        assert_eq!(repository.leftovers().unwrap(), []);
    }

    #[tokio::test]
    async fn s_d01_what_was_under_way_when_its_sync_ended_leaves_nothing_to_plan() {
        let bench = Bench::new(SetShape::Documents).await;
        let (set, node) = (SetId::from_uuid(Uuid::from_u128(1)), NodeId::from_uuid(Uuid::from_u128(2)));
        let op = OpId::from_uuid(Uuid::from_u128(3));
        let begun = bench.context.store.transact(move |tx| {
            tx.put::<Applying>(&op, &(set, node))?;
            let mut row = MemberRow::new(node, PairingId::from_uuid(Uuid::from_u128(4)));
            (row.operation, row.member.activity) = (Some(op), Activity::Applying);
            members::save(tx, set, None, Some(&row))
        });
        begun.await.unwrap();
        forget_set(&bench.context, set).await.unwrap();
        recover(&bench.context).await.unwrap();
        let left = bench
            .context
            .store
            .read(|read| Ok::<_, StoreError>((read.scan::<Applying>(&(), None, 9)?.len(), read.scan::<Dirty>(&(), None, 9)?.len())));
        assert_eq!(left.unwrap(), (0, 0));
    }

    #[tokio::test]
    async fn edge_k02_what_a_crash_left_between_a_change_of_the_source_and_its_record_is_kept_and_looked_at() {
        let bench = Bench::new(SetShape::Documents).await;
        let (set, node) = (SetId::from_uuid(Uuid::from_u128(1)), NodeId::from_uuid(Uuid::from_u128(2)));
        let op = OpId::from_uuid(Uuid::from_u128(3));
        let repository = bench.context.repository.clone();
        let at = bench.document(node, "doc", "old").await;
        // The document was taken out of its place; what came of that was not written down.
        let begun = bench.context.store.transact(move |tx| {
            tx.put::<Applying>(&op, &(set, node))?;
            members::update(tx, set, node, |row| {
                row.map(|mut row| {
                    (row.operation, row.member.activity) = (Some(op), Activity::Applying);
                    row
                })
            })
        });
        begun.await.unwrap();
        let stamp = repository.look(&at.folder, &at.name).unwrap().unwrap().stamp;
        repository.remove_document(&at, &stamp, op).unwrap();
        for _ in 0..2 {
            recover(&bench.context).await.unwrap();
            let kept = bench.context.store.read(|read| versions::of_member(read, set, node)).unwrap();
            assert_eq!(kept.iter().map(|(number, kept)| (*number, kept.content.size_bytes)).collect::<Vec<_>>(), [(1, 3)], "once");
            let row = bench.context.store.read(|read| members::load(read, set, node)).unwrap().unwrap();
            assert_eq!((row.operation, row.member.activity), (None, Activity::Idle));
            let local = bench.context.store.read(|read| members::load_set(read, set)).unwrap().unwrap();
            assert!(!local.source_complete, "nothing is planned before the source was looked through");
            assert_eq!(repository.leftovers().unwrap(), []);
        }
    }

    /// Announces a document that the cloud has, and puts it in place if it is to be; nobody writes down that it was.
    async fn cut_off(bench: &Bench, is_placed: bool) -> (MemberRow, RepoKey) {
        let (set, node) = (SetId::from_uuid(Uuid::from_u128(1)), NodeId::from_uuid(Uuid::from_u128(2)));
        let op = OpId::from_uuid(Uuid::from_u128(3));
        let state = NodeState {
            kind: Kind::Document,
            place: Place { parent: None, name: Name::new("doc").unwrap() },
            content: None,
            properties: Properties::default(),
        };
        let repository = &bench.context.repository;
        let site = repository.sites()[0].clone();
        let folder = site.library.unwrap();
        let target = TargetNode { node, state: state.clone(), revisions: Revisions::all_at(Sequence::new(1), &Properties::default()) };
        let mut row = MemberRow::new(node, PairingId::from_uuid(Uuid::from_u128(4)));
        row.member.target = Target::Present(target);
        (row.operation, row.member.activity) = (Some(op), Activity::Applying);
        let order = Order::to_create(set, &site.name, node, op, state.clone(), Some(folder.clone()));
        let staged = repository.stage_document(&folder, op, ChunkerParameters::DEFAULT).unwrap();
        let (key, begun) = (staged.key.clone(), row.clone());
        let stored = bench.context.store.transact(move |tx| {
            members::save(tx, set, None, Some(&begun))?;
            tx.put::<Applying>(&op, &(set, node))?;
            placing::begin(tx, &key, &order)
        });
        stored.await.unwrap();
        if is_placed {
            repository.place_new(&staged, &folder, &state.place.name).unwrap();
        }
        (row, staged.key)
    }

    #[tokio::test]
    async fn edge_k02_what_was_put_in_place_before_a_crash_and_renamed_since_is_still_its_members() {
        let bench = Bench::new(SetShape::Documents).await;
        let (cut_off, key) = cut_off(&bench, true).await;
        std::fs::rename(bench.path("doc"), bench.path("renamed")).unwrap();
        recover(&bench.context).await.unwrap();
        let row = bench.row(cut_off.member.node).unwrap();
        let source = row.source.as_ref().unwrap();
        assert_eq!((&source.key, row.member.activity, row.operation), (&key, Activity::Idle, None));
        // As it was placed: the tracker sees the rename then, and that it is one because base has the name that was given.
        let base = row.member.base.as_ref().unwrap();
        assert_eq!((row.member.source_node().map(|source| &source.state), base.place.name.as_str()), (Some(base), "doc"));
        assert!(!bench.context.store.read(|read| placing::is_under_way(read, &key)).unwrap());
        let entry = bench.context.repository.look(&source.folder, &Name::new("renamed").unwrap()).unwrap().unwrap();
        assert!(entry.key == key && !entry.stamp.unchanged_since(&source.stamp), "what was written to it since is read");
    }

    #[tokio::test]
    async fn edge_k02_what_was_announced_before_a_crash_and_not_put_in_place_is_not_there() {
        let bench = Bench::new(SetShape::Documents).await;
        let (cut_off, key) = cut_off(&bench, false).await;
        recover(&bench.context).await.unwrap();
        let row = bench.row(cut_off.member.node).unwrap();
        assert_eq!((row.source, row.member.activity, row.member.base), (None, Activity::Idle, None));
        assert!(!bench.context.store.read(|read| placing::is_under_way(read, &key)).unwrap());
        assert_eq!(bench.context.repository.leftovers().unwrap(), []);
    }
}
