//! Sync sets in the cloud: definitions and grants, members, what agents report and acknowledge, what people ask of agents.
//!
//! Owned by the coordinator. All of it is synchronous and runs inside one transaction of the store. It must not know sessions: it stores
//! what an agent is to be told, and who has a session passes it on.

mod acknowledged;
mod directive;
mod ending;
mod members;
mod record;
mod report;
#[cfg(test)]
mod tests;

pub use acknowledged::{Acknowledged, acknowledge, acknowledged, acknowledged_by_all};
pub use directive::{Directive, Pending, clear_directive, direct, pending_directives};
pub use ending::{Removed, end, unsync_member};
pub use members::{MembersCursor, MembersPage, list_members};
pub use record::{Definition, DirectMember};
pub use report::{Counts, MemberReport, Report, counts, list_reports, record_reports};

use record::{SetOfAgent, SetOfNetwork};

use super::failure::Failure;
use super::library::{self, Actor, Gate, Lineage, NodeRef};
use super::networks::{self, NetworkMember};
use crate::model::{AccountId, AgentId, Fault, FaultKind, Name, NodeId, Permission, Reason, SetId, SetOptions, SetShape, SyncSet};
use crate::store::{Read, ReadExt as _, StoreError, Transaction, WriteExt as _};

/// The most sets of one agent or network that are listed at once.
const LISTED_MAX: usize = 10_000;

/// What makes a sync set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSet {
    /// Its identity, minted by the agent.
    pub id: SetId,
    /// The agent that holds the source; the caller has checked that it belongs to the network and is not revoked.
    pub agent: AgentId,
    /// `NETWORK/SITE` or `NETWORK/SITE/FOLDER…`.
    pub target_path: String,
    /// Make the target folder, and those above it, if it is missing.
    pub create_folder: bool,
    /// Documents or a folder.
    pub shape: SetShape,
    /// The choices.
    pub options: SetOptions,
    /// What lists call it.
    pub name: Name,
    /// Where the source is, in the words of the agent.
    pub source_path: String,
}

/// Creates a sync set and its grant for the calling account. Repeating it with the same id gets the first answer.
///
/// # Errors
/// When sync is not offered in the network, the options contradict each other, the target is not there, is a document, is not for the
/// caller to create in, or lies in another set.
pub fn create(
    tx: &mut Transaction<'_>,
    gate: &dyn Gate,
    actor: Actor,
    new: &NewSet,
    mint: &mut dyn FnMut() -> NodeId,
) -> Result<Definition, Failure> {
    if let Some(definition) = tx.get::<Definition>(&(new.id,))? {
        let same = definition.set.owner == actor.account && definition.set.agent == new.agent && !definition.ending;
        return if same { Ok(definition) } else { Err(Fault::new(FaultKind::AlreadyExists, "the id of the set is in use").into()) };
    }
    if !new.options.are_consistent() {
        let message = "deleting the source when the cloud's copy is deleted needs that content can be deleted in the cloud";
        return Err(Fault::invalid("options.delete_source", message).into());
    }
    let folder = if new.create_folder {
        library::ensure_folders(tx, gate, actor, &new.target_path, mint)?
    } else {
        library::locate(tx, actor.account, &NodeRef::Path(new.target_path.clone()))?
    };
    folder.require_folder()?;
    folder.require(Permission::Create)?;
    let network = networks::get(tx, folder.lineage.network)?;
    if !network.sync_enabled {
        return Err(Fault::new(FaultKind::Precondition, format!("sync is not offered in the network {:?}", network.name)).into());
    }
    if let Some(other) = folder.lineage.membership(tx)? {
        let message = format!("{:?} is synced by the set {:?} ({})", new.target_path, other.definition.set.name.as_str(), other.set);
        return Err(Fault::new(FaultKind::Precondition, message).because(Reason::AlreadySynced).into());
    }
    let set = SyncSet {
        id: new.id,
        network: folder.lineage.network,
        agent: new.agent,
        owner: actor.account,
        target_folder: folder.lineage.id,
        shape: new.shape,
        options: new.options,
        name: new.name.clone(),
    };
    let definition = Definition { set, source_path: new.source_path.clone(), created: actor.now, grant_revoked: false, ending: false };
    tx.put::<Definition>(&(new.id,), &definition)?;
    tx.put::<SetOfNetwork>(&(folder.lineage.network, new.id), &())?;
    tx.put::<SetOfAgent>(&(new.agent, new.id), &())?;
    Ok(definition)
}

/// Returns a set that the account may see: its owner, an administrator, or a member of its site.
///
/// # Errors
/// [`FaultKind::NotFound`] when there is none, or it is not for the account to see.
pub fn visible(read: &(impl Read + ?Sized), account: AccountId, set: SetId) -> Result<Definition, Failure> {
    let unknown = || Fault::not_found("there is no such sync set, or it is not for you to see");
    let definition = Definition::in_force(read, set)?.ok_or_else(unknown)?;
    let network = definition.set.network;
    let target = Lineage::read(read, network, definition.set.target_folder)?;
    let in_site = match target {
        Some(target) => networks::role(read, network, target.site, account)?.is_some(),
        None => false,
    };
    if in_site || definition.set.owner == account { Ok(definition) } else { Err(unknown().into()) }
}

/// As [`visible`], for its owner and administrators of its network only. Also returns a set that is being ended.
///
/// # Errors
/// As [`visible`], and [`FaultKind::Denied`] when the account may see but not change it.
pub fn managed(read: &(impl Read + ?Sized), account: AccountId, set: SetId) -> Result<Definition, Failure> {
    if let Some(definition) = read.get::<Definition>(&(set,))? {
        let administers = networks::member(read, definition.set.network, account)?.is_some_and(|member| member.administrator);
        if administers || definition.set.owner == account {
            return Ok(definition);
        }
    }
    visible(read, account, set)?;
    Err(Fault::denied("only the owner of the sync set or an administrator may do this").into())
}

/// Lists the sets of a network that an account may manage, in the order in which they were made: an administrator all, others their own.
/// With `failed_only` those with members in `FAILED`. Returns where the next page begins.
///
/// # Errors
/// When there is no such network for the account to see.
pub fn list(
    read: &(impl Read + ?Sized),
    account: AccountId,
    network: &str,
    failed_only: bool,
    after_exclusive: Option<SetId>,
    limit: usize,
) -> Result<(Vec<Definition>, Option<SetId>), Failure> {
    let (network, _, NetworkMember { administrator }) = networks::visible(read, account, network)?;
    let mut page = Vec::new();
    for ((_, id), ()) in read.scan::<SetOfNetwork>(&(network,), after_exclusive.map(|set| (network, set)).as_ref(), LISTED_MAX)? {
        let Some(definition) = Definition::in_force(read, id)? else { continue };
        let mine = administrator || definition.set.owner == account;
        if mine && (!failed_only || counts(read, id)?.of(crate::model::MemberState::Failed) > 0) {
            page.push(definition);
            if page.len() == limit {
                return Ok((page, Some(id)));
            }
        }
    }
    Ok((page, None))
}

/// Lists the sets of an agent.
///
/// # Errors
/// When the store fails.
pub fn of_agent(read: &(impl Read + ?Sized), agent: AgentId) -> Result<Vec<Definition>, StoreError> {
    let mut sets = Vec::new();
    for ((_, id), ()) in read.scan::<SetOfAgent>(&(agent,), None, LISTED_MAX)? {
        sets.extend(Definition::in_force(read, id)?);
    }
    Ok(sets)
}

/// Revokes the grant of a set, or gives it back. The caller has checked who asks.
///
/// # Errors
/// When there is no such set.
pub fn set_grant_revoked(tx: &mut Transaction<'_>, set: SetId, revoked: bool) -> Result<Definition, Failure> {
    let mut definition = Definition::in_force(tx, set)?.ok_or_else(|| Fault::not_found("there is no such sync set"))?;
    definition.grant_revoked = revoked;
    tx.put::<Definition>(&(set,), &definition)?;
    Ok(definition)
}

/// Revokes the grants of all sets that an account owns, and returns those sets.
///
/// # Errors
/// When the store fails.
pub fn revoke_grants_of(tx: &mut Transaction<'_>, account: AccountId) -> Result<Vec<Definition>, StoreError> {
    let mut revoked = Vec::new();
    for (network, _, _) in networks::networks_of(tx, account)? {
        for ((_, id), ()) in tx.scan::<SetOfNetwork>(&(network,), None, LISTED_MAX)? {
            if let Some(mut definition) = Definition::in_force(tx, id)?.filter(|definition| definition.set.owner == account) {
                definition.grant_revoked = true;
                tx.put::<Definition>(&(id,), &definition)?;
                revoked.push(definition);
            }
        }
    }
    Ok(revoked)
}
