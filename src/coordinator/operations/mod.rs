//! What agents ask for: operations, each done once or refused.
//!
//! Owned by the coordinator. An operation is applied in one transaction, on behalf of the owner of its set, if the grant stands, the owner
//! has the right at that moment, the node and its new parent are in the set, and each revision that it builds on is still current. It must
//! not know sessions and batches: the caller decides how many operations share a transaction, and has fenced out older sessions.
//!
//! # Repeating
//!
//! Every operation that was done has its answer kept, and so has every refusal after which the same operation might succeed later although
//! the agent was told to plan anew: a name that was taken becomes free, a node that was missing is restored. Not kept are
//!
//! - [`Refusal::Stale`]: revisions only grow, so a repetition is stale again;
//! - [`Refusal::ContentMissing`], and quota, limit, right, owner and grant: the agent repeats the very same operation once the cause is gone.
//!
//! Answers are forgotten after a while ([`prune_outcomes`]). An operation that is repeated after that is refused by its base revisions, or
//! for a create by the id of its node.

mod create;
mod grant;
mod outcome;
mod remove;
#[cfg(test)]
mod tests;
mod update;

pub use grant::check_grant;
pub use outcome::{StoredOutcome, prune_outcomes};

use super::failure::Failure;
use super::library::writer::{Obstacle, Stop, Writer};
use super::library::{Actor, Gate, Lineage, Membership};
use super::networks;
use super::sets::Definition;
use crate::coordinator::journal::NoRoom;
use crate::model::{AgentId, NodeId, Operation, Outcome, Permission, Push, Reason, Refusal, Role, Sequence, SetId, Timestamp};
use crate::store::{StoreError, Transaction};

/// On whose connection operations come in.
#[derive(Clone, Copy)]
pub struct Caller<'g> {
    /// The agent; the caller has checked that it is who it says, and not revoked.
    pub agent: AgentId,
    /// The time.
    pub now: Timestamp,
    /// What to ask about content and accounts.
    pub gate: &'g dyn Gate,
}

impl std::fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").field("agent", &self.agent).field("now", &self.now).finish_non_exhaustive()
    }
}

/// Applies an operation, or refuses it. The answer counts once the transaction is durable.
///
/// # Errors
/// When the store fails; the transaction has to be dropped then.
pub fn apply_operation(tx: &mut Transaction<'_>, caller: &Caller<'_>, operation: &Operation) -> Result<Outcome, Failure> {
    let definition = match check_grant(tx, caller.gate, caller.agent, operation.set)? {
        Ok(definition) => definition,
        Err(refusal) => return Ok(Outcome::Refused(refusal)),
    };
    if let Some(outcome) = outcome::stored(tx, operation)? {
        return Ok(outcome);
    }
    let task = Task { caller, definition: &definition, operation };
    let outcome = match task.run(tx) {
        Ok(sequence) => Outcome::Done(sequence),
        Err(End::Refused(refusal)) => Outcome::Refused(refusal),
        Err(End::Failed(failure)) => return Err(failure),
    };
    outcome::store(tx, operation, &outcome, caller.now)?;
    Ok(outcome)
}

/// How an operation ends that is not done.
enum End {
    Refused(Refusal),
    Failed(Failure),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<StoreError> for End {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// One operation, whose grant stands.
struct Task<'a> {
    caller: &'a Caller<'a>,
    definition: &'a Definition,
    operation: &'a Operation,
}

impl Task<'_> {
    fn run(&self, tx: &mut Transaction<'_>) -> Result<Sequence, End> {
        match &self.operation.push {
            Push::Create(state) => self.create(tx, state),
            Push::Update { content, place, properties } => self.update(tx, content.as_ref(), place.as_ref(), properties),
            Push::Delete { through } => self.delete(tx, *through),
            Push::Release { through } => self.release(tx, *through),
            Push::Pair { content } => self.pair(tx, content.as_ref()),
        }
    }

    const fn set(&self) -> SetId {
        self.definition.set.id
    }

    fn writer<'t, 's>(&self, tx: &'t mut Transaction<'s>) -> Result<Writer<'t, 's>, Failure> {
        let actor = Actor { account: self.definition.set.owner, by_sync: Some((self.set(), self.operation.op)), now: self.caller.now };
        Writer::open(tx, self.definition.set.network, actor)
    }

    fn read(&self, tx: &Transaction<'_>, node: NodeId) -> Result<Option<Lineage>, End> {
        Ok(Lineage::read(tx, self.definition.set.network, node)?)
    }

    /// Returns a node with what is above it, if it is a member of the set.
    fn member(&self, tx: &Transaction<'_>, node: NodeId) -> Result<(Lineage, Membership), End> {
        let lineage = self.read(tx, node)?.ok_or(Refusal::Missing)?;
        match lineage.membership(tx)? {
            Some(membership) if membership.set == self.set() => Ok((lineage, membership)),
            _ => Err(Refusal::Missing.into()),
        }
    }

    /// Returns the owner's role where a node is.
    fn role(&self, tx: &Transaction<'_>, lineage: &Lineage) -> Result<Role, End> {
        let role = networks::role(tx, self.definition.set.network, lineage.site, self.definition.set.owner)?;
        role.ok_or_else(|| denied(lineage))
    }

    /// Refuses what the owner may not do to a node at this moment.
    fn require(&self, tx: &Transaction<'_>, lineage: &Lineage, permission: Permission) -> Result<(), End> {
        let own = lineage.node.created.by == self.definition.set.owner;
        if self.role(tx, lineage)?.permits(permission, own) { Ok(()) } else { Err(denied(lineage)) }
    }

    /// Turns what stands in the way of a change in a folder into what the agent may know of it.
    fn refuse(&self, tx: &Transaction<'_>, stop: Stop) -> End {
        let obstacle = match stop {
            Stop::Store(error) => return error.into(),
            Stop::Obstacle(obstacle) => obstacle,
        };
        match obstacle {
            Obstacle::NameTaken { holder, .. } => match self.visible_holder(tx, holder) {
                Ok(holder) => Refusal::NameTaken { holder }.into(),
                Err(end) => end,
            },
            // Somebody moved the folder into the node meanwhile: the journal tells.
            Obstacle::IntoItself => Refusal::Stale.into(),
            Obstacle::ContentMissing => Refusal::ContentMissing.into(),
            Obstacle::NoRoom(NoRoom::Document { limit_bytes }) => {
                Refusal::Because(Reason::ContentLimitExceeded, format!("the limit is {limit_bytes} bytes")).into()
            }
            Obstacle::NoRoom(NoRoom::Quota { quota_bytes }) => {
                Refusal::Because(Reason::QuotaExceeded, format!("the quota is {quota_bytes} bytes")).into()
            }
            obstacle @ (Obstacle::Protected { .. } | Obstacle::TooManyDirectMembers { .. } | Obstacle::Property(_)) => {
                Refusal::Because(Reason::TargetAccessDenied, crate::model::Fault::from(obstacle).message).into()
            }
        }
    }

    /// The holder of a name, if it is in the set, or in no set and right in the target folder.
    fn visible_holder(&self, tx: &Transaction<'_>, holder: NodeId) -> Result<Option<NodeId>, End> {
        let Some(lineage) = self.read(tx, holder)? else { return Ok(None) };
        let is_visible = match lineage.membership(tx)? {
            Some(membership) => membership.set == self.set(),
            None => lineage.above.first().is_some_and(|(folder, _)| *folder == self.definition.set.target_folder),
        };
        Ok(is_visible.then_some(holder))
    }
}

fn denied(lineage: &Lineage) -> End {
    let detail = format!("the owner's role does not permit it on {:?}", lineage.node.name.as_str());
    Refusal::Because(Reason::TargetAccessDenied, detail).into()
}
