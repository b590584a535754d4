//! Ending a sync set, or one direct membership.

use super::Local;
use super::caller::{Caller, absolute};
use super::show;
use crate::agent::context::Context;
use crate::agent::planner::committed;
use crate::agent::repository::At;
use crate::agent::state::{LocalSets, MemberRow, Members, members};
use crate::model::{Fault, FaultKind, NodeId, SetId};
use crate::store::{ReadExt as _, StoreError, WriteExt as _};
use crate::sys::Want;
use crate::task;
use crate::wire::field;
use crate::wire::pb;
use crate::wire::pb::sync_set_service_client::SyncSetServiceClient;

/// Members that are forgotten in one transaction.
const PAGE: usize = 500;

/// Ends a set, or the direct membership of a path; returns whether the whole set ended.
pub(super) async fn end(local: &Local, caller: Caller, request: pb::EndSyncRequest) -> Result<bool, Fault> {
    let (set, node) = if request.path.is_empty() {
        (field::id::<SetId>("set_id", &request.set_id)?, None)
    } else {
        let path = absolute("path", &request.path)?;
        caller.must(&path, Want::Write).await?;
        let (set, row) = show::member_at(local, &path).await?;
        if !row.is_direct() {
            let carrier = show::direct_paths(local, set)?.into_iter().next().unwrap_or_default();
            let message = format!(
                "{} is synced because it lies in {}: unsync that folder, or move this out of it",
                path.display(),
                carrier.display()
            );
            return Err(Fault::new(FaultKind::Precondition, message));
        }
        (set, Some(row.member.node))
    };
    let missing = || Fault::not_found(format!("there is no sync set {set}; see `skybridge sync list`"));
    let row = local.context.store.read(|read| members::load_set(read, set))?.ok_or_else(missing)?;
    caller.must_own(&row)?;
    let last = show::direct_members(&local.context, set)?.len() <= 1;
    let node = node.filter(|_| !last);
    let message = pb::UnsyncRequest {
        set_id: set.to_string(),
        node_id: node.map(|node| node.to_string()).unwrap_or_default(),
        remove_from_cloud: request.remove_from_cloud,
    };
    SyncSetServiceClient::new(local.channels.control.clone()).unsync(message).await.map_err(|status| Fault::from_status(&status))?;
    match node {
        Some(node) => forget_member(&local.context, set, node).await?,
        None => forget_set(&local.context, set).await?,
    }
    tracing::info!(%set, user = caller.user, "sync ended");
    Ok(node.is_none())
}

/// Forgets a set that was ended. Both copies stay; what was read-only gets its permissions back first. Kept versions stay, too.
///
/// # Errors
/// When the store fails.
pub async fn forget_set(context: &Context, set: SetId) -> Result<(), StoreError> {
    let ending = context.store.transact(move |tx| members::update_set(tx, set, |local| local.ending = true));
    committed(ending.await)?;
    loop {
        let rows = context.store.read(|read| read.scan::<Members>(&(set,), None, PAGE))?;
        if rows.is_empty() {
            break;
        }
        for (_, row) in &rows {
            unprotect(context, row).await;
        }
        let forgotten = context.store.transact(move |tx| rows.iter().try_for_each(|(_, row)| members::save(tx, set, Some(row), None)));
        committed(forgotten.await)?;
    }
    committed(context.store.transact(move |tx| tx.delete::<LocalSets>(&set)).await)?;
    context.looks.everything();
    Ok(())
}

/// Forgets one direct member.
///
/// # Errors
/// When the store fails.
pub(crate) async fn forget_member(context: &Context, set: SetId, node: NodeId) -> Result<(), StoreError> {
    if let Some(row) = context.store.read(|read| members::load(read, set, node))? {
        unprotect(context, &row).await;
    }
    committed(context.store.transact(move |tx| members::update(tx, set, node, |_| None)).await)
}

/// Gives a document back the permissions that it had.
async fn unprotect(context: &Context, row: &MemberRow) {
    let (Some(source), Some(held)) = (&row.source, row.member.source_node()) else { return };
    let Some(original) = source.protection else { return };
    let name = source.aside.clone().unwrap_or_else(|| held.state.place.name.clone());
    let at = At { folder: source.folder.clone(), name, key: source.key.clone() };
    let repository = context.repository.clone();
    match task::blocking("restore permissions", move || repository.unprotect(&at, &original)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(node = %row.member.node, %error, "the permissions of a document could not be restored"),
        Err(lost) => tracing::error!(%lost, "the permissions of a document were not restored"),
    }
}
