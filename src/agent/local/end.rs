//! Ending a sync set, or one direct membership, because a person at the source asks for it.

use super::Local;
use super::caller::{Caller, absolute};
use super::show;
use crate::agent::forget::{forget_member, forget_set};
use crate::agent::state::members;
use crate::model::{Fault, FaultKind, SetId};
use crate::sys::Want;
use crate::wire::field;
use crate::wire::pb;
use crate::wire::pb::sync_set_service_client::SyncSetServiceClient;

/// Ends a set, or the direct membership of a path; returns whether the whole set ended.
pub(super) async fn end(local: &Local, caller: Caller, request: pb::EndSyncRequest) -> Result<bool, Fault> {
    let (set, node) = if request.path.is_empty() {
        (field::id::<SetId>("set_id", &request.set_id)?, None)
    } else {
        let path = absolute("path", &request.path)?;
        caller.must(local, &path, Want::Write).await?;
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
        with_non_members: request.with_non_members,
    };
    SyncSetServiceClient::new(local.channels.control.clone()).unsync(message).await.map_err(|status| Fault::from_status(&status))?;
    match node {
        Some(node) => forget_member(&local.context, set, node).await?,
        None => forget_set(&local.context, set).await?,
    }
    tracing::info!(%set, user = caller.user, "sync ended");
    Ok(node.is_none())
}
