//! Forgetting what is no longer synced: both copies stay, and what was read-only for people gets its permissions back first. What the cloud still
//! has in another set is not forgotten: it was moved out of that one.
//!
//! Used by whatever hears of the end of a sync: the local service, a directive from the cloud, the planner. Whoever calls has seen to it that
//! the coordinator counts these members as ended, too; else its next listing would bring them back.

use super::context::Context;
use super::planner::{committed, let_go};
use super::repository::At;
use super::state::{Dirty, InFlight, LocalSets, MemberRow, Members, members};
use super::tracker::{Look, oddities};
use crate::model::{NodeId, SetId, SetShape};
use crate::store::{ReadExt as _, StoreError, Transaction, WriteExt as _};
use crate::task;

/// Members that are forgotten in one transaction.
const PAGE: usize = 500;

/// Forgets a set that was ended. Kept versions stay.
///
/// # Errors
/// When the store fails.
pub(super) async fn forget_set(context: &Context, set: SetId) -> Result<(), StoreError> {
    let ending = context.store.transact(move |tx| members::update_set(tx, set, |local| local.ending = true));
    committed(ending.await)?;
    forget_members(context, set).await?;
    while committed(context.store.transact(move |tx| oddities::forget(tx, set, PAGE)).await)? {}
    committed(context.store.transact(move |tx| forget_rest(tx, set)).await)?;
    context.looks.everything();
    context.planner.notify_one();
    Ok(())
}

/// Forgets the set itself, and what it had to tell the coordinator of nodes that are no members any more.
fn forget_rest(tx: &mut Transaction<'_>, set: SetId) -> Result<(), StoreError> {
    for (key, ()) in tx.scan::<Dirty>(&(set,), None, usize::MAX)? {
        tx.delete::<Dirty>(&key)?;
    }
    for (op, pushed) in tx.scan::<InFlight>(&(), None, usize::MAX)? {
        if pushed.operation.set == set {
            tx.delete::<InFlight>(&op)?;
        }
    }
    tx.delete::<LocalSets>(&set)
}

/// Forgets one direct member; a folder with all that is in it.
///
/// # Errors
/// When the store fails.
pub(super) async fn forget_member(context: &Context, set: SetId, node: NodeId) -> Result<(), StoreError> {
    let (row, local) = context.store.read(|read| Ok::<_, StoreError>((members::load(read, set, node)?, members::load_set(read, set)?)))?;
    let Some(row) = row else { return Ok(()) };
    unprotect(context, &row).await;
    // A folder goes first: nothing that is seen in it then becomes a member again.
    committed(context.store.transact(move |tx| let_go(tx, set, node)).await)?;
    if local.is_some_and(|local| local.definition.shape != SetShape::Documents) {
        forget_members(context, set).await?;
    }
    // Where it lies in the folder of another set it is a member of that one now.
    if let (Some(source), Some(held)) = (row.source, row.member.source_node()) {
        context.looks.look(set, Look::Name(source.folder, held.state.place.name.clone()));
    }
    Ok(())
}

async fn forget_members(context: &Context, set: SetId) -> Result<(), StoreError> {
    loop {
        let rows = context.store.read(|read| read.scan::<Members>(&(set,), None, PAGE))?;
        if rows.is_empty() {
            return Ok(());
        }
        for (_, row) in &rows {
            unprotect(context, row).await;
        }
        let forgotten = context.store.transact(move |tx| rows.iter().try_for_each(|((_, node), _)| let_go(tx, set, *node)));
        committed(forgotten.await)?;
    }
}

/// Gives a document back the owner and the permissions that it had before it was made read-only.
pub(super) async fn unprotect(context: &Context, row: &MemberRow) {
    let (Some(source), Some(held)) = (&row.source, row.member.source_node()) else { return };
    let name = source.aside.clone().unwrap_or_else(|| held.state.place.name.clone());
    unprotect_at(context, row, At { folder: source.folder.clone(), name, key: source.key.clone() }).await;
}

/// Does so where its item is now.
pub(super) async fn unprotect_at(context: &Context, row: &MemberRow, at: At) {
    let Some(original) = row.protection.clone() else { return };
    let repository = context.repository.clone();
    match task::blocking("restore permissions", move || repository.unprotect(&at, &original)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => tracing::warn!(node = %row.member.node, %error, "the permissions of a document could not be restored"),
        Err(lost) => tracing::error!(%lost, "the permissions of a document were not restored"),
    }
}
