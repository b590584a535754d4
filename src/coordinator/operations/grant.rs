//! Whether an agent may act for a set: asked for every operation, and for every range of the journal.

use crate::coordinator::failure::Failure;
use crate::coordinator::library::{Gate, Lineage};
use crate::coordinator::networks;
use crate::coordinator::sets::Definition;
use crate::model::{AgentId, Permission, Reason, Refusal, SetId};
use crate::store::{Read, StoreError};

/// Returns the set, if it is granted to the agent and its owner may read the target at this moment; else why not.
///
/// # Errors
/// When the store fails.
pub fn check_grant(read: &impl Read, gate: &dyn Gate, agent: AgentId, set: SetId) -> Result<Result<Definition, Refusal>, Failure> {
    let Some(definition) = Definition::in_force(read, set)?.filter(|definition| definition.set.agent == agent) else {
        return Ok(Err(Refusal::Missing));
    };
    if definition.grant_revoked {
        return Ok(Err(Refusal::Because(Reason::AuthenticationFailed, "the grant to the agent was revoked".to_owned())));
    }
    if !owner_belongs(read, gate, &definition)? {
        return Ok(Err(Refusal::Because(Reason::OwnerNotFound, String::new())));
    }
    if !owner_reads(read, &definition)? {
        let detail = "the owner of the sync set has no role in its site any more";
        return Ok(Err(Refusal::Because(Reason::TargetAccessDenied, detail.to_owned())));
    }
    Ok(Ok(definition))
}

fn owner_belongs(read: &impl Read, gate: &dyn Gate, definition: &Definition) -> Result<bool, StoreError> {
    let (network, owner) = (definition.set.network, definition.set.owner);
    Ok(networks::member(read, network, owner)?.is_some() && gate.is_active(read, owner)?)
}

/// All members lie in the site of the target folder: whatever leaves it leaves the set.
fn owner_reads(read: &impl Read, definition: &Definition) -> Result<bool, StoreError> {
    let network = definition.set.network;
    let Some(target) = Lineage::read(read, network, definition.set.target_folder)? else { return Ok(false) };
    let role = networks::role(read, network, target.site, definition.set.owner)?;
    Ok(role.is_some_and(|role| role.permits(Permission::Read, false)))
}
