//! What goes for good: what has been in the trash for long, or is taken out of it by a manager, and versions that have long been replaced.
//! Their bytes are collected later.

use super::{Child, Marker, Node, Trail, Trash, Version, locate::locate_trashed, trash::time_key};
use crate::coordinator::failure::Failure;
use crate::coordinator::journal::Ledger;
use crate::coordinator::networks;
use crate::coordinator::sets::DirectMember;
use crate::model::{AccountId, Fault, FoldedName, Kind, NetworkId, NodeId, Permission, SiteId, Timestamp};
use crate::store::{Read, ReadExt as _, StoreError, Transaction, WriteExt as _};

/// Rows that are read at once.
const ROWS: usize = 1_000;

/// Where something in the trash is listed.
pub type TrashKey = (NetworkId, SiteId, u64, NodeId);

/// Lists what was deleted before a time, oldest first: what was deleted out of a folder goes before that folder.
///
/// # Errors
/// When the store cannot be read.
pub fn expired_trash(read: &(impl Read + ?Sized), network: NetworkId, before: Timestamp) -> Result<Vec<TrashKey>, StoreError> {
    let (mut expired, mut after) = (Vec::new(), None);
    loop {
        let rows = read.scan::<Trash>(&(network,), after.as_ref(), ROWS)?;
        let Some((last, ())) = rows.last() else { break };
        after = Some(*last);
        expired.extend(rows.into_iter().map(|(key, ())| key).filter(|(_, _, deleted, _)| *deleted < time_key(before)));
    }
    expired.sort_unstable_by_key(|(_, _, deleted, _)| *deleted);
    Ok(expired)
}

/// Lists the trash of a site for somebody who may empty it, oldest first; or only one thing in it.
///
/// # Errors
/// When there is no such site for the account to see, it does not manage it, or nothing like that is in its trash.
pub fn trash_to_empty(
    read: &(impl Read + ?Sized),
    account: AccountId,
    network: &str,
    site: &str,
    node: Option<NodeId>,
) -> Result<Vec<TrashKey>, Failure> {
    let (id, ..) = networks::visible(read, account, network)?;
    let (site, _, role) = networks::visible_site(read, id, account, site)?;
    if !role.permits(Permission::Manage, false) {
        return Err(Fault::denied("only managers of the site and administrators may empty its trash").into());
    }
    if let Some(node) = node {
        let (_, trashed) = locate_trashed(read, account, network, node)?;
        if trashed.site != site {
            return Err(Fault::not_found("there is no such node in the trash of this site").into());
        }
        return Ok(vec![(id, site, time_key(trashed.deleted.at), node)]);
    }
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let rows = read.scan::<Trash>(&(id, site), after.as_ref(), ROWS)?;
        let Some((last, ())) = rows.last() else { return Ok(all) };
        after = Some(*last);
        all.extend(rows.into_iter().map(|(key, ())| key));
    }
}

/// Removes something in the trash for good, with all that is in it: about `limit` nodes, from the bottom up. Says whether that was all;
/// if not, call it again in another transaction. What was restored meanwhile stays.
///
/// # Errors
/// When the store fails.
pub fn purge(tx: &mut Transaction<'_>, key: TrashKey, limit: usize) -> Result<bool, Failure> {
    let (network, .., top) = key;
    if !tx.exists::<Trash>(&key)? {
        return Ok(true);
    }
    let mut ledger = Ledger::open(tx, network)?;
    let (mut open, mut removed) = (vec![(top, None)], 0);
    while let Some((id, listed)) = open.last().cloned().filter(|_| removed < limit) {
        let children = tx.scan::<Child>(&(network, id), None, limit - removed)?;
        if children.is_empty() {
            remove(tx, &mut ledger, network, id, listed)?;
            open.pop();
            removed += 1;
        }
        for (listed, child) in children {
            if tx.get::<Node>(&(network, child))?.is_some_and(|node| node.kind == Kind::Folder) {
                open.push((child, Some(listed)));
                break;
            }
            remove(tx, &mut ledger, network, child, Some(listed))?;
            removed += 1;
        }
    }
    let done = open.is_empty();
    if done {
        tx.delete::<Trash>(&key)?;
    }
    ledger.close(tx)?;
    Ok(done)
}

/// Removes one node, and where its folder lists it; the top is listed nowhere.
fn remove(
    tx: &mut Transaction<'_>,
    ledger: &mut Ledger,
    network: NetworkId,
    id: NodeId,
    listed: Option<(NetworkId, NodeId, FoldedName)>,
) -> Result<(), StoreError> {
    if let Some(listed) = listed {
        tx.delete::<Child>(&listed)?;
    }
    let Some(node) = tx.get::<Node>(&(network, id))? else { return Ok(()) };
    if let Some(Marker::DirectMember { set, .. }) = node.marker {
        tx.delete::<DirectMember>(&(set, id))?;
    }
    for (edge, ()) in tx.scan::<Trail>(&(network, id), None, usize::MAX)? {
        tx.delete::<Trail>(&edge)?;
    }
    for (key, version) in tx.scan::<Version>(&(network, id), None, usize::MAX)? {
        ledger.refund(version.content.size_bytes);
        tx.delete::<Version>(&key)?;
    }
    tx.delete::<Node>(&(network, id))
}

/// Removes versions that were replaced before a time: looks at `limit` versions after `after`, and returns where to go on, or `None` at the
/// end. The newest of a document is never removed.
///
/// # Errors
/// When the store fails.
pub fn expire_versions(
    tx: &mut Transaction<'_>,
    network: NetworkId,
    before: Timestamp,
    after: Option<(NetworkId, NodeId, u32)>,
    limit: usize,
) -> Result<Option<(NetworkId, NodeId, u32)>, Failure> {
    let rows = tx.scan::<Version>(&(network,), after.as_ref(), limit)?;
    let mut ledger = Ledger::open(tx, network)?;
    for pair in rows.windows(2) {
        let [(key, version), (next, replaced)] = pair else { continue };
        if key.1 == next.1 && replaced.made.at < before {
            ledger.refund(version.content.size_bytes);
            tx.delete::<Version>(key)?;
        }
    }
    ledger.close(tx)?;
    // What follows the last one is not known yet: it is looked at again.
    Ok(rows.iter().rev().nth(1).map(|(key, _)| *key).filter(|_| rows.len() == limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coordinator::networks;
    use crate::coordinator::testing::{World, document_state, time};
    use crate::model::SetOptions;

    fn used(world: &World) -> u64 {
        world.read(|read| Ok(networks::get(read, world.network)?.used_bytes))
    }

    fn purge_all(world: &World, before: Timestamp) {
        let network = world.network;
        for key in world.read(|read| Ok(expired_trash(read, network, before)?)) {
            while !world.change(move |tx| purge(tx, key, 2)).unwrap() {}
        }
    }

    #[test]
    fn s_d12_what_was_in_the_trash_for_long_goes_with_all_that_is_in_it() {
        let mut world = World::new();
        let (set, top) = world.folder_set("site/A", "Plans", SetOptions::default());
        let deep = world.admin().mkdir("site/A/Plans", "deep").unwrap();
        world.admin().write("site/A/Plans/deep", "early", "12345").unwrap();
        world.admin().rm("site/A/Plans/deep/early").unwrap();
        for text in ["a", "b", "c"] {
            world.create(&set, document_state(Some(deep), text, "123"));
        }
        world.admin().write("site", "stays", "12").unwrap();
        world.now = time(2_000);
        world.admin().rm("site/A/Plans").unwrap();
        let before = world.rows();
        purge_all(&world, time(1_000));
        assert_eq!(world.rows(), before, "nothing is that old");
        purge_all(&world, time(1_500));
        assert_eq!(used(&world), 11, "what was deleted earlier has gone");
        purge_all(&world, time(3_000));
        assert_eq!(used(&world), 2);
        assert!(world.read(|read| Ok(read.get::<Node>(&(world.network, top))?)).is_none());
        let left = world.read(|read| Ok((read.scan::<Trash>(&(), None, 9)?.len(), read.scan::<Trail>(&(), None, 9)?.len())));
        assert_eq!((left, world.read(|read| Ok(read.scan::<DirectMember>(&(), None, 9)?.len()))), ((0, 0), 0));
        assert!(world.admin().get("site/stays").is_ok());
    }

    #[test]
    fn s_d12_a_manager_empties_the_trash_of_a_site_and_nothing_else_goes() {
        let mut world = World::new();
        world.admin().mkdir("site", "Plans").unwrap();
        let early = world.admin().write("site/Plans", "early", "12345").unwrap().id;
        let late = world.admin().write("site/Plans", "late", "123").unwrap().id;
        let stays = world.admin().write("site", "stays", "12").unwrap().id;
        world.admin().rm("site/Plans/early").unwrap();
        world.now = time(2_000);
        world.admin().rm("site/Plans/late").unwrap();
        world.admin().rm("site/Plans").unwrap();
        let (admin, network) = (world.admin, world.network);
        let keys = |node| world.read(|read| trash_to_empty(read, admin, "acme", "site", node));
        assert_eq!(keys(Some(late)).len(), 1);
        assert!(world.change(move |tx| trash_to_empty(tx, admin, "acme", "site", Some(stays))).is_err());
        let all = keys(None);
        assert_eq!(all.iter().map(|(.., node)| *node).position(|node| node == early), Some(0), "the oldest goes first");
        for key in all {
            while !world.change(move |tx| purge(tx, key, 1)).unwrap() {}
        }
        assert_eq!(used(&world), 2);
        assert!(world.read(|read| Ok(read.scan::<Trash>(&(network,), None, 9)?)).is_empty());
        assert!(world.admin().get("site/stays").is_ok());
    }

    #[test]
    fn s_d12_versions_go_when_they_have_long_been_replaced_and_the_newest_stays() {
        let mut world = World::new();
        let document = world.admin().write("site", "a", "1").unwrap().id;
        world.now = time(2_000);
        world.admin().write("site", "a", "12").unwrap();
        world.now = time(3_000);
        world.admin().write("site", "a", "123").unwrap();
        let network = world.network;
        let expire = |before| {
            let mut next = None;
            loop {
                next = world.change(move |tx| expire_versions(tx, network, before, next, 2)).unwrap();
                if next.is_none() {
                    let rows = world.read(|read| Ok(read.scan::<Version>(&(network, document), None, 9)?));
                    return rows.into_iter().map(|((.., number), _)| number).collect::<Vec<_>>();
                }
            }
        };
        assert_eq!(expire(time(2_000)), [1, 2, 3]);
        assert_eq!(expire(time(2_500)), [2, 3]);
        assert_eq!(expire(time(9_000)), [3]);
        assert_eq!(used(&world), 3);
    }
}
